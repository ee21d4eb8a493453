//! Errors of the core. A turn that failed is a reply, not an error.

use std::path::PathBuf;

use super::{Scope, SessionName, store::StoreError};
use crate::{
    codex::{ApprovalId, CodexError, Sandbox},
    git::RepositoryError,
};

/// Why the core could not do what a caller asked.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The caller's scope does not allow it.
    #[error("this needs the scope `{}`; the caller has `{}`", needed.as_str(), has.as_str())]
    Scope {
        /// What the caller has.
        has: Scope,
        /// What it would need.
        needed: Scope,
    },
    /// There is no such session.
    #[error("there is no session `{name}`")]
    Unknown {
        /// The name that was asked for.
        name: SessionName,
    },
    /// Codex has other rights than this server, which must not run git for it.
    #[error("Codex runs as another user here, whose files this server does not look at with git")]
    OtherUser,
    /// The session runs a turn.
    #[error("session `{name}` is running a turn")]
    Busy { name: SessionName },
    /// Too many calls wait for the session.
    #[error("{waiting} calls already wait for session `{name}`")]
    QueueFull {
        name: SessionName,
        /// How many wait.
        waiting: usize,
    },
    /// The session runs no turn.
    #[error("session `{name}` is not running a turn")]
    Idle { name: SessionName },
    /// The session has no such turn.
    #[error("session `{name}` has no turn {number}; its last is {count}")]
    NoTurn {
        name: SessionName,
        /// The number that was asked for.
        number: u32,
        /// How many turns it has.
        count: u32,
    },
    /// A turn could not be steered.
    #[error("the running turn cannot be steered: {reason}")]
    NotSteered {
        /// The reason, from Codex or another server.
        reason: String,
    },
    /// Codex did not confirm that the running turn was steered. The model may have received the prompt.
    #[error("the running turn was steered, but Codex did not confirm it: {reason}")]
    SteerUnconfirmed {
        /// Why there is no confirmation.
        reason: String,
    },
    /// The call was cancelled before its turn began.
    #[error("the call was cancelled before its turn began")]
    Cancelled,
    /// The approval to answer is not open any more, or never was.
    #[error("approval {} is not open any more", id.0)]
    ApprovalExpired { id: ApprovalId },
    /// Codex does not take this decision for this approval.
    #[error("`{decision}` is not among the decisions Codex takes here: {}", choices.join(", "))]
    DecisionNotOffered {
        decision: &'static str,
        /// The decisions Codex takes.
        choices: Vec<&'static str>,
    },
    /// Every session runs a turn, so none can be evicted.
    #[error("all {cap} sessions are running a turn")]
    Full { cap: usize },
    /// The prompt is empty or blank.
    #[error("the prompt is empty")]
    PromptEmpty,
    /// There is too much text for the model: prompt, instructions, paths and schema together.
    #[error("the text for the model has {length} characters, the limit is {limit}")]
    PromptTooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The working directory cannot be used.
    #[error("cannot work in `{}`: {reason}", path.display())]
    Directory {
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Something else is at a path than when it was chosen: a link, or another directory.
    #[error("`{}` is not the directory any more that it was when it was chosen", path.display())]
    Moved { path: PathBuf },
    /// The sandbox is wider than the operator allows.
    #[error("sandbox `{}` is wider than `{}`, which is the widest allowed", asked.as_str(), ceiling.as_str())]
    SandboxAboveCeiling {
        /// What was asked for.
        asked: Sandbox,
        ceiling: Sandbox,
    },
    /// The directory or file is outside the directories the operator allows.
    #[error("`{}` is not below any directory that is allowed here", path.display())]
    OutsideRoots { path: PathBuf },
    /// The model is not among those the operator allows.
    #[error("model `{model}` is not allowed here; allowed are: {}", allowed.join(", "))]
    ModelNotAllowed {
        model: String,
        /// The models that are.
        allowed: Vec<String>,
    },
    /// The model does not take the reasoning effort.
    #[error("model `{model}` does not take the reasoning effort `{effort}`; it takes: {}", efforts.join(", "))]
    EffortRefused {
        model: String,
        /// What was asked for.
        effort: String,
        /// The efforts it takes.
        efforts: Vec<String>,
    },
    /// The key of Codex's configuration is not among those a call may set.
    #[error("calls may not set `{key}` of Codex's configuration")]
    ConfigNotAllowed { key: String },
    /// An image cannot be used.
    #[error("cannot use the image `{}`: {reason}", path.display())]
    Image {
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There are too many images.
    #[error("there are {count} images, {limit} are allowed")]
    TooManyImages {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The schema for the answer is not valid.
    #[error("the schema is not valid: {reason}")]
    Schema {
        /// What is wrong with it.
        reason: String,
    },
    /// The call does not go together with the session's worktree, or none can be made.
    #[error("no worktree for this call: {reason}")]
    Worktree { reason: String },
    /// The session has no worktree.
    #[error("session `{name}` has no worktree")]
    NoWorktree { name: SessionName },
    /// Somebody has removed the worktree.
    #[error("the session's worktree at `{}` is gone", path.display())]
    WorktreeGone {
        /// Where it was.
        path: PathBuf,
    },
    /// Something in the worktree is nowhere else.
    #[error("the worktree of session `{name}` at `{}` has changes in {files} files that are nowhere else", path.display())]
    Unapplied {
        name: SessionName,
        /// Where it is.
        path: PathBuf,
        /// How many files differ from what it began with.
        files: u32,
    },
    /// The operator does not allow it.
    #[error("the operator does not allow {what}")]
    NotAllowed {
        /// What was asked for.
        what: &'static str,
        /// The setting that allows it.
        setting: &'static str,
    },
    /// Too little of the account's allowance is left.
    #[error(
        "{remaining:.0} % of the account's allowance is left, and the operator keeps {wanted} %"
    )]
    UsageLimit {
        /// How much is left of the fullest window, in percent.
        remaining: f64,
        /// How much must be left.
        wanted: u8,
        /// When it is, if Codex says.
        until: Option<jiff::Timestamp>,
    },
    /// As much is under way as may be.
    #[error("{limit} {what} already, which is as many as the operator allows")]
    TooMuchWork {
        /// How many there may be.
        limit: usize,
        /// What there is so much of.
        what: &'static str,
    },
    /// What the operator allows for a day is used up.
    #[error("the {limit} {what} that the operator allows for a day are used up")]
    DayUsedUp {
        /// How much there may be.
        limit: u64,
        /// Of what.
        what: &'static str,
        /// When the next day begins.
        until: jiff::Timestamp,
    },
    /// There is nothing to review, the code to review cannot be found, or git cannot do what is needed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// This server runs inside a Codex that another `codex-mcp-server` started.
    #[error("this server was started by a Codex that a codex-mcp-server runs")]
    Nested,
    /// A session of this name exists already.
    #[error("there is a session `{name}` already")]
    Taken { name: SessionName },
    /// Codex failed.
    #[error(transparent)]
    Codex(#[from] CodexError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server is ending.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The server stops, and the next one runs the turn that waits.
    #[error(
        "this server is shutting down; turn {turn} of session `{name}` waits, and the next server runs it"
    )]
    LeftToOthers { name: SessionName, turn: u32 },
}
