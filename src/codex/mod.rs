//! The adapter to the Codex CLI. Knows nothing of MCP or of sessions.
//!
//! [`Codex`] is a handle to one warm `codex app-server` child, started at the first call that needs it
//! and started again after it died. It opens [`Thread`]s; a thread starts [`Turn`]s; a turn yields
//! [`TurnEvent`]s and ends in one [`TurnOutcome`].
//!
//! A Codex too old for that (0.50 to 0.71) is driven by [`exec`], one process per turn; [`Thread`] and
//! [`Turn`] are the same.
//!
//! Layers, bottom up: [`process`] (a child and why it ended), [`rpc`] (lines to requests and responses),
//! [`protocol`] (the subset of Codex's messages we use), [`turn`] (events and outcome), [`app_server`] and
//! [`exec`] (the two engines), [`supervise`] (one app-server for everybody). Only what is re-exported here
//! leaves this folder.

mod app_server;
mod approval;
mod catalog;
mod caveats;
mod error;
mod exec;
mod find;
mod ids;
mod kin;
mod launch;
mod lineage;
mod orphans;
mod process;
mod processes;
mod profile;
mod projects;
mod protocol;
#[cfg(target_os = "linux")]
mod reaper;
mod record;
mod rollout;
mod rpc;
mod settings;
mod supervise;
mod thread;
mod turn;
mod usage;
mod version;

#[cfg(test)]
pub(crate) use app_server::Script;
pub use approval::{Answer, Approval, ApprovalId, Decision, InputField, Subject};
pub use catalog::{Defaults, Login, Model, ThreadFilter, ThreadInfo};
pub use error::CodexError;
pub use find::{SearchPath, find};
pub use ids::{ThreadId, TurnId};
pub use launch::{CodexConfig, Found};
pub use lineage::Lineage;
#[cfg(target_os = "linux")]
pub use lineage::Lineages;
pub(crate) use process::command;
pub use processes::Processes;
pub use profile::Profile;
#[cfg(target_os = "linux")]
pub use reaper::reap;
pub use rollout::{Laid, Rollout, RolloutError};
pub use settings::{
    ApprovalPolicy, ContextItem, EffectiveSettings, Reviewer, Role, Sandbox, ThreadOptions,
    ThreadSettings, TurnRequest, WebSearch,
};
pub use supervise::Codex;
pub use thread::Thread;
pub use turn::{
    ChangedFile, CommandRun, FailureKind, FileChange, Interrupted, ItemKey, ItemState, Turn,
    TurnEvent, TurnFailure, TurnItem, TurnOutcome, TurnStatus,
};
pub use usage::{AccountLimits, Credits, RateLimits, RateWindow, Usage};
pub use version::{CodexVersion, Missing};
