//! The core: named conversations. Knows nothing of MCP, nor of SQL outside `store/`.
//!
//! [`Sessions`] is the handle that callers hold. Each session in use has an actor ([`turn`]), which runs one turn at
//! a time, records it before and after under a lease, and ends when the session is idle. What is kept is in the
//! [`store`]. [`remote`] follows turns that other servers run.

mod access;
mod adopted;
mod at_rest;
mod budget;
mod config;
mod context;
mod error;
mod fork;
mod handshakes;
mod images;
mod import;
mod lease;
mod limits;
mod measures;
mod model;
mod name;
mod notice;
mod output;
mod paths;
mod principal;
mod quota;
mod reading;
mod record;
mod remote;
mod repositories;
mod request;
mod review;
mod rollouts;
mod servers;
mod sessions;
mod settings;
mod shared;
mod sources;
mod span;
pub mod store;
mod text;
mod tokens;
mod turn;
mod visible;
mod worktree;

pub use crate::git::{RepositoryError, ReviewTarget};
pub use access::Verb;
pub use budget::Budget;
pub use config::{Defaults, McpServers, SessionConfig, SessionSettings, TurnSettings};
pub use error::SessionError;
pub use fork::{ForkSource, Forked};
pub use handshakes::Handshakes;
pub use import::{Exchange, Imported};
pub use limits::Limits;
pub use model::ModelSource;
pub use name::SessionName;
pub use notice::{Notice, Notifier};
pub use principal::{InvalidTenant, Principal, Scope, Tenant};
pub use reading::{Transcript, UsageReport};
pub use record::{
    AnswerRecord, ApprovalRecord, Continuity, ForwardedMessage, RecordedItem, SeenServer,
    ServerRecord, ServerTurn, SessionRecord, SessionStatus, Stop, TokenRecord, TurnDetails,
    TurnRecord, WorktreeRecord, WorktreeState,
};
pub use request::{CallDigest, ContentDigest, OnBusy, Origin, Reply, Request, Work};
pub use review::{Finding, ReviewStyle, Verdict};
pub use rollouts::{KeyError, RolloutConfig, RolloutKey};
pub use servers::{KnownServers, Presence, Served, Servers};
pub use sessions::Sessions;
pub use settings::Settings;
pub use sources::Source;
pub use span::Span;
pub use store::Change;
pub use tokens::{NewToken, Tokens};
pub use turn::{Call, Detached, Follower, LogPlace, QueuePosition, Step, Update};
pub use visible::{visible, visible_line};
pub use worktree::{WorktreeAction, WorktreeRequest};

// The part of `codex` that callers of the core need; they import nothing else of it.
#[cfg(target_os = "linux")]
pub use crate::codex::Lineages;
pub use crate::codex::{
    Answer, Approval, ApprovalId, ApprovalPolicy, ChangedFile, CodexError, CodexVersion,
    CommandRun, Credits, Decision, FailureKind, FileChange, InputField, ItemState, Lineage,
    Missing, Model, Profile, RateLimits, Reviewer, Sandbox, Subject, ThreadFilter, ThreadId,
    ThreadInfo, ThreadOptions, TurnFailure, TurnItem, Usage, WebSearch,
};
