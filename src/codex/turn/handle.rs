//! The handle to a running turn.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    Driver, Fold, Inbox, ThreadEvent, ThreadId, Trust, TurnEvent, TurnFailure, TurnId, TurnOutcome,
    TurnStatus,
};
use crate::codex::{
    approval::{Answer, ApprovalId, PendingApproval},
    error::CodexError,
    protocol::{EventKind, Item},
    settings::EffectiveSettings,
    usage::RateLimits,
};

/// How long Codex gets to end a turn it was told to interrupt. It takes 10 ms when all is well; up to
/// 0.125 it may not answer at all.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(5);

/// How long Codex may take to say what a turn of its own is about. It takes 15 ms (0.171).
const TOLD: Duration = Duration::from_secs(1);

/// How often a refused interrupt is tried, and how long after the time before.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(50);

/// A turn that Codex has acknowledged, and all its owner needs.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) id: TurnId,
    pub(crate) thread: ThreadId,
    pub(crate) events: Inbox,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) effective: EffectiveSettings,
    pub(crate) caveats: Vec<String>,
    pub(crate) trust: Trust,
    /// The id that was given to what the model is asked.
    pub(crate) asked: Option<String>,
}

/// How an interrupted turn ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupted {
    /// How it counts as ended.
    pub outcome: TurnOutcome,
    /// Whether the turn is known to be over: Codex reported its end, or its process has ended. If not,
    /// its thread runs no further turn.
    pub confirmed: bool,
}

/// A turn that runs in Codex. Dropping it before its end interrupts it.
#[derive(Debug)]
pub struct Turn {
    id: TurnId,
    thread: ThreadId,
    events: Inbox,
    driver: Arc<dyn Driver>,
    effective: Box<EffectiveSettings>,
    caveats: Vec<String>,
    trust: Trust,
    fold: Fold,
    /// Events that have been looked at already.
    looked: VecDeque<ThreadEvent>,
    /// What Codex waits for. Dropping one declines it.
    open: HashMap<ApprovalId, PendingApproval>,
    /// Whether we have asked it to end.
    stopping: bool,
    ended: bool,
}

impl Turn {
    pub(crate) fn new(begun: Begun) -> Self {
        let Begun { id, thread, events, driver, effective, caveats, trust, asked } = begun;
        Self {
            id,
            thread,
            events,
            driver,
            effective: Box::new(effective),
            caveats,
            trust,
            fold: Fold::of(asked),
            looked: VecDeque::new(),
            open: HashMap::new(),
            stopping: false,
            ended: false,
        }
    }

    /// Codex's name for it.
    pub fn id(&self) -> &TurnId {
        &self.id
    }

    /// The settings the turn really runs with.
    pub fn effective(&self) -> &EffectiveSettings {
        &self.effective
    }

    /// What this version of Codex does not do of what was asked, one sentence each.
    pub fn caveats(&self) -> &[String] {
        &self.caveats
    }

    /// Whether a command, a call of one of Codex's MCP tools or a wait for a sub-agent has begun and not
    /// ended. Codex may have nothing to report for as long as it runs.
    pub fn is_running_command(&self) -> bool {
        self.fold.is_running_command()
    }

    /// Waits for the next event. The last is [`TurnEvent::Ended`]; after it there is none.
    ///
    /// If Codex dies, the turn ends as failed with the cause. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<TurnEvent> {
        while !self.ended {
            if let Some(event) = self.fold.next() {
                if let TurnEvent::Ended(_) = event {
                    self.end();
                }
                return Some(event);
            }
            let event = match self.looked.pop_front() {
                Some(event) => Some(event),
                None => self.events.next().await,
            };
            match event {
                Some(ThreadEvent::Event { turn_id, kind }) if self.is_mine(turn_id.as_deref()) => {
                    self.fold.take(kind);
                }
                Some(ThreadEvent::Event { .. }) => {}
                Some(ThreadEvent::ApprovalAsked(mut pending)) => {
                    let item = pending.request.item_id.as_deref();
                    self.fold.complete(item, &mut pending.request.approval.subject);
                    let approval = pending.request.approval.clone();
                    self.open.insert(approval.id.clone(), pending);
                    return Some(TurnEvent::ApprovalAsked(approval));
                }
                Some(ThreadEvent::ApprovalSettled(id)) => {
                    self.open.remove(&id);
                    return Some(TurnEvent::ApprovalSettled(id));
                }
                // A process of its own ends without a word when it is stopped.
                None if self.stopping => return Some(self.cut_off(TurnStatus::Interrupted)),
                None => {
                    let failure = TurnFailure::exited(&self.driver.ended().await);
                    return Some(self.cut_off(TurnStatus::Failed(failure)));
                }
            }
        }
        None
    }

    /// What the model was told first in a turn that Codex has begun by itself. Nothing if that is not a user's message, as
    /// when another agent has woken it; or if Codex does not say.
    pub async fn prompt(&mut self) -> Option<String> {
        let told = async {
            loop {
                let event = self.events.next().await?;
                let said = match &event {
                    ThreadEvent::Event {
                        kind:
                            EventKind::ItemStarted(Item::UserMessage { content, .. })
                            | EventKind::ItemCompleted(Item::UserMessage { content, .. }),
                        ..
                    } => Some(Some(Item::said(content))),
                    ThreadEvent::Event { kind: EventKind::Warning(_), .. } => None,
                    _ => Some(None),
                };
                self.looked.push_back(event);
                if let Some(said) = said {
                    return said;
                }
            }
        };
        tokio::time::timeout(TOLD, told).await.ok().flatten()
    }

    /// Interrupts the turn. What happens until its end is told to `hear`.
    ///
    /// If Codex does not end it within five seconds the turn counts as interrupted all the same, and its
    /// thread runs no further turn.
    pub async fn interrupt(&mut self, mut hear: impl FnMut(TurnEvent)) -> Interrupted {
        self.stopping = true;
        let ended = async {
            let stop = stop(Arc::clone(&self.driver), self.thread.clone(), self.id.clone());
            tokio::pin!(stop);
            let mut asked = false;
            loop {
                tokio::select! {
                    () = &mut stop, if !asked => asked = true,
                    event = self.next() => match event {
                        Some(TurnEvent::Ended(outcome)) => break Some(outcome),
                        Some(event) => hear(event),
                        None => break None,
                    },
                }
            }
        };
        let ended = tokio::time::timeout(INTERRUPT_LIMIT, ended).await;
        if let Ok(Some(outcome)) = ended {
            return Interrupted { outcome, confirmed: true };
        }
        // It may have ended before.
        let confirmed = self.ended;
        if !confirmed {
            self.trust.lose();
        }
        self.end();
        Interrupted { outcome: self.fold.cut_off(TurnStatus::Interrupted), confirmed }
    }

    /// Answers an approval. Returns whether Codex was still waiting for it.
    pub fn answer(&mut self, id: &ApprovalId, answer: &Answer) -> bool {
        match self.open.remove(id) {
            Some(pending) => pending.answer(answer),
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
        let (driver, thread, id) = (Arc::clone(&self.driver), self.thread.clone(), self.id.clone());
        async move { driver.steer(&thread, &id, &prompt).await }
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
        self.end();
        TurnEvent::Ended(self.fold.cut_off(status))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Nothing will tell when it has ended.
        self.trust.lose();
        let stop = stop(Arc::clone(&self.driver), self.thread.clone(), self.id.clone());
        self.driver.tasks().spawn(stop);
    }
}

/// Asks Codex to end a turn.
///
/// For some 20 ms after it was acknowledged a turn cannot be interrupted yet (0.146 and later answer that
/// none is active, and run it), so a refusal is asked again. It may also mean that the turn has just ended
/// by itself; that is told like every end.
async fn stop(driver: Arc<dyn Driver>, thread: ThreadId, id: TurnId) {
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
