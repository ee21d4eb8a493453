//! The handle to a running turn.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{Fold, ThreadId, TurnEvent, TurnFailure, TurnId, TurnOutcome, TurnStatus};
use crate::codex::{
    app_server::{Connection, Told},
    error::CodexError,
};

/// How long Codex gets to end a turn it was told to interrupt. It takes 10 ms when all is well; up to
/// 0.125 it may not answer at all.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(5);

/// A turn that runs in Codex. Dropping it before its end interrupts it.
#[derive(Debug)]
pub struct Turn {
    id: TurnId,
    thread: ThreadId,
    told: mpsc::Receiver<Told>,
    connection: Arc<Connection>,
    fold: Fold,
    ended: bool,
}

impl Turn {
    pub(crate) fn new(
        id: TurnId,
        thread: ThreadId,
        told: mpsc::Receiver<Told>,
        connection: Arc<Connection>,
    ) -> Self {
        Self { id, thread, told, connection, fold: Fold::default(), ended: false }
    }

    /// Codex's name for it.
    pub fn id(&self) -> &TurnId {
        &self.id
    }

    /// Waits for the next event. The last is [`TurnEvent::Ended`]; after it there is none.
    ///
    /// If Codex dies, the turn ends as failed with the cause. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<TurnEvent> {
        while !self.ended {
            let event = match self.told.recv().await {
                Some(Told::Event { turn_id, kind }) if self.is_mine(turn_id.as_deref()) => {
                    self.fold.event(kind)
                }
                Some(Told::Event { .. }) => None,
                Some(Told::Declined(asked)) => Some(self.fold.declined(asked)),
                None => {
                    let failure = TurnFailure::exited(&self.connection.ended().await);
                    Some(self.cut_off(TurnStatus::Failed(failure)))
                }
            };
            self.ended = matches!(event, Some(TurnEvent::Ended(_)));
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// Interrupts the turn and returns what it brought until then.
    ///
    /// If Codex does not end it in time the outcome is the same, and the thread is not to be trusted
    /// to be idle.
    pub async fn interrupt(&mut self) -> TurnOutcome {
        let ended = async {
            // Codex may have ended it in this moment and then refuses; the end is told either way.
            if let Err(error) = self.connection.interrupt(&self.thread, &self.id).await {
                tracing::debug!(%error, "interrupt was not acknowledged");
            }
            loop {
                match self.next().await {
                    Some(TurnEvent::Ended(outcome)) => break Some(*outcome),
                    Some(_) => {}
                    None => break None,
                }
            }
        };
        let outcome = tokio::time::timeout(INTERRUPT_LIMIT, ended).await.ok().flatten();
        outcome.unwrap_or_else(|| {
            self.ended = true;
            self.fold.cut_off(TurnStatus::Interrupted)
        })
    }

    /// Events of an earlier turn on the same thread may still be on their way.
    fn is_mine(&self, turn_id: Option<&str>) -> bool {
        turn_id.is_none_or(|id| id == self.id.0)
    }

    fn cut_off(&mut self, status: TurnStatus) -> TurnEvent {
        TurnEvent::Ended(Box::new(self.fold.cut_off(status)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (connection, thread, id) =
            (Arc::clone(&self.connection), self.thread.clone(), self.id.clone());
        let interrupt = async move {
            let stopped: Result<(), CodexError> = connection.interrupt(&thread, &id).await;
            if let Err(error) = stopped {
                tracing::debug!(%error, "cannot interrupt an abandoned turn");
            }
        };
        self.connection.tasks().spawn(interrupt);
    }
}
