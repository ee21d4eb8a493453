//! What the memory holds, and the rules about leases that several operations share.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::session::{
    SessionName,
    record::{
        ApprovalRecord, ApprovalState, HandshakeRecord, RolloutRecord, SessionRecord,
        SessionStatus, Stop, TokenRecord, TurnRecord, Usage,
    },
    store::{
        ControlMessage, ControlOutcome, Lease, MessageId, Outcomes, Promise, StoreError,
        page::{wanted, words},
    },
};

/// Everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    pub(super) entries: HashMap<SessionName, Entry>,
    pub(super) queue: Vec<QueueEntry>,
    pub(super) messages: Vec<Posted>,
    pub(super) approvals: Vec<Opened>,
    /// Oldest first.
    pub(super) tokens: Vec<TokenRecord>,
    pub(super) secrets: BTreeMap<String, [u8; 32]>,
    pub(super) handshakes: Vec<HandshakeRecord>,
    /// Turns that have ended and their tokens, by day and model, newest day first.
    pub(super) usage: BTreeMap<(Reverse<Date>, String), (u64, Usage, Outcomes)>,
    /// The owners that are not dead.
    pub(super) alive: HashSet<u64>,
    last_owner: u64,
    last_message: i64,
    /// The epoch of the last lease that was given, on any session.
    pub(super) last_epoch: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) record: SessionRecord,
    pub(super) turns: Vec<TurnRecord>,
    /// With their content.
    pub(super) rollouts: Vec<(RolloutRecord, Vec<Vec<u8>>)>,
    pub(super) holder: Option<Holder>,
    /// The number that was given with the lease.
    pub(super) given: u32,
    pub(super) epoch: i64,
}

/// Who has the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) owner: u64,
    pub(super) until: i64,
    /// Whether a turn is being opened, runs or ends.
    pub(super) busy: bool,
}

/// Whose a queued turn is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueueEntry {
    pub(super) number: u32,
    pub(super) session: SessionName,
    pub(super) owner: u64,
    pub(super) until: i64,
    pub(super) promise: Option<Promise>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Posted {
    pub(super) id: MessageId,
    pub(super) session: SessionName,
    pub(super) message: ControlMessage,
    pub(super) taken: bool,
    pub(super) outcome: Option<ControlOutcome>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opened {
    pub(super) record: ApprovalRecord,
    pub(super) owner: u64,
    pub(super) epoch: i64,
    pub(super) until: i64,
}

impl State {
    pub(super) fn register(&mut self) -> u64 {
        self.last_owner += 1;
        self.alive.insert(self.last_owner);
        self.last_owner
    }

    pub(super) fn next_message(&mut self) -> MessageId {
        self.last_message += 1;
        MessageId(self.last_message)
    }

    /// The holder of a lease that is in force.
    pub(super) fn holder(&self, entry: &Entry, clock: i64) -> Option<Holder> {
        entry.holder.filter(|holder| holder.until > clock && self.alive.contains(&holder.owner))
    }

    /// The entry of a lease, if that is in force.
    pub(super) fn held(
        &mut self,
        lease: &Lease,
        owner: u64,
        clock: i64,
    ) -> Result<&mut Entry, StoreError> {
        let entry = self.entries.get_mut(&lease.session);
        entry
            .filter(|entry| entry.is_held(lease, owner, clock))
            .ok_or_else(|| StoreError::LeaseLost { name: lease.session.clone() })
    }

    /// Whether a session may neither expire nor be evicted: a dead owner's may not until that is found out.
    pub(super) fn is_protected(entry: &Entry, clock: i64) -> bool {
        entry.holder.is_some_and(|holder| holder.busy && holder.until > clock)
    }

    /// Whether a session can still be seen.
    pub(super) fn is_live(entry: &Entry, now: Timestamp, clock: i64) -> bool {
        !entry.record.is_expired(now) || Self::is_protected(entry, clock)
    }

    pub(super) fn remove_expired(&mut self, now: Timestamp, clock: i64) -> Vec<SessionName> {
        let over = self.entries.values().filter(|entry| !Self::is_live(entry, now, clock));
        let mut names: Vec<_> = over.map(|entry| entry.record.name.clone()).collect();
        names.sort();
        for name in &names {
            self.remove(name);
        }
        names
    }

    /// Ends the leases of owners that are dead or have let them run out.
    pub(super) fn free_lapsed(&mut self, clock: i64) {
        let lapsed = self
            .entries
            .values()
            .filter(|entry| entry.holder.is_some() && self.holder(entry, clock).is_none());
        let lapsed: Vec<_> = lapsed.map(|entry| entry.record.name.clone()).collect();
        for name in lapsed {
            self.end_turns(&name);
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.holder = None;
            }
        }
    }

    /// Removes sessions until there is room for one more. None if that cannot be done; then none is removed.
    pub(super) fn evict(&mut self, cap: usize, clock: i64) -> Option<Vec<SessionName>> {
        let protected = self.entries.values().filter(|entry| Self::is_protected(entry, clock));
        if protected.count() >= cap {
            return None;
        }
        let mut evicted = Vec::new();
        while self.entries.len() >= cap {
            let name = self.least_worth(clock)?;
            self.remove(&name);
            evicted.push(name);
        }
        Some(evicted)
    }

    pub(super) fn remove(&mut self, name: &SessionName) {
        self.entries.remove(name);
        self.messages.retain(|posted| posted.session != *name);
        self.approvals.retain(|opened| opened.record.session != *name);
        self.queue.retain(|place| place.session != *name);
    }

    /// Stores a session under the name in `record`, in place of the one named `old`, whose lease ends.
    pub(super) fn rename(&mut self, old: &SessionName, record: &SessionRecord) {
        let Some(entry) = self.entries.remove(old) else { return };
        let record = SessionRecord { revision: record.revision + 1, ..record.clone() };
        self.messages.retain(|posted| posted.session != *old);
        for opened in &mut self.approvals {
            if opened.record.session == *old {
                opened.record.session = record.name.clone();
            }
        }
        for place in self.queue.iter_mut().filter(|place| place.session == *old) {
            place.session = record.name.clone();
        }
        let entry = Entry { holder: None, record, ..entry };
        self.entries.insert(entry.record.name.clone(), entry);
    }

    /// Counts the tokens of a turn that has ended.
    pub(super) fn count(&mut self, turn: &TurnRecord) {
        let day = Reverse(turn.timestamp.to_zoned(TimeZone::UTC).date());
        let model = turn.details.effective.as_ref().and_then(|with| with.model.clone());
        let (turns, usage, outcomes) =
            self.usage.entry((day, model.unwrap_or_default())).or_default();
        *turns += 1;
        *usage += turn.details.usage.unwrap_or_default();
        *outcomes += Outcomes::of(turn.status, turn.details.duration_ms);
    }

    /// The session that is worth least among those that may go.
    pub(super) fn least_worth(&self, clock: i64) -> Option<SessionName> {
        let may_go = self.entries.values().filter(|entry| !Self::is_protected(entry, clock));
        let worth = |entry: &&Entry| {
            let record = &entry.record;
            (!record.automatic, record.last_accessed_at, record.name.clone())
        };
        may_go.min_by_key(worth).map(|entry| entry.record.name.clone())
    }

    /// Whether the owner of a queued turn is still there.
    pub(super) fn is_kept(&self, place: &QueueEntry, clock: i64) -> bool {
        place.until > clock && self.alive.contains(&place.owner)
    }

    /// How many turns of other owners wait for a session before this one.
    pub(super) fn others_before(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        owner: u64,
        clock: i64,
    ) -> usize {
        let others = self.queue.iter().filter(|place| {
            place.session == *name && place.owner != owner && self.is_kept(place, clock)
        });
        others.filter(|place| turn.is_none_or(|ours| place.number < ours)).count()
    }

    /// The turn of a place in the queue, which ends.
    pub(super) fn leave(&mut self, name: &SessionName, number: u32) -> Option<&mut TurnRecord> {
        self.queue.retain(|place| (&place.session, place.number) != (name, number));
        let turns = &mut self.entries.get_mut(name)?.turns;
        turns.iter_mut().find(|turn| turn.number == number)
    }

    /// Cancels the queued turns of owners that are gone, but for those that another one is to run.
    pub(super) fn cancel_abandoned(&mut self, clock: i64) {
        let gone = self.queue.iter().filter(|place| !self.is_kept(place, clock));
        let gone = gone.filter(|place| place.promise.is_none());
        let gone: Vec<_> = gone.map(|place| (place.session.clone(), place.number)).collect();
        for (name, number) in gone {
            if let Some(turn) = self.leave(&name, number) {
                turn.status = SessionStatus::Cancelled;
                turn.details.stopped = Some(Stop::Abandoned);
            }
        }
    }

    /// Ends what an earlier holder left: its running turn and the approvals that were open.
    pub(super) fn end_turns(&mut self, name: &SessionName) {
        let mut ended = Vec::new();
        if let Some(entry) = self.entries.get_mut(name) {
            for turn in &mut entry.turns {
                if turn.status == SessionStatus::Running {
                    turn.status = SessionStatus::Interrupted;
                    ended.push(turn.clone());
                }
            }
            if entry.record.status == SessionStatus::Running {
                entry.record.status = SessionStatus::Interrupted;
            }
        }
        for turn in &ended {
            self.count(turn);
        }
        let unsettled = |opened: &&mut Opened| {
            opened.record.session == *name && !opened.record.state.is_settled()
        };
        for opened in self.approvals.iter_mut().filter(unsettled) {
            opened.record.state = ApprovalState::Expired;
        }
    }
}

impl Entry {
    /// The number after all that its turns have.
    pub(super) fn next_number(&self) -> u32 {
        let greatest = self.turns.iter().map(|turn| turn.number).max().unwrap_or_default();
        greatest.max(self.record.last_turn) + 1
    }

    pub(super) fn is_held(&self, lease: &Lease, owner: u64, clock: i64) -> bool {
        self.epoch == lease.epoch
            && self.holder.is_some_and(|holder| holder.owner == owner && holder.until > clock)
    }

    pub(super) fn mentions(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |hay: &str| hay.to_lowercase().contains(&text);
        has(self.record.name.as_str())
            || self.turns.iter().any(|turn| has(&turn.prompt))
            || self.has_words(&wanted(&text))
    }

    fn has_words(&self, wanted: &[String]) -> bool {
        let is_ended = |turn: &&TurnRecord| {
            !matches!(turn.status, SessionStatus::Queued | SessionStatus::Running)
        };
        let ended = self.turns.iter().filter(is_ended);
        !wanted.is_empty()
            && ended.into_iter().any(|turn| {
                let there = words(&format!("{} {}", turn.prompt, turn.response));
                wanted.iter().all(|word| there.iter().any(|it| it.starts_with(word)))
            })
    }
}
