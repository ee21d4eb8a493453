//! Waiting for a session, and asking things of whoever has it.

use serde::{Deserialize, Serialize};

/// A place in the queue of a session. Older ones are smaller, whichever server they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub i64);

/// Who comes before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ahead {
    /// Whether a turn runs now.
    pub running: bool,
    /// How many calls of other servers wait before it.
    pub waiting: usize,
}

/// Names an errand. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ErrandId(pub i64);

/// What one server asks of the one that runs a session's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Errand {
    /// To interrupt the turn.
    Interrupt,
    /// To say this to the turn.
    Steer(String),
}

/// What came of an errand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrandOutcome {
    /// It was done.
    Done,
    /// It was not, for this reason.
    Refused(String),
}

/// What other servers want.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inbox {
    /// Whether one of them waits for the session.
    pub wanted: bool,
    /// What they ask of the running turn, oldest first.
    pub errands: Vec<(ErrandId, Errand)>,
}
