//! The log of one turn: everything that happens in it, numbered, for any number of readers.
//!
//! A reader is a place in the log. It has no queue that could overflow and slows nobody down: one that lags
//! behind reads several pieces of the answer as one and may miss what has passed, but never an approval or the
//! end. Knows nothing of who reads it or of Codex.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::watch;

use super::LiveTurn;
use crate::{
    codex::{ApprovalId, TurnEvent},
    session::{Reply, SessionError, record::ApprovalRecord},
};

/// How much of what passes is kept for slow readers, in entries.
const PASSING: usize = 1024;

/// How much of it in bytes of text.
const PASSING_BYTES: usize = 256 * 1024;

/// One thing that happens in a turn, from its call to its end.
#[derive(Debug, Clone)]
pub enum Update {
    /// It waits for others to be over.
    Queued(QueuePosition),
    /// It waits until enough of the account's allowance is left, at the latest from this moment on.
    WaitingForQuota(Timestamp),
    /// It runs, as the turn of this number.
    Begun(u32),
    /// Something happened in it.
    Event(TurnEvent),
    /// Codex asks something and waits for the answer.
    ApprovalAsked(Arc<ApprovalRecord>),
    /// An approval needs no answer any more.
    ApprovalSettled(ApprovalId),
    /// It does not run: an earlier turn of the same call has the answer, which nobody had.
    Repeated,
    /// It has become part of another turn, which ran already; the rest is in that one's log.
    Joined(JoinedTurn),
    /// It is over.
    Ended(Result<Arc<Reply>, Arc<SessionError>>),
}

/// The turn that a steering call has become part of.
#[derive(Debug, Clone)]
pub struct JoinedTurn(pub(in crate::session::turn) Arc<LiveTurn>);

/// A place in the queue of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePosition {
    /// How many turns come before, the running one included.
    pub ahead: usize,
    /// The number its turn will have, unless one before it is called off. None if another server runs the turn.
    pub turn: Option<u32>,
}

/// The log.
#[derive(Debug)]
pub(in crate::session) struct TurnLog {
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// What every reader gets to see, oldest first.
    lasting: Vec<(u64, Update)>,
    /// What a slow reader may miss, oldest first.
    passing: VecDeque<(u64, Update)>,
    passing_bytes: usize,
    /// The approvals that need no answer any more: nobody is shown them from now on.
    settled: HashSet<ApprovalId>,
    ended: bool,
    /// How many readers only look.
    onlookers: usize,
}

/// A reader's place in a log.
#[derive(Debug)]
pub(in crate::session) struct LogReader {
    log: Arc<TurnLog>,
    next: u64,
    /// What passed before this number is of no interest to it.
    passing_from: u64,
    newest: watch::Receiver<u64>,
    /// Whether somebody only looks, to whom the answer is not given.
    looks_only: bool,
}

impl TurnLog {
    pub(in crate::session::turn) fn new() -> Self {
        Self { state: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Adds an entry. Nothing comes after the end.
    pub(in crate::session) fn append(&self, update: Update) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        if let Update::ApprovalSettled(id) = &update
            && !state.settled.insert(id.clone())
        {
            return;
        }
        let number = state.next;
        state.next += 1;
        state.ended = matches!(update, Update::Ended(_) | Update::Joined(_));
        if update.is_passing() {
            state.passing_bytes += update.bytes();
            state.passing.push_back((number, update));
            state.forget_passed();
        } else {
            state.lasting.push((number, update));
        }
        drop(state);
        self.newest.send_replace(number + 1);
    }

    /// A reader from the beginning.
    pub(in crate::session::turn) fn read(self: &Arc<Self>) -> LogReader {
        LogReader {
            log: Arc::clone(self),
            next: 0,
            passing_from: 0,
            newest: self.newest.subscribe(),
            looks_only: false,
        }
    }

    /// A reader that gives nobody the answer: of what lasts so far, and of everything from now on.
    pub(in crate::session::turn) fn onlooker(self: &Arc<Self>) -> LogReader {
        let mut reader = self.read_from_now();
        reader.looks_only = true;
        self.lock().onlookers += 1;
        reader
    }

    /// A reader of what lasts so far, and of everything from now on.
    pub(in crate::session::turn) fn read_from_now(self: &Arc<Self>) -> LogReader {
        let mut reader = self.read();
        reader.passing_from = self.lock().next;
        reader
    }

    /// Whether anybody reads it.
    pub(in crate::session::turn) fn is_read(&self) -> bool {
        self.newest.receiver_count() > self.lock().onlookers
    }

    /// Whether nothing comes any more: the turn is over, or has become part of another one.
    pub(in crate::session) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// The first entry for a reader at this place, several pieces of an answer as one, and the number after it.
    fn entry(&self, from: u64, passing_from: u64) -> Option<(u64, Update)> {
        let state = self.lock();
        let lasting = state.lasting.partition_point(|(number, _)| *number < from);
        let lasting = state.lasting.iter().skip(lasting).find(|(_, update)| !state.is_over(update));
        let limit = lasting.map_or(u64::MAX, |(number, _)| *number);
        let from = from.max(passing_from);
        let place = state.passing.partition_point(|(number, _)| *number < from);
        let mut passing =
            state.passing.iter().skip(place).take_while(|(number, _)| *number < limit);
        let Some((number, update)) = passing.next() else {
            return lasting.map(|(number, update)| (number + 1, update.clone()));
        };
        let Update::Event(TurnEvent::Message(text)) = update else {
            return Some((number + 1, update.clone()));
        };
        let (mut text, mut last) = (text.clone(), *number);
        for (number, update) in passing {
            let Update::Event(TurnEvent::Message(more)) = update else { break };
            text.push_str(more);
            last = *number;
        }
        Some((last + 1, Update::Event(TurnEvent::Message(text))))
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether it asks what needs no answer any more.
    fn is_over(&self, update: &Update) -> bool {
        matches!(update, Update::ApprovalAsked(asked) if self.settled.contains(&asked.approval.id))
    }

    /// Drops the oldest of what passes until the rest is within bounds; pieces of the answer first.
    fn forget_passed(&mut self) {
        while self.passing.len() > PASSING || self.passing_bytes > PASSING_BYTES {
            let is_piece = |(_, update): &(u64, Update)| {
                matches!(update, Update::Event(TurnEvent::Message(_)))
            };
            let oldest = self.passing.iter().position(is_piece).unwrap_or_default();
            let Some((_, dropped)) = self.passing.remove(oldest) else { return };
            self.passing_bytes = self.passing_bytes.saturating_sub(dropped.bytes());
        }
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        if self.looks_only {
            self.log.lock().onlookers -= 1;
        }
    }
}

impl LogReader {
    /// Waits for the next entry. After the end it waits for ever. Dropping the future loses nothing.
    pub(in crate::session) async fn next(&mut self) -> Update {
        loop {
            if let Some(update) = self.try_next() {
                return update;
            }
            if self.newest.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next entry if it is there already.
    pub(in crate::session::turn) fn try_next(&mut self) -> Option<Update> {
        self.newest.mark_unchanged();
        let (next, update) = self.log.entry(self.next, self.passing_from)?;
        self.next = next;
        Some(update)
    }
}

impl Update {
    /// Whether a slow reader may miss it.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Event(_) | Self::Queued(_))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event(TurnEvent::Message(text)) => text.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
