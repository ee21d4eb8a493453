//! A turn from the outside: events while it runs, one outcome at its end.

mod driver;
mod failure;
mod fold;
mod handle;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use driver::Driver;
pub use failure::{FailureKind, TurnFailure};
pub(crate) use fold::Fold;
pub use handle::Turn;

use super::{
    approval::{Question, QuestionId},
    usage::Usage,
};

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
    /// Tokens this turn has used so far.
    Used(Usage),
    /// Something failed and Codex tries again.
    Retrying(String),
    /// Codex warns of something.
    Warning(String),
    /// The model's plan: how many steps are done, of how many, and which is next.
    Planned {
        /// Steps that are done.
        done: usize,
        /// All steps.
        of: usize,
        /// The step under way.
        step: String,
    },
    /// Codex asks something and waits for [`Turn::answer`].
    Asked(Question),
    /// A question needs no answer any more.
    Settled(QuestionId),
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
    /// Pages that were read on the web, in order.
    pub sources: Vec<String>,
    /// What the caller should know besides.
    pub warnings: Vec<String>,
}

/// What a running turn has brought so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Partial {
    /// The message being written, else the last complete one.
    pub response: String,
    /// Tokens so far.
    pub usage: Option<Usage>,
    /// Commands that have ended.
    pub commands: Vec<CommandRun>,
    /// Files that were changed.
    pub files: Vec<FileChange>,
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
