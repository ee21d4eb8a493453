//! One turn, phase by phase: the session is claimed, its thread opened, the turn recorded and started, followed while
//! it runs, and recorded again when it ends.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::Span;

use super::{
    actor::Actor,
    away::Away,
    input::{Expected, Input},
    live::Update,
    open::Opened,
    outcome::{has_refused_model, interpret, note},
    plan::Plan,
    queued::QueuedTurn,
    quota::Waited,
    recorder::{Acknowledged, Recorder},
    waiting::Claimed,
    watch::Watched,
};
use crate::{
    codex::{ApprovalPolicy, CodexError, Thread, Turn, TurnRequest},
    session::{
        Change, Notice, Reply, SessionError, SessionRecord, SessionStatus, Stop, WorktreeRecord,
        context,
        measures::TurnTime,
        store::{Excerpt, StoreError},
    },
};

/// How long the store may keep a turn that runs from being followed.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(1);

/// How far a turn is.
enum Phase {
    /// The session is ours; its thread is to be opened.
    Opening(Box<SessionRecord>),
    /// The thread is open; the turn is to be recorded and started.
    Starting(Box<Recorder>, Box<Plan>, Opened, Box<Input>),
    /// Codex has acknowledged the turn.
    Running(Box<Recorder>, Opened, Box<Turn>, Expected),
    /// Codex runs a turn of its own, which comes first.
    GivesWay,
    /// There is an answer, or nothing to do any more.
    Over(Option<Box<Reply>>),
}

/// Why a turn came to nothing, and whether its record says so already.
struct Failed {
    error: SessionError,
    recorded: bool,
}

impl Actor {
    /// Runs one turn from start to end. None if its call needs none any more.
    pub(super) async fn turn(
        &mut self,
        queued: &mut QueuedTurn,
    ) -> Result<Option<Reply>, SessionError> {
        loop {
            let Some(Claimed { record, is_new, number }) = self.claim(queued).await? else {
                return Ok(None);
            };
            self.number = number;
            self.time = TurnTime::begin();
            if let Some(reply) = self.left_for(queued, &record).await? {
                queued.log(Update::Repeated);
                let number = reply.turn.number;
                let reason =
                    format!("turn {number} was the same call, and this one has its answer");
                self.call_off(queued, Stop::Cancelled, Some(reason)).await;
                return Ok(Some(reply));
            }
            let low = match self.check_budget().await {
                Ok(()) => self.allowance().await,
                Err(error) => Err(error),
            };
            match low {
                Ok(None) => return self.admitted(queued, record, is_new).await,
                Ok(Some(low)) => match self.wait_for_allowance(queued, low).await? {
                    Waited::Enough => {}
                    Waited::GivesWay => {
                        queued.gives_way = true;
                        return Ok(None);
                    }
                    Waited::Cancelled => return Ok(None),
                    Waited::CalledOff(reply) => return Ok(Some(*reply)),
                },
                Err(error) => {
                    // A detached caller has no other way to learn of it.
                    if queued.live.is_detached() {
                        self.record_failure(queued, record, &error).await;
                    } else {
                        self.forget_if_new(is_new).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Runs a turn that may begin.
    async fn admitted(
        &mut self,
        queued: &mut QueuedTurn,
        record: SessionRecord,
        is_new: bool,
    ) -> Result<Option<Reply>, SessionError> {
        let untouched = record.clone();
        match self.go_through(queued, Phase::Opening(Box::new(record))).await {
            Ok(Some(reply)) => {
                let shared = &self.shared;
                let is_listed = async |model: &str| {
                    shared.config.limits.models.iter().any(|listed| listed == model)
                        || shared.codex.lists_model(model).await
                };
                shared.measures.turn_ended(&reply.turn, self.time, is_listed).await;
                Ok(Some(reply))
            }
            Ok(None) => {
                self.forget_if_new(is_new && !queued.gives_way).await;
                Ok(None)
            }
            Err(Failed { error, recorded: true }) => Err(error),
            Err(Failed { error, recorded: false }) => {
                // A detached caller has no other way to learn of it.
                if queued.live.is_detached() {
                    self.record_failure(queued, untouched, &error).await;
                } else {
                    self.forget_if_new(is_new).await;
                }
                Err(error)
            }
        }
    }

    /// The last turn, if this call repeats it and nobody has its answer yet.
    async fn left_for(
        &mut self,
        queued: &QueuedTurn,
        record: &SessionRecord,
    ) -> Result<Option<Reply>, SessionError> {
        let Some(skip) = record.last_turn.checked_sub(1) else { return Ok(None) };
        let Some(guard) = &self.lease else { return Ok(None) };
        if self.is_collected || !queued.request.joins {
            return Ok(None);
        }
        let digest = queued.request.digest(&self.name);
        let store = guard.store();
        let last = store.turns(&self.name, skip, 1, Excerpt::ALL).await?.pop();
        let last = last.filter(|turn| turn.details.uncollected && turn.details.call == digest);
        let Some(turn) = last.filter(|_| digest.is_some()) else { return Ok(None) };
        let is_left = store.collect(&self.name, turn.number).await?;
        self.is_collected = true;
        Ok(is_left.then(|| Reply { session: self.name.clone(), turn }))
    }

    async fn go_through(
        &mut self,
        queued: &mut QueuedTurn,
        mut phase: Phase,
    ) -> Result<Option<Reply>, Failed> {
        let mut retried = false;
        loop {
            phase = match phase {
                Phase::Opening(record) => match self.open_phase(queued, (*record).clone()).await {
                    // Codex has died since the last turn. As nothing was begun, it is asked again, once.
                    Err(Failed {
                        error: SessionError::Codex(CodexError::NotReached(cause)),
                        ..
                    }) if !retried => {
                        tracing::debug!(%cause, "asking a new Codex");
                        retried = true;
                        Phase::Opening(record)
                    }
                    other => other?,
                },
                Phase::Starting(recorder, plan, opened, input) => {
                    match self
                        .start_phase(queued, recorder, &plan, *input, (opened, retried))
                        .await?
                    {
                        Phase::Opening(record) => {
                            retried = true;
                            Phase::Opening(record)
                        }
                        other => other,
                    }
                }
                Phase::Running(recorder, opened, turn, expected) => {
                    let running = self.run_phase(queued, recorder, opened, (*turn, expected));
                    // Large, and most sessions in use rest.
                    let reply = Box::pin(running).await;
                    Phase::Over(Some(Box::new(reply)))
                }
                Phase::GivesWay => {
                    queued.gives_way = true;
                    return Ok(None);
                }
                Phase::Over(reply) => return Ok(reply.map(|reply| *reply)),
            };
        }
    }

    async fn open_phase(
        &mut self,
        queued: &QueuedTurn,
        record: SessionRecord,
    ) -> Result<Phase, Failed> {
        let mut fresh = None;
        let phase = self.open_with(queued, record, &mut fresh).await;
        if let (Some(worktree), Err(_) | Ok(Phase::Over(_) | Phase::GivesWay)) = (fresh, &phase)
            && let Err(error) = self.shared.remove_worktree(&worktree).await
        {
            tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "a worktree is left over");
        }
        phase
    }

    /// Opens the session's thread. `fresh` is the worktree that was made for that and is in no record yet.
    async fn open_with(
        &mut self,
        queued: &QueuedTurn,
        mut record: SessionRecord,
        fresh: &mut Option<WorktreeRecord>,
    ) -> Result<Phase, Failed> {
        let request = &queued.request;
        let is_unused = record.last_turn == 0 && record.thread_id.is_none();
        if is_unused && !queued.automatic && !request.reset {
            self.adopt(&mut record).await?;
        }
        let shared = &self.shared;
        let machine = record.details.machine.as_deref();
        let mut plan = match Plan::new(request, (&record.settings, machine), &shared.config).await {
            Ok(plan) => plan,
            Err(error) => return Err(self.naming_the_machine(error, queued, &record).into()),
        };
        let worktrees = shared.worktrees.as_ref();
        let had_worktree = record.details.worktree.is_some();
        let apart = plan.work_apart(request, &mut record, &shared.config, worktrees).await;
        *fresh = record.details.worktree.clone().filter(|_| !had_worktree);
        let warnings = apart?;
        plan.settle().await?;
        let input = Input::collect(request, &plan, &self.shared.config).await?;
        if let Some(loaded) = &self.loaded
            && loaded.thread.goes_on_as_asked(!loaded.is_held).await
        {
            return Ok(Phase::GivesWay);
        }
        let asked = Instant::now();
        let opened = if request.reset {
            // What is stored stays as it is until Codex has acknowledged the first turn of the new conversation.
            self.open(&record.reset(), &plan).await
        } else {
            self.open(&record, &plan).await
        };
        self.time.waited(asked);
        let mut opened = opened?;
        if let Some(loaded) = &mut self.loaded {
            loaded.is_held = record.status == SessionStatus::Interrupted;
            if loaded.thread.begins_by_itself().await {
                return Ok(Phase::GivesWay);
            }
        }
        opened.warnings.extend(warnings);
        opened.warnings.extend(plan.without_effect(self.loaded.as_ref()));
        if queued.is_cancelled() {
            self.unload_untold(&opened).await;
            return Ok(Phase::Over(None));
        }
        let Some(guard) = &self.lease else { return Err(SessionError::ShuttingDown.into()) };
        let (store, lease) = (Arc::clone(guard.store()), guard.lease().clone());
        let log = Arc::clone(&queued.live.log);
        let recorder = Recorder::new(
            store,
            lease,
            record,
            (request, self.number),
            log,
            self.shared.config.ttl(),
        );
        Ok(Phase::Starting(Box::new(recorder), Box::new(plan), opened, Box::new(input)))
    }

    async fn start_phase(
        &mut self,
        queued: &QueuedTurn,
        mut recorder: Box<Recorder>,
        plan: &Plan,
        input: Input,
        (opened, retried): (Opened, bool),
    ) -> Result<Phase, Failed> {
        let Some(loaded) = &self.loaded else { return Err(SessionError::ShuttingDown.into()) };
        let (thread, choice) = (&loaded.thread, &loaded.choice);
        let details = &mut recorder.entry.details;
        details.continuity = Some(opened.continuity);
        details.model_source = Some(choice.source);
        details.thread_id = thread.id().cloned();
        let (request, expected) =
            turn_request(input, plan, thread, choice.model.as_deref(), &opened);
        plan.check_unchanged().await?;
        if thread.has_unasked() {
            return Ok(Phase::GivesWay);
        }
        // From the moment on in which the record says that it runs.
        queued.live.set_number(recorder.entry.number);
        if let Err(error) = recorder.begin().await {
            let is_over = matches!(error, StoreError::CalledOff { .. });
            return Err(Failed { error: error.into(), recorded: is_over });
        }
        self.shared.changed(Change::Session(self.name.clone()));
        let asked = Instant::now();
        let started = thread.start_turn(&request).await;
        self.time.waited(asked);
        let error = match started {
            Ok(turn) => return Ok(Phase::Running(recorder, opened, Box::new(turn), expected)),
            Err(error) => error,
        };
        let written = recorder.fail(error.to_string()).await;
        if let Err(error) = &written {
            tracing::error!(session = %self.name, %error, "a failed start is not recorded");
        }
        match error {
            CodexError::NotReached(_) if !retried => {
                // The second attempt takes its place in the record.
                let mut record = recorder.record;
                record.last_turn = recorder.last_before;
                return Ok(Phase::Opening(Box::new(record)));
            }
            // Codex said no, so it runs nothing.
            CodexError::Refused { .. } | CodexError::NotReached(_) => {
                self.unload_untold(&opened).await;
            }
            // It may have begun the turn all the same.
            _ => self.discard().await,
        }
        Err(Failed { error: error.into(), recorded: true })
    }

    pub(super) async fn run_phase(
        &mut self,
        queued: &mut QueuedTurn,
        mut recorder: Box<Recorder>,
        opened: Opened,
        (turn, expected): (Turn, Expected),
    ) -> Reply {
        self.acknowledge(queued, &mut recorder, &turn).await;
        let caveats = turn.caveats().to_vec();
        let begun = Instant::now();
        let Watched { outcome, stop, confirmed } =
            Box::pin(self.watch(turn, queued, &mut recorder)).await;
        self.time.waited(begun);
        let Recorder { record, entry, started, .. } = &mut *recorder;
        queued.live.log.record(entry);
        entry.details.stopped = stop;
        entry.details.moved_from = opened.moved_from;
        entry.details.warnings.extend(opened.warnings);
        entry.details.warnings.extend(caveats);
        let mut status = note(record, entry, outcome, *started);
        if status == SessionStatus::Completed {
            status = interpret(entry, &queued.request.work, expected).await;
            // What it is read as is what is shown of it.
            queued.live.log.set_answer(&entry.response);
        }
        if status == SessionStatus::Completed {
            entry.details.uncollected = !queued.live.log.is_read() && entry.details.call.is_some();
        }
        self.is_collected = !entry.details.uncollected;
        if let Some(loaded) = &mut self.loaded {
            loaded.is_held = status == SessionStatus::Interrupted;
        }
        let mut away = Away::under(self.lease.as_ref(), self.shared.config.is_shared);
        let entry = &recorder.entry;
        tracing::info!(
            status = status.as_str(),
            duration_ms = entry.details.duration_ms,
            continuity = opened.continuity.as_str(),
            "turn ended"
        );
        let written = match stop {
            // The record is now written by the server that has the lease.
            Some(Stop::LeaseLost) => Err(StoreError::LeaseLost { name: self.name.clone() }),
            // What could not be written then is written now.
            _ => loop {
                match away.unless_lost(Box::pin(recorder.end(status))).await {
                    None => break Away::lost(&self.name),
                    Some(Err(error)) if away.is_over_soon(&error).await => {}
                    Some(written) => break away.outcome(written, &self.name),
                }
            },
        };
        if written.is_ok() {
            // Who has the answer finds its history as well.
            self.after(&mut recorder, &mut away).await;
        }
        self.shared.changed(Change::Session(self.name.clone()));
        let Recorder { record, entry: mut turn, .. } = *recorder;
        let is_named = record.name_for_thread() == record.details.thread_name.as_deref();
        self.to_name = (written.is_ok() && !is_named && !turn.details.ephemeral).then_some(record);
        if let Err(error) = written {
            self.not_recorded(&mut turn, &error);
        }
        if !confirmed {
            self.discard().await;
        } else if has_refused_model(&turn) || turn.details.stopped == Some(Stop::LeaseLost) {
            // The thread would keep asking for that model; or somebody else is to have it.
            self.unload().await;
        }
        let reply = Reply { session: self.name.clone(), turn };
        if queued.live.is_detached() {
            self.shared.notify(Notice::Ended(Arc::new(reply.clone())));
        }
        reply
    }

    async fn acknowledge(&self, queued: &QueuedTurn, recorder: &mut Recorder, turn: &Turn) {
        let Some(loaded) = &self.loaded else { return };
        let thread = &loaded.thread;
        let chosen = queued.request.settings.approval_policy;
        if !thread.asks() && chosen.is_some_and(|policy| policy != ApprovalPolicy::Never) {
            let version = thread.codex_version();
            recorder.entry.details.warnings.push(format!(
                "Codex {version} cannot ask for approvals; what would need one is refused."
            ));
        }
        if self.shared.store.take_replaced() {
            recorder.entry.details.warnings.push(
                "The file of the session store was removed or replaced while this server ran. It was opened \
                 anew; what was only in the old file is gone."
                    .to_owned(),
            );
        }
        let news = Acknowledged {
            thread,
            turn: turn.id(),
            effective: turn.effective(),
            machine: &self.shared.config.machine,
        };
        // The turn runs; what cannot be written now is written by the next checkpoint.
        match timeout(ACKNOWLEDGEMENT, recorder.acknowledge(&news)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "cannot write an acknowledged turn down");
            }
            Err(_) => {
                tracing::warn!(session = %self.name, "the store is slow to take an acknowledged turn");
            }
        }
        queued.live.set_number(recorder.entry.number);
        queued.log(Update::Begun(recorder.entry.number));
        let span = Span::current();
        span.record("thread_id", thread.id().map(tracing::field::display));
        span.record("turn_id", &turn.id().0);
    }
}

impl<E: Into<SessionError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { error: error.into(), recorded: false }
    }
}

/// The turn to start. Model and effort are always said, so that what one turn chose for itself does not stick to the
/// next.
fn turn_request(
    input: Input,
    plan: &Plan,
    thread: &Thread,
    model: Option<&str>,
    opened: &Opened,
) -> (TurnRequest, Expected) {
    let Input { text, images, output_schema, expected } = input;
    let text = match opened.preamble.as_slice() {
        [] => text,
        items => context::preamble(items, &text),
    };
    let request = TurnRequest {
        text,
        images,
        output_schema,
        cwd: plan.directory.clone(),
        model: model.or(thread.model()).map(str::to_owned),
        effort: plan.effort.as_deref().or(thread.effort()).map(str::to_owned),
        approval_policy: plan.approval_policy,
    };
    (request, expected)
}
