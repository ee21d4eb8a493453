//! Turns that Codex begins by itself (of its own queue, or because an agent has woken it): each is a turn of the session like
//! any other, with a number, recorded, counted and stoppable. They come before what waits here, because they run already.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    actor::Actor, input::Expected, live::LiveTurn, open::Opened, queued::QueuedTurn,
    recorder::Recorder,
};
use crate::{
    codex::Turn,
    session::{Reply, Request, SessionError, measures::TurnTime, store::Claim},
};

impl Actor {
    /// Whether Codex runs a turn of its own that is not followed yet. Giving its thread up would end it.
    pub(super) fn has_unasked(&self) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| loaded.thread.has_unasked())
    }

    /// Whether Codex has begun a turn by itself on the thread that is loaded, or does now, because messages wait in its own queue.
    /// What waits there longer than that would be left behind, so it is begun.
    pub(super) async fn goes_on_by_itself(&self) -> bool {
        let is_ours = self.lease.as_ref().is_some_and(|guard| !guard.lost().is_cancelled());
        match &self.loaded {
            Some(loaded) if is_ours && !self.shared.closing.is_cancelled() => {
                loaded.thread.goes_on_by_itself(!loaded.is_held).await
            }
            _ => false,
        }
    }

    /// That turn.
    pub(super) fn take_unasked(&self) -> Option<Turn> {
        let loaded = self.loaded.as_ref().filter(|loaded| loaded.thread.has_unasked())?;
        loaded.thread.unasked().now_or_never()
    }

    /// Follows such a turn to its end. One that cannot be recorded, or is more than the operator allows, is interrupted.
    pub(super) async fn follow_unasked(&mut self, mut turn: Turn) {
        let prompt = turn.prompt().await;
        let (prompt, cause) = match prompt {
            Some(prompt) => (prompt, "for a message in its own queue"),
            None => (String::new(), "because an agent has woken it"),
        };
        let warning = format!("Codex began this turn by itself, {cause}.");
        tracing::info!(session = %self.name, turn_id = turn.id().0, "Codex has begun a turn by itself");
        let live = LiveTurn::new();
        live.go_on();
        let request = Request { detached: true, ..Request::ask(prompt) };
        let mut queued = QueuedTurn::new(request, false, Arc::clone(&live));
        if let Some(session) = self.shared.live().get_mut(&self.name) {
            session.add(live);
        }
        match self.run_unasked(&mut queued, turn, warning).await {
            Ok(reply) => self.ended(queued, reply).await,
            Err(error) => {
                tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "a turn that Codex began is stopped");
                // It was interrupted, and its thread may still run it.
                self.discard().await;
                self.release().await;
                queued.end(Err(error));
            }
        }
        self.shared.forget_ended(&self.name);
    }

    async fn run_unasked(
        &mut self,
        queued: &mut QueuedTurn,
        turn: Turn,
        warning: String,
    ) -> Result<Reply, SessionError> {
        let now = Timestamp::now();
        let store = self.shared.store(now).await?;
        let unknown = || SessionError::Unknown { name: self.name.clone() };
        self.number = match store.claim(&self.name, None, self.lease_time(), now).await? {
            Claim::Ours { lease, turn, .. } => {
                let guard = self.keep(lease, Arc::clone(&store));
                if let Some(earlier) = self.lease.replace(guard) {
                    earlier.end();
                }
                turn
            }
            // Turns of other servers wait: they come after this one, which runs.
            Claim::Held(_) => {
                self.write_down(queued).await?;
                queued.number.ok_or_else(unknown)?
            }
            Claim::Missing => return Err(unknown()),
        };
        let record = store.load(&self.name, now).await?.ok_or_else(unknown)?;
        let allowed = match self.check_budget().await {
            // It runs already, so it cannot wait.
            Ok(()) => self.allowance().await.and_then(|low| match low {
                Some((low, _)) => Err(self.used_up(low)),
                None => Ok(()),
            }),
            Err(error) => Err(error),
        };
        if let Err(error) = allowed {
            self.record_failure(queued, record, &error).await;
            return Err(error);
        }
        let Some(guard) = &self.lease else { return Err(SessionError::ShuttingDown) };
        let lease = guard.lease().clone();
        self.time = TurnTime::begin();
        let log = Arc::clone(&queued.live.log);
        let of = (&queued.request, self.number);
        let mut recorder = Recorder::new(store, lease, record, of, log, self.shared.config.ttl());
        let opened = Opened { warnings: vec![warning], ..Opened::resumed() };
        let details = &mut recorder.entry.details;
        details.continuity = Some(opened.continuity);
        if let Some(loaded) = &self.loaded {
            details.model_source = Some(loaded.choice.source);
            details.thread_id = loaded.thread.id().cloned();
        }
        recorder.begin().await?;
        if self.waiting.iter().any(|waiting| waiting.live.is_detached()) {
            // The others get their numbers when they begin, so that the order of numbers is that of the conversation.
            self.write_down_all().await;
        }
        let running =
            self.run_phase(queued, Box::new(recorder), opened, (turn, Expected::default()));
        Ok(Box::pin(running).await)
    }
}
