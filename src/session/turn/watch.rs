//! Following a turn while it runs: what happens is logged, approvals are answered, what others want of it is done, and
//! it is stopped when it takes too long or nobody wants it any more.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    actor::Actor,
    approvals::Approvals,
    message::Message,
    queued::{QueuedTurn, answer},
    recorder::Recorder,
    steering::{SteerSource, Steering},
};
use crate::{
    codex::{Interrupted, Turn, TurnEvent, TurnItem, TurnOutcome},
    session::{
        OnBusy, Reply, SessionError, Stop,
        store::{ControlMessage, ControlOutcome, Inbox, MessageId},
        text::characters,
    },
};

/// How often what a turn has brought so far is written down, in case we are killed.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// A turn being followed.
struct Watch<'a> {
    turn: Turn,
    recorder: &'a mut Recorder,
    approvals: Approvals,
    steering: Steering,
    /// When the turn has taken too long.
    deadline: Option<Instant>,
    /// When there was the last sign of life.
    alive: Instant,
    read_through: MessageId,
    written: Instant,
}

/// How a turn ended, and what we had to do with it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) outcome: TurnOutcome,
    /// Why we stopped it, if we did.
    pub(super) stop: Option<Stop>,
    /// Whether Codex itself has said that it ended. If not, its thread may still be busy.
    pub(super) confirmed: bool,
}

impl Actor {
    /// Follows a turn to its end.
    pub(super) async fn watch(
        &mut self,
        turn: Turn,
        queued: &mut QueuedTurn,
        recorder: &mut Recorder,
    ) -> Watched {
        let now = Instant::now();
        let config = &self.shared.config;
        let mut watch = Watch {
            turn,
            approvals: Approvals::new(config.turn.question.0, recorder.entry.number),
            recorder,
            steering: Steering::default(),
            deadline: queued
                .request
                .timeout
                .or(config.turn.timeout.map(|span| span.0))
                .map(|limit| now + limit),
            alive: now,
            read_through: MessageId::default(),
            written: now,
        };
        // For the clock, the approvals and the inbox.
        let mut tick = interval_at(now + config.poll(), config.poll());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.shared.closing.clone();
        let cancelled = queued.live.cancelled.clone();
        let lost = self.lease.as_ref().map(|guard| guard.lost().clone()).unwrap_or_default();
        let (interrupted, stop) = loop {
            let stop = tokio::select! {
                event = watch.turn.next() => match event {
                    Some(TurnEvent::Ended(outcome)) => {
                        let ended = Interrupted { outcome, confirmed: true };
                        break (ended, watch.approvals.stop);
                    }
                    Some(event) => {
                        // A store that is away keeps nobody from stopping in time.
                        lost.run_until_cancelled(self.happened(event, &mut watch, queued)).await;
                        None
                    }
                    None => break (watch.turn.interrupt(|event| queued.live.log.happened(event)).await, None),
                },
                steered = watch.steering.next() => {
                    lost.run_until_cancelled(self.steered(steered, watch.recorder, queued)).await;
                    None
                }
                Some(message) = self.mailbox.recv() => {
                    self.received(message, &mut watch, queued).await
                }
                _ = tick.tick() => {
                    lost.run_until_cancelled(self.tick(&mut watch, queued)).await.flatten()
                }
                () = cancelled.cancelled() => Some(Stop::Cancelled),
                () = lost.cancelled() => Some(Stop::LeaseLost),
                () = closing.cancelled() => Some(Stop::Shutdown),
            };
            if let Some(stop) = stop {
                tracing::info!(session = %self.name, ?stop, "interrupting a turn");
                break (
                    watch.turn.interrupt(|event| queued.live.log.happened(event)).await,
                    Some(stop),
                );
            }
        };
        let Interrupted { outcome, confirmed } = interrupted;
        let Watch { turn, recorder, mut approvals, steering, .. } = watch;
        recorder.entry.details.rate_limits = turn.rate_limits();
        if let Some(news) = turn.rate_limits() {
            self.shared.quota.heard(news);
        }
        // Dropped, the turn declines what is still open.
        drop(turn);
        self.withdraw_all(&mut approvals, queued).await;
        self.drain_steering(steering, recorder, queued).await;
        recorder.entry.details.warnings.append(&mut approvals.remarks);
        Watched { outcome, stop, confirmed }
    }

    async fn happened(&self, event: TurnEvent, watch: &mut Watch<'_>, queued: &QueuedTurn) {
        // A connection that is tried again and again is as good as silence.
        if !matches!(event, TurnEvent::Item(_, TurnItem::Retry { .. })) {
            watch.alive = Instant::now();
        }
        match event {
            TurnEvent::ApprovalAsked(approval) => {
                self.ask(approval, &mut watch.approvals, queued, &mut watch.turn).await;
            }
            TurnEvent::ApprovalSettled(id) => {
                self.withdraw(&id, &mut watch.approvals, queued).await;
            }
            event => queued.live.log.happened(event),
        }
    }

    /// Takes a message that came while the turn runs. Says whether to stop it.
    async fn received(
        &mut self,
        message: Message,
        watch: &mut Watch<'_>,
        queued: &mut QueuedTurn,
    ) -> Option<Stop> {
        match message {
            Message::Send(other) if other.request.on_busy == OnBusy::Steer => {
                let prompt = other.request.prompt.clone();
                let live = std::sync::Arc::clone(&queued.live);
                self.say(watch, SteerSource::Call(other, live), prompt).await;
            }
            Message::Send(other) => self.queue_up(*other).await,
            Message::Inspect(id, reply) => {
                let is_it = queued.live.id() == id;
                if !is_it {
                    self.keep_promise(id, None).await;
                }
                let so_far = || Reply { session: self.name.clone(), turn: watch.recorder.so_far() };
                answer(reply, is_it.then(so_far));
            }
            Message::Steer(prompt, reply) => {
                self.say(watch, SteerSource::Tool(reply), prompt).await;
            }
            Message::Interrupt(reply) => {
                queued.interrupters.push(reply);
                return Some(Stop::Interrupted);
            }
            Message::CancelTask(number, reply) => {
                if number != watch.recorder.entry.number {
                    self.cancel_waiting(number).await;
                    answer(reply, None);
                    return None;
                }
                watch.recorder.entry.details.task_cancelled = true;
                queued.interrupters.push(reply);
                return Some(Stop::Interrupted);
            }
            Message::CheckInbox => {
                let lost =
                    self.lease.as_ref().map(|guard| guard.lost().clone()).unwrap_or_default();
                let checked = lost.run_until_cancelled(self.check_inbox(watch, queued)).await;
                return checked.flatten();
            }
            Message::Lend(reply) => {
                answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
            }
        }
        None
    }

    /// Steers the turn with a prompt, unless it has been given as much text as it may: the one way in which a running turn
    /// is told anything.
    async fn say(&self, watch: &mut Watch<'_>, source: SteerSource, prompt: String) {
        let before = characters(&watch.recorder.so_far().told());
        let before = before + watch.steering.unconfirmed_characters();
        match self.shared.config.limits.check_more_text(before, &prompt) {
            Ok(()) => watch.steering.say(&watch.turn, source, prompt),
            Err(error) => self.refuse(source, error).await,
        }
    }

    async fn tick(&mut self, watch: &mut Watch<'_>, queued: &QueuedTurn) -> Option<Stop> {
        self.drop_cancelled().await;
        if let Some(stop) = watch.takes_too_long(self.shared.config.turn.silence.0) {
            return Some(stop);
        }
        if let Some(stop) = self.check_inbox(watch, queued).await {
            return Some(stop);
        }
        self.decline_overdue(&mut watch.approvals, queued, &mut watch.turn).await;
        if watch.written.elapsed() > CHECKPOINT {
            watch.written = Instant::now();
            if let Err(error) = watch.recorder.checkpoint().await {
                tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "cannot write a running turn down");
            }
        }
        None
    }

    /// Does what other servers want of the turn, and passes on the answers given there. Says whether to stop it.
    async fn check_inbox(&self, watch: &mut Watch<'_>, queued: &QueuedTurn) -> Option<Stop> {
        let guard = self.lease.as_ref()?;
        let inbox = match guard.store().inbox(guard.lease(), watch.read_through).await {
            Ok(inbox) => inbox,
            Err(error) => {
                tracing::debug!(session = %self.name, %error, "cannot read the inbox");
                return None;
            }
        };
        let Inbox { held, messages, answers, .. } = inbox;
        if !held {
            return Some(Stop::LeaseLost);
        }
        for (id, given) in answers {
            self.deliver(&id, given, &mut watch.approvals, queued, &mut watch.turn).await;
        }
        let number = watch.recorder.entry.number;
        for (id, message) in messages {
            watch.read_through = id;
            // Withdrawn by its sender, who has given up.
            if !guard.store().take(id).await.unwrap_or(false) {
                continue;
            }
            match message {
                ControlMessage::Release => {}
                ControlMessage::Interrupt(turn) if turn == number => {
                    self.report(id, ControlOutcome::Done).await;
                    return Some(Stop::Interrupted);
                }
                ControlMessage::Steer { turn, prompt } if turn == number => {
                    self.say(watch, SteerSource::Remote(id), prompt).await;
                }
                ControlMessage::Interrupt(turn) | ControlMessage::Steer { turn, .. } => {
                    let reason = format!("turn {turn} is over");
                    self.report(id, ControlOutcome::Refused(reason)).await;
                }
            }
        }
        watch.approvals.stop
    }
}

impl Watch<'_> {
    fn takes_too_long(&self, silence: Duration) -> Option<Stop> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Some(Stop::Timeout);
        }
        // Codex says nothing while it waits for an answer itself, or for a command.
        let is_busy = !self.approvals.is_empty() || self.turn.is_running_command();
        (!is_busy && self.alive.elapsed() >= silence).then_some(Stop::Silence)
    }
}
