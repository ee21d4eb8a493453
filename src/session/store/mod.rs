//! Where sessions are kept. One trait, several back ends, one contract test for all.
//!
//! The verbs carry the atomicity, so that several servers can share a store. Time is an argument: no
//! back end looks at the clock. A back end knows nothing of Codex or of running turns.

#[cfg(test)]
mod contract;
mod lazy;
mod memory;
mod page;
mod queue;
mod sqlite;

use std::{fmt, path::PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    SessionName,
    record::{SessionRecord, ThreadId, TurnRecord},
};

pub use lazy::{LazyStore, StoreConfig};
pub use memory::MemoryStore;
pub use page::{Cursor, Excerpt, InvalidCursor, Listing, Page};
pub use queue::{Ahead, Errand, ErrandId, ErrandOutcome, Inbox, Ticket};
pub use sqlite::SqliteStore;

/// Keeps sessions and their turns, and says which server may run a turn on which.
#[async_trait]
pub trait SessionStore: Send + Sync + fmt::Debug {
    /// Takes the lease of a session until `until`, or says why not.
    ///
    /// A lease that is ours already is prolonged. One that has run out, or whose owner is known to be
    /// dead, is taken over; a turn that its owner left running is then marked interrupted. Another server
    /// whose ticket is older than ours comes first, also where the lease is ours. Success uses the ticket
    /// up and forgets errands for earlier turns. An expired session is missing.
    async fn claim(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claim, StoreError>;

    /// Prolongs a lease that is ours and our tickets for the session.
    async fn renew(&self, name: &SessionName, until: Timestamp) -> Result<(), StoreError>;

    /// Takes a place behind everybody who waits for the session; none if `limit` do already.
    async fn enqueue(
        &self,
        name: &SessionName,
        limit: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError>;

    /// Gives a place up.
    async fn dequeue(&self, ticket: Ticket) -> Result<(), StoreError>;

    /// What other servers want of whoever has the session: itself, or errands newer than `after`.
    async fn inbox(
        &self,
        name: &SessionName,
        after: ErrandId,
        now: Timestamp,
    ) -> Result<Inbox, StoreError>;

    /// Asks something of the server that runs the session's turn.
    async fn post(
        &self,
        name: &SessionName,
        errand: &Errand,
        now: Timestamp,
    ) -> Result<ErrandId, StoreError>;

    /// Says what came of an errand.
    async fn report(&self, id: ErrandId, outcome: &ErrandOutcome) -> Result<(), StoreError>;

    /// What came of an errand, once that is known; it is forgotten then.
    async fn outcome(&self, id: ErrandId) -> Result<Option<ErrandOutcome>, StoreError>;

    /// Gives a lease back; no effect if it is not ours.
    async fn release(&self, name: &SessionName) -> Result<(), StoreError>;

    /// Adds a session, if there is none of its name and room can be made.
    ///
    /// Room is made in this order: expired sessions, automatic names, other names, each least recently
    /// used first; never a session whose turn runs.
    async fn create(
        &self,
        record: &SessionRecord,
        cap: usize,
        now: Timestamp,
    ) -> Result<Created, StoreError>;

    /// Writes a session and, in the same instant, what happened to its turns.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the revision is not the stored one: somebody else wrote, or the session
    /// is gone. On success the revision in the store is one higher; so must be the caller's.
    async fn commit(&self, record: &SessionRecord, turns: Turns<'_>) -> Result<(), StoreError>;

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

    /// Turns of a session in order, from the one after `skip` on, each as much of it as is asked for.
    async fn turns(
        &self,
        name: &SessionName,
        skip: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError>;

    /// Removes a session and its turns; says whether there was one.
    async fn delete(&self, name: &SessionName) -> Result<bool, StoreError>;

    /// Removes what has expired and frees what the dead have left. Returns what was removed.
    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError>;
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The lease is ours; this is the session.
    Ours(Box<SessionRecord>),
    /// Somebody else has it, or comes first.
    Held(Ahead),
    /// There is no such session.
    Missing,
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
    /// Every session has a turn running.
    Full,
}

/// What a commit does to the turns.
#[derive(Debug, Clone, Copy)]
pub enum Turns<'a> {
    /// Nothing.
    Keep,
    /// Adds this one or replaces the one of its number.
    Put(&'a TurnRecord),
    /// Removes all.
    Clear,
    /// Adds those of another session, as far as the one of this number.
    Copy {
        /// The other session.
        from: &'a SessionName,
        /// The last turn to copy.
        through: u32,
    },
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, read or written.
    #[error("cannot {action} the session store at {}", path.display())]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// The store's file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was written by a newer server.
    #[error("the session store at {} was made by a newer version of this server", path.display())]
    Newer {
        /// The store's file.
        path: PathBuf,
    },
    /// A session cannot be read. Others can.
    #[error("the record of session `{name}` is damaged: {reason}")]
    Damaged {
        /// The session.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else wrote the session, or it is gone.
    #[error("session `{name}` was changed by another server")]
    Stale {
        /// The session.
        name: SessionName,
    },
}
