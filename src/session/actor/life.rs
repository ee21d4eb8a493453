//! The actor's loop: serve, rest, let go, leave.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, interval_at},
};
use tracing::Instrument;

use super::{Message, Order, open::Loaded};
use crate::session::{
    SessionError, SessionName,
    record::after,
    sessions::{QUEUE, Shared},
    store::{Claim, StoreError},
};

/// How often a resting actor looks whether another server wants the session.
const WANTED_TICK: Duration = Duration::from_millis(200);

/// How long another server at rest may take to notice that its session is wanted.
const LET_GO_PATIENCE: Duration = Duration::from_secs(1);

/// How long a lease lasts without being renewed. Only matters if the owner hangs: a dead owner is
/// noticed at once.
pub(super) const LEASE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Actor {
    pub(super) name: SessionName,
    pub(super) shared: Arc<Shared>,
    pub(super) mailbox: mpsc::Receiver<Message>,
    pub(super) loaded: Option<Loaded>,
    waiting: VecDeque<Box<Order>>,
    /// Whether we may hold the lease.
    pub(super) leased: bool,
}

impl Actor {
    pub(super) fn new(
        name: SessionName,
        shared: Arc<Shared>,
        mailbox: mpsc::Receiver<Message>,
    ) -> Self {
        Self { name, shared, mailbox, loaded: None, waiting: VecDeque::new(), leased: false }
    }

    pub(super) async fn live(mut self) {
        loop {
            let message = match self.waiting.pop_front() {
                Some(order) => Some(Message::Send(order)),
                None => self.rest().await,
            };
            match message {
                Some(Message::Send(order)) => self.serve(*order).await,
                Some(Message::Delete(reply)) => {
                    let deleted = self.delete().await;
                    // Whoever asked may be gone.
                    let _ = reply.send(deleted);
                }
                None => {
                    self.let_go().await;
                    if self.leave() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes a message that came while a turn runs.
    pub(super) fn queue(&mut self, message: Message) {
        match message {
            Message::Send(order) if self.waiting.len() < QUEUE => self.waiting.push_back(order),
            Message::Send(order) => {
                let full = SessionError::QueueFull { name: self.name.clone(), waiting: QUEUE };
                answer(order.reply, Err(full));
            }
            Message::Delete(reply) => {
                answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
            }
        }
    }

    async fn serve(&mut self, mut order: Order) {
        if order.reply.is_closed() {
            return;
        }
        let outcome = if self.shared.closing.is_cancelled() {
            Err(SessionError::ShuttingDown)
        } else {
            let fields = tracing::field::Empty;
            let span = tracing::info_span!("turn", session = %self.name, thread_id = fields, turn_id = fields);
            self.turn(&mut order).instrument(span).await
        };
        if let Err(error) = &outcome {
            tracing::info!(session = %self.name, error = error as &dyn std::error::Error, "no turn");
        }
        answer(order.reply, outcome);
    }

    /// Waits for the next message. None if it is time to let go.
    async fn rest(&mut self) -> Option<Message> {
        if self.loaded.is_none() {
            return self.mailbox.try_recv().ok();
        }
        let deadline = Instant::now() + self.shared.config.release_after;
        let mut tick = interval_at(Instant::now() + WANTED_TICK / 4, WANTED_TICK);
        let mut renew = interval_at(Instant::now() + LEASE / 3, LEASE / 3);
        loop {
            tokio::select! {
                biased;
                message = self.mailbox.recv() => return message,
                () = self.shared.closing.cancelled() => return None,
                () = tokio::time::sleep_until(deadline) => return None,
                _ = renew.tick() => self.renew().await,
                _ = tick.tick() => {
                    if self.is_wanted().await {
                        return None;
                    }
                }
            }
        }
    }

    /// Keeps the lease.
    pub(super) async fn renew(&self) {
        let Some(store) = self.shared.store.opened() else { return };
        if let Err(error) = store.renew(&self.name, after(Timestamp::now(), LEASE)).await {
            tracing::warn!(session = %self.name, %error, "cannot renew a lease");
        }
    }

    async fn is_wanted(&self) -> bool {
        let Some(store) = self.shared.store.opened() else { return false };
        store.is_wanted(&self.name).await.unwrap_or(false)
    }

    /// Makes the session free for everybody else.
    async fn let_go(&mut self) {
        self.unload().await;
        if !std::mem::take(&mut self.leased) {
            return;
        }
        let Some(store) = self.shared.store.opened() else { return };
        if let Err(error) = store.release(&self.name).await {
            // It runs out by itself.
            tracing::warn!(session = %self.name, %error, "cannot give a lease back");
        }
    }

    /// Leaves unless somebody wrote in this moment.
    fn leave(&mut self) -> bool {
        // Under the lock nobody can find the mailbox and write to it.
        let mut live = self.shared.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !self.mailbox.is_empty() && !self.shared.closing.is_cancelled() {
            return false;
        }
        self.mailbox.close();
        live.remove(&self.name);
        true
    }

    async fn delete(&mut self) -> Result<(), SessionError> {
        let started = Instant::now();
        loop {
            let now = Timestamp::now();
            let store = self.shared.store(now).await?;
            match store.claim(&self.name, after(now, LEASE), now).await {
                // Another server at rest lets go when it sees that the session is wanted.
                Ok(Claim::Held) if started.elapsed() < LET_GO_PATIENCE => {
                    tokio::time::sleep(WANTED_TICK).await;
                }
                Ok(Claim::Held) => return Err(SessionError::Busy { name: self.name.clone() }),
                Ok(Claim::Missing) => {
                    return Err(SessionError::Unknown { name: self.name.clone() });
                }
                Ok(Claim::Ours(_)) => break self.leased = true,
                // What cannot be read can still be deleted.
                Err(StoreError::Damaged { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.let_go().await;
        let store = self.shared.store(Timestamp::now()).await?;
        store.delete(&self.name).await?;
        tracing::info!(session = %self.name, "session deleted");
        Ok(())
    }
}

/// Answers; whoever asked may be gone.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}
