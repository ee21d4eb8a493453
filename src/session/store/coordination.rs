//! How servers that share a store keep out of each other's way, and what they ask of each other.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::session::{
    SessionName,
    record::{
        AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState, ForwardedMessage, SeenServer,
        ServerRecord, SessionRecord, TurnDetails, TurnRecord,
    },
};

/// Leases, the queue of each session, control messages and approvals.
///
/// Each opened store is an *owner*. An owner whose process has ended is dead, and on one machine every other one finds out
/// at once; an owner that hangs, or is on a machine that nobody can look into, loses its leases when they run out by the
/// store's clock.
#[async_trait]
pub trait Coordination: Send + Sync + fmt::Debug {
    /// Acquires the lease of a session for `time`: if it is free, has run out, is already ours, or its owner is
    /// dead, and no queued turn of another owner comes before `turn` (no turn at all, if there is none).
    ///
    /// Success raises the epoch, which ends every earlier lease; gives a number to the turn that is to begin, `turn`'s if
    /// there is one, else one that no turn has; and discards the control messages and approvals of earlier turns. Turns that were left running are marked interrupted. A
    /// session that has expired by `now`, the caller's wall clock, is missing.
    async fn claim(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        time: Duration,
        now: Timestamp,
    ) -> Result<Claim, StoreError>;

    /// Prolongs a lease that is in force to `time` from now. Says whether it was.
    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError>;

    /// Gives a lease back. A turn that was left running is interrupted. No effect if it is not in force.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Writes a turn that waits for its session, behind all that do, and returns the number that it has from now on. None if
    /// `limit` wait already, or there is no such session. It is ours for `time`; then it is cancelled by a sweep, or, if it
    /// was promised, another owner's to take.
    async fn enqueue(
        &self,
        name: &SessionName,
        turn: &TurnRecord,
        promise: Option<&Promise>,
        limit: usize,
        time: Duration,
    ) -> Result<Option<u32>, StoreError>;

    /// Promises that a queued turn of ours runs whatever becomes of us, and writes what is known of it by now. Says whether it
    /// is queued still.
    async fn promise(
        &self,
        name: &SessionName,
        turn: u32,
        promise: &Promise,
        details: &TurnDetails,
    ) -> Result<bool, StoreError>;

    /// Prolongs all our queued turns of a session. With no time they are given up.
    async fn renew_places(&self, name: &SessionName, time: Duration) -> Result<(), StoreError>;

    /// Cancels a queued turn, also another owner's. Says whether it was queued still: then it never begins.
    async fn call_off(
        &self,
        name: &SessionName,
        turn: u32,
        details: &TurnDetails,
    ) -> Result<bool, StoreError>;

    /// Takes over all promised turns for this runner whose owners are gone. They are ours for `time`.
    async fn adopt(&self, runner: &str, time: Duration) -> Result<Vec<AdoptedTurn>, StoreError>;

    /// How many turns wait for each session for which any does.
    async fn waiting(&self) -> Result<Vec<(SessionName, u32)>, StoreError>;

    /// What others want of the holder of a lease. Control messages are those after `after`.
    async fn inbox(&self, lease: &Lease, after: MessageId) -> Result<Inbox, StoreError>;

    /// Leaves a control message for the owner that runs a turn of the session.
    async fn post(
        &self,
        name: &SessionName,
        message: &ControlMessage,
    ) -> Result<MessageId, StoreError>;

    /// Takes a control message out of the inbox to act on it. Says whether it was still there: only one taker
    /// acts on it, and none after it was withdrawn.
    async fn take(&self, id: MessageId) -> Result<bool, StoreError>;

    /// Takes an unread message back. Says whether it was unread: then nobody will ever act on it.
    async fn withdraw(&self, id: MessageId) -> Result<bool, StoreError>;

    /// Says what came of a control message.
    async fn report(&self, id: MessageId, outcome: &ControlOutcome) -> Result<(), StoreError>;

    /// What came of a control message, once that is known; it is forgotten then.
    async fn outcome(&self, id: MessageId) -> Result<Option<ControlOutcome>, StoreError>;

    /// Records an approval that Codex waits for, open for `time`.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the lease is not in force any more.
    async fn open_approval(
        &self,
        lease: &Lease,
        approval: &ApprovalRecord,
        time: Duration,
    ) -> Result<(), StoreError>;

    /// Answers an approval if it is open, whichever server asks. Returns its session, or None if it is not open
    /// any more: answered, past its deadline, or its turn is over. Only one of several answers wins.
    async fn answer_approval(
        &self,
        id: &ApprovalId,
        answer: &AnswerRecord,
    ) -> Result<Option<SessionName>, StoreError>;

    /// Ends an approval under the lease it was opened under. Says whether that changed anything: an approval expires
    /// only while nobody has answered it, is settled only once somebody has, and is withdrawn in either case.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the lease is not in force any more.
    async fn settle_approval(
        &self,
        lease: &Lease,
        id: &ApprovalId,
        state: ApprovalState,
    ) -> Result<bool, StoreError>;

    /// All approvals that can be answered, of one session or of all, oldest first.
    async fn open_approvals(
        &self,
        session: Option<&SessionName>,
    ) -> Result<Vec<ApprovalRecord>, StoreError>;

    /// What is under way in all sessions, whichever owner does it.
    async fn activity(&self) -> Result<Activity, StoreError>;

    /// Says how a server is, by its id. It counts as silent if it does not do so again for `time`. A store that one
    /// machine has by itself keeps nothing of this.
    async fn announce(&self, _server: &ServerRecord, _time: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    /// Forgets a server that has ended.
    async fn leave(&self, _id: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// The servers that were announced and have not left, by machine. Those that are silent for a day may be forgotten.
    async fn servers(&self) -> Result<Vec<SeenServer>, StoreError> {
        Ok(Vec::new())
    }

    /// Leaves what a client has sent for one server, or for all others that are there. A store that one machine has by
    /// itself keeps nothing of this either.
    async fn forward(
        &self,
        _from: &str,
        _to: Option<&str>,
        _message: &ForwardedMessage,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    /// Takes what was left for a server, oldest first.
    async fn take_forwarded(&self, _server: &str) -> Result<Vec<ForwardedMessage>, StoreError> {
        Ok(Vec::new())
    }

    /// Keeps that an MCP session has subscribed to a resource or not, as long as its handshake. Of very many the later
    /// ones are not kept.
    async fn subscribe(
        &self,
        _mcp_session: &str,
        _uri: &str,
        _subscribed: bool,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    /// The resources that an MCP session has subscribed to.
    async fn subscriptions(&self, _mcp_session: &str) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// Lets the other owners know of a change. A hint as well.
    async fn tell(&self, _change: &Change) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether there can be owners on other machines, who are heard of by [`Coordination::hint`] alone.
    fn has_other_machines(&self) -> bool {
        false
    }

    /// Waits until another owner has done something. A hint: some are never heard of, and where a store has none this
    /// waits for ever.
    async fn hint(&self) -> Hint;
}

/// A change to the sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A session was added or removed.
    List,
    /// A turn of this session has begun or ended.
    Session(SessionName),
}

/// What another owner has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Something that concerns whoever holds or waits for this session.
    Inbox(SessionName),
    /// It has changed the sessions.
    Changed(Change),
    /// It has left something for the server of this id, or for all if that is empty.
    Forwarded(String),
}

/// The right to run turns of a session and to write its record. The owner is the store that gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    pub session: SessionName,
    /// The fencing token: greater than that of every earlier lease on a session of this name.
    pub epoch: i64,
}

/// The answer to a claim.
#[derive(Debug)]
pub enum Claim {
    /// The lease is ours.
    Ours {
        /// The lease.
        lease: Lease,
        /// The session; [`StoreError::Damaged`] if it cannot be read. Then it can still be deleted.
        record: Result<Box<SessionRecord>, StoreError>,
        /// The number of the turn that is to begin.
        turn: u32,
    },
    /// Somebody else has it, or comes first.
    Held(Ahead),
    /// There is no such session.
    Missing,
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// How many sessions have a lease in force by which a turn is opened, runs or ends.
    pub turns: u64,
    /// How many turns are queued.
    pub waiting: u64,
}

/// All that another owner needs to run a queued turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// What that owner must be like: its environment and configuration, as one word.
    pub runner: String,
    /// What was asked for, but for the prompt.
    pub request: String,
}

/// A queued turn that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedTurn {
    pub session: SessionName,
    pub number: u32,
    /// What was asked for, but for the prompt.
    pub request: String,
}

/// Who comes before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ahead {
    /// Whether a turn runs now.
    pub running: bool,
    /// How many turns of other owners wait before it.
    pub waiting: usize,
}

/// Identifies a control message. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId(pub i64);

/// What one server asks of the one that runs a session's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlMessage {
    /// To interrupt the turn of this number.
    Interrupt(u32),
    /// To release the session, if it rests.
    Release,
    /// To say something more to the turn of this number.
    Steer {
        turn: u32,
        /// What to say.
        prompt: String,
    },
}

/// What came of a control message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlOutcome {
    /// It was done.
    Done,
    /// It was not, for this reason.
    Refused(String),
    /// Codex was asked and did not confirm it, for this reason: it may have been done.
    Unconfirmed(String),
}

/// What others want of the holder of a lease.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inbox {
    /// Whether the lease is still in force. If not, the rest is empty.
    pub held: bool,
    /// Whether a turn of another owner waits for the session.
    pub wanted: bool,
    /// Control messages that nobody has taken, oldest first.
    pub messages: Vec<(MessageId, ControlMessage)>,
    /// Answers to the approvals of this lease that have not been settled.
    pub answers: Vec<(ApprovalId, AnswerRecord)>,
}
