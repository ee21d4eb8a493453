//! The adapter to clients: tools over sessions. Knows sessions, and of Codex only its façade types.
//!
//! [`Server`] is what the SDK calls. [`apps`] has views for clients that show them, [`tools`] has one file per tool, [`offer`] knows which the operator offers,
//! [`call`] follows one call under way. [`answer`] and [`error`] decide what a client sees, [`resources`] can be read, [`changes`] notifies about them, [`prompts`] and [`completion`]
//! help people. The SDK's types stay in this folder and in `serve`.

mod answer;
mod apps;
mod arguments;
mod call;
mod changes;
mod completion;
mod config;
mod cut;
mod error;
#[cfg(debug_assertions)]
mod fixtures;
mod malformed;
mod offer;
mod prompts;
mod resources;
mod restarted;
mod schema;
mod scope;
mod server;
mod tasks;
mod tools;

pub use call::{GivenUp, TERMINAL, approval_answer, approval_form, is_time_out};
pub use changes::is_resource;
pub use config::{Client, McpConfig};
pub use error::{UserError, explain};
pub use restarted::{host_restarted, only_reads};
pub use scope::needed_scope;
pub use server::Server;
pub(crate) use tools::missing_in_words;
// What those who bring callers in need of the core.
#[cfg(target_os = "linux")]
pub use crate::session::Lineages;
pub use crate::session::{
    ForwardedMessage, Handshakes, Lineage, Principal, Scope, SessionError, Sessions, Tenant, Tokens,
};
pub use crate::session::{visible, visible_line};
pub use tools::{ToolSummary, tool_names, tool_summaries};
