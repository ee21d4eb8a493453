//! Waiting for the session: a turn that has to is written with its number first, and begins when it is the oldest.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    actor::Actor,
    live::{JoinedTurn, LiveTurn, TurnKey, Update},
    message::Message,
    queued::{QueuedTurn, answer},
};
use crate::{
    codex::{FailureKind, TurnFailure},
    session::{
        Change, OnBusy, SessionError, SessionRecord, Stop,
        rollouts::Known,
        shared::QUEUE,
        store::{Ahead, Claim, ControlOutcome},
    },
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
    /// The number of the turn that is to begin.
    pub(super) number: u32,
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
            match store.claim(&self.name, turn.number, self.lease_time(), now).await? {
                Claim::Ours { lease, record, turn: number } => {
                    if self.lease.as_ref().is_none_or(|earlier| earlier.lost().is_cancelled()) {
                        // Another server may have kept more meanwhile.
                        self.kept = Known::default();
                    }
                    if let Some(earlier) = self.lease.replace(self.keep(lease, store)) {
                        earlier.end();
                    }
                    if self.adopts_before(number).await {
                        // They come first, and are here now.
                        if turn.number.is_none() {
                            self.write_down(turn).await?;
                        }
                        turn.gives_way = true;
                        return Ok(None);
                    }
                    return Ok(Some(Claimed { record: *record?, is_new, number }));
                }
                // It was deleted, and what waited for it with it.
                Claim::Missing if turn.number.is_some() => {
                    return Err(SessionError::Unknown { name: self.name.clone() });
                }
                Claim::Missing => {
                    self.create(turn.automatic, now).await?;
                    is_new = true;
                }
                Claim::Held(_) if self.goes_on_by_itself().await => {
                    turn.gives_way = true;
                    return Ok(None);
                }
                Claim::Held(ahead) => {
                    // If the lease is ours, the calls before this one need it.
                    self.release().await;
                    if ahead.running && self.meet_busy(turn).await? == Busy::Joined {
                        return Ok(None);
                    }
                    if turn.number.is_none() {
                        self.write_down(turn).await?;
                    }
                    if told != Some(ahead) {
                        told = Some(ahead);
                        let Ahead { running, waiting } = ahead;
                        turn.log_position(waiting + usize::from(running));
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
    pub(super) async fn pause(
        &mut self,
        turn: &mut QueuedTurn,
        ahead: Ahead,
    ) -> Result<(), SessionError> {
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
                            Ok(Busy::Wait) => self.queue_up(*other).await,
                            Ok(Busy::Joined) => {}
                            Err(error) => other.end(Err(error)),
                        }
                    }
                    Message::Send(other) => self.queue_up(*other).await,
                    Message::CheckInbox => return Ok(()),
                    Message::Inspect(id, reply) => {
                        self.keep_promise(id, Some(turn)).await;
                        answer(reply, None);
                    }
                    Message::CancelTask(number, reply) => {
                        if turn.number == Some(number) {
                            turn.task_cancelled = true;
                            turn.live.cancelled.cancel();
                        } else {
                            self.cancel_waiting(number).await;
                        }
                        answer(reply, None);
                    }
                    Message::Lend(reply) => {
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

    /// Ends the calls that wait and that nothing waits for any more, so that they take no place.
    pub(super) async fn drop_cancelled(&mut self) {
        let is_any = self.waiting.iter().any(|queued| queued.is_cancelled());
        if !is_any {
            return;
        }
        let (cancelled, waiting) =
            self.waiting.drain(..).partition::<VecDeque<_>, _>(|queued| queued.is_cancelled());
        self.waiting = waiting;
        for queued in cancelled {
            self.call_off(&queued, Stop::Cancelled, None).await;
            queued.end(Err(SessionError::Cancelled));
        }
        self.log_positions();
    }

    /// Puts a call at the end of the queue.
    pub(super) async fn queue_up(&mut self, mut queued: QueuedTurn) {
        if queued.number.is_none() {
            if queued.request.on_busy == OnBusy::Reject {
                return queued.end(Err(SessionError::Busy { name: self.name.clone() }));
            }
            self.drop_cancelled().await;
            self.write_down_all().await;
            if self.waiting.len() >= QUEUE {
                let full = SessionError::QueueFull { name: self.name.clone(), waiting: QUEUE };
                return queued.end(Err(full));
            }
            if let Err(error) = self.write_down(&mut queued).await {
                return queued.end(Err(error));
            }
        }
        self.wait_in_line(Box::new(queued));
        self.log_positions();
    }

    /// Lets a turn wait here, those with smaller numbers before it.
    pub(super) fn wait_in_line(&mut self, queued: Box<QueuedTurn>) {
        let number = queued.number.unwrap_or(u32::MAX);
        let place = self.waiting.partition_point(|it| it.number.unwrap_or(u32::MAX) <= number);
        self.waiting.insert(place, queued);
    }

    /// Tells every queued call its position.
    pub(super) fn log_positions(&self) {
        for (ahead, queued) in (1..).zip(&self.waiting) {
            queued.log_position(ahead);
        }
    }

    /// Writes a turn down that has to wait, with its number and, if it goes on by itself, all that was asked for.
    pub(super) async fn write_down(&self, queued: &mut QueuedTurn) -> Result<(), SessionError> {
        let store = self.shared.store(Timestamp::now()).await?;
        let budget = self.shared.config.limits.budget();
        budget.check_queued(&*store, false).await?;
        let turn = queued.entry(&self.name);
        let promise = queued.live.is_detached().then(|| queued.promise(&self.shared.config.runner));
        let time = self.lease_time();
        let number = store.enqueue(&self.name, &turn, promise.as_ref(), QUEUE, time).await?;
        let full = || SessionError::QueueFull { name: self.name.clone(), waiting: QUEUE };
        let number = number.ok_or_else(full)?;
        queued.number = Some(number);
        // Another server may have done the same at this moment.
        if let Err(error) = budget.check_queued(&*store, true).await {
            self.call_off(queued, Stop::Cancelled, Some(error.to_string())).await;
            return Err(error);
        }
        queued.live.set_number(number);
        self.shared.changed(Change::Session(self.name.clone()));
        Ok(())
    }

    /// Writes all turns down that wait here and are not, in their order.
    pub(super) async fn write_down_all(&mut self) {
        for mut queued in std::mem::take(&mut self.waiting) {
            let written = match queued.number {
                Some(_) => Ok(()),
                None if queued.request.on_busy == OnBusy::Reject => {
                    Err(SessionError::Busy { name: self.name.clone() })
                }
                None => self.write_down(&mut queued).await,
            };
            match written {
                Ok(()) => self.wait_in_line(queued),
                Err(error) => queued.end(Err(error)),
            }
        }
        self.log_positions();
    }

    /// If the turn of this key waits and goes on by itself, it is written down with all that was asked for, so that it runs
    /// whatever becomes of this server. `other` waits as well.
    pub(super) async fn keep_promise(&mut self, id: TurnKey, other: Option<&QueuedTurn>) {
        if self.waiting.iter().any(|it| it.live.id() == id && it.number.is_none()) {
            self.write_down_all().await;
        }
        let waiting = self.waiting.iter().map(|queued| &**queued).chain(other);
        let queued = waiting.into_iter().find(|queued| queued.live.id() == id);
        let Some((queued, number)) = queued.and_then(|it| Some((it, it.number?))) else { return };
        if !queued.live.is_detached() {
            return;
        }
        let Some(store) = self.shared.store.opened() else { return };
        let promise = queued.promise(&self.shared.config.runner);
        let details = queued.entry(&self.name).details;
        if let Err(error) = store.promise(&self.name, number, &promise, &details).await {
            tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "a queued turn is not kept for other servers");
        }
    }

    /// Cancels a turn that is written down as waiting, and says why. No effect on any other.
    pub(super) async fn call_off(&self, queued: &QueuedTurn, stop: Stop, reason: Option<String>) {
        let (Some(number), Some(store)) = (queued.number, self.shared.store.opened()) else {
            return;
        };
        let mut details = queued.entry(&self.name).details;
        details.stopped = Some(stop);
        details.not_before = None;
        details.task_cancelled = queued.task_cancelled;
        details.failure = reason.map(|message| TurnFailure { kind: FailureKind::Other, message });
        if let Err(error) = store.call_off(&self.name, number, &details).await {
            // Not fatal: it runs out.
            tracing::warn!(session = %self.name, %error, "cannot call a queued turn off");
        }
        self.shared.changed(Change::Session(self.name.clone()));
    }

    /// Cancels the task that a waiting turn is, if one of this number waits here.
    pub(super) async fn cancel_waiting(&mut self, number: u32) {
        let place = self.waiting.iter().position(|queued| queued.number == Some(number));
        let Some(mut queued) = place.and_then(|place| self.waiting.remove(place)) else { return };
        queued.task_cancelled = true;
        self.call_off(&queued, Stop::Cancelled, None).await;
        queued.end(Err(SessionError::Cancelled));
        self.log_positions();
    }

    /// Whether turns of this session that were promised by servers that are gone come before one. They are in the mailbox
    /// then.
    pub(super) async fn adopts_before(&self, number: u32) -> bool {
        self.shared.try_to_adopt().await;
        let turns = self.shared.turns(&self.name);
        let mut turns = turns.into_iter().flat_map(|(turns, _)| turns);
        turns.any(|turn| turn.number().is_some_and(|other| other < number))
    }

    /// Leaves all queued turns of ours to other servers.
    pub(super) async fn give_up(&self) {
        let Some(store) = self.shared.store.opened() else { return };
        if let Err(error) = store.renew_places(&self.name, Duration::ZERO).await {
            // They run out by themselves.
            tracing::warn!(session = %self.name, %error, "queued turns are not given up");
        }
    }
}
