//! How sessions behave, as the operator wants it.

use std::{path::PathBuf, time::Duration};

use super::{Limits, Settings};

/// The operator's choices.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// How long a session lives after its last use.
    pub ttl: Duration,
    /// How many live at once.
    pub cap: usize,
    /// How long another server waits for this one if it hangs, before it takes a session over.
    pub lease: Duration,
    /// How long a thread stays loaded after its turn, for a next turn to find it warm.
    pub release_after: Duration,
    /// How many of the last turns a rebuilt context holds.
    pub rebuild_turns: u32,
    /// How many bytes it holds at most.
    pub rebuild_bytes: usize,
    /// How long a turn may take, unless its call says.
    pub turn_timeout: Option<Duration>,
    /// How long Codex may say nothing in a turn.
    pub turn_silence: Duration,
    /// How long an approval waits for an answer.
    pub approval_timeout: Duration,
    /// What holds where neither call nor session says.
    pub defaults: Settings,
    /// Where commands run if nobody says: where the server was started.
    pub directory: PathBuf,
    /// What no call can exceed.
    pub limits: Limits,
    /// Which of Codex's own MCP servers it may use.
    pub mcp_servers: McpServers,
}

/// Which of Codex's own MCP servers it may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum McpServers {
    /// All of them.
    #[default]
    All,
    /// Those of these names.
    Only(Vec<String>),
}

impl McpServers {
    /// Whether one may be used.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|allowed| allowed == name),
        }
    }
}

#[cfg(test)]
impl SessionConfig {
    /// One for tests, with room and time for everything.
    pub(super) fn example() -> Self {
        let limit = Duration::from_secs(30);
        Self {
            ttl: Duration::from_hours(24),
            cap: 9,
            lease: limit,
            release_after: limit,
            rebuild_turns: 2,
            rebuild_bytes: 9999,
            turn_timeout: None,
            turn_silence: Duration::from_mins(10),
            approval_timeout: limit,
            defaults: Settings::default(),
            directory: "/".into(),
            limits: Limits { prompt_characters: 9999, ..Limits::default() },
            mcp_servers: McpServers::All,
        }
    }
}
