//! Whether the account's allowance is enough for a turn; if not, the turn is refused or waits until it is, as a queued turn.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{actor::Actor, queued::QueuedTurn};
use crate::session::{
    Reply, SessionError, SessionStatus,
    limits::WhenExhausted,
    quota::{Exhausted, exhausted},
    store::Ahead,
};

/// How often a waiting turn sees whether another server has called it off.
const LOOK: Duration = Duration::from_secs(1);

/// What comes of a turn that has waited for the allowance.
pub(super) enum Waited {
    /// It can try to begin.
    Enough,
    /// Codex runs a turn of its own, which comes first.
    GivesWay,
    /// Its caller does not want it any more.
    Cancelled,
    /// It was called off.
    CalledOff(Box<Reply>),
}

impl Actor {
    /// Fails if there is too much to do already, on all servers.
    pub(super) async fn check_budget(&self) -> Result<(), SessionError> {
        let Some(guard) = &self.lease else { return Ok(()) };
        let budget = self.shared.config.limits.budget();
        budget.check_claimed(&**guard.store(), Timestamp::now()).await
    }

    /// What is left of the allowance, and until when, if a turn has to wait for more.
    ///
    /// # Errors
    /// [`SessionError::UsageLimit`] if it is refused instead.
    pub(super) async fn allowance(&self) -> Result<Option<(Exhausted, Timestamp)>, SessionError> {
        let Some(low) = self.low().await else { return Ok(None) };
        match (self.shared.config.limits.when_exhausted, low.until) {
            (WhenExhausted::Wait, Some(until)) => Ok(Some((low, until))),
            _ => Err(self.used_up(low)),
        }
    }

    /// Has a turn wait for more of the allowance: queued, and without a lease.
    ///
    /// # Errors
    /// [`SessionError::UsageLimit`] if the turn takes too long, or if the wait cannot be recorded.
    pub(super) async fn wait_for_allowance(
        &mut self,
        turn: &mut QueuedTurn,
        (low, until): (Exhausted, Timestamp),
    ) -> Result<Waited, SessionError> {
        turn.not_before = Some(until);
        if self.goes_on_by_itself().await {
            return Ok(Waited::GivesWay);
        }
        self.release().await;
        match turn.number {
            None => self.write_down(turn).await?,
            Some(_) => self.keep_promise(turn.live.id(), Some(turn)).await,
        }
        turn.log_position(0);
        tracing::info!(session = %self.name, %until, "a turn waits for the usage limit");
        let begun = Instant::now();
        let mut looked = begun;
        while self.low().await.is_some() {
            self.pause(turn, Ahead::default()).await?;
            if turn.is_cancelled() {
                return Ok(Waited::Cancelled);
            }
            if turn.request.timeout.is_some_and(|limit| begun.elapsed() >= limit) {
                return Err(self.used_up(low));
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if let Some(reply) = self.called_off(turn).await? {
                    return Ok(Waited::CalledOff(Box::new(reply)));
                }
            }
        }
        turn.not_before = None;
        Ok(Waited::Enough)
    }

    /// Prolongs a turn's place in the queue. If it has none any more, what came of the turn.
    async fn called_off(&self, turn: &QueuedTurn) -> Result<Option<Reply>, SessionError> {
        let Some(number) = turn.number else { return Ok(None) };
        let store = self.shared.store(Timestamp::now()).await?;
        store.renew_places(&self.name, self.lease_time()).await?;
        let unknown = || SessionError::Unknown { name: self.name.clone() };
        let turn = store.turn(&self.name, number, 0).await?.ok_or_else(unknown)?;
        let is_over = turn.status != SessionStatus::Queued;
        Ok(is_over.then(|| Reply { session: self.name.clone(), turn }))
    }

    async fn low(&self) -> Option<Exhausted> {
        let min_remaining = self.shared.config.limits.min_remaining;
        if min_remaining == 0 {
            return None;
        }
        let limits = self.shared.quota.now(&self.shared.codex).await?;
        exhausted(&limits, min_remaining, Timestamp::now())
    }

    pub(super) fn used_up(&self, Exhausted { remaining, until }: Exhausted) -> SessionError {
        let wanted = self.shared.config.limits.min_remaining;
        SessionError::UsageLimit { remaining, wanted, until }
    }
}
