//! A turn from the outside: events while it runs, one outcome at its end.

mod failure;
mod fold;
mod handle;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use failure::{FailureKind, TurnFailure};
pub(crate) use fold::Fold;
pub use handle::Turn;

/// Codex's name for a thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadId(pub String);

/// Codex's name for a turn. Before 0.100 a counter, unique only within its thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(pub String);

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happens while a turn runs. The last one is always [`TurnEvent::Ended`].
#[derive(Debug, Clone, PartialEq)]
pub enum TurnEvent {
    /// The model is thinking.
    Thinking,
    /// A piece of the answer.
    Message(String),
    /// A command began.
    CommandStarted(String),
    /// A command ended.
    CommandFinished(CommandRun),
    /// Files were changed.
    FilesChanged(Vec<FileChange>),
    /// A tool of one of Codex's own MCP servers is called.
    ToolCalled {
        /// The MCP server's name.
        server: String,
        /// The tool's name.
        tool: String,
    },
    /// The web is searched.
    Searching(String),
    /// Something failed and Codex tries again.
    Retrying(String),
    /// Codex warns of something.
    Warning(String),
    /// Codex asked for something and was refused.
    Declined(String),
    /// The turn is over.
    Ended(Box<TurnOutcome>),
}

/// How a turn ended and all it brought.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnOutcome {
    /// How it ended.
    pub status: TurnStatus,
    /// The answer; as much of it as there is if the turn did not complete.
    pub response: String,
    /// Tokens this turn used, if Codex said.
    pub usage: Option<Usage>,
    /// Commands that ran, in order.
    pub commands: Vec<CommandRun>,
    /// Files that were changed, in order.
    pub files: Vec<FileChange>,
    /// What the caller should know besides.
    pub warnings: Vec<String>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnStatus {
    /// The model finished.
    Completed,
    /// Somebody stopped it.
    Interrupted,
    /// It failed.
    Failed(TurnFailure),
}

/// A command Codex ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRun {
    /// The command line.
    pub command: String,
    /// Its exit code; none if it was declined or did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
}

/// A file Codex changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Where it is.
    pub path: String,
    /// `add`, `update` or `delete`.
    pub kind: String,
}

/// Tokens, as the model's provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Sent to the model, cached ones included.
    pub input_tokens: u64,
    /// Of these, served from the provider's cache.
    pub cached_input_tokens: u64,
    /// Received from the model, reasoning included.
    pub output_tokens: u64,
    /// Of these, spent on reasoning.
    pub reasoning_output_tokens: u64,
    /// Input and output together.
    pub total_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_output_tokens += other.reasoning_output_tokens;
        self.total_tokens += other.total_tokens;
    }
}
