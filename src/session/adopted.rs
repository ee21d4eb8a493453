//! Turns that a server had promised to run and that waited when it ended: the next server that may runs them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{
    Request, SessionError, SessionName, TurnDetails,
    shared::{Live, QUEUE, Shared},
    store::{AdoptedTurn, StoreError},
    turn::{Actor, Message, QueuedTurn},
};
use crate::codex::{FailureKind, TurnFailure};

/// The pause between two looks for such turns. Who waits for one looks more often.
const PAUSE: Duration = Duration::from_secs(15);

/// Takes over what servers that are gone had promised to run, from time to time.
pub(super) async fn adopt(shared: Arc<Shared>) {
    let (closing, draining) = (shared.closing.clone(), shared.draining.clone());
    loop {
        shared.try_to_adopt().await;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = closing.cancelled() => return,
            () = draining.cancelled() => return,
        }
    }
}

impl Shared {
    /// Takes over what servers that are gone had promised to run, if that was never done here: a call made again on a new server
    /// may be one of them.
    pub(super) async fn adopt_at_first(self: &Arc<Self>) {
        if !self.has_adopted.load(Ordering::Relaxed) {
            self.try_to_adopt().await;
        }
    }

    /// [`Shared::adopt_turns`], for who goes on without. A failure is logged.
    pub(super) async fn try_to_adopt(self: &Arc<Self>) {
        if let Err(error) = self.adopt_turns().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot look for turns of servers that are gone"
            );
        }
    }

    /// Takes over what servers that are gone had promised to run. Afterwards the actors of their sessions have these turns,
    /// at least in their mailboxes.
    pub(super) async fn adopt_turns(self: &Arc<Self>) -> Result<(), StoreError> {
        if self.draining.is_cancelled() {
            return Ok(());
        }
        let _adopting = self.adopting.lock().await;
        let store = self.store(Timestamp::now()).await?;
        for AdoptedTurn { session, number, request } in
            store.adopt(&self.config.runner, self.config.lease()).await?
        {
            let Some(turn) = store.turn(&session, number, u64::MAX).await? else { continue };
            let request = serde_json::from_str::<Request>(&request);
            let posted = match request {
                Ok(request) => {
                    tracing::info!(%session, turn = number, "running a turn of a server that is gone");
                    let request = Request { prompt: turn.prompt, ..request };
                    self.post(&session, |live| {
                        let queued = QueuedTurn::adopted(&session, request, number);
                        live.add(Arc::clone(queued.live()));
                        (Message::Send(Box::new(queued)), ())
                    })
                    .map_err(|error| {
                        (matches!(error, SessionError::ShuttingDown), error.to_string())
                    })
                }
                // A later version may have written it.
                Err(error) => Err((false, format!("what was asked for cannot be read: {error}"))),
            };
            match posted {
                Ok(()) => {}
                // The next server runs it.
                Err((true, _)) => break,
                // It is ours now, so no other would take it: it ends with a word.
                Err((false, message)) => {
                    tracing::warn!(%session, turn = number, message, "a turn that was promised cannot be run");
                    let failure = Some(TurnFailure { kind: FailureKind::Other, message });
                    let details = TurnDetails { failure, ..turn.details };
                    store.call_off(&session, number, &details).await?;
                }
            }
        }
        self.has_adopted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Posts a message to the session's actor, starting the actor if it is not running.
    pub(super) fn post<T>(
        self: &Arc<Self>,
        name: &SessionName,
        message: impl FnOnce(&mut Live) -> (Message, T),
    ) -> Result<T, SessionError> {
        if self.closing.is_cancelled() {
            return Err(SessionError::ShuttingDown);
        }
        // Under the lock, so that the actor cannot end between the look-up and the message.
        let mut all = self.live();
        if all.get(name).is_none_or(|live| live.mailbox.is_closed()) {
            let (mailbox, messages) = mpsc::channel(QUEUE);
            all.insert(name.clone(), Live::new(mailbox));
            let actor = Actor::new(name.clone(), Arc::clone(self), messages);
            self.actors.spawn(actor.run());
        }
        let Some(live) = all.get_mut(name) else { return Err(SessionError::ShuttingDown) };
        if live.mailbox.capacity() == 0 {
            return Err(SessionError::QueueFull { name: name.clone(), waiting: QUEUE });
        }
        let (message, value) = message(live);
        let posted = live.mailbox.try_send(message);
        posted.map_err(|_| SessionError::QueueFull { name: name.clone(), waiting: QUEUE })?;
        Ok(value)
    }
}
