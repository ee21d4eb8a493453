//! The south door: drives the Codex CLI. Knows nothing of MCP or of sessions.
//!
//! [`Codex`] is a handle to one warm `codex app-server` child, started at the first call that needs it
//! and started again after it died. It opens [`Thread`]s; a thread starts [`Turn`]s; a turn yields
//! [`TurnEvent`]s and ends in one [`TurnOutcome`].
//!
//! A Codex too old for that (0.50 to 0.71) is driven by [`exec`], one process per turn; [`Thread`] and
//! [`Turn`] are the same.
//!
//! Layers, bottom up: [`process`] (a child and why it ended), [`rpc`] (lines to questions and
//! answers), [`protocol`] (the subset of Codex's messages we use), [`app_server`] (who is asked, who
//! is told). Only what is re-exported here leaves this folder.

mod app_server;
mod approval;
mod error;
mod exec;
mod find;
mod orphans;
mod process;
mod profile;
mod protocol;
mod repository;
mod rpc;
mod settings;
mod thread;
mod turn;
mod usage;
mod version;

pub use app_server::{Codex, CodexConfig, Defaults, Found, Login, Model, ThreadFilter, ThreadInfo};
pub use approval::{Answer, Decision, InputField, Question, QuestionId, Subject};
pub use error::CodexError;
pub use find::{Binary, SearchPath, find};
pub(crate) use process::command;
pub use profile::Profile;
pub use repository::{Repository, RepositoryError};
pub use settings::{
    ApprovalPolicy, ContextItem, ReviewTarget, Sandbox, Speaker, ThreadOptions, ThreadSettings,
    TurnRequest, TurnWork, WebSearch,
};
pub use thread::Thread;
pub use turn::{
    CommandRun, FailureKind, FileChange, Partial, ThreadId, Turn, TurnEvent, TurnFailure, TurnId,
    TurnOutcome, TurnStatus,
};
pub use usage::{RateLimits, RateWindow, Usage};
pub use version::CodexVersion;
