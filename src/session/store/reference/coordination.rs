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
    record::{AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState, SessionStatus},
    store::{
        Activity, Ahead, Claim, ControlMessage, ControlOutcome, Coordination, Hint, Inbox, Lease,
        MessageId, StoreError, Ticket,
    },
};

#[async_trait]
impl Coordination for ReferenceStore {
    async fn claim(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        time: Duration,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        let state = &mut *state;
        let entry = state.entries.get(name).filter(|entry| State::is_live(entry, now, clock));
        let Some(entry) = entry else { return Ok(Claim::Missing) };
        let waiting = state.others_before(name, ticket, self.owner, clock);
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
        if let Some(ticket) = ticket {
            state.queue.retain(|place| place.ticket != ticket);
        }
        state.messages.retain(|posted| posted.session != *name);
        let Some(entry) = state.entries.get_mut(name) else { return Ok(Claim::Missing) };
        entry.epoch += 1;
        entry.holder = Some(Holder { owner: self.owner, until, busy: true });
        let lease = Lease { session: name.clone(), epoch: entry.epoch };
        Ok(Claim::Ours { lease, record: Ok(Box::new(entry.record.clone())) })
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
        limit: usize,
        time: Duration,
    ) -> Result<Option<Ticket>, StoreError> {
        let (clock, until) = (self.clock.now(), self.clock.after(time));
        let mut state = self.lock();
        let is_there = |place: &&QueueEntry| {
            let is_waiting = place.until > clock && state.alive.contains(&place.owner);
            place.session == *name && is_waiting
        };
        let waiting = state.queue.iter().filter(is_there);
        if waiting.count() >= limit {
            return Ok(None);
        }
        let ticket = state.next_ticket();
        state.queue.push(QueueEntry { ticket, session: name.clone(), owner: self.owner, until });
        Ok(Some(ticket))
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

    async fn dequeue(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.lock().queue.retain(|place| place.ticket != ticket);
        Ok(())
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
