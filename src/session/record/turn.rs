//! What is kept of a turn. Plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SessionStatus;
use crate::{
    codex::{
        CommandRun, EffectiveSettings, FileChange, RateLimits, ThreadId, TurnFailure, TurnId, Usage,
    },
    session::{Finding, ModelSource, Source},
};

/// One turn: what was said and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnRecord {
    /// Its place in the session, from 1.
    pub number: u32,
    /// What the user said.
    pub prompt: String,
    /// What the model answered; as much as there is if the turn did not complete.
    pub response: String,
    /// When it started.
    pub timestamp: Timestamp,
    /// What it came to.
    pub status: SessionStatus,
    /// The rest, which nobody searches by.
    #[serde(flatten)]
    pub details: TurnDetails,
}

/// The parts of a turn that are only ever read whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TurnDetails {
    /// Codex's name for the turn, once it was acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<TurnId>,
    /// The thread it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
    /// How it relates to what was said before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuity: Option<Continuity>,
    /// What it ran with. None if it never began.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveSettings>,
    /// Who chose its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_source: Option<ModelSource>,
    /// How long the turn took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Commands that ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandRun>,
    /// Files that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_changed: Vec<FileChange>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<TurnFailure>,
    /// Why it was interrupted; none if its server or Codex just went away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// How Codex was driven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The Codex that ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codex_version: Option<String>,
    /// How much of the account's allowance was used when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// The answer as JSON, where it had to be that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What a review found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// Pages that were read on the web.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Whether nothing of it is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// What the caller should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How a turn relates to what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Continuity {
    /// There was nothing before.
    New,
    /// Codex's own thread went on.
    Resumed,
    /// The thread was not available; a new one was given our record of the last turns.
    Rebuilt,
}

/// Why we interrupted a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// Its caller took the call back or went away.
    Cancelled,
    /// Somebody asked for it.
    Interrupted,
    /// It took longer than its call allowed.
    Timeout,
    /// Codex said nothing for too long.
    Silence,
    /// A question of Codex was answered with it.
    Decision,
    /// The server ended.
    Shutdown,
    /// Another server may have taken over the session.
    LeaseLost,
}

impl Continuity {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resumed => "resumed",
            Self::Rebuilt => "rebuilt",
        }
    }
}
