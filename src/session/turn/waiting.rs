//! Waiting for the session: behind our own calls in their order, and behind other servers' by ticket.

use std::{collections::VecDeque, sync::Arc};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    actor::Actor,
    live::{JoinedTurn, LiveTurn, QueuePosition, Update},
    message::Message,
    queued::{QueuedTurn, answer},
};
use crate::session::{
    OnBusy, SessionError, SessionRecord,
    rollouts::Known,
    shared::QUEUE,
    store::{Ahead, Claim, ControlOutcome, Ticket},
};

/// What a call does that finds the session busy.
#[derive(Debug, PartialEq)]
enum Busy {
    Wait,
    Joined,
}

/// A claimed session.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) record: SessionRecord,
    /// Whether the session was made for this call.
    pub(super) is_new: bool,
}

impl Actor {
    /// Acquires the session's lease, after its holder and earlier calls are done. Makes the session if there is none.
    ///
    /// `None` if the call was cancelled meanwhile, or has joined a turn that another server runs.
    pub(super) async fn claim(
        &mut self,
        turn: &mut QueuedTurn,
    ) -> Result<Option<Claimed>, SessionError> {
        let mut is_new = false;
        let mut told = None;
        let mut renewed = Instant::now();
        loop {
            let now = Timestamp::now();
            let store = self.shared.store(now).await?;
            match store.claim(&self.name, turn.ticket, self.lease_time(), now).await? {
                Claim::Ours { lease, record } => {
                    turn.ticket = None;
                    if self.lease.as_ref().is_none_or(|earlier| earlier.lost().is_cancelled()) {
                        // Another server may have kept more meanwhile.
                        self.kept = Known::default();
                    }
                    if let Some(earlier) = self.lease.replace(self.keep(lease, store)) {
                        earlier.end();
                    }
                    return Ok(Some(Claimed { record: *record?, is_new }));
                }
                Claim::Missing => {
                    self.create(turn.automatic, now).await?;
                    is_new = true;
                }
                Claim::Held(ahead) => {
                    // If the lease is ours, the calls before this one need it.
                    self.release().await;
                    if ahead.running && self.meet_busy(turn).await? == Busy::Joined {
                        return Ok(None);
                    }
                    if turn.ticket.is_none() {
                        turn.ticket = self.place().await?;
                    }
                    if told != Some(ahead) {
                        told = Some(ahead);
                        let Ahead { running, waiting } = ahead;
                        let ahead = waiting + usize::from(running);
                        turn.log(Update::Queued(QueuePosition { ahead, turn: None }));
                    }
                    if renewed.elapsed() > self.lease_time() / 3 {
                        renewed = Instant::now();
                        store.renew_places(&self.name, self.lease_time()).await?;
                    }
                    self.pause(turn, ahead).await?;
                    if turn.is_cancelled() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Pauses before the next claim, and handles messages meanwhile.
    async fn pause(&mut self, turn: &mut QueuedTurn, ahead: Ahead) -> Result<(), SessionError> {
        let over = Instant::now() + self.shared.config.poll() / 4;
        let cancelled = turn.live.cancelled.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(over) => return Ok(()),
                () = cancelled.cancelled() => return Ok(()),
                () = self.shared.closing.cancelled() => return Err(SessionError::ShuttingDown),
                Some(message) = self.mailbox.recv() => match message {
                    Message::Send(mut other) if ahead.running => {
                        match self.meet_busy(&mut other).await {
                            Ok(Busy::Wait) => self.queue_up(*other, None).await,
                            Ok(Busy::Joined) => {}
                            Err(error) => other.end(Err(error)),
                        }
                    }
                    Message::Send(other) => self.queue_up(*other, None).await,
                    Message::CheckInbox => return Ok(()),
                    Message::Worktree(_, reply) => {
                        answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
                    }
                    Message::Delete(_, reply) => {
                        answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
                    }
                    Message::Rename(_, reply) => {
                        answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
                    }
                    message => self.at_rest(message).await,
                },
            }
        }
    }

    /// Applies the call's [`OnBusy`] when another server runs a turn.
    async fn meet_busy(&mut self, turn: &mut QueuedTurn) -> Result<Busy, SessionError> {
        match turn.request.on_busy {
            OnBusy::Queue => Ok(Busy::Wait),
            OnBusy::Reject => Err(SessionError::Busy { name: self.name.clone() }),
            OnBusy::Steer => {
                // Steering is tried once; if it comes too late, the call queues.
                turn.request.on_busy = OnBusy::Queue;
                let prompt = turn.request.prompt.clone();
                match self.shared.steer_remote(&self.name, prompt).await? {
                    ControlOutcome::Done => {
                        let live = LiveTurn::new();
                        self.shared.observe(self.name.clone(), None, Arc::clone(&live), false);
                        turn.log(Update::Joined(JoinedTurn(live)));
                        Ok(Busy::Joined)
                    }
                    ControlOutcome::Refused(reason) => {
                        tracing::debug!(reason, "not steered; queued");
                        Ok(Busy::Wait)
                    }
                    // If the call queued, the model could get the prompt twice.
                    ControlOutcome::Unconfirmed(reason) => {
                        Err(SessionError::SteerUnconfirmed { reason })
                    }
                }
            }
        }
    }

    /// Ends the calls that wait and that nothing waits for any more, so that they take no place. `turn` is the number of the
    /// running turn, if it is known.
    pub(super) async fn drop_cancelled(&mut self, turn: Option<u32>) {
        let is_any = self.waiting.iter().any(|queued| queued.is_cancelled());
        if !is_any {
            return;
        }
        let (cancelled, waiting) =
            self.waiting.drain(..).partition::<VecDeque<_>, _>(|queued| queued.is_cancelled());
        self.waiting = waiting;
        for mut queued in cancelled {
            self.leave_queue(&mut queued).await;
            queued.end(Err(SessionError::Cancelled));
        }
        self.log_positions(turn);
    }

    /// Puts a call at the end of the queue. `turn` is the number of the running turn, if it is known.
    pub(super) async fn queue_up(&mut self, mut queued: QueuedTurn, turn: Option<u32>) {
        if queued.request.on_busy == OnBusy::Reject {
            return queued.end(Err(SessionError::Busy { name: self.name.clone() }));
        }
        self.drop_cancelled(turn).await;
        if self.waiting.len() >= QUEUE {
            let full = SessionError::QueueFull { name: self.name.clone(), waiting: QUEUE };
            return queued.end(Err(full));
        }
        match self.place().await {
            Ok(ticket) => queued.ticket = ticket,
            Err(error) => return queued.end(Err(error)),
        }
        self.waiting.push_back(Box::new(queued));
        self.log_positions(turn);
    }

    /// Tells every queued call its position.
    pub(super) fn log_positions(&self, turn: Option<u32>) {
        for (before, queued) in (0_u32..).zip(&self.waiting) {
            let turn = turn.map(|running| running + before + 1);
            queued.log(Update::Queued(QueuePosition { ahead: before as usize + 1, turn }));
        }
    }

    /// Takes a ticket behind all waiting calls of all servers.
    async fn place(&self) -> Result<Option<Ticket>, SessionError> {
        let store = self.shared.store(Timestamp::now()).await?;
        let place = store.enqueue(&self.name, QUEUE, self.lease_time()).await?;
        let full = || SessionError::QueueFull { name: self.name.clone(), waiting: QUEUE };
        let ticket = place.ok_or_else(full)?;
        if let Err(error) = self.shared.config.limits.budget().check_queued(&*store).await {
            if let Err(error) = store.dequeue(ticket).await {
                // Not fatal: the entry will run out.
                tracing::warn!(session = %self.name, %error, "cannot leave the queue");
            }
            return Err(error);
        }
        Ok(Some(ticket))
    }

    /// Gives up the queue entry of a call that does not wait any more.
    pub(super) async fn leave_queue(&self, turn: &mut QueuedTurn) {
        let (Some(ticket), Some(store)) = (turn.ticket.take(), self.shared.store.opened()) else {
            return;
        };
        if let Err(error) = store.dequeue(ticket).await {
            // Not fatal: the entry will run out.
            tracing::warn!(session = %self.name, %error, "cannot leave the queue");
        }
    }
}
