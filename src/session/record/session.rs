//! The stored record of a session. Plain data and expiry arithmetic.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Settings, WorktreeRecord};
use crate::{
    codex::{EffectiveSettings, ThreadId, Usage},
    session::SessionName,
};

/// A session, without its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its name.
    pub name: SessionName,
    /// Whether we generated the name. Such a session is evicted before a named one.
    pub automatic: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used. Listings are ordered by this time.
    pub last_accessed_at: Timestamp,
    /// When it expires unless it is used before.
    pub expires_at: Timestamp,
    /// The Codex thread that has its history. `None` until Codex has acknowledged a turn.
    pub thread_id: Option<ThreadId>,
    /// The status of its last turn.
    pub status: SessionStatus,
    /// The number of its last turn that has begun. Numbers go on after a reset.
    pub last_turn: u32,
    /// The settings that calls have pinned.
    pub settings: Settings,
    /// Tokens of all turns together.
    pub usage: Usage,
    /// The Codex version that ran its last turn.
    pub codex_version: Option<String>,
    /// What its last acknowledged turn ran with. `None` before the first one.
    pub effective: Option<EffectiveSettings>,
    /// All other fields.
    pub details: SessionDetails,
    /// Counts writes. The store refuses a write with an old revision.
    pub revision: i64,
}

/// The fields of a session that are stored as one piece of JSON. Nothing searches by them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionDetails {
    /// What a session with an automatic name is about: how its first prompt begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The name that this server has given to the session's thread in Codex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_name: Option<String>,
    /// The session it was forked from, and its last turn that it has of that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkedFrom>,
    /// The machine that ran its last turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The git worktree it works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeRecord>,
    /// The turns up to this number were cleared by a reset.
    #[serde(skip_serializing_if = "is_zero")]
    pub cleared: u32,
    /// Whether it had a worktree that was discarded: its thread was opened with directories that are gone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left_worktree: bool,
}

/// Where a session comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkedFrom {
    /// The session, by the name it had then.
    pub session: SessionName,
    /// The number of the last turn that both have.
    pub turn: u32,
}

/// The status of a turn, or of a session's last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// The session has no turn yet.
    New,
    /// The turn waits for its session.
    Queued,
    /// The turn runs.
    Running,
    /// It completed.
    Completed,
    /// It was interrupted on request or by a crash.
    Interrupted,
    /// It failed.
    Failed,
    /// It was called off before it began.
    Cancelled,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl SessionRecord {
    /// A new session.
    pub fn new(name: SessionName, automatic: bool, now: Timestamp, ttl: Duration) -> Self {
        Self {
            name,
            automatic,
            created_at: now,
            last_accessed_at: now,
            expires_at: after(now, ttl),
            thread_id: None,
            status: SessionStatus::New,
            last_turn: 0,
            settings: Settings::default(),
            usage: Usage::default(),
            codex_version: None,
            effective: None,
            details: SessionDetails::default(),
            revision: 0,
        }
    }

    /// Notes a use, which postpones the expiry.
    pub fn touch(&mut self, now: Timestamp, ttl: Duration) {
        self.last_accessed_at = now;
        self.expires_at = after(now, ttl);
    }

    /// Whether it has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// The session without thread, turns and usage. Name, settings and worktree stay.
    #[must_use]
    pub fn reset(&self) -> Self {
        Self {
            thread_id: None,
            details: SessionDetails {
                worktree: self.details.worktree.clone(),
                left_worktree: self.details.left_worktree,
                cleared: self.last_turn,
                ..SessionDetails::default()
            },
            status: SessionStatus::New,
            usage: Usage::default(),
            ..self.clone()
        }
    }

    /// How many turns it has.
    pub fn turn_count(&self) -> u32 {
        self.last_turn.saturating_sub(self.details.cleared)
    }

    /// The name its thread is to have in Codex: the session's, or the title if nobody chose a name. `None` for the
    /// session of a thread whose id is its name: that thread was the user's before, and keeps what it is called.
    pub fn name_for_thread(&self) -> Option<&str> {
        if self.automatic {
            return self.details.title.as_deref();
        }
        let is_adopted = self.name.as_thread().is_some() && self.name.as_thread() == self.thread_id;
        (!is_adopted).then(|| self.name.as_str())
    }

    /// Its working directory, once that is known.
    pub fn directory(&self) -> Option<&Path> {
        self.settings.working_directory.as_deref()
    }
}

impl SessionStatus {
    /// The status as the wire and the store spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a turn can get this status that has the other: one that is over or was cancelled never begins, nor one that
    /// waits on another server.
    pub fn may_follow(self, before: Self, is_ours: bool) -> bool {
        match before {
            Self::Cancelled => false,
            Self::Queued => is_ours,
            Self::Completed | Self::Interrupted => self != Self::Running,
            // Codex did not hear of it: it is tried again, but nowhere else.
            Self::Failed => self != Self::Running || is_ours,
            Self::New | Self::Running => true,
        }
    }

    /// Parses [`SessionStatus::as_str`].
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [
            Self::New,
            Self::Queued,
            Self::Running,
            Self::Completed,
            Self::Interrupted,
            Self::Failed,
            Self::Cancelled,
        ];
        all.into_iter().find(|status| status.as_str() == word)
    }
}

/// The moment `time` after `now`, or the last possible one if that overflows.
pub(crate) fn after(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::Sandbox;

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
    fn a_reset_keeps_the_name_and_what_was_chosen() {
        let mut record = SessionRecord::new("a".parse().unwrap(), false, at(0), DAY);
        record.last_turn = 3;
        record.thread_id = Some(ThreadId("t".into()));
        record.settings.model = Some("m".into());
        let reset = record.reset();
        assert_eq!((reset.turn_count(), reset.last_turn, &reset.thread_id), (0, 3, &None));
        assert_eq!((&reset.name, &reset.settings), (&record.name, &record.settings));
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
