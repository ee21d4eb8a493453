//! The north door: tools over sessions. Knows sessions, and of Codex only its façade types.
//!
//! [`Server`] is what rmcp calls; [`tools`] has one file per tool; [`answer`] and [`error`] decide what
//! a client sees. The SDK's types do not leave this folder and `serve`.

mod answer;
mod arguments;
mod error;
mod schema;
mod server;
mod tools;

pub use server::{McpConfig, Server};
pub use tools::tool_names;
