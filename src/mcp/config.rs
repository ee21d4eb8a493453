//! What a server is told by the program around it: the operator's choices, and who its clients are.

use std::{path::PathBuf, time::Duration};

use rmcp::model::Extensions;

use crate::session::{Principal, TurnSettings};

/// What the operator decides about the tools.
#[derive(Debug, Clone)]
pub struct McpConfig {
    /// The tools to offer, by name; all if empty.
    pub tools: Vec<String>,
    /// The longest text one result carries, in characters.
    pub max_text: usize,
    /// How long a call may take before its turn goes on without it, or before it becomes a task.
    pub turn: TurnSettings,
    /// How long the client that started us waits for a call, according to our environment.
    pub client_limit: Option<Duration>,
    /// Whether clients of Codex's own removed server are served.
    pub is_vendor: bool,
    /// Whether results have a structured form, and tools a schema for it.
    pub is_structured: bool,
    /// Where MCP servers of Codex send the user back to after a login, unless a call says.
    pub callback_uri: Option<String>,
}

/// One of several clients of a server.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where it works.
    pub directory: PathBuf,
    /// Its process, if it is on this machine.
    pub process: Option<u32>,
    /// How long it waits for a call, according to its environment.
    pub limit: Option<Duration>,
    /// Whether it is our own command line: its calls wait until their turn is over, and answers are not cut.
    pub is_terminal: bool,
}

/// Says who makes the request that has these extensions.
pub type WhoCalls = fn(&Extensions) -> Option<&Principal>;
