//! What is kept of one of Codex's rollouts, besides its content.

use super::ThreadId;

/// A rollout that is kept for a session: its thread's own, or that of a thread this one comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRecord {
    /// Whose history it is.
    pub thread: ThreadId,
    /// Where it lies below Codex's folder.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// The SHA-256 of all of it, in hexadecimal digits.
    pub digest: String,
    /// The last turn of the session that is in it.
    pub turn: u32,
    /// Why its content is not kept, in words. `None` if it is.
    pub lacks: Option<String>,
}

/// What to keep of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRollout {
    /// The rollout as it is then.
    pub record: RolloutRecord,
    /// What is new in it. `None` if that is nothing.
    pub part: Option<RolloutPart>,
}

/// A part of a rollout's content, in a form that only who keeps it can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutPart {
    /// Where in the rollout it begins. A part at 0 takes the place of all others.
    pub start: u64,
    pub data: Vec<u8>,
}
