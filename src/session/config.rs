//! The operator's settings for sessions.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use smart_default::SmartDefault;

use super::{Limits, RolloutConfig, Settings, Span, Tenant};
#[cfg(test)]
use crate::git::GitEnvironment;
use crate::{
    codex::{ApprovalPolicy, Sandbox},
    git::Git,
};

/// How long a lease lasts where the end of its owner is noticed at once, and where it is not.
const LEASE: Duration = Duration::from_secs(30);
const SHARED_LEASE: Duration = Duration::from_secs(10);

/// How often the store is asked what other servers want.
const POLL: Duration = Duration::from_millis(200);
const SHARED_POLL: Duration = Duration::from_millis(800);

/// The operator's settings for sessions.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Whose sessions they are. `None` for the operator's own.
    pub tenant: Option<Tenant>,
    /// Whether Codex runs with other rights than this server, which then looks at no files for it with git.
    pub apart: bool,
    /// Whether servers of several machines share the store. Such a store can be away for a while, and the end of another
    /// server is noticed by the clock alone.
    pub is_shared: bool,
    /// How long a thread stays loaded after its turn, so that the next turn starts faster.
    pub release_after: Duration,
    /// How long sessions live and how they go on.
    pub session: SessionSettings,
    /// How long turns may take.
    pub turn: TurnSettings,
    /// Settings for what neither the call nor the session sets.
    pub defaults: Settings,
    /// Where commands run if no setting and no client says so: the directory the server was started in.
    pub directory: PathBuf,
    /// What another server must be like to run a turn that this one has promised to run, as one word.
    pub runner: String,
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
    /// The folder that images are copied into for Codex. `None` where it could not read them there.
    pub images: Option<PathBuf>,
    /// What no call can exceed.
    pub limits: Limits,
    /// Which of its own MCP servers Codex may use.
    pub mcp_servers: McpServers,
}

/// What holds where neither a call nor its session says.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// The model; the user's own Codex configuration decides if empty.
    pub model: Option<String>,
    /// How hard the model thinks, such as `low` or `high`; the user's own Codex configuration decides if empty.
    pub reasoning_effort: Option<String>,
    /// What commands may touch; if empty the user's own Codex configuration decides, else it is read-only.
    pub sandbox: Option<Sandbox>,
    /// When Codex asks before acting; if empty `on-request` where the user can be asked, else `never`.
    pub approval_policy: Option<ApprovalPolicy>,
    /// Where MCP servers of Codex that ask for a login send the user back to, unless a call says.
    pub callback_uri: Option<String>,
    /// Where Codex works; where the server was started if empty.
    #[schemars(extend("format" = "path"))]
    pub working_directory: Option<PathBuf>,
}

/// How long sessions live and how they go on.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSettings {
    /// How long a session lives after its last use.
    #[default(Span::minutes(24 * 60))]
    #[schemars(extend("x-minimum" = "1s"))]
    pub ttl: Span,
    /// How many sessions are kept; the least recently used go first.
    #[default = 100]
    #[schemars(range(min = 1))]
    pub cap: usize,
    /// How long other servers that share the store wait for one that hangs or is suspended, before they take its
    /// sessions over: 30 s if not set, and 10 s with PostgreSQL. One on this machine that has ended is noticed at once.
    #[schemars(extend("x-minimum" = "1s"))]
    pub lease: Option<Span>,
    /// How many of the last turns a rebuilt context holds.
    #[default = 2]
    pub rebuild_turns: u32,
    /// How many bytes a rebuilt context holds at most.
    #[default = 65_536]
    pub rebuild_bytes: usize,
}

/// How long turns may take, and the calls that wait for them.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct TurnSettings {
    /// How long a call may take before its turn goes on without it; if empty, as long as its client waits.
    #[schemars(extend("x-minimum" = "1s"))]
    pub wait: Option<Span>,
    /// How long a call may take before it becomes a task, for clients that follow tasks.
    #[default(Span::seconds(3))]
    pub task: Span,
    /// How long a turn may take, unless its call says; without limit if empty.
    #[schemars(extend("x-minimum" = "1s"))]
    pub timeout: Option<Span>,
    /// How long Codex may say nothing in a turn. A build or a test run may print nothing for long.
    #[default(Span::minutes(30))]
    #[schemars(extend("x-minimum" = "1s"))]
    pub silence: Span,
    /// How long a question of Codex waits for an answer.
    #[default(Span::minutes(5))]
    #[schemars(extend("x-minimum" = "1s"))]
    pub question: Span,
}

impl From<&Defaults> for Settings {
    fn from(defaults: &Defaults) -> Self {
        Self {
            model: defaults.model.clone(),
            reasoning_effort: defaults.reasoning_effort.clone(),
            sandbox: defaults.sandbox,
            approval_policy: defaults.approval_policy,
            ..Self::default()
        }
    }
}

impl SessionConfig {
    /// How long a session lives after its last use.
    pub(super) fn ttl(&self) -> Duration {
        self.session.ttl.0
    }

    /// How long a lease lasts without renewal: if this server hangs for longer, others can take its sessions over.
    pub(super) fn lease(&self) -> Duration {
        let usual = if self.is_shared { SHARED_LEASE } else { LEASE };
        self.session.lease.map_or(usual, |span| span.0)
    }

    /// How often the store is asked what other servers want: a file often; a database also says so by itself.
    pub(super) fn poll(&self) -> Duration {
        if self.is_shared { SHARED_POLL } else { POLL }
    }

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
            is_shared: false,
            release_after: limit,
            session: SessionSettings { cap: 9, rebuild_bytes: 9999, ..SessionSettings::default() },
            turn: TurnSettings {
                silence: Span::minutes(10),
                question: Span(limit),
                ..TurnSettings::default()
            },
            defaults: Settings::default(),
            directory: "/".into(),
            runner: "any".to_owned(),
            machine: "here".into(),
            rollouts: None,
            path_map: BTreeMap::new(),
            git: Git::new(GitEnvironment::default(), None),
            worktrees: None,
            images: None,
            limits: Limits { prompt_characters: 9999, ..Limits::default() },
            mcp_servers: McpServers::All,
        }
    }
}
