//! What is kept: sessions and their turns, and tokens.

use std::{fmt, ops::AddAssign};

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

use super::{Excerpt, Lease, Listing, Page, StoreError};
use crate::session::{
    SessionName,
    record::{
        HandshakeRecord, KeptRollout, RolloutRecord, SessionRecord, SessionStatus, ThreadId,
        TokenRecord, TurnRecord, Usage,
    },
};

/// Keeps sessions and their turns, and tokens.
///
/// A session is *protected* while there is a lease on it and a turn is being opened, runs or ends. It is then neither
/// expired nor evicted. A dead owner's lease protects until it runs out, a sweep ends it, or its room is needed. `now` is the caller's wall clock, which only time to live is judged by.
#[async_trait]
pub trait SessionStore: Send + Sync + fmt::Debug {
    /// Adds a session if there is none of its name and room can be made, with the turns of another one if asked.
    ///
    /// Room is made in this order: expired sessions, automatic names, other names, each least recently
    /// used first; never a protected session. If the session is not added, nothing changes.
    async fn create(
        &self,
        record: &SessionRecord,
        copy: Option<CopiedTurns<'_>>,
        cap: usize,
        now: Timestamp,
    ) -> Result<Created, StoreError>;

    /// Writes a session and, in the same instant, what happened to its turns.
    ///
    /// On success the revision in the store is one higher; so must be the caller's. The session is protected
    /// afterwards exactly if its status is `running`.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the lease is not in force any more, [`StoreError::Stale`] if the revision is
    /// not the stored one. Neither changes anything.
    async fn commit(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        turns: Turns<'_>,
    ) -> Result<(), StoreError>;

    /// Removes a session and all that belongs to it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the lease is not in force any more; then nothing is removed.
    async fn delete(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Stores `record` in place of the leased session, whose name may be another one: turns and approvals go with it.
    /// The lease ends, and the revision in the store is one higher. An expired session of the new name goes first.
    ///
    /// # Errors
    /// As for [`SessionStore::commit`].
    async fn rename(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        now: Timestamp,
    ) -> Result<Renamed, StoreError>;

    /// Finds a session that has not expired.
    async fn load(
        &self,
        name: &SessionName,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError>;

    /// The session that has this thread, the last used one if there are several.
    async fn of_thread(
        &self,
        thread: &ThreadId,
        now: Timestamp,
    ) -> Result<Option<SessionName>, StoreError>;

    /// One page of the sessions that have not expired, last used first.
    async fn list(&self, page: &Page, now: Timestamp) -> Result<Listing, StoreError>;

    /// How many sessions have not expired.
    async fn count(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Turns of a session in order, those with numbers greater than `after`, each as much of it as is asked for.
    async fn turns(
        &self,
        name: &SessionName,
        after: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError>;

    /// One turn, with those of its items that were changed after `after`: the number of a change, or 0.
    async fn turn(
        &self,
        name: &SessionName,
        number: u32,
        after: u64,
    ) -> Result<Option<TurnRecord>, StoreError>;

    /// Takes the answer of a turn that nobody has been given yet: afterwards it is no longer uncollected. Says whether
    /// it was; of several takers one is told so. Needs no lease, because nobody else writes a turn that is over.
    async fn collect(&self, name: &SessionName, turn: u32) -> Result<bool, StoreError>;

    /// The rollouts that are kept for a session: its thread's, then those of the threads that one comes from.
    async fn rollouts(&self, name: &SessionName) -> Result<Vec<RolloutRecord>, StoreError>;

    /// The content of one of them, in parts.
    async fn rollout_parts(
        &self,
        name: &SessionName,
        thread: &ThreadId,
    ) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Keeps these rollouts for a session, in this order, and no others. Says whether that could be done: a part that
    /// does not begin where what is kept ends continues something else. Then nothing has changed.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the lease is not in force any more; then nothing has changed either.
    async fn keep_rollouts(&self, lease: &Lease, kept: &[KeptRollout]) -> Result<bool, StoreError>;

    /// The tokens of all turns that have ended since `since`, by day (UTC) and model, newest day first. Also of turns
    /// whose sessions are gone.
    async fn usage_by_day(&self, since: Date) -> Result<Vec<DailyUsage>, StoreError>;

    /// The same of every tenant in the same database, by its name; the operator's own has none. None where each tenant
    /// has a store of its own.
    async fn usage_of_tenants(
        &self,
        _since: Date,
    ) -> Result<Vec<(String, DailyUsage)>, StoreError> {
        Ok(Vec::new())
    }

    /// Removes what has expired. Ends the leases of owners that are dead or have let them run out, and marks the
    /// turns they left running as interrupted. Returns the sessions that were removed.
    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError>;

    /// Adds a token.
    async fn add_token(&self, token: &TokenRecord) -> Result<(), StoreError>;

    /// The token of this id, whether it is over or not.
    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError>;

    /// All tokens, oldest first.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;

    /// Removes a token. Says whether there was one.
    async fn remove_token(&self, id: &str) -> Result<bool, StoreError>;

    /// The secret of this name, the same for every owner: the candidate if there was none.
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Keeps a handshake. There is none of its id.
    async fn keep_handshake(&self, handshake: &HandshakeRecord) -> Result<(), StoreError>;

    /// The handshake of this id, if it is not over by `now`. It may be any tenant's.
    async fn handshake(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<HandshakeRecord>, StoreError>;

    /// Puts off the end of a handshake, if there is one of this id.
    async fn prolong_handshake(&self, id: &str, until: Timestamp) -> Result<(), StoreError>;

    /// Removes a handshake, if there is one of this id. Those that are over go with the sweep.
    async fn forget_handshake(&self, id: &str) -> Result<(), StoreError>;

    /// Whether this is still the store that a new server would open: its file may have been removed or replaced.
    fn is_current(&self) -> bool;
}

/// The answer to a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is there; these had to go for it.
    Done {
        /// What was evicted, expired ones not counted.
        evicted: Vec<SessionName>,
    },
    /// There is one of that name.
    Conflict,
    /// Every session is protected.
    Full,
}

/// The answer to a renaming. Unless it is done, nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// It has the new name.
    Done,
    /// There is another session of that name.
    Taken,
    /// A call of another owner waits for the session under its old name.
    Wanted,
}

/// The tokens of one day's turns with one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyUsage {
    /// The day, in UTC.
    pub day: Date,
    /// The model. Empty if Codex did not say.
    pub model: String,
    /// How many turns have ended.
    pub turns: u64,
    /// Their tokens.
    pub usage: Usage,
    /// How they ended.
    pub outcomes: Outcomes,
}

/// How turns ended, as far as that was counted: it is not of those from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// How many failed.
    pub failed: u64,
    /// How many were interrupted.
    pub interrupted: u64,
    /// How long all took together, in milliseconds.
    pub duration_ms: u64,
    /// How long the longest took, in milliseconds.
    pub longest_ms: u64,
}

impl Outcomes {
    /// That of one turn.
    pub(super) fn of(status: SessionStatus, duration_ms: Option<u64>) -> Self {
        let duration_ms = duration_ms.unwrap_or_default();
        Self {
            failed: (status == SessionStatus::Failed).into(),
            interrupted: (status == SessionStatus::Interrupted).into(),
            duration_ms,
            longest_ms: duration_ms,
        }
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.failed += other.failed;
        self.interrupted += other.interrupted;
        self.duration_ms += other.duration_ms;
        self.longest_ms = self.longest_ms.max(other.longest_ms);
    }
}

/// Turns to begin a new session with. One that still runs is interrupted in the copy.
#[derive(Debug, Clone, Copy)]
pub struct CopiedTurns<'a> {
    /// The session they are copied from.
    pub from: &'a SessionName,
    /// The last turn to copy.
    pub through: u32,
}

/// What a commit does to the turns.
#[derive(Debug, Clone, Copy)]
pub enum Turns<'a> {
    /// Nothing.
    Keep,
    /// Adds this one or replaces the one of its number.
    Put(&'a TurnRecord),
    /// Removes all turns before this one and all approvals, and adds it or replaces the one of its number.
    Restart(&'a TurnRecord),
}
