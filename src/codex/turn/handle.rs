//! The handle to a running turn.

use std::{collections::HashMap, time::Duration};

use tokio::sync::mpsc;

use super::{
    Driver, Fold, Partial, ThreadId, TurnEvent, TurnFailure, TurnId, TurnOutcome, TurnStatus,
};
use crate::codex::{
    app_server::{Told, Unanswered},
    approval::{Answer, QuestionId},
    error::CodexError,
    usage::RateLimits,
};

/// How long Codex gets to end a turn it was told to interrupt. It takes 10 ms when all is well; up to
/// 0.125 it may not answer at all.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(5);

/// How often a refused interrupt is tried, and how long after the time before.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(50);

/// A turn that runs in Codex. Dropping it before its end interrupts it.
#[derive(Debug)]
pub struct Turn {
    id: TurnId,
    thread: ThreadId,
    told: mpsc::Receiver<Told>,
    driver: Driver,
    fold: Fold,
    /// What Codex waits for. Dropping one declines it.
    open: HashMap<QuestionId, Unanswered>,
    /// Whether we have asked it to end.
    stopping: bool,
    ended: bool,
}

impl Turn {
    pub(crate) fn new(
        id: TurnId,
        thread: ThreadId,
        told: mpsc::Receiver<Told>,
        driver: Driver,
    ) -> Self {
        Self {
            id,
            thread,
            told,
            driver,
            fold: Fold::default(),
            open: HashMap::new(),
            stopping: false,
            ended: false,
        }
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
                Some(Told::Asked(mut unanswered)) => {
                    let item = unanswered.asked.item_id.as_deref();
                    self.fold.complete(item, &mut unanswered.asked.question.subject);
                    let question = unanswered.asked.question.clone();
                    self.open.insert(question.id.clone(), unanswered);
                    Some(TurnEvent::Asked(question))
                }
                // A process of its own ends without a word when it is stopped.
                None if self.stopping => Some(self.cut_off(TurnStatus::Interrupted)),
                None => {
                    let failure = TurnFailure::exited(&self.driver.ended().await);
                    Some(self.cut_off(TurnStatus::Failed(failure)))
                }
            };
            match &event {
                Some(TurnEvent::Ended(_)) => self.end(),
                Some(TurnEvent::Settled(id)) => drop(self.open.remove(id)),
                _ => {}
            }
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
        self.stopping = true;
        let ended = async {
            let stop = stop(self.driver.clone(), self.thread.clone(), self.id.clone());
            tokio::pin!(stop);
            let mut asked = false;
            loop {
                tokio::select! {
                    () = &mut stop, if !asked => asked = true,
                    event = self.next() => match event {
                        Some(TurnEvent::Ended(outcome)) => break Some(*outcome),
                        Some(_) => {}
                        None => break None,
                    },
                }
            }
        };
        let outcome = tokio::time::timeout(INTERRUPT_LIMIT, ended).await.ok().flatten();
        outcome.unwrap_or_else(|| {
            self.end();
            self.fold.cut_off(TurnStatus::Interrupted)
        })
    }

    /// Answers a question. Says whether it was still open.
    pub fn answer(&mut self, id: &QuestionId, answer: &Answer) -> bool {
        match self.open.remove(id) {
            Some(unanswered) => {
                unanswered.answer(answer);
                true
            }
            None => false,
        }
    }

    /// Says something more to the running turn; the model hears it before it goes on.
    ///
    /// The future does not borrow the turn, whose events must still be taken meanwhile.
    ///
    /// # Errors
    /// [`CodexError::Refused`] if the turn has just ended or this Codex cannot do it.
    pub fn steer(
        &self,
        prompt: String,
    ) -> impl Future<Output = Result<(), CodexError>> + Send + 'static {
        let (driver, thread, id) = (self.driver.clone(), self.thread.clone(), self.id.clone());
        async move { driver.steer(&thread, &id, &prompt).await }
    }

    /// What the turn has brought so far.
    pub fn so_far(&self) -> Partial {
        self.fold.so_far()
    }

    /// The account's allowance, if Codex has said something about it.
    pub fn rate_limits(&self) -> Option<RateLimits> {
        let known = self.driver.rate_limits();
        known.filter(|limits| limits.primary.is_some() || limits.secondary.is_some())
    }

    fn end(&mut self) {
        self.ended = true;
        self.open.clear();
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
        let stop = stop(self.driver.clone(), self.thread.clone(), self.id.clone());
        self.driver.tasks().spawn(stop);
    }
}

/// Asks Codex to end a turn.
///
/// For some 20 ms after it was acknowledged a turn cannot be interrupted yet (0.146 and later answer that
/// none is active, and run it), so a refusal is asked again. It may also mean that the turn has just ended
/// by itself; that is told like every end.
async fn stop(driver: Driver, thread: ThreadId, id: TurnId) {
    for _ in 0..TRIES {
        match driver.interrupt(&thread, &id).await {
            Ok(()) => return,
            Err(error @ CodexError::Refused { .. }) => {
                tracing::debug!(%error, "not interrupted yet");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                tracing::debug!(%error, "an interrupt was not acknowledged");
                return;
            }
        }
    }
}
