//! Leases, queues, control messages and approvals, in memory.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    ReferenceStore,
    state::{Holder, Opened, Posted, QueueEntry, State},
};
use crate::session::{
    SessionName,
    record::{
        AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState, SessionStatus, TurnDetails,
        TurnRecord,
    },
    store::{
        Activity, AdoptedTurn, Ahead, Claim, ControlMessage, ControlOutcome, Coordination, Hint,
        Inbox, Lease, MessageId, Promise, StoreError,
    },
};

#[async_trait]
impl Coordination for ReferenceStore {
    async fn claim(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        time: Duration,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        let state = &mut *state;
        let entry = state.entries.get(name).filter(|entry| State::is_live(entry, now, clock));
        let Some(entry) = entry else { return Ok(Claim::Missing) };
        let waiting = state.others_before(name, turn, self.owner, clock);
        match state.holder(entry, clock) {
            Some(holder) if holder.owner != self.owner => {
                let running = entry.record.status == SessionStatus::Running;
                return Ok(Claim::Held(Ahead { running, waiting }));
            }
            _ => {}
        }
        if waiting > 0 {
            return Ok(Claim::Held(Ahead { running: false, waiting }));
        }
        state.end_turns(name);
        state.messages.retain(|posted| posted.session != *name);
        let Some(entry) = state.entries.get_mut(name) else { return Ok(Claim::Missing) };
        state.last_epoch += 1;
        entry.epoch = state.last_epoch;
        entry.holder = Some(Holder { owner: self.owner, until, busy: true });
        let turn = turn.unwrap_or_else(|| entry.next_number());
        entry.given = turn;
        let lease = Lease { session: name.clone(), epoch: entry.epoch };
        Ok(Claim::Ours { lease, record: Ok(Box::new(entry.record.clone())), turn })
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        let Ok(entry) = state.held(lease, self.owner, clock) else { return Ok(false) };
        entry.holder = entry.holder.map(|holder| Holder { until, ..holder });
        Ok(true)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        let Ok(entry) = state.held(lease, self.owner, clock) else { return Ok(()) };
        entry.holder = None;
        if entry.record.status == SessionStatus::Running {
            state.end_turns(&lease.session);
        }
        Ok(())
    }

    async fn activity(&self) -> Result<Activity, StoreError> {
        let clock = self.clock.now();
        let state = self.lock();
        let holders = state.entries.values().filter_map(|entry| state.holder(entry, clock));
        let turns = holders.filter(|holder| holder.busy).count() as u64;
        let waiting = state.queue.iter().filter(|place| place.until > clock).count() as u64;
        Ok(Activity { turns, waiting })
    }

    async fn enqueue(
        &self,
        name: &SessionName,
        turn: &TurnRecord,
        promise: Option<&Promise>,
        limit: usize,
        time: Duration,
    ) -> Result<Option<u32>, StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        let there = state.queue.iter().filter(|place| place.session == *name);
        if there.filter(|place| state.is_kept(place, clock)).count() >= limit {
            return Ok(None);
        }
        let Some(entry) = state.entries.get_mut(name) else { return Ok(None) };
        let given = if entry.holder.is_some_and(|holder| holder.busy) { entry.given } else { 0 };
        let number = entry.next_number().max(given + 1);
        let (response, items) = (String::new(), Vec::new());
        let queued =
            TurnRecord { number, status: SessionStatus::Queued, response, items, ..turn.clone() };
        entry.turns.push(queued);
        let promise = promise.cloned();
        let (session, owner) = (name.clone(), self.owner);
        state.queue.push(QueueEntry { number, session, owner, until, promise });
        Ok(Some(number))
    }

    async fn promise(
        &self,
        name: &SessionName,
        turn: u32,
        promise: &Promise,
        details: &TurnDetails,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let ours = state.queue.iter_mut().find(|place| {
            place.session == *name && place.number == turn && place.owner == self.owner
        });
        let Some(place) = ours else { return Ok(false) };
        place.promise = Some(promise.clone());
        let turns = state.entries.get_mut(name).map(|entry| &mut entry.turns);
        let known = turns.into_iter().flatten().find(|known| known.number == turn);
        if let Some(known) = known {
            known.details.clone_from(details);
        }
        Ok(true)
    }

    async fn renew_places(&self, name: &SessionName, time: Duration) -> Result<(), StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        let ours = |place: &&mut QueueEntry| {
            place.session == *name && place.owner == self.owner && place.until > clock
        };
        state.queue.iter_mut().filter(ours).for_each(|place| place.until = until);
        Ok(())
    }

    async fn call_off(
        &self,
        name: &SessionName,
        turn: u32,
        details: &TurnDetails,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_it = |place: &QueueEntry| place.session == *name && place.number == turn;
        if !state.queue.iter().any(is_it) {
            return Ok(false);
        }
        if let Some(turn) = state.leave(name, turn) {
            turn.status = SessionStatus::Cancelled;
            turn.details = details.clone();
        }
        Ok(true)
    }

    async fn adopt(&self, runner: &str, time: Duration) -> Result<Vec<AdoptedTurn>, StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        let alive = state.alive.clone();
        let mut adopted = Vec::new();
        for place in &mut state.queue {
            let is_kept = place.until > clock && alive.contains(&place.owner);
            let Some(promise) = place.promise.as_ref().filter(|it| it.runner == runner) else {
                continue;
            };
            if !is_kept && place.owner != self.owner {
                (place.owner, place.until) = (self.owner, until);
                let (session, request) = (place.session.clone(), promise.request.clone());
                adopted.push(AdoptedTurn { session, number: place.number, request });
            }
        }
        Ok(adopted)
    }

    async fn waiting(&self) -> Result<Vec<(SessionName, u32)>, StoreError> {
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for place in &self.lock().queue {
            *counts.entry(place.session.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    async fn inbox(&self, lease: &Lease, after: MessageId) -> Result<Inbox, StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        if state.held(lease, self.owner, clock).is_err() {
            return Ok(Inbox::default());
        }
        let name = &lease.session;
        let unread = state
            .messages
            .iter()
            .filter(|posted| posted.session == *name && posted.id > after && !posted.taken);
        let answered = state.approvals.iter().filter(|opened| {
            opened.record.session == *name
                && opened.epoch == lease.epoch
                && opened.record.state == ApprovalState::Answered
        });
        let answer = |opened: &Opened| {
            Some((opened.record.approval.id.clone(), opened.record.answer.clone()?))
        };
        Ok(Inbox {
            held: true,
            wanted: state.others_before(name, None, self.owner, clock) > 0,
            messages: unread.map(|posted| (posted.id, posted.message.clone())).collect(),
            answers: answered.filter_map(answer).collect(),
        })
    }

    async fn post(
        &self,
        name: &SessionName,
        message: &ControlMessage,
    ) -> Result<MessageId, StoreError> {
        let mut state = self.lock();
        let id = state.next_message();
        let (session, message) = (name.clone(), message.clone());
        state.messages.push(Posted { id, session, message, taken: false, outcome: None });
        Ok(id)
    }

    async fn take(&self, id: MessageId) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let unread = |posted: &&mut Posted| posted.id == id && !posted.taken;
        let posted = state.messages.iter_mut().find(unread);
        Ok(posted.map(|posted| posted.taken = true).is_some())
    }

    async fn withdraw(&self, id: MessageId) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let before = state.messages.len();
        state.messages.retain(|posted| posted.id != id || posted.taken);
        Ok(state.messages.len() < before)
    }

    async fn report(&self, id: MessageId, outcome: &ControlOutcome) -> Result<(), StoreError> {
        let mut state = self.lock();
        if let Some(posted) = state.messages.iter_mut().find(|posted| posted.id == id) {
            posted.outcome = Some(outcome.clone());
        }
        Ok(())
    }

    async fn outcome(&self, id: MessageId) -> Result<Option<ControlOutcome>, StoreError> {
        let mut state = self.lock();
        let known = state.messages.iter().find(|posted| posted.id == id);
        let outcome = known.and_then(|posted| posted.outcome.clone());
        if outcome.is_some() {
            state.messages.retain(|posted| posted.id != id);
        }
        Ok(outcome)
    }

    async fn open_approval(
        &self,
        lease: &Lease,
        approval: &ApprovalRecord,
        time: Duration,
    ) -> Result<(), StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        state.held(lease, self.owner, clock)?;
        let (record, owner, epoch) = (approval.clone(), self.owner, lease.epoch);
        state.approvals.push(Opened { record, owner, epoch, until });
        Ok(())
    }

    async fn answer_approval(
        &self,
        id: &ApprovalId,
        answer: &AnswerRecord,
    ) -> Result<Option<SessionName>, StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        let found = state
            .approvals
            .iter()
            .position(|opened| opened.record.approval.id == *id && is_open(&state, opened, clock));
        let Some(opened) = found.and_then(|place| state.approvals.get_mut(place)) else {
            return Ok(None);
        };
        opened.record.state = ApprovalState::Answered;
        opened.record.answer = Some(answer.clone());
        Ok(Some(opened.record.session.clone()))
    }

    async fn settle_approval(
        &self,
        lease: &Lease,
        id: &ApprovalId,
        settled: ApprovalState,
    ) -> Result<bool, StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        state.held(lease, self.owner, clock)?;
        let opened = state.approvals.iter_mut().find(|opened| {
            opened.record.approval.id == *id
                && opened.record.session == lease.session
                && opened.epoch == lease.epoch
                && settled.can_follow(opened.record.state)
        });
        Ok(opened.map(|opened| opened.record.state = settled).is_some())
    }

    async fn open_approvals(
        &self,
        session: Option<&SessionName>,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        let clock = self.clock.now();
        let state = self.lock();
        let open = state.approvals.iter().filter(|opened| is_open(&state, opened, clock));
        let wanted =
            open.filter(|opened| session.is_none_or(|name| opened.record.session == *name));
        Ok(wanted.map(|opened| opened.record.clone()).collect())
    }

    async fn hint(&self) -> Hint {
        std::future::pending().await
    }
}

/// Whether an approval can be answered: Codex still waits for it, and its owner is there to hear.
fn is_open(state: &State, opened: &Opened, clock: i64) -> bool {
    let entry = state.entries.get(&opened.record.session);
    let holder = entry.filter(|entry| entry.epoch == opened.epoch);
    let holder = holder.and_then(|entry| state.holder(entry, clock));
    opened.record.state == ApprovalState::Open
        && opened.until > clock
        && holder.is_some_and(|holder| holder.owner == opened.owner)
}
