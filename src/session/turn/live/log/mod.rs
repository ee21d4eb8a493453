//! The log of one turn: everything that happens in it, numbered, for any number of readers.
//!
//! A reader is a place in the log. It has no queue that could overflow and slows nobody down: one that lags
//! behind gets each item once, as it is by then, and never misses an approval or the end, which has all items. Knows
//! nothing of who reads it or of Codex.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    LiveTurn,
    items::{Change, Items},
};
use crate::{
    codex::{ApprovalId, TurnEvent, TurnItem, Usage},
    session::{Reply, SessionError, TurnRecord, record::ApprovalRecord},
};

/// One thing that happens in a turn, from its call to its end.
#[derive(Debug, Clone)]
pub enum Update {
    /// It waits.
    Queued(QueuePosition),
    /// It runs, as the turn of this number.
    Begun(u32),
    /// The model is thinking.
    Thinking,
    /// Tokens it has used so far.
    Used(Usage),
    /// The item in this place is new, or is this now.
    Item(usize, TurnItem),
    /// More text of the item in a place.
    Text {
        place: usize,
        /// How many bytes of the text come before.
        from: usize,
        text: String,
    },
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
    /// The number of its turn. None before it is written down.
    pub turn: Option<u32>,
    /// Until when it waits for the account's allowance, at the latest, if that is what it waits for.
    pub not_before: Option<Timestamp>,
}

/// The log.
#[derive(Debug)]
pub(in crate::session) struct TurnLog {
    /// Tells its numbers from those of other logs of the same turn.
    id: u64,
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the last change.
    last: u64,
    items: Items,
    /// The number of the last change that a record is to have.
    to_record: u64,
    /// What every reader gets to see, oldest first.
    lasting: Vec<(u64, Update)>,
    /// Its place in the queue, that it thinks, what it has used: each as it was last.
    passing: [Option<(u64, Update)>; 3],
    /// The approvals that need no answer any more: nobody is shown them from now on.
    settled: HashSet<ApprovalId>,
    ended: bool,
    /// How many readers only look.
    onlookers: usize,
}

/// A place in the log of a turn, for readers that come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPlace {
    log: u64,
    number: u64,
}

/// Where a reader begins. What lasts it sees from the beginning in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum ReadFrom {
    Beginning,
    Now,
    /// Where it was. The beginning, if that is no place in this log.
    Place(LogPlace),
}

/// A reader's place in a log.
#[derive(Debug)]
pub(in crate::session) struct LogReader {
    log: Arc<TurnLog>,
    /// The number of the last change that it has seen.
    seen: u64,
    /// What passed up to this number is of no interest to it.
    passed: u64,
    /// How many bytes of each item's text it has. None of those it has not seen.
    has: Vec<Option<usize>>,
    newest: watch::Receiver<u64>,
    /// Whether somebody only looks, to whom the answer is not given.
    looks_only: bool,
}

impl TurnLog {
    pub(in crate::session::turn) fn new() -> Self {
        let (id, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self { id, state: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Adds what happens to the turn. Nothing comes after the end.
    pub(in crate::session) fn append(&self, update: Update) {
        self.change(|state| {
            if let Update::ApprovalSettled(id) = &update
                && !state.settled.insert(id.clone())
            {
                return;
            }
            state.last += 1;
            let entry = (state.last, update);
            match &entry.1 {
                Update::Queued(_) => state.passing[0] = Some(entry),
                Update::Thinking => state.passing[1] = Some(entry),
                Update::Used(_) => {
                    state.to_record = state.last;
                    state.passing[2] = Some(entry);
                }
                update => {
                    state.ended = matches!(update, Update::Ended(_) | Update::Joined(_));
                    if let Update::Ended(Ok(_)) = update {
                        // The reply has all of them, and an answer can be large.
                        state.items = Items::default();
                    }
                    state.lasting.push(entry);
                }
            }
        });
    }

    /// Takes in what Codex reports. Approvals and the end are for the turn's actor.
    pub(in crate::session::turn) fn happened(&self, event: TurnEvent) {
        match event {
            TurnEvent::Thinking => self.append(Update::Thinking),
            TurnEvent::Used(usage) => self.append(Update::Used(usage)),
            TurnEvent::Item(key, item) => {
                self.change_items(|items, numbers| items.put(key, item, numbers));
            }
            TurnEvent::Text(key, text) => {
                self.change_items(|items, numbers| items.write(key, &text, numbers));
            }
            TurnEvent::ApprovalAsked(_) | TurnEvent::ApprovalSettled(_) | TurnEvent::Ended(_) => {}
        }
    }

    /// Adds an item that Codex does not report. Returns its place.
    pub(in crate::session::turn) fn add(&self, item: TurnItem) -> Option<usize> {
        self.change_items(|items, numbers| items.add(item, numbers)).flatten()
    }

    /// Makes another item of one that was added.
    pub(in crate::session::turn) fn set(&self, place: usize, item: TurnItem) {
        self.change_items(|items, numbers| items.set(place, item, numbers));
    }

    /// Makes the text of the last message another one: what the answer has been read as.
    pub(in crate::session::turn) fn set_answer(&self, text: &str) {
        self.change_items(|items, numbers| items.set_answer(text, numbers));
    }

    /// Takes over what the server that runs the turn has recorded of it.
    pub(in crate::session) fn mirror(&self, turn: TurnRecord) {
        let TurnRecord { items: recorded, response, details, .. } = turn;
        self.change_items(|items, numbers| items.mirror(recorded, &response, numbers));
        if let Some(usage) = details.usage
            && self.lock().usage() != Some(usage)
        {
            self.append(Update::Used(usage));
        }
    }

    /// Puts what there is into the record of the turn. Returns the number of the last change that is in it.
    pub(in crate::session::turn) fn record(&self, turn: &mut TurnRecord) -> u64 {
        let state = self.lock();
        turn.items = state.items.recorded();
        state.items.answer().clone_into(&mut turn.response);
        turn.details.usage = state.usage().or(turn.details.usage);
        state.to_record
    }

    /// The number of the last change that a record is to have.
    pub(in crate::session::turn) fn to_record(&self) -> u64 {
        self.lock().to_record
    }

    /// A reader.
    pub(in crate::session::turn) fn read(
        self: &Arc<Self>,
        from: ReadFrom,
        looks_only: bool,
    ) -> LogReader {
        let mut state = self.lock();
        let (passed, has) = match from {
            ReadFrom::Now => (state.last, state.items.lengths()),
            ReadFrom::Place(LogPlace { log, number }) if log == self.id => (number, Vec::new()),
            ReadFrom::Beginning | ReadFrom::Place(_) => (0, Vec::new()),
        };
        state.onlookers += usize::from(looks_only);
        drop(state);
        let newest = self.newest.subscribe();
        LogReader { log: Arc::clone(self), seen: 0, passed, has, newest, looks_only }
    }

    /// Whether anybody reads it.
    pub(in crate::session::turn) fn is_read(&self) -> bool {
        self.newest.receiver_count() > self.lock().onlookers
    }

    /// Whether nothing comes any more: the turn is over, or has become part of another one.
    pub(in crate::session) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    fn change_items<T>(&self, change: impl FnOnce(&mut Items, &mut u64) -> T) -> Option<T> {
        self.change(|state| {
            let before = state.last;
            let changed = change(&mut state.items, &mut state.last);
            if state.last > before {
                state.to_record = state.last;
            }
            changed
        })
    }

    /// Changes something, unless the turn is over, and wakes the readers.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        let changed = change(&mut state);
        let last = state.last;
        drop(state);
        self.newest.send_replace(last);
        Some(changed)
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The tokens that were told of last.
    fn usage(&self) -> Option<Usage> {
        match &self.passing[2] {
            Some((_, Update::Used(usage))) => Some(*usage),
            _ => None,
        }
    }

    /// The first thing after `seen` that every reader gets to see.
    fn lasting(&self, seen: u64) -> Option<&(u64, Update)> {
        let place = self.lasting.partition_point(|(number, _)| *number <= seen);
        self.lasting.iter().skip(place).find(|(_, update)| !self.is_over(update))
    }

    /// Whether it asks what needs no answer any more.
    fn is_over(&self, update: &Update) -> bool {
        matches!(update, Update::ApprovalAsked(asked) if self.settled.contains(&asked.approval.id))
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
    /// Waits for what comes next. After the end it waits for ever. Dropping the future loses nothing.
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

    /// What comes next if it is there already.
    pub(in crate::session::turn) fn try_next(&mut self) -> Option<Update> {
        self.newest.mark_unchanged();
        let log = Arc::clone(&self.log);
        let state = log.lock();
        loop {
            let passed = self.seen.max(self.passed);
            let lasting = state.lasting(self.seen);
            let passing = state.passing.iter().flatten().filter(|(number, _)| *number > passed);
            let first = lasting.into_iter().chain(passing).min_by_key(|(number, _)| *number);
            let item = state.items.first_from(passed + 1);
            match (first, item) {
                (Some((number, update)), item) if item.is_none_or(|(other, _)| *number < other) => {
                    self.seen = *number;
                    return Some(update.clone());
                }
                (_, Some((number, place))) => {
                    let news = self.news(&state.items, place, passed);
                    self.seen = number;
                    if news.is_some() {
                        return news;
                    }
                }
                _ => return None,
            }
        }
    }

    /// Where it is.
    pub(in crate::session::turn) fn place(&self) -> LogPlace {
        LogPlace { log: self.log.id, number: self.seen.max(self.passed) }
    }

    fn news(&mut self, items: &Items, place: usize, passed: u64) -> Option<Update> {
        if self.has.len() <= place {
            self.has.resize(place + 1, None);
        }
        let has = self.has.get_mut(place)?;
        match items.news(place, passed, *has)? {
            Change::Item(item) => {
                *has = Some(item.text().len());
                Some(Update::Item(place, item))
            }
            Change::Text(from, text) => {
                *has = Some(from + text.len());
                Some(Update::Text { place, from, text })
            }
        }
    }
}

impl std::fmt::Display for LogPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}.{}", self.log, self.number)
    }
}

impl std::str::FromStr for LogPlace {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (log, number) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self { log: u64::from_str_radix(log, 16)?, number: number.parse()? })
    }
}

#[cfg(test)]
mod tests;
