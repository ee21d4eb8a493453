//! The north door: tools over sessions. Knows sessions, and of Codex only its façade types.
//!
//! [`Server`] is what rmcp calls; [`tools`] has one file per tool; [`call`] is what goes on while a call
//! is under way; [`answer`] and [`error`] decide what a client sees, [`resources`] what it can read,
//! [`changes`] tells of them, [`prompts`] and [`completion`] help people. The SDK's types do not leave this folder and `serve`.

mod answer;
mod arguments;
mod call;
mod changes;
mod completion;
mod cut;
mod error;
mod malformed;
mod offer;
mod prompts;
mod resources;
mod schema;
mod server;
mod tools;
mod visible;

pub use call::TERMINAL;
pub use error::{Trouble, explain};
pub use server::{McpConfig, Server};
pub use tools::{ToolSummary, tool_names, tool_summaries};
pub use visible::{visible, visible_line};
