//! Who waits for the session: our own calls in the order they came, other servers' by their tickets.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Message, Order, answer,
    life::{Actor, LEASE},
};
use crate::session::{
    OnBusy, Place, SessionError, SessionRecord,
    call::Update,
    record::after,
    sessions::QUEUE,
    store::{Ahead, Claim, ErrandOutcome, Ticket},
};

/// How often a held session is asked for again.
const HELD_PAUSE: Duration = Duration::from_millis(50);

/// What becomes of a call that finds the session busy.
#[derive(Debug, PartialEq)]
enum Busy {
    Wait,
    Joined,
}

impl Actor {
    /// Takes the session's lease, waiting for whoever has it or comes first; makes the session if there
    /// is none. Says whether the session was made for this call.
    ///
    /// None if there is nothing to do any more: the call was taken back, or has joined a turn that
    /// another server runs.
    pub(super) async fn claim(
        &mut self,
        order: &mut Order,
    ) -> Result<Option<(SessionRecord, bool)>, SessionError> {
        let mut is_new = false;
        let mut told = None;
        let mut renewed = Instant::now();
        loop {
            let now = Timestamp::now();
            let store = self.shared.store(now).await?;
            match store.claim(&self.name, order.ticket, after(now, LEASE), now).await? {
                Claim::Ours(record) => {
                    order.ticket = None;
                    self.leased = true;
                    return Ok(Some((*record, is_new)));
                }
                Claim::Missing => {
                    self.create(order.automatic, now).await?;
                    is_new = true;
                }
                Claim::Held(ahead) => {
                    // Whoever comes first can only begin once we let go.
                    self.let_go().await;
                    if ahead.running && self.meet_busy(order).await? == Busy::Joined {
                        return Ok(None);
                    }
                    if order.ticket.is_none() {
                        order.ticket = self.place().await?;
                    }
                    if told != Some(ahead) {
                        told = Some(ahead);
                        let Ahead { running, waiting } = ahead;
                        let ahead = waiting + usize::from(running);
                        order.tell(&Update::Queued(Place { ahead, turn: None }));
                    }
                    if renewed.elapsed() > LEASE / 3 {
                        renewed = Instant::now();
                        self.renew().await;
                    }
                    self.pause(order, ahead).await?;
                    if order.is_cancelled() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Waits a moment, and hears what is said meanwhile.
    async fn pause(&mut self, order: &mut Order, ahead: Ahead) -> Result<(), SessionError> {
        let over = Instant::now() + HELD_PAUSE;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(over) => break,
                () = self.shared.closing.cancelled() => return Err(SessionError::ShuttingDown),
                Some(message) = self.mailbox.recv() => match message {
                    Message::Send(mut other) if ahead.running => {
                        match self.meet_busy(&mut other).await {
                            Ok(Busy::Wait) => self.queue_up(*other, None).await,
                            Ok(Busy::Joined) => {}
                            Err(error) => other.finish(Err(error)),
                        }
                    }
                    Message::Send(other) => self.queue_up(*other, None).await,
                    Message::Follow(follower, None) => order.followers.push(follower),
                    Message::Delete(reply) => {
                        answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
                    }
                    message => self.at_rest(message).await,
                },
            }
            if order.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    /// Does what the call wants done when another server runs a turn.
    async fn meet_busy(&mut self, order: &mut Order) -> Result<Busy, SessionError> {
        match order.request.on_busy {
            OnBusy::Queue => Ok(Busy::Wait),
            OnBusy::Reject => Err(SessionError::Busy { name: self.name.clone() }),
            OnBusy::Steer => {
                // Tried once: when it comes too late the call waits like any other.
                order.request.on_busy = OnBusy::Queue;
                let prompt = order.request.prompt.clone();
                match self.shared.steer_elsewhere(&self.name, prompt).await? {
                    ErrandOutcome::Done => {
                        for follower in order.followers.drain(..) {
                            self.shared.observe(self.name.clone(), None, follower);
                        }
                        Ok(Busy::Joined)
                    }
                    ErrandOutcome::Refused(reason) => {
                        tracing::debug!(reason, "not steered; queued");
                        Ok(Busy::Wait)
                    }
                }
            }
        }
    }

    /// Lets a call wait for its turn, at the end of the queue; `turn` is the number of the running one.
    pub(super) async fn queue_up(&mut self, mut order: Order, turn: Option<u32>) {
        let full = || SessionError::QueueFull { name: self.name.clone(), waiting: QUEUE };
        if order.request.on_busy == OnBusy::Reject {
            return order.finish(Err(SessionError::Busy { name: self.name.clone() }));
        }
        if self.waiting.len() >= QUEUE {
            return order.finish(Err(full()));
        }
        match self.place().await {
            Ok(ticket) => order.ticket = ticket,
            Err(error) => return order.finish(Err(error)),
        }
        self.waiting.push_back(Box::new(order));
        self.tell_places(turn);
    }

    /// Tells everybody in the queue where they are.
    pub(super) fn tell_places(&self, turn: Option<u32>) {
        for (before, order) in (0_u32..).zip(&self.waiting) {
            let turn = turn.map(|running| running + before + 1);
            order.tell(&Update::Queued(Place { ahead: before as usize + 1, turn }));
        }
    }

    /// A place behind everybody who waits, wherever.
    async fn place(&self) -> Result<Option<Ticket>, SessionError> {
        let now = Timestamp::now();
        let store = self.shared.store(now).await?;
        let place = store.enqueue(&self.name, QUEUE, after(now, LEASE), now).await?;
        let full = || SessionError::QueueFull { name: self.name.clone(), waiting: QUEUE };
        place.ok_or_else(full).map(Some)
    }

    /// Gives up the place of a call that does not wait any more.
    pub(super) async fn leave_queue(&self, order: &mut Order) {
        let (Some(ticket), Some(store)) = (order.ticket.take(), self.shared.store.opened()) else {
            return;
        };
        if let Err(error) = store.dequeue(ticket).await {
            // It runs out by itself.
            tracing::warn!(session = %self.name, %error, "cannot give up a place");
        }
    }

    /// Answers what only makes sense while a turn of ours runs.
    pub(super) async fn at_rest(&mut self, message: Message) {
        match message {
            Message::Send(order) => self.waiting.push_back(order),
            Message::Follow(follower, turn) => {
                self.shared.observe(self.name.clone(), turn, follower);
            }
            Message::Look(_, reply) | Message::Interrupt(reply) => answer(reply, None),
            Message::Steer(_, reply) => {
                answer(reply, Err(SessionError::Idle { name: self.name.clone() }));
            }
            Message::Answer { reply, .. } => answer(reply, false),
            Message::Delete(reply) => {
                let deleted = self.delete().await;
                answer(reply, deleted);
            }
            Message::Left => {}
        }
    }
}
