//! Whether the account's allowance is enough for a turn; if not, the turn is refused or waits until it is.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    actor::Actor,
    live::Update,
    message::Message,
    queued::{QueuedTurn, answer},
    recorder::Recorder,
};
use crate::session::{
    Change, Reply, SessionError, SessionRecord, SessionStatus, Stop,
    limits::WhenExhausted,
    quota::{Exhausted, exhausted},
    store::{ControlMessage, ControlOutcome, MessageId, StoreError},
};

/// How often a waiting turn looks at the clock, and at what others want of it.
const TICK: Duration = Duration::from_millis(500);

/// What comes of a turn for which there may be too little left.
pub(super) enum Admission {
    /// It can begin.
    Admitted(Box<SessionRecord>),
    /// It was stopped while it waited.
    Stopped(Box<Reply>),
}

impl Actor {
    /// Lets a turn begin if enough of the allowance is left. Else refuses it, or has it wait by itself, as a running turn
    /// in the record, until there is.
    ///
    /// # Errors
    /// [`SessionError::UsageLimit`], or if the wait cannot be recorded.
    pub(super) async fn admit(
        &mut self,
        queued: &mut QueuedTurn,
        record: SessionRecord,
    ) -> Result<Admission, SessionError> {
        let limits = &self.shared.config.limits;
        if limits.min_remaining == 0 {
            return Ok(Admission::Admitted(Box::new(record)));
        }
        let Some(low) = self.low().await else { return Ok(Admission::Admitted(Box::new(record))) };
        let refused = || SessionError::UsageLimit {
            remaining: low.remaining,
            wanted: limits.min_remaining,
            until: low.until,
        };
        let (WhenExhausted::Wait, Some(until)) = (limits.when_exhausted, low.until) else {
            return Err(refused());
        };
        let Some(guard) = &self.lease else { return Err(SessionError::ShuttingDown) };
        let (store, lease) = (Arc::clone(guard.store()), guard.lease().clone());
        let log = Arc::clone(&queued.live.log);
        let mut recorder = Recorder::new(
            store,
            lease,
            record,
            (&queued.request, self.number),
            log,
            self.shared.config.ttl(),
        );
        recorder.begin().await?;
        queued.live.go_on();
        queued.live.set_number(recorder.entry.number);
        queued.log(Update::Begun(recorder.entry.number));
        queued.log(Update::WaitingForQuota(until));
        self.shared.changed(Change::Session(self.name.clone()));
        tracing::info!(session = %self.name, %until, "a turn waits for the usage limit");
        let Some(stop) = self.until_admitted(queued, &recorder).await else {
            // The turn itself takes its place in the record.
            let mut record = recorder.record;
            record.last_turn = self.number - 1;
            return Ok(Admission::Admitted(Box::new(record)));
        };
        recorder.entry.details.stopped = Some(stop);
        if stop == Stop::LeaseLost {
            return Err(StoreError::LeaseLost { name: self.name.clone() }.into());
        }
        recorder.end(SessionStatus::Interrupted).await?;
        self.shared.changed(Change::Session(self.name.clone()));
        let reply = Reply { session: self.name.clone(), turn: recorder.entry };
        Ok(Admission::Stopped(Box::new(reply)))
    }

    /// Fails if there is too much to do already, on all servers.
    pub(super) async fn check_budget(&self) -> Result<(), SessionError> {
        let Some(guard) = &self.lease else { return Ok(()) };
        let budget = self.shared.config.limits.budget();
        budget.check_claimed(&**guard.store(), Timestamp::now()).await
    }

    async fn low(&self) -> Option<Exhausted> {
        let limits = self.shared.quota.now(&self.shared.codex).await?;
        exhausted(&limits, self.shared.config.limits.min_remaining, Timestamp::now())
    }

    /// Waits until enough is left. Returns why the turn is not to begin, if it is not.
    async fn until_admitted(
        &mut self,
        queued: &mut QueuedTurn,
        recorder: &Recorder,
    ) -> Option<Stop> {
        let cancelled = queued.live.cancelled.clone();
        let closing = self.shared.closing.clone();
        let lost = self.lease.as_ref().map(|guard| guard.lost().clone()).unwrap_or_default();
        let deadline = queued.request.timeout.map(|limit| Instant::now() + limit);
        let mut read_through = MessageId::default();
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return Some(Stop::Cancelled),
                () = closing.cancelled() => return Some(Stop::Shutdown),
                () = lost.cancelled() => return Some(Stop::LeaseLost),
                Some(message) = self.mailbox.recv() => {
                    if let Some(stop) = self.while_waiting(message, queued, recorder).await {
                        return Some(stop);
                    }
                }
                _ = tick.tick() => {
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Some(Stop::Timeout);
                    }
                    if self.interrupted_from_afar(recorder.entry.number, &mut read_through).await {
                        return Some(Stop::Interrupted);
                    }
                    self.low().await?;
                }
            }
        }
    }

    /// Handles a message meanwhile. Says whether to stop.
    async fn while_waiting(
        &mut self,
        message: Message,
        queued: &mut QueuedTurn,
        recorder: &Recorder,
    ) -> Option<Stop> {
        let number = recorder.entry.number;
        match message {
            Message::Interrupt(reply) => {
                queued.interrupters.push(reply);
                return Some(Stop::Interrupted);
            }
            Message::CancelTask(turn, reply) if turn == number => {
                queued.interrupters.push(reply);
                return Some(Stop::Interrupted);
            }
            Message::Inspect(id, reply) => {
                let so_far = || Reply { session: self.name.clone(), turn: recorder.entry.clone() };
                self.keep_promise(id, None).await;
                answer(reply, (queued.live.id() == id).then(so_far));
            }
            Message::Send(other) => self.queue_up(*other).await,
            Message::Rename(_, reply) => {
                answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
            }
            Message::Worktree(_, reply) => {
                answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
            }
            Message::Delete(_, reply) => {
                answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
            }
            message => self.at_rest(message).await,
        }
        None
    }

    /// Whether another server wants the turn interrupted.
    async fn interrupted_from_afar(&self, number: u32, read_through: &mut MessageId) -> bool {
        let Some(guard) = &self.lease else { return false };
        let Ok(inbox) = guard.store().inbox(guard.lease(), *read_through).await else {
            return false;
        };
        for (id, message) in inbox.messages {
            *read_through = id;
            if !guard.store().take(id).await.unwrap_or(false) {
                continue;
            }
            if message == ControlMessage::Interrupt(number) {
                self.report(id, ControlOutcome::Done).await;
                return true;
            }
            let reason = format!("turn {number} has not begun: it waits for the usage limit");
            self.report(id, ControlOutcome::Refused(reason)).await;
        }
        false
    }
}
