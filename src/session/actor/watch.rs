//! Following a turn while it runs: what happens is passed on, what is asked is answered, what is
//! wanted of it is done, and whoever has waited too long is heard.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    Message, Order, answer,
    life::{Actor, LEASE},
    questions::Questions,
    steering::{Speaker, Steering},
};
use crate::{
    codex::{Partial, Turn, TurnEvent, TurnOutcome},
    session::{
        OnBusy, Reply, SessionError, SessionRecord, Stop, TurnRecord,
        call::{Follower, Update},
        store::{Errand, ErrandId, ErrandOutcome, Turns},
    },
};

/// How often is looked at the clock, at who has gone away, and at what other servers want.
const TICK: Duration = Duration::from_millis(200);

/// How often what a turn has brought so far is written down, in case we are killed.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// A turn being followed.
struct Watch {
    turn: Turn,
    questions: Questions,
    steering: Steering,
    /// When the turn has taken too long.
    deadline: Option<Instant>,
    heard_last: Instant,
    last_errand: ErrandId,
    renewed: Instant,
    written: Instant,
    /// How much of the answer is written down.
    written_bytes: usize,
}

/// How a turn ended, and what we had to do with it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) outcome: TurnOutcome,
    /// Why we stopped it, if we did.
    pub(super) stop: Option<Stop>,
}

impl Actor {
    /// Follows a turn to its end.
    pub(super) async fn watch(
        &mut self,
        turn: Turn,
        order: &mut Order,
        record: &mut SessionRecord,
        entry: &mut TurnRecord,
    ) -> Watched {
        let now = Instant::now();
        let config = &self.shared.config;
        let mut watch = Watch {
            turn,
            questions: Questions::new(config.question_patience),
            steering: Steering::default(),
            deadline: order.request.timeout.or(config.turn_timeout).map(|limit| now + limit),
            heard_last: now,
            last_errand: ErrandId::default(),
            renewed: now,
            written: now,
            written_bytes: 0,
        };
        let mut tick = interval_at(now + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.shared.closing.clone();
        let (mut outcome, stop) = loop {
            let stop = tokio::select! {
                event = watch.turn.next() => match event {
                    Some(TurnEvent::Ended(outcome)) => break (*outcome, watch.questions.stop),
                    Some(event) => {
                        watch.happened(event, order);
                        None
                    }
                    None => break (watch.turn.interrupt().await, None),
                },
                said = watch.steering.next() => {
                    self.said(said, order, entry).await;
                    None
                }
                Some(message) = self.mailbox.recv() => {
                    self.heard(message, &mut watch, order, entry).await
                }
                _ = tick.tick() => self.tick(&mut watch, order, record, entry).await,
                () = closing.cancelled() => Some(Stop::Shutdown),
            };
            if let Some(stop) = stop {
                tracing::info!(session = %self.name, ?stop, "interrupting a turn");
                break (watch.turn.interrupt().await, Some(stop));
            }
        };
        entry.details.rate_limits = watch.turn.rate_limits();
        self.last_words(watch.steering, order, entry).await;
        outcome.warnings.append(&mut watch.questions.remarks);
        Watched { outcome, stop }
    }

    /// Takes a message that came while the turn runs. Says whether to stop it.
    async fn heard(
        &mut self,
        message: Message,
        watch: &mut Watch,
        order: &mut Order,
        entry: &mut TurnRecord,
    ) -> Option<Stop> {
        match message {
            Message::Send(other) if other.request.on_busy == OnBusy::Steer => {
                let prompt = other.request.prompt.clone();
                watch.steering.say(&watch.turn, Speaker::Call(other), prompt);
            }
            Message::Send(other) => self.queue_up(*other, Some(entry.number)).await,
            Message::Follow(follower, number) => {
                self.join(follower, number, order, entry);
                watch.questions.offer(order, &mut watch.turn);
            }
            Message::Look(call, reply) => {
                let is_ours = order.followers.iter().any(|follower| follower.belongs_to(&call));
                answer(
                    reply,
                    is_ours.then(|| {
                        let turn = so_far(entry, watch.turn.so_far());
                        Reply { session: self.name.clone(), turn }
                    }),
                );
            }
            Message::Steer(prompt, reply) => {
                watch.steering.say(&watch.turn, Speaker::Somebody(reply), prompt);
            }
            Message::Interrupt(reply) => {
                order.interrupters.push(reply);
                return Some(Stop::Interrupted);
            }
            Message::Answer { id, answer: given, remark, reply } => {
                let questions = &mut watch.questions;
                let open = questions.answer(&id, &given, remark, order, &mut watch.turn);
                answer(reply, open);
                // Codex itself ends the turn on most of them, but not on all.
                return questions.stop;
            }
            Message::Delete(reply) => {
                answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
            }
            Message::Left => return watch.see_who_left(order),
        }
        None
    }

    /// Lets somebody follow the turn they mean: this one, or one that waits for it.
    fn join(
        &mut self,
        follower: Follower,
        number: Option<u32>,
        order: &mut Order,
        entry: &TurnRecord,
    ) {
        let after = number.unwrap_or(entry.number).checked_sub(entry.number);
        let queued = after.and_then(|after| (after as usize).checked_sub(1));
        match (after, queued.and_then(|place| self.waiting.get_mut(place))) {
            (Some(0), _) => order.join(follower, entry.number),
            (_, Some(waiting)) => waiting.followers.push(follower),
            (_, None) => self.shared.observe(self.name.clone(), number, follower),
        }
    }

    async fn tick(
        &mut self,
        watch: &mut Watch,
        order: &mut Order,
        record: &mut SessionRecord,
        entry: &mut TurnRecord,
    ) -> Option<Stop> {
        if let Some(stop) = watch.see_who_left(order).or_else(|| watch.too_long(self)) {
            return Some(stop);
        }
        watch.questions.offer(order, &mut watch.turn);
        if watch.renewed.elapsed() > LEASE / 3 {
            watch.renewed = Instant::now();
            self.renew().await;
        }
        if watch.written.elapsed() > CHECKPOINT {
            self.checkpoint(watch, record, entry).await;
        }
        self.run_errands(watch).await
    }

    /// Writes down what there is so far, if it is notably more than before.
    async fn checkpoint(&self, watch: &mut Watch, record: &mut SessionRecord, entry: &TurnRecord) {
        watch.written = Instant::now();
        let turn = so_far(entry, watch.turn.so_far());
        let bytes = turn.response.len();
        if bytes <= watch.written_bytes + watch.written_bytes / 10 {
            return;
        }
        watch.written_bytes = bytes;
        if let Err(error) = self.commit(record, Turns::Put(&turn)).await {
            tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "cannot write a running turn down");
        }
    }

    /// Does what other servers want of the turn.
    async fn run_errands(&self, watch: &mut Watch) -> Option<Stop> {
        let store = self.shared.store.opened()?;
        let inbox = match store.inbox(&self.name, watch.last_errand, Timestamp::now()).await {
            Ok(inbox) => inbox,
            Err(error) => {
                tracing::debug!(session = %self.name, %error, "cannot read the inbox");
                return None;
            }
        };
        for (id, errand) in inbox.errands {
            watch.last_errand = id;
            match errand {
                Errand::Interrupt => {
                    self.report(id, ErrandOutcome::Done).await;
                    return Some(Stop::Interrupted);
                }
                Errand::Steer(prompt) => {
                    watch.steering.say(&watch.turn, Speaker::Server(id), prompt);
                }
            }
        }
        None
    }
}

impl Watch {
    fn happened(&mut self, event: TurnEvent, order: &Order) {
        // A connection that is tried again and again is as good as silence.
        if !matches!(event, TurnEvent::Retrying(_)) {
            self.heard_last = Instant::now();
        }
        match event {
            TurnEvent::Asked(question) => self.questions.ask(question, order, &mut self.turn),
            TurnEvent::Settled(id) => self.questions.settle(&id, order),
            event => order.tell(&Update::Event(event)),
        }
    }

    fn see_who_left(&mut self, order: &mut Order) -> Option<Stop> {
        let cancelled = order.is_cancelled();
        order.followers.retain(|follower| !follower.is_gone());
        if cancelled {
            return Some(Stop::Cancelled);
        }
        self.questions.offer(order, &mut self.turn);
        None
    }

    fn too_long(&self, actor: &Actor) -> Option<Stop> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Some(Stop::Timeout);
        }
        // Codex says nothing while it waits for an answer itself.
        let is_silent = self.heard_last.elapsed() >= actor.shared.config.turn_silence;
        (is_silent && self.questions.is_empty()).then_some(Stop::Silence)
    }
}

/// The record of a turn with what there is of it so far.
fn so_far(entry: &TurnRecord, partial: Partial) -> TurnRecord {
    let mut turn = entry.clone();
    turn.response = partial.response;
    turn.details.usage = partial.usage;
    turn.details.commands = partial.commands;
    turn.details.files_changed = partial.files;
    turn
}
