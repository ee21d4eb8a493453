//! The stored record of a turn. Plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{RecordedItem, SessionStatus, WorktreeState};
use crate::{
    codex::{EffectiveSettings, RateLimits, ThreadId, TurnFailure, TurnId, Usage},
    session::{CallDigest, Finding, ModelSource, Source, Verdict},
};

/// One turn. What its items say besides is asked of it: [`TurnRecord::commands`] and the like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnRecord {
    /// Its place in the session, from 1.
    pub number: u32,
    /// The user's prompt.
    pub prompt: String,
    /// The model's answer, or the part received so far if the turn did not complete.
    pub response: String,
    /// When it started.
    pub timestamp: Timestamp,
    pub status: SessionStatus,
    /// What happened in it, in order. Stores take a change with the number of one that they have for that one.
    #[serde(default)]
    pub items: Vec<RecordedItem>,
    /// All other fields. Nothing searches by them.
    #[serde(flatten)]
    pub details: TurnDetails,
}

/// The fields of a turn that are stored as one piece of JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TurnDetails {
    /// Codex's id of the turn, once Codex has acknowledged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<TurnId>,
    /// The thread it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
    /// Whether it continued earlier turns, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuity: Option<Continuity>,
    /// What it ran with. `None` if it never began.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveSettings>,
    /// The machine that the thread's history was moved from for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// Who chose its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_source: Option<ModelSource>,
    /// How long the turn took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The tokens it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<TurnFailure>,
    /// Why we interrupted it. `None` if it was not, or if its server or Codex died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// While it is queued: until when it waits for the account's allowance, at the latest. It may begin sooner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The engine that ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The version of the Codex that ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codex_version: Option<String>,
    /// How much of the account's rate limits was used when the turn ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// The answer as JSON, if the call gave a schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What a review came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What a review found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// Web pages that the answer of a search links to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Whether the call asked to keep neither session nor thread.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// Tells the call of the turn from others. `None` if repeating it cannot mean the same turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallDigest>,
    /// Whether the turn is complete and nobody has been given its answer yet. Stores can set this to false alone; see
    /// [`crate::session::store::SessionStore::collect`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uncollected: bool,
    /// Whether the turn was a task that its client cancelled.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub task_cancelled: bool,
    /// What the tool that was called adds to the result for its own clients.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub beside: Map<String, Value>,
    /// What it left in the session's worktree, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeState>,
    /// Warnings of ours for the caller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether a turn continued earlier turns, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Continuity {
    /// There were no earlier turns.
    New,
    /// Codex's own thread was continued.
    Resumed,
    /// The thread was not available, so a new one was given the last turns of our record.
    Rebuilt,
}

/// Why we interrupted a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// The call was cancelled, or its client disconnected.
    Cancelled,
    /// Somebody asked to interrupt it.
    Interrupted,
    /// It took longer than its call or the operator allows.
    Timeout,
    /// Codex was silent for too long.
    Silence,
    /// The decision on an approval ended it.
    Decision,
    /// This server shut down.
    Shutdown,
    /// The lease was lost, so another server may have taken the session over.
    LeaseLost,
    /// Its server ended, or was away for too long, before it began.
    Abandoned,
}

impl Continuity {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resumed => "resumed",
            Self::Rebuilt => "rebuilt",
        }
    }
}
