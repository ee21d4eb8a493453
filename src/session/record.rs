//! What is kept of a session and of each of its turns. Plain data and expiry arithmetic.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Finding, ModelSource, SessionName, Source};
pub(super) use crate::codex::ThreadId;
use crate::codex::{
    ApprovalPolicy, CommandRun, FileChange, RateLimits, Sandbox, TurnFailure, TurnId, Usage,
};

/// A session, without its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its name.
    pub name: SessionName,
    /// Whether the name was made up by us. Such a session is evicted before a named one.
    pub automatic: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used; listings are ordered by it.
    pub last_accessed_at: Timestamp,
    /// When it ends unless it is used before.
    pub expires_at: Timestamp,
    /// The Codex thread that has its history; none until a first turn was acknowledged.
    pub thread_id: Option<ThreadId>,
    /// What its last turn came to.
    pub status: SessionStatus,
    /// How many turns it has.
    pub turn_count: u32,
    /// What callers chose for it.
    pub settings: Settings,
    /// Tokens of all turns together.
    pub usage: Usage,
    /// The Codex version that ran its last turn.
    pub codex_version: Option<String>,
    /// Counts writes; a write with an old one is refused.
    pub revision: i64,
}

/// What the last turn of a session came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// There was none yet.
    New,
    /// It runs.
    Running,
    /// It completed.
    Completed,
    /// It was interrupted, by somebody or by a crash.
    Interrupted,
    /// It failed.
    Failed,
}

/// What a call can set and a session keeps. None means that nobody chose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How hard the model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// What commands may touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// When Codex asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_policy: Option<ApprovalPolicy>,
    /// Where commands run; absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<PathBuf>,
}

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
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Why that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_source: Option<ModelSource>,
    /// How hard it thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// What commands could touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// When Codex asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_policy: Option<ApprovalPolicy>,
    /// Where commands ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<PathBuf>,
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
}

impl SessionRecord {
    /// A session that begins now.
    pub fn new(name: SessionName, automatic: bool, now: Timestamp, ttl: Duration) -> Self {
        Self {
            name,
            automatic,
            created_at: now,
            last_accessed_at: now,
            expires_at: after(now, ttl),
            thread_id: None,
            status: SessionStatus::New,
            turn_count: 0,
            settings: Settings::default(),
            usage: Usage::default(),
            codex_version: None,
            revision: 0,
        }
    }

    /// Notes a use, which moves the expiry.
    pub fn touch(&mut self, now: Timestamp, ttl: Duration) {
        self.last_accessed_at = now;
        self.expires_at = after(now, ttl);
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// Forgets what was said, but not the name and what was chosen.
    pub fn reset(&mut self) {
        self.thread_id = None;
        self.turn_count = 0;
        self.status = SessionStatus::New;
        self.usage = Usage::default();
    }
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

impl SessionStatus {
    /// The word for it, on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::New, Self::Running, Self::Completed, Self::Interrupted, Self::Failed];
        all.into_iter().find(|status| status.as_str() == word)
    }
}

impl Settings {
    /// These settings where they say something, else the other's.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            model: self.model.or_else(|| other.model.clone()),
            reasoning_effort: self.reasoning_effort.or_else(|| other.reasoning_effort.clone()),
            sandbox: self.sandbox.or(other.sandbox),
            approval_policy: self.approval_policy.or(other.approval_policy),
            working_directory: self.working_directory.or_else(|| other.working_directory.clone()),
        }
    }
}

/// A moment later; the end of time if that is too far.
pub(crate) fn after(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn every_use_moves_the_expiry() {
        let name: SessionName = "a".parse().unwrap();
        let mut record = SessionRecord::new(name, false, at(0), DAY);
        assert!(!record.is_expired(at(86_399)));
        assert!(record.is_expired(at(86_400)));
        record.touch(at(50_000), DAY);
        assert!(!record.is_expired(at(86_400)));
        assert!(record.is_expired(at(136_400)));
    }

    #[test]
    fn an_endless_ttl_does_not_overflow() {
        assert_eq!(after(at(0), Duration::MAX), Timestamp::MAX);
    }

    #[test]
    fn what_a_call_sets_wins_over_what_is_pinned() {
        let pinned = Settings {
            model: Some("a".into()),
            sandbox: Some(Sandbox::ReadOnly),
            ..Settings::default()
        };
        let call = Settings { model: Some("b".into()), ..Settings::default() };
        let merged = call.or(&pinned);
        assert_eq!(merged.model.as_deref(), Some("b"));
        assert_eq!(merged.sandbox, Some(Sandbox::ReadOnly));
    }

    #[test]
    fn every_status_has_its_word() {
        for status in [SessionStatus::New, SessionStatus::Running, SessionStatus::Failed] {
            assert_eq!(SessionStatus::from_word(status.as_str()), Some(status));
        }
        assert_eq!(SessionStatus::from_word("odd"), None);
    }
}
