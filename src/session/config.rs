//! The operator's settings for sessions.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Limits, RolloutConfig, Settings, Tenant};
use crate::git::Git;
#[cfg(test)]
use crate::git::GitEnvironment;

/// The operator's settings for sessions.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Whose sessions they are. `None` for the operator's own.
    pub tenant: Option<Tenant>,
    /// Whether Codex runs with other rights than this server, which then looks at no files for it with git.
    pub apart: bool,
    /// How long a session lives after its last use.
    pub ttl: Duration,
    /// How many sessions there can be at once.
    pub cap: usize,
    /// How long a lease lasts without renewal: if this server hangs for longer, others can take its sessions over.
    pub lease: Duration,
    /// How often the store is asked what other servers want.
    pub poll: Duration,
    /// Whether a turn that has ended waits to be recorded while the store is away, for as long as it has its lease.
    pub waits_for_store: bool,
    /// How long a thread stays loaded after its turn, so that the next turn starts faster.
    pub release_after: Duration,
    /// How many of the last turns a rebuilt context contains.
    pub rebuild_turns: u32,
    /// The most bytes of text in a rebuilt context.
    pub rebuild_bytes: usize,
    /// How long a turn may take unless its call sets a limit. `None` for no limit.
    pub turn_timeout: Option<Duration>,
    /// How long Codex may be silent in a turn before it is interrupted.
    pub turn_silence: Duration,
    /// How long an approval waits for an answer.
    pub approval_timeout: Duration,
    /// Settings for what neither the call nor the session sets.
    pub defaults: Settings,
    /// Where commands run if no setting and no client says so: the directory the server was started in.
    pub directory: PathBuf,
    /// What this machine is called, in results and records.
    pub machine: String,
    /// How the histories of threads are kept, for other machines to go on with. `None` if they are not.
    pub rollouts: Option<RolloutConfig>,
    /// Where directories of other machines are here, by what their paths begin with.
    pub path_map: BTreeMap<PathBuf, PathBuf>,
    /// Git, which looks at repositories for reviews and makes worktrees.
    pub git: Git,
    /// The folder that worktrees are made in. `None` if nothing is kept.
    pub worktrees: Option<PathBuf>,
    /// What no call can exceed.
    pub limits: Limits,
    /// Which of its own MCP servers Codex may use.
    pub mcp_servers: McpServers,
}

impl SessionConfig {
    /// Where a directory that a session has worked in is on this machine: where it was, or, if that is not here, where the
    /// operator says.
    pub(super) async fn local_directory(&self, directory: &Path) -> PathBuf {
        if self.path_map.is_empty() || tokio::fs::try_exists(directory).await.unwrap_or(true) {
            return directory.to_owned();
        }
        // The longest beginning that fits comes last.
        let mut mapped = self.path_map.iter().rev().filter_map(|(there, here)| {
            let below = directory.strip_prefix(there).ok()?;
            Some(here.join(below))
        });
        mapped.next().unwrap_or_else(|| directory.to_owned())
    }
}

/// Which of its own MCP servers Codex may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum McpServers {
    /// All of them.
    #[default]
    All,
    /// Only the servers of these names.
    Only(Vec<String>),
}

impl McpServers {
    /// Whether Codex may use the server of this name.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|allowed| allowed == name),
        }
    }
}

#[cfg(test)]
impl SessionConfig {
    /// For tests, with generous limits.
    pub(super) fn example() -> Self {
        let limit = Duration::from_secs(30);
        Self {
            tenant: None,
            apart: false,
            ttl: Duration::from_hours(24),
            cap: 9,
            lease: limit,
            poll: Duration::from_millis(200),
            waits_for_store: false,
            release_after: limit,
            rebuild_turns: 2,
            rebuild_bytes: 9999,
            turn_timeout: None,
            turn_silence: Duration::from_mins(10),
            approval_timeout: limit,
            defaults: Settings::default(),
            directory: "/".into(),
            machine: "here".into(),
            rollouts: None,
            path_map: BTreeMap::new(),
            git: Git::new(GitEnvironment::default(), None),
            worktrees: None,
            limits: Limits { prompt_characters: 9999, ..Limits::default() },
            mcp_servers: McpServers::All,
        }
    }
}
