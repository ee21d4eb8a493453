//! What a store must do, said as simply as possible: maps, and rules that read like the traits' documentation.

use std::collections::{BTreeMap, BTreeSet};

use crate::session::{
    SessionName,
    record::{ApprovalState, SessionRecord, SessionStatus, Stop, TurnDetails, TurnRecord},
};

/// How long leases, places and approvals last, in seconds.
pub(super) const LEASE: i64 = 30;

/// How many sessions and how many waiting calls are allowed.
pub(super) const CAP: usize = 3;
pub(super) const PLACES: usize = 2;

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reference {
    /// The store's clock, in seconds.
    pub(super) clock: i64,
    pub(super) sessions: BTreeMap<SessionName, Session>,
    pub(super) alive: BTreeSet<u64>,
    pub(super) approvals: Vec<Approval>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Session {
    pub(super) record: SessionRecord,
    pub(super) turns: Vec<TurnRecord>,
    holder: Option<Holder>,
    /// Whose its queued turns are.
    queue: Vec<QueueEntry>,
    /// The number that was given with the lease.
    given: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Holder {
    owner: u64,
    /// Which claim it was.
    claim: u64,
    until: i64,
    busy: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct QueueEntry {
    number: u32,
    owner: u64,
    until: i64,
    is_promised: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Approval {
    pub(super) number: u64,
    pub(super) session: SessionName,
    claim: u64,
    until: i64,
    state: ApprovalState,
}

/// What an operation answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Nothing,
    Yes(bool),
    Evicted(Vec<SessionName>),
    Conflict,
    Full,
    Ours(Box<SessionRecord>, u32),
    Queued(u32),
    Adopted(BTreeSet<(SessionName, u32)>),
    CalledOff,
    Held { running: bool, waiting: usize },
    Missing,
    LeaseLost,
    Stale,
    Removed(BTreeSet<SessionName>),
}

/// A lease as the reference knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claimed {
    pub(super) session: SessionName,
    pub(super) owner: u64,
    pub(super) claim: u64,
    pub(super) given: u32,
}

impl Session {
    /// The number after all that its turns have.
    fn next_number(&self) -> u32 {
        let greatest = self.turns.iter().map(|turn| turn.number).max().unwrap_or_default();
        greatest.max(self.record.last_turn) + 1
    }

    fn cancel(&mut self, number: u32, say: impl FnOnce(&mut TurnDetails)) {
        self.queue.retain(|place| place.number != number);
        if let Some(turn) = self.turns.iter_mut().find(|turn| turn.number == number) {
            turn.status = SessionStatus::Cancelled;
            say(&mut turn.details);
        }
    }
}

impl Reference {
    /// An empty store at this time.
    pub(super) fn at(clock: i64) -> Self {
        Self { clock, ..Self::default() }
    }

    fn in_force(&self, session: &Session) -> Option<Holder> {
        session
            .holder
            .filter(|holder| holder.until > self.clock && self.alive.contains(&holder.owner))
    }

    fn is_protected(&self, session: &Session) -> bool {
        session.holder.is_some_and(|holder| holder.busy && holder.until > self.clock)
    }

    pub(super) fn is_live(&self, session: &Session, wall: i64) -> bool {
        session.record.expires_at.as_second() > wall || self.is_protected(session)
    }

    /// Whether this store's lease is the one in force.
    pub(super) fn holds(&self, by: u64, lease: &Claimed) -> bool {
        let holder = self.sessions.get(&lease.session).and_then(|session| self.in_force(session));
        holder.is_some_and(|holder| holder.owner == by && holder.claim == lease.claim)
    }

    fn remove(&mut self, name: &SessionName) {
        self.sessions.remove(name);
        self.approvals.retain(|approval| approval.session != *name);
    }

    fn remove_expired(&mut self, wall: i64) -> BTreeSet<SessionName> {
        let over = self.sessions.iter().filter(|(_, session)| !self.is_live(session, wall));
        let over: BTreeSet<_> = over.map(|(name, _)| name.clone()).collect();
        for name in &over {
            self.remove(name);
        }
        over
    }

    fn end_turns(&mut self, name: &SessionName) {
        if let Some(session) = self.sessions.get_mut(name) {
            for turn in &mut session.turns {
                if turn.status == SessionStatus::Running {
                    turn.status = SessionStatus::Interrupted;
                }
            }
            if session.record.status == SessionStatus::Running {
                session.record.status = SessionStatus::Interrupted;
            }
        }
        for approval in self.approvals.iter_mut().filter(|approval| approval.session == *name) {
            if matches!(approval.state, ApprovalState::Open | ApprovalState::Answered) {
                approval.state = ApprovalState::Expired;
            }
        }
    }

    /// Ends the leases of the dead, and those that ran out.
    fn end_lapsed(&mut self) {
        let lapsed = self
            .sessions
            .iter()
            .filter(|(_, session)| session.holder.is_some() && self.in_force(session).is_none());
        let lapsed: Vec<_> = lapsed.map(|(name, _)| name.clone()).collect();
        for name in lapsed {
            self.end_turns(&name);
            if let Some(session) = self.sessions.get_mut(&name) {
                session.holder = None;
            }
        }
    }

    /// Makes room for one more, if those that may go are enough.
    fn evict(&mut self) -> Option<Vec<SessionName>> {
        let mut next = self.clone();
        let mut evicted = Vec::new();
        while next.sessions.len() >= CAP {
            let may_go = next.sessions.values().filter(|session| !next.is_protected(session));
            let worth = |session: &&Session| {
                let SessionRecord { automatic, last_accessed_at, name, .. } = &session.record;
                (!automatic, *last_accessed_at, name.clone())
            };
            let least = may_go.min_by_key(worth)?.record.name.clone();
            next.remove(&least);
            evicted.push(least);
        }
        *self = next;
        Some(evicted)
    }

    pub(super) fn create(&mut self, record: &SessionRecord, wall: i64) -> Answer {
        let mut next = self.clone();
        next.remove_expired(wall);
        if next.sessions.contains_key(&record.name) {
            return Answer::Conflict;
        }
        let Some(evicted) = next.evict().or_else(|| {
            next.end_lapsed();
            next.evict()
        }) else {
            return Answer::Full;
        };
        let record = record.clone();
        let session =
            Session { record, turns: Vec::new(), holder: None, queue: Vec::new(), given: 0 };
        next.sessions.insert(session.record.name.clone(), session);
        *self = next;
        Answer::Evicted(evicted)
    }

    pub(super) fn claim(
        &mut self,
        by: u64,
        name: &SessionName,
        turn: Option<u32>,
        claim: u64,
        wall: i64,
    ) -> Answer {
        let Some(session) = self.sessions.get(name).filter(|session| self.is_live(session, wall))
        else {
            return Answer::Missing;
        };
        let before = |place: &&QueueEntry| turn.is_none_or(|turn| place.number < turn);
        let others = session.queue.iter().filter(|it| it.owner != by && self.is_kept(it));
        let waiting = others.filter(before).count();
        if self.in_force(session).is_some_and(|holder| holder.owner != by) {
            let running = session.record.status == SessionStatus::Running;
            return Answer::Held { running, waiting };
        }
        if waiting > 0 {
            return Answer::Held { running: false, waiting };
        }
        self.end_turns(name);
        let until = self.clock + LEASE;
        match self.sessions.get_mut(name) {
            Some(session) => {
                session.holder = Some(Holder { owner: by, claim, until, busy: true });
                session.given = turn.unwrap_or_else(|| session.next_number());
                Answer::Ours(Box::new(session.record.clone()), session.given)
            }
            None => Answer::Missing,
        }
    }

    pub(super) fn renew(&mut self, by: u64, lease: &Claimed) -> Answer {
        let held = self.holds(by, lease);
        let until = self.clock + LEASE;
        if let Some(session) = self.sessions.get_mut(&lease.session).filter(|_| held) {
            session.holder = session.holder.map(|holder| Holder { until, ..holder });
        }
        Answer::Yes(held)
    }

    pub(super) fn release(&mut self, by: u64, lease: &Claimed) -> Answer {
        if self.holds(by, lease)
            && let Some(session) = self.sessions.get_mut(&lease.session)
        {
            session.holder = None;
            if session.record.status == SessionStatus::Running {
                self.end_turns(&lease.session);
            }
        }
        Answer::Nothing
    }

    pub(super) fn commit(
        &mut self,
        by: u64,
        lease: &Claimed,
        record: &SessionRecord,
        turn: Option<&TurnRecord>,
        restarts: bool,
    ) -> Answer {
        if !self.holds(by, lease) {
            return Answer::LeaseLost;
        }
        let Some(session) = self.sessions.get_mut(&lease.session) else { return Answer::LeaseLost };
        if session.record.revision != record.revision {
            return Answer::Stale;
        }
        let known = turn.and_then(|turn| session.turns.iter().find(|it| it.number == turn.number));
        let is_ours = |number: u32| {
            session.queue.iter().any(|place| place.number == number && place.owner == by)
        };
        if let (Some(known), Some(turn)) = (known, turn)
            && !turn.status.may_follow(known.status, is_ours(turn.number))
        {
            return Answer::CalledOff;
        }
        session.record = SessionRecord { revision: record.revision + 1, ..record.clone() };
        let busy = record.status == SessionStatus::Running;
        session.holder = session.holder.map(|holder| Holder { busy, ..holder });
        if restarts {
            session.turns.retain(|known| {
                let is_queued = known.status == SessionStatus::Queued;
                is_queued || turn.is_some_and(|turn| known.number >= turn.number)
            });
            self.approvals.retain(|approval| approval.session != lease.session);
        }
        if let Some(turn) = turn {
            session.turns.retain(|known| known.number != turn.number);
            session.turns.push(turn.clone());
            session.turns.sort_by_key(|turn| turn.number);
            session.queue.retain(|place| place.number != turn.number);
        }
        Answer::Nothing
    }

    pub(super) fn delete(&mut self, by: u64, lease: &Claimed) -> Answer {
        if !self.holds(by, lease) {
            return Answer::LeaseLost;
        }
        self.remove(&lease.session);
        Answer::Nothing
    }

    pub(super) fn rename(
        &mut self,
        by: u64,
        lease: &Claimed,
        record: &SessionRecord,
        wall: i64,
    ) -> Answer {
        if !self.holds(by, lease) {
            return Answer::LeaseLost;
        }
        let session = self.sessions.get(&lease.session).cloned();
        let Some(session) = session.filter(|it| it.record.revision == record.revision) else {
            return Answer::Stale;
        };
        if session.queue.iter().any(|place| place.owner != by && self.is_kept(place)) {
            return Answer::Yes(false);
        }
        let mut next = self.clone();
        if record.name != lease.session {
            let there = next.sessions.get(&record.name);
            if there.is_some_and(|session| next.is_live(session, wall)) {
                return Answer::Conflict;
            }
            next.remove(&record.name);
        }
        next.sessions.remove(&lease.session);
        for approval in &mut next.approvals {
            if approval.session == lease.session {
                approval.session = record.name.clone();
            }
        }
        let record = SessionRecord { revision: record.revision + 1, ..record.clone() };
        let renamed = Session { record, holder: None, ..session };
        next.sessions.insert(renamed.record.name.clone(), renamed);
        *self = next;
        Answer::Nothing
    }

    /// Whether the owner of a queued turn is still there.
    fn is_kept(&self, place: &QueueEntry) -> bool {
        place.until > self.clock && self.alive.contains(&place.owner)
    }

    pub(super) fn enqueue(
        &mut self,
        by: u64,
        name: &SessionName,
        turn: &TurnRecord,
        is_promised: bool,
    ) -> Answer {
        let Some(session) = self.sessions.get(name) else { return Answer::Yes(false) };
        if session.queue.iter().filter(|place| self.is_kept(place)).count() >= PLACES {
            return Answer::Yes(false);
        }
        let until = self.clock + LEASE;
        let Some(session) = self.sessions.get_mut(name) else { return Answer::Yes(false) };
        let given = if session.holder.is_some_and(|it| it.busy) { session.given } else { 0 };
        let number = session.next_number().max(given + 1);
        session.turns.push(TurnRecord { number, ..turn.clone() });
        session.queue.push(QueueEntry { number, owner: by, until, is_promised });
        Answer::Queued(number)
    }

    pub(super) fn promise(&mut self, by: u64, name: &SessionName, turn: u32) -> Answer {
        let queue = self.sessions.get_mut(name).map(|session| &mut session.queue);
        let ours = queue.into_iter().flatten().find(|it| it.number == turn && it.owner == by);
        Answer::Yes(ours.map(|place| place.is_promised = true).is_some())
    }

    pub(super) fn call_off(
        &mut self,
        name: &SessionName,
        turn: u32,
        details: &TurnDetails,
    ) -> Answer {
        let Some(session) = self.sessions.get_mut(name) else { return Answer::Yes(false) };
        if !session.queue.iter().any(|place| place.number == turn) {
            return Answer::Yes(false);
        }
        session.cancel(turn, |known| known.clone_from(details));
        Answer::Yes(true)
    }

    pub(super) fn renew_places(&mut self, by: u64, name: &SessionName) -> Answer {
        let clock = self.clock;
        let queue = self.sessions.get_mut(name).map(|session| &mut session.queue);
        for place in queue.into_iter().flatten() {
            if place.owner == by && place.until > clock {
                place.until = clock + LEASE;
            }
        }
        Answer::Nothing
    }

    pub(super) fn adopt(&mut self, by: u64) -> Answer {
        let (clock, alive) = (self.clock, self.alive.clone());
        let mut adopted = BTreeSet::new();
        for (name, session) in &mut self.sessions {
            for place in &mut session.queue {
                let is_kept = place.until > clock && alive.contains(&place.owner);
                if place.is_promised && !is_kept && place.owner != by {
                    (place.owner, place.until) = (by, clock + LEASE);
                    adopted.insert((name.clone(), place.number));
                }
            }
        }
        Answer::Adopted(adopted)
    }

    pub(super) fn open_approval(&mut self, by: u64, lease: &Claimed, number: u64) -> Answer {
        if !self.holds(by, lease) {
            return Answer::LeaseLost;
        }
        let (session, until) = (lease.session.clone(), self.clock + LEASE);
        let state = ApprovalState::Open;
        self.approvals.push(Approval { number, session, claim: lease.claim, until, state });
        Answer::Nothing
    }

    /// Whether an approval can be answered: its turn's lease is in force and its deadline has not passed.
    pub(super) fn is_open(&self, approval: &Approval) -> bool {
        let session = self.sessions.get(&approval.session);
        let holder = session.and_then(|session| self.in_force(session));
        approval.state == ApprovalState::Open
            && approval.until > self.clock
            && holder.is_some_and(|holder| holder.claim == approval.claim)
    }

    pub(super) fn answer(&mut self, number: u64) -> Answer {
        let open = self
            .approvals
            .iter()
            .position(|approval| approval.number == number && self.is_open(approval));
        if let Some(approval) = open.and_then(|place| self.approvals.get_mut(place)) {
            approval.state = ApprovalState::Answered;
        }
        Answer::Yes(open.is_some())
    }

    pub(super) fn settle(
        &mut self,
        by: u64,
        lease: &Claimed,
        number: u64,
        state: ApprovalState,
    ) -> Answer {
        if !self.holds(by, lease) {
            return Answer::LeaseLost;
        }
        let found = self.approvals.iter_mut().find(|approval| {
            let is_its = approval.number == number && approval.session == lease.session;
            is_its && approval.claim == lease.claim && state.can_follow(approval.state)
        });
        Answer::Yes(found.map(|approval| approval.state = state).is_some())
    }

    pub(super) fn sweep(&mut self, wall: i64) -> Answer {
        let (clock, alive) = (self.clock, self.alive.clone());
        for session in self.sessions.values_mut() {
            let gone = session.queue.iter().filter(|place| {
                let is_kept = place.until > clock && alive.contains(&place.owner);
                !(place.is_promised || is_kept)
            });
            for number in gone.map(|place| place.number).collect::<Vec<_>>() {
                session.cancel(number, |details| details.stopped = Some(Stop::Abandoned));
            }
        }
        self.end_lapsed();
        Answer::Removed(self.remove_expired(wall))
    }
}
