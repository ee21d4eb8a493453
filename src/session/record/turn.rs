//! The stored record of a turn. Plain data.

use jiff::Timestamp;
use schemars::JsonSchema;
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

/// What is known of a turn besides what was said and done in it: as it is stored, in one piece of JSON, and, but for what is
/// the store's and the caller's own, as results show it. The doc comments of shown fields are what results' schemas say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TurnDetails {
    // Known once Codex has acknowledged the turn.
    /// Codex's own id of the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub turn_id: Option<TurnId>,
    /// Codex's own id of the conversation, for `codex resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub thread_id: Option<ThreadId>,
    /// new, resumed (natively), or rebuilt (from this server's record of the last turns).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub continuity: Option<Continuity>,
    // What it ran with. `None` if it never began.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveSettings>,
    /// The machine that the conversation was moved from for this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// Who chose it: call, session, operator, codex-config, preferred or codex-default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub model_source: Option<ModelSource>,
    /// How long the turn took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Tokens used by this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// If it is queued because too little of the account's allowance is left: until when, at the latest (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Timestamp>,
    /// How Codex was driven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The version of Codex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codex_version: Option<String>,
    /// How much of the account's allowance is used, where Codex says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// The answer as JSON, if an outputSchema was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub output: Option<Value>,
    /// What a review came to: approve or needs-attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub verdict: Option<Verdict>,
    /// What a review found, worst first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    // As it is stored, only those that the answer of a search links to.
    /// Pages the answer rests on, where Codex or the answer names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// What is in the session's worktree, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeState>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub failure: Option<TurnFailure>,
    /// Why we interrupted it. `None` if it was not, or if its server or Codex died.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub stopped: Option<Stop>,
    /// Whether the call asked to keep neither session nor thread.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(skip)]
    pub ephemeral: bool,
    /// Tells the call of the turn from others. `None` if repeating it cannot mean the same turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub call: Option<CallDigest>,
    /// Whether the turn is complete and nobody has been given its answer yet. Stores can set this to false alone; see
    /// [`crate::session::store::SessionStore::collect`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(skip)]
    pub uncollected: bool,
    /// Whether the turn was a task that its client cancelled.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(skip)]
    pub task_cancelled: bool,
    /// What the tool that was called adds to the result for its own clients.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schemars(skip)]
    pub beside: Map<String, Value>,
    /// Warnings of ours for the caller; [`TurnRecord::warnings`] has Codex's too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
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
