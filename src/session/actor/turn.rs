//! One turn: recorded before it starts, watched while it runs, recorded when it ends.

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::Span;

use super::{
    Order,
    life::{Actor, LEASE},
    open::{Loaded, Opened},
    plan::Plan,
};
use crate::{
    codex::{
        CodexError, FailureKind, Turn, TurnEvent, TurnFailure, TurnOutcome, TurnRequest, TurnStatus,
    },
    session::{
        Reply, Request, SessionError, SessionRecord, SessionStatus, TurnDetails, TurnRecord,
        context, store::Turns,
    },
};

impl Actor {
    /// Runs one turn from start to end.
    pub(super) async fn turn(&mut self, order: &mut Order) -> Result<Reply, SessionError> {
        let (mut record, is_new) = self.claim(order).await?;
        let ran = self.attempts(order, &mut record).await;
        if ran.is_err() && is_new && record.turn_count == 0 {
            // A session in which nothing was ever begun is none.
            let deleted = match self.shared.store.opened() {
                Some(store) => store.delete(&self.name).await,
                None => Ok(false),
            };
            if let Err(error) = deleted {
                tracing::warn!(session = %self.name, %error, "an empty session stays");
            }
        }
        ran
    }

    async fn attempts(
        &mut self,
        order: &mut Order,
        record: &mut SessionRecord,
    ) -> Result<Reply, SessionError> {
        if order.request.reset {
            // Only here: in the store when a turn begins, so that a call that fails costs nothing.
            record.reset();
        }
        let plan = Plan::new(&order.request.settings, &record.settings, &self.shared.config)?;
        match self.attempt(order, record, &plan).await {
            // Codex has died since the last turn. As nothing was begun, it is asked again, once.
            Err(SessionError::Codex(CodexError::NotReached(cause))) => {
                tracing::debug!(%cause, "asking a new Codex");
                self.attempt(order, record, &plan).await
            }
            other => other,
        }
    }

    async fn attempt(
        &mut self,
        order: &mut Order,
        record: &mut SessionRecord,
        plan: &Plan,
    ) -> Result<Reply, SessionError> {
        let opened = self.open(record, plan).await?;
        if order.reply.is_closed() {
            return Err(SessionError::ShuttingDown);
        }
        let Some(loaded) = self.loaded.take() else { return Err(SessionError::ShuttingDown) };
        let ran = self.run(order, record, plan, opened, &loaded).await;
        self.loaded = Some(loaded);
        if ran.as_ref().is_ok_and(refused_model) {
            // The thread would keep asking for it.
            self.unload().await;
        }
        ran
    }

    async fn run(
        &mut self,
        order: &mut Order,
        record: &mut SessionRecord,
        plan: &Plan,
        opened: Opened,
        loaded: &Loaded,
    ) -> Result<Reply, SessionError> {
        let Loaded { thread, choice } = loaded;
        // A model named by this call counts also on a thread that was opened with another.
        let choice = plan.model.as_ref().unwrap_or(choice);
        let prompt = &order.request.prompt;
        let asked = match opened.preamble.as_slice() {
            [] => prompt.clone(),
            items => context::preamble(items, prompt),
        };
        let started = Instant::now();
        let request = plan.request(asked, thread, choice);
        let mut entry = self.begin(record, order.request.clone(), &request).await?;
        let turn = match thread.start_turn(&request).await {
            Ok(turn) => turn,
            Err(error) => {
                entry.details.error = Some(error.to_string());
                let recorded = self.finish(record, &mut entry, SessionStatus::Failed).await;
                if let Err(error) = recorded {
                    tracing::error!(session = %self.name, %error, "a failed start is not recorded");
                }
                if matches!(error, CodexError::NotReached(_)) {
                    // A second attempt takes its place.
                    record.turn_count -= 1;
                }
                return Err(error.into());
            }
        };
        let turn_id = turn.id().clone();
        entry.details.turn_id = Some(turn_id.clone());
        record.codex_version = Some(thread.codex_version().to_string());
        // Stored now, because from now on there is something to resume. The turn runs; what cannot be
        // written is tried again at its end.
        let acknowledged = if record.thread_id.as_ref() == Some(thread.id()) {
            Ok(())
        } else {
            record.thread_id = Some(thread.id().clone());
            self.commit(record, Turns::Put(&entry)).await
        };
        let mut warnings: Vec<String> = opened.warning.into_iter().collect();
        let span = Span::current();
        span.record("thread_id", tracing::field::display(thread.id()));
        span.record("turn_id", &turn_id.0);
        let outcome = self.watch(turn, order).await;
        let status = note(record, &mut entry, &outcome, started);
        tracing::info!(
            status = status.as_str(),
            duration_ms = entry.details.duration_ms,
            continuity = opened.continuity.as_str(),
            "turn ended"
        );
        let finished = self.finish(record, &mut entry, status).await;
        if let Err(error) = acknowledged.and(finished) {
            tracing::error!(session = %self.name, error = &error as &dyn std::error::Error, "a turn is not recorded");
            warnings.push(format!("This turn could not be fully recorded: {error}."));
        }
        warnings.extend(outcome.warnings);
        Ok(Reply {
            session: self.name.clone(),
            thread_id: thread.id().clone(),
            turn_id,
            number: entry.number,
            status: outcome.status,
            response: outcome.response,
            continuity: opened.continuity,
            model: request.model,
            model_source: choice.source,
            reasoning_effort: request.effort,
            sandbox: thread.sandbox(),
            approval_policy: plan.approval_policy,
            working_directory: plan.directory.clone(),
            usage: outcome.usage,
            duration: started.elapsed(),
            commands: outcome.commands,
            files_changed: outcome.files,
            engine: thread.engine(),
            codex_version: thread.codex_version().to_string(),
            warnings,
        })
    }

    /// Records that a turn is about to start, and what its call chose.
    async fn begin(
        &self,
        record: &mut SessionRecord,
        call: Request,
        request: &TurnRequest,
    ) -> Result<TurnRecord, SessionError> {
        if call.reset {
            self.commit(record, Turns::Clear).await?;
        }
        let now = Timestamp::now();
        record.settings = call.settings.or(&record.settings);
        // A session keeps working where it began, wherever the next server is started.
        record.settings.working_directory.get_or_insert_with(|| request.cwd.clone());
        record.turn_count += 1;
        record.status = SessionStatus::Running;
        record.touch(now, self.shared.config.ttl);
        let entry = TurnRecord {
            number: record.turn_count,
            prompt: call.prompt,
            response: String::new(),
            timestamp: now,
            status: SessionStatus::Running,
            details: TurnDetails {
                model: request.model.clone(),
                reasoning_effort: request.effort.clone(),
                ..TurnDetails::default()
            },
        };
        self.commit(record, Turns::Put(&entry)).await?;
        Ok(entry)
    }

    /// Follows the turn to its end, or ends it if nobody waits any more.
    async fn watch(&mut self, mut turn: Turn, order: &mut Order) -> TurnOutcome {
        let mut renew = interval_at(Instant::now() + LEASE / 3, LEASE / 3);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = turn.next() => match event {
                    Some(TurnEvent::Ended(outcome)) => return *outcome,
                    Some(event) => tracing::trace!(?event, "turn event"),
                    None => return turn.interrupt().await,
                },
                () = order.reply.closed() => {
                    tracing::info!(session = %self.name, "the caller is gone; interrupting its turn");
                    return turn.interrupt().await;
                }
                () = self.shared.closing.cancelled() => return turn.interrupt().await,
                Some(message) = self.mailbox.recv() => self.queue(message),
                _ = renew.tick() => self.renew().await,
            }
        }
    }

    /// Records how the turn ended.
    async fn finish(
        &self,
        record: &mut SessionRecord,
        entry: &mut TurnRecord,
        status: SessionStatus,
    ) -> Result<(), SessionError> {
        entry.status = status;
        record.status = status;
        record.touch(Timestamp::now(), self.shared.config.ttl);
        self.commit(record, Turns::Put(entry)).await
    }
}

/// Takes the outcome into the record.
fn note(
    record: &mut SessionRecord,
    entry: &mut TurnRecord,
    outcome: &TurnOutcome,
    started: Instant,
) -> SessionStatus {
    entry.response.clone_from(&outcome.response);
    entry.details.usage = outcome.usage;
    entry.details.commands.clone_from(&outcome.commands);
    entry.details.files_changed.clone_from(&outcome.files);
    entry.details.duration_ms = u64::try_from(started.elapsed().as_millis()).ok();
    record.usage += outcome.usage.unwrap_or_default();
    match &outcome.status {
        TurnStatus::Completed => SessionStatus::Completed,
        TurnStatus::Interrupted => SessionStatus::Interrupted,
        TurnStatus::Failed(TurnFailure { kind, message }) => {
            entry.details.error = Some(message.clone());
            if *kind == FailureKind::ModelRefused {
                // Else every later call of the session would fail the same way.
                record.settings.model = None;
            }
            SessionStatus::Failed
        }
    }
}

fn refused_model(reply: &Reply) -> bool {
    matches!(&reply.status, TurnStatus::Failed(failure) if failure.kind == FailureKind::ModelRefused)
}
