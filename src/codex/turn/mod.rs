//! A turn: events while it runs, one outcome at its end. It does not know which engine runs it.

mod driver;
mod failure;
mod fold;
mod handle;
mod inbox;
mod trace;
mod trust;

use serde::{Deserialize, Serialize};

pub(crate) use driver::Driver;
pub use failure::{FailureKind, TurnFailure};
pub(crate) use fold::Fold;
pub(crate) use handle::Begun;
pub use handle::{Interrupted, Turn};
pub(crate) use inbox::{Inbox, Outlet, ThreadEvent, inbox};

pub use trace::TurnTrace;
pub(crate) use trust::Trust;

use super::{
    approval::{Approval, ApprovalId},
    ids::{ThreadId, TurnId},
    usage::Usage,
};

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
    /// Codex asks for an approval and waits for [`Turn::answer`].
    ApprovalAsked(Approval),
    /// Codex no longer waits for an approval, although it was not answered here.
    ApprovalSettled(ApprovalId),
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
    /// What these printed and how those were changed.
    pub trace: TurnTrace,
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
    /// What these printed and how those were changed.
    pub trace: TurnTrace,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnStatus {
    /// The model finished.
    Completed,
    /// It was stopped.
    Interrupted,
    /// It failed.
    Failed(TurnFailure),
}

/// A command Codex ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRun {
    pub command: String,
    /// Its exit code. `None` if it was declined or did not end.
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
