//! The actor's loop: serve, rest, let go, leave.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, interval_at},
};
use tracing::Instrument;

use super::{Message, Order, open::Loaded};
use crate::session::{
    Change, Reply, SessionError, SessionName,
    record::after,
    sessions::Shared,
    store::{Claim, ErrandId, StoreError},
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
    pub(super) waiting: VecDeque<Box<Order>>,
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
            if let Some(order) = self.waiting.pop_front() {
                self.tell_places(None);
                self.serve(*order).await;
                continue;
            }
            if let Some(message) = self.rest().await {
                self.at_rest(message).await;
                continue;
            }
            self.let_go().await;
            if self.leave() {
                return;
            }
        }
    }

    async fn serve(&mut self, mut order: Order) {
        let outcome: Result<Option<Reply>, SessionError> = if order.is_cancelled() {
            Ok(None)
        } else if self.shared.closing.is_cancelled() {
            Err(SessionError::ShuttingDown)
        } else {
            let fields = tracing::field::Empty;
            let span = tracing::info_span!("turn", session = %self.name, thread_id = fields, turn_id = fields);
            self.turn(&mut order).instrument(span).await
        };
        self.leave_queue(&mut order).await;
        match outcome {
            Ok(Some(reply)) => {
                // Whoever has the answer finds nothing of it any more.
                let forget = reply.turn.details.ephemeral && !order.is_kept();
                if forget && let Err(error) = self.delete().await {
                    tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "cannot forget");
                }
                order.finish(Ok(reply));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::info!(session = %self.name, error = &error as &dyn std::error::Error, "no turn");
                if order.is_kept() {
                    self.record_failure(&order, &error).await;
                }
                order.finish(Err(error));
            }
        }
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
        let inbox = store.inbox(&self.name, ErrandId::default(), Timestamp::now()).await;
        inbox.is_ok_and(|inbox| inbox.wanted)
    }

    /// Makes the session free for everybody else.
    pub(super) async fn let_go(&mut self) {
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
        let mut live = self.shared.live();
        if !self.mailbox.is_empty() && !self.shared.closing.is_cancelled() {
            return false;
        }
        self.mailbox.close();
        live.remove(&self.name);
        true
    }

    pub(super) async fn delete(&mut self) -> Result<(), SessionError> {
        let started = Instant::now();
        let mut ticket = None;
        let deleted = loop {
            let now = Timestamp::now();
            let store = self.shared.store(now).await?;
            match store.claim(&self.name, ticket, after(now, LEASE), now).await {
                // Another server at rest lets go when it sees that the session is wanted.
                Ok(Claim::Held(ahead)) if !ahead.running && started.elapsed() < LET_GO_PATIENCE => {
                    if ticket.is_none() {
                        ticket =
                            store.enqueue(&self.name, usize::MAX, after(now, LEASE), now).await?;
                    }
                    tokio::time::sleep(WANTED_TICK).await;
                }
                Ok(Claim::Held(_)) => break Err(SessionError::Busy { name: self.name.clone() }),
                Ok(Claim::Missing) => {
                    break Err(SessionError::Unknown { name: self.name.clone() });
                }
                // What cannot be read can still be deleted.
                Ok(Claim::Ours(_)) | Err(StoreError::Damaged { .. }) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        if let Some(ticket) = ticket {
            self.shared.store(Timestamp::now()).await?.dequeue(ticket).await?;
        }
        deleted?;
        self.leased = true;
        self.let_go().await;
        let store = self.shared.store(Timestamp::now()).await?;
        store.delete(&self.name).await?;
        tracing::info!(session = %self.name, "session deleted");
        self.shared.changed(Change::List);
        Ok(())
    }
}
