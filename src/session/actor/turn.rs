//! One turn: recorded before it starts, watched while it runs, recorded when it ends.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Span;

use super::{
    Order,
    life::Actor,
    open::{Loaded, Opened},
    plan::Plan,
    watch::Watched,
};
use crate::{
    codex::{
        ApprovalPolicy, CodexError, FailureKind, Repository, Thread, TurnFailure, TurnOutcome,
        TurnRequest, TurnStatus,
    },
    session::{
        Change, Reply, SessionError, SessionRecord, SessionStatus, Source, TurnDetails, TurnRecord,
        Update, Work, context, output, review, sources, store::Turns,
    },
};

/// How long what is not to be kept stays for a caller who has handed it back.
const EPHEMERAL: Duration = Duration::from_mins(10);

impl Actor {
    /// Runs one turn from start to end. None if the call needs none any more.
    pub(super) async fn turn(&mut self, order: &mut Order) -> Result<Option<Reply>, SessionError> {
        let Some((mut record, is_new)) = self.claim(order).await? else { return Ok(None) };
        let ran = self.attempts(order, &mut record).await;
        if !matches!(ran, Ok(Some(_))) && is_new && record.turn_count == 0 {
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
    ) -> Result<Option<Reply>, SessionError> {
        if order.request.reset {
            // Only here: in the store when a turn begins, so that a call that fails costs nothing.
            record.reset();
        }
        if record.turn_count == 0 && record.thread_id.is_none() && !order.automatic {
            self.adopt(record).await?;
        }
        let plan = Plan::new(&order.request, &record.settings, &self.shared.config)?;
        if let Work::Review { code, .. } = &order.request.work {
            Repository::at(&plan.directory).check(code).await?;
        }
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
    ) -> Result<Option<Reply>, SessionError> {
        let opened = self.open(record, plan).await?;
        if order.is_cancelled() {
            return Ok(None);
        }
        let Some(loaded) = self.loaded.take() else { return Err(SessionError::ShuttingDown) };
        let ran = self.run(order, record, plan, opened, &loaded).await;
        self.loaded = Some(loaded);
        if ran.as_ref().is_ok_and(refused_model) {
            // The thread would keep asking for it.
            self.unload().await;
        }
        ran.map(Some)
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
        let request = plan.request(order.request.turn_work(asked), thread, choice);
        let details = TurnDetails {
            continuity: Some(opened.continuity),
            model: request.model.clone(),
            model_source: Some(choice.source),
            reasoning_effort: request.effort.clone(),
            ephemeral: plan.ephemeral,
            ..details_of(thread, &request)
        };
        let mut entry = self.begin(record, order, details).await?;
        let chosen = order.request.settings.approval_policy;
        if !thread.asks() && chosen.is_some_and(|policy| policy != ApprovalPolicy::Never) {
            let version = thread.codex_version();
            entry.details.warnings.push(format!(
                "Codex {version} cannot ask for approvals; what would need one is refused."
            ));
        }
        let turn = match thread.start_turn(&request).await {
            Ok(turn) => turn,
            Err(error) => {
                entry.details.failure =
                    Some(TurnFailure { kind: FailureKind::Other, message: error.to_string() });
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
        order.tell(&Update::Begun(entry.number));
        entry.details.turn_id = Some(turn.id().clone());
        record.codex_version = Some(thread.codex_version().to_string());
        // Stored now, because from now on there is something to resume. The turn runs; what cannot be
        // written is tried again at its end.
        entry.details.thread_id = thread.id().cloned();
        let acknowledged = if record.thread_id.as_ref() == thread.id() {
            Ok(())
        } else {
            record.thread_id = thread.id().cloned();
            self.commit(record, Turns::Put(&entry)).await
        };
        let span = Span::current();
        span.record("thread_id", thread.id().map(tracing::field::display));
        span.record("turn_id", &turn.id().0);
        let Watched { outcome, stop } = self.watch(turn, order, record, &mut entry).await;
        entry.details.stopped = stop;
        entry.details.warnings.extend(opened.warning);
        let status = note(record, &mut entry, outcome, started);
        if status == SessionStatus::Completed {
            interpret(&mut entry, &order.request.work);
        }
        tracing::info!(
            status = status.as_str(),
            duration_ms = entry.details.duration_ms,
            continuity = opened.continuity.as_str(),
            "turn ended"
        );
        let finished = self.finish(record, &mut entry, status).await;
        if let Err(error) = acknowledged.and(finished) {
            tracing::error!(session = %self.name, error = &error as &dyn std::error::Error, "a turn is not recorded");
            let warning = format!("This turn could not be fully recorded: {error}.");
            entry.details.warnings.push(warning);
        }
        Ok(Reply { session: self.name.clone(), turn: entry })
    }

    /// Records that a turn is about to start, and what its call chose.
    async fn begin(
        &self,
        record: &mut SessionRecord,
        order: &Order,
        details: TurnDetails,
    ) -> Result<TurnRecord, SessionError> {
        let call = &order.request;
        if call.reset {
            self.commit(record, Turns::Clear).await?;
        }
        let now = Timestamp::now();
        record.settings = call.settings.clone().or(&record.settings);
        // A session keeps working where it began, wherever the next server is started.
        if record.settings.working_directory.is_none() {
            record.settings.working_directory.clone_from(&details.working_directory);
        }
        record.turn_count += 1;
        record.status = SessionStatus::Running;
        record.touch(now, self.shared.config.ttl);
        let entry = TurnRecord {
            number: record.turn_count,
            prompt: call.prompt.clone(),
            response: String::new(),
            timestamp: now,
            status: SessionStatus::Running,
            details,
        };
        self.commit(record, Turns::Put(&entry)).await?;
        self.shared.changed(Change::Session(self.name.clone()));
        Ok(entry)
    }

    /// Records a call that was handed back and then came to nothing: its caller has no other way to
    /// learn of it.
    pub(super) async fn record_failure(&mut self, order: &Order, error: &SessionError) {
        let failure = TurnFailure { kind: FailureKind::Other, message: error.to_string() };
        let details = TurnDetails { failure: Some(failure), ..TurnDetails::default() };
        let recorded = async {
            let mut order = Order::unfollowed(order.request.clone(), order.automatic);
            let Some((mut record, _)) = self.claim(&mut order).await? else { return Ok(()) };
            let mut entry = self.begin(&mut record, &order, details).await?;
            self.finish(&mut record, &mut entry, SessionStatus::Failed).await
        };
        if let Err(error) = recorded.await {
            tracing::error!(session = %self.name, error = &error as &dyn std::error::Error, "a failed call is not recorded");
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
        let ttl = self.shared.config.ttl;
        // What is not to be kept stays just long enough for a caller who has handed it back.
        let ttl = if entry.details.ephemeral { ttl.min(EPHEMERAL) } else { ttl };
        record.touch(Timestamp::now(), ttl);
        self.commit(record, Turns::Put(entry)).await?;
        self.shared.changed(Change::Session(self.name.clone()));
        Ok(())
    }

    /// If the session is named after a thread of Codex's own, it becomes that thread's session.
    async fn adopt(&self, record: &mut SessionRecord) -> Result<(), SessionError> {
        let Some(thread) = record.name.as_thread() else { return Ok(()) };
        let info = self.shared.codex.thread_info(&thread).await?;
        if let Some(cwd) = info.and_then(|info| info.cwd).filter(|cwd| cwd.is_dir()) {
            record.settings.working_directory.get_or_insert(cwd);
        }
        // Opening it says whether there is one; if not, this is a session like any other.
        record.thread_id = Some(thread);
        Ok(())
    }
}

/// Reads the answer as what it was to be.
fn interpret(entry: &mut TurnRecord, work: &Work) {
    let details = &mut entry.details;
    match work {
        Work::Ask { output_schema: Some(schema), .. } => {
            let (value, wrong) = output::parse(schema, &entry.response);
            details.output = value;
            details.warnings.extend(wrong);
        }
        Work::Ask { .. } => {}
        Work::Search => {
            let linked = sources::in_text(&entry.response);
            sources::merge(&mut details.sources, linked);
        }
        Work::Review { .. } => {
            let (text, findings) = review::read(&entry.response);
            entry.response = text;
            details.findings = Some(findings);
        }
    }
}

/// What is known of a turn before it starts.
fn details_of(thread: &Thread, request: &TurnRequest) -> TurnDetails {
    TurnDetails {
        thread_id: thread.id().cloned(),
        sandbox: thread.sandbox(),
        approval_policy: Some(if thread.asks() {
            request.approval_policy
        } else {
            ApprovalPolicy::Never
        }),
        working_directory: Some(request.cwd.clone()),
        engine: Some(thread.engine().to_owned()),
        codex_version: Some(thread.codex_version().to_string()),
        ..TurnDetails::default()
    }
}

/// Takes the outcome into the record.
fn note(
    record: &mut SessionRecord,
    entry: &mut TurnRecord,
    outcome: TurnOutcome,
    started: Instant,
) -> SessionStatus {
    record.usage += outcome.usage.unwrap_or_default();
    entry.response = outcome.response;
    let details = &mut entry.details;
    details.usage = outcome.usage;
    details.commands = outcome.commands;
    details.files_changed = outcome.files;
    details.sources = outcome.sources.into_iter().map(Source::untitled).collect();
    details.duration_ms = u64::try_from(started.elapsed().as_millis()).ok();
    details.warnings.extend(outcome.warnings);
    match outcome.status {
        TurnStatus::Completed => SessionStatus::Completed,
        TurnStatus::Interrupted => SessionStatus::Interrupted,
        TurnStatus::Failed(failure) => {
            if failure.kind == FailureKind::ModelRefused {
                // Else every later call of the session would fail the same way.
                record.settings.model = None;
            }
            details.failure = Some(failure);
            SessionStatus::Failed
        }
    }
}

fn refused_model(reply: &Reply) -> bool {
    let failure = reply.turn.details.failure.as_ref();
    failure.is_some_and(|failure| failure.kind == FailureKind::ModelRefused)
}
