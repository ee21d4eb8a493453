//! The model of a client: a stand-in that has a real MCP client call the tools it is told to, in the client's
//! own model API, and remembers what the client showed it of the results.

mod dialect;
mod serve;

pub use dialect::Dialect;
pub use serve::{Agent, ToolUse};
