//! Turns that another server runs: waiting for them, and asking that server to do something.
//!
//! All of it goes through the store, so it works for any servers that share one.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Reply, SessionError, SessionName, SessionStatus,
    call::Follower,
    sessions::Shared,
    store::{Errand, ErrandOutcome, Excerpt},
};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often is looked whether the other server is dead.
const SWEEP: Duration = Duration::from_secs(2);

/// How long another server may take to do an errand. It looks five times a second.
const ERRAND_PATIENCE: Duration = Duration::from_secs(10);

impl Shared {
    /// Tells somebody of a turn once the store says that it is over.
    pub(super) fn observe(
        self: &Arc<Self>,
        name: SessionName,
        turn: Option<u32>,
        follower: Follower,
    ) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            let closing = shared.closing.clone();
            let watched = closing.run_until_cancelled(shared.ended(&name, turn, &follower)).await;
            follower.finish(watched.unwrap_or(Err(SessionError::ShuttingDown)));
        });
    }

    /// Waits until a turn is over, or whoever asks is gone.
    async fn ended(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        follower: &Follower,
    ) -> Result<Reply, SessionError> {
        let mut swept = Instant::now();
        let mut wanted = turn;
        while !follower.is_gone() {
            let record = self.record(name).await?;
            let count = record.turn_count;
            let number = *wanted.get_or_insert(count);
            if number == 0 {
                return Err(SessionError::Idle { name: name.clone() });
            }
            if number > count && record.status != SessionStatus::Running {
                return Err(SessionError::NoTurn { name: name.clone(), number, count });
            }
            // Only the last turn can be running.
            if number < count || record.status != SessionStatus::Running {
                let reply = self.recorded(name, number).await?;
                return reply.ok_or_else(|| SessionError::NoTurn {
                    name: name.clone(),
                    number,
                    count,
                });
            }
            tokio::time::sleep(LOOK).await;
            if swept.elapsed() > SWEEP {
                swept = Instant::now();
                // Ends the turn of a server that is gone.
                let now = Timestamp::now();
                self.store(now).await?.sweep(now).await?;
            }
        }
        Err(SessionError::ShuttingDown)
    }

    /// A turn as it is recorded.
    pub(super) async fn recorded(
        &self,
        name: &SessionName,
        number: u32,
    ) -> Result<Option<Reply>, SessionError> {
        let Some(skip) = number.checked_sub(1) else { return Ok(None) };
        let store = self.store(Timestamp::now()).await?;
        let turn = store.turns(name, skip, 1, Excerpt::ALL).await?.pop();
        Ok(turn.map(|turn| Reply { session: name.clone(), turn }))
    }

    /// Has the turn that runs interrupted. What it came to; none if there is none.
    pub(super) async fn interrupt_elsewhere(
        &self,
        name: &SessionName,
    ) -> Result<Option<Reply>, SessionError> {
        let started = Instant::now();
        let before = self.record(name).await?;
        if before.status != SessionStatus::Running {
            return Ok(None);
        }
        let now = Timestamp::now();
        let store = self.store(now).await?;
        store.sweep(now).await?;
        store.post(name, &Errand::Interrupt, now).await?;
        loop {
            let record = self.record(name).await?;
            let number = before.turn_count;
            if record.status != SessionStatus::Running || record.turn_count != number {
                return self.recorded(name, number).await;
            }
            if started.elapsed() > ERRAND_PATIENCE {
                return Err(SessionError::Busy { name: name.clone() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Has something said to the turn that runs.
    pub(super) async fn steer_elsewhere(
        &self,
        name: &SessionName,
        prompt: String,
    ) -> Result<ErrandOutcome, SessionError> {
        let started = Instant::now();
        let now = Timestamp::now();
        let store = self.store(now).await?;
        let id = store.post(name, &Errand::Steer(prompt), now).await?;
        while started.elapsed() < ERRAND_PATIENCE {
            // In this order, because the outcome is written before the end of the turn.
            let running = self.record(name).await?.status == SessionStatus::Running;
            if let Some(outcome) = store.outcome(id).await? {
                return Ok(outcome);
            }
            if !running {
                return Ok(ErrandOutcome::Refused("the turn is over".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(ErrandOutcome::Refused("the server that runs the turn does not answer".to_owned()))
    }
}
