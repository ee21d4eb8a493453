//! The handle to all sessions: running, following, interrupting and steering turns, and answering approvals.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::{broadcast, oneshot};
use tokio_util::task::TaskTracker;

use super::{
    CallDigest, Change, Notice, Origin, Principal, Reply, Request, SessionConfig, SessionError,
    SessionName, SessionRecord, SessionStatus, Stop, TurnDetails, Verb,
    adopted::adopt,
    record::{AnswerRecord, ApprovalId, ApprovalRecord},
    remote,
    shared::Shared,
    store::{ControlOutcome, LazyStore, StoreConfig},
    turn::{Call, Detached, Follower, LiveTurn, LogPlace, Message, QueuedTurn, ReadFrom, Update},
};
use crate::codex::Codex;

/// The longest pause between two sweeps of expired sessions.
const SWEEP: Duration = Duration::from_mins(1);

/// How long all actors together may take to record their turns and end when the server shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// A handle to all sessions, for one caller. Clones share the sessions.
///
/// Each verb that decides something fails unless its caller may do that ([`Verb`]); one that follows a turn only looks.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Shared>, Arc<Principal>);

impl Sessions {
    /// Makes the handle. A background task on `tasks` opens the store and sweeps it.
    pub fn new(
        codex: Codex,
        store: StoreConfig,
        config: SessionConfig,
        tasks: TaskTracker,
    ) -> Self {
        let store = LazyStore::new(store);
        let operator = Principal::operator(config.tenant.clone());
        let shared = Arc::new(Shared::new(codex, store, config, tasks));
        let sessions = Self(shared, Arc::new(operator));
        sessions.0.tasks.spawn(sweep(Arc::clone(&sessions.0)));
        sessions.0.tasks.spawn(remote::follow_changes(Arc::clone(&sessions.0)));
        sessions
    }

    /// The same sessions for another caller. It never gets a wider scope than this handle has.
    pub fn on_behalf_of(&self, caller: &Principal) -> Self {
        let scope = caller.scope.min(self.1.scope);
        let tenant = self.1.tenant.clone();
        let subject = caller.subject.clone();
        Self(Arc::clone(&self.0), Arc::new(Principal { tenant, subject, scope }))
    }

    /// Who this handle belongs to.
    pub fn caller(&self) -> &Principal {
        &self.1
    }

    /// Begins no new turn from now on. Those that run or wait go on.
    pub fn drain(&self) {
        self.0.draining.cancel();
    }

    #[cfg(test)]
    pub(super) fn over(shared: Arc<Shared>) -> Self {
        let operator = Principal::operator(shared.config.tenant.clone());
        Self(shared, Arc::new(operator))
    }

    /// Fails if the client behind this origin descends from a Codex of ours.
    ///
    /// # Errors
    /// [`SessionError::Nested`].
    pub fn check_origin(&self, origin: &Origin) -> Result<(), SessionError> {
        let is_nested = origin.is_nested(|| self.0.codex.lineage(origin.process));
        if is_nested { Err(SessionError::Nested) } else { Ok(()) }
    }

    /// Runs a turn in a session. Without a name a new session is made.
    ///
    /// Turns of one session run one after the other in the order of the calls; those of different sessions run at
    /// the same time. Unless the request says otherwise the call is attached: dropping it interrupts the turn, and its
    /// results so far are recorded; if the turn is still queued, it never runs.
    ///
    /// A call that repeats one whose answer nobody has can get that one's turn: then [`Call::is_joined`].
    ///
    /// # Errors
    /// If the request can be refused before a session is touched. A turn that starts and fails is a reply.
    pub async fn send(
        &self,
        name: Option<SessionName>,
        request: Request,
    ) -> Result<Call, SessionError> {
        self.1.check(Verb::Ask)?;
        if self.0.draining.is_cancelled() {
            return Err(SessionError::ShuttingDown);
        }
        let request = request.checked(&self.0.config).await?;
        self.check_origin(&request.origin)?;
        let automatic = name.is_none();
        let name = name.unwrap_or_else(SessionName::automatic);
        let digest = request.digest(&name);
        self.0.adopt_at_first().await;
        if let Some(digest) = digest.as_ref().filter(|_| request.joins)
            && let Some(call) = self.join(&name, digest, request.can_ask)
        {
            return Ok(call);
        }
        self.check_day().await?;
        // Nothing is waited for between this and the post.
        self.check_load(&name)?;
        let follower =
            Follower { attached: !request.detached, can_ask: request.can_ask, looks_only: false };
        let turn = LiveTurn::of_call(digest);
        self.0.post(&name, |live| {
            let actor = Some(live.mailbox.clone());
            let call =
                Call::new(name.clone(), Arc::clone(&turn), follower, actor, ReadFrom::Beginning);
            let call = call.calling(false);
            live.add(Arc::clone(&turn));
            (Message::Send(Box::new(QueuedTurn::new(request, automatic, turn))), call)
        })
    }

    /// The turn that an equal call has left, waiting or running.
    fn join(&self, name: &SessionName, digest: &CallDigest, can_ask: bool) -> Option<Call> {
        let follower = Follower { attached: false, can_ask, looks_only: false };
        self.0.with_turns(name, |turns, actor| {
            let left = turns.iter().find(|turn| turn.is_left_by(digest))?;
            let call =
                Call::new(name.clone(), Arc::clone(left), follower, Some(actor), ReadFrom::Now);
            Some(call.calling(true))
        })
    }

    /// Follows a turn that another call began. If `turn` is `None`, that is the running turn, else the last one. A caller
    /// that may not decide anything only looks, whatever `follower` says.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn follow(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        follower: Follower,
    ) -> Result<Call, SessionError> {
        self.follow_reading(name, turn, follower, ReadFrom::Now).await
    }

    /// Looks at a turn from its first item on, or from the place in which [`Call::place`] was; else like
    /// [`Sessions::follow`].
    ///
    /// # Errors
    /// As for [`Sessions::follow`].
    pub async fn follow_from(
        &self,
        name: &SessionName,
        turn: u32,
        place: Option<LogPlace>,
    ) -> Result<Call, SessionError> {
        let follower = Follower { attached: false, can_ask: false, looks_only: true };
        let from = place.map_or(ReadFrom::Beginning, ReadFrom::Place);
        self.follow_reading(name, Some(turn), follower, from).await
    }

    async fn follow_reading(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        follower: Follower,
        from: ReadFrom,
    ) -> Result<Call, SessionError> {
        let follower = follower.of(&self.1);
        let record = self.record(name).await?;
        if let Some((turns, actor)) = self.0.turns(name)
            && let Some(live) = pick(&turns, turn)
        {
            return Ok(Call::new(name.clone(), live, follower, Some(actor), from));
        }
        // The turn is over, or another server runs it.
        let live = self.0.observed_turn(name, turn.unwrap_or(record.last_turn), follower);
        Ok(Call::new(name.clone(), live, follower, None, from))
    }

    /// Interrupts the running turn of a session, whichever server runs it; if none runs, calls off the next one if that waits
    /// for the account's allowance. Returns that turn, or `None` if there was none.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Busy`] if another server does not end its turn in time, or if the
    /// store cannot be read.
    pub async fn interrupt(&self, name: &SessionName) -> Result<Option<Reply>, SessionError> {
        self.1.check(Verb::Interrupt)?;
        self.record(name).await?;
        let (reply, answered) = oneshot::channel();
        if self.0.tell(name, Message::Interrupt(reply))
            && let Ok(Some(reply)) = answered.await
        {
            return Ok(Some(reply));
        }
        match self.0.interrupt_remote(name).await? {
            Some(reply) => Ok(Some(reply)),
            None => self.0.call_off_next(name).await,
        }
    }

    /// Interrupts a turn that is a task if it runs, whichever server runs it. Nothing happens if it is over. Only a turn
    /// that runs here is recorded as a task that was cancelled.
    ///
    /// # Errors
    /// As [`Sessions::interrupt`].
    pub async fn cancel_task(&self, name: &SessionName, turn: u32) -> Result<(), SessionError> {
        self.1.check(Verb::Interrupt)?;
        let (reply, answered) = oneshot::channel();
        if self.0.tell(name, Message::CancelTask(turn, reply))
            && let Ok(Some(_)) = answered.await
        {
            return Ok(());
        }
        let record = self.record(name).await?;
        if record.status == SessionStatus::Running && record.last_turn == turn {
            self.0.interrupt_remote(name).await?;
            return Ok(());
        }
        // It may wait on another server.
        let store = self.0.store(Timestamp::now()).await?;
        if let Some(queued) = store.turn(name, turn, u64::MAX).await?
            && queued.status == SessionStatus::Queued
        {
            let stopped = Some(Stop::Cancelled);
            let details = TurnDetails { stopped, task_cancelled: true, ..queued.details };
            store.call_off(name, turn, &details).await?;
        }
        Ok(())
    }

    /// A turn as far as it is: what there is of it if it runs here, else as it is recorded. `None` if there is no such turn.
    /// For who only looks: whoever calls for an answer that nobody had still gets it.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn inspect(
        &self,
        name: &SessionName,
        turn: u32,
    ) -> Result<Option<Reply>, SessionError> {
        let record = self.record(name).await?;
        if record.status == SessionStatus::Running && record.last_turn == turn {
            let follower = Follower { attached: false, can_ask: false, looks_only: true };
            let call = self.follow(name, Some(turn), follower).await?;
            if let Ok(Detached::Begun(reply)) = call.detach().await {
                return Ok(Some(Reply::clone(&reply)));
            }
        }
        self.0.recorded(name, turn, true).await
    }

    /// Steers the running turn of a session with another prompt, whichever server runs it.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Idle`], [`SessionError::NotSteered`],
    /// [`SessionError::SteerUnconfirmed`], [`SessionError::PromptTooLong`] if the turn would have more text than it may,
    /// [`SessionError::DayUsedUp`], or if the store cannot be read.
    pub async fn steer(&self, name: &SessionName, prompt: String) -> Result<(), SessionError> {
        self.1.check(Verb::Steer)?;
        self.0.config.limits.check_more_text(0, &prompt)?;
        let record = self.record(name).await?;
        self.check_tokens().await?;
        let (reply, answered) = oneshot::channel();
        if self.0.tell(name, Message::Steer(prompt.clone(), reply)) {
            match answered.await {
                Ok(Ok(_)) => return Ok(()),
                // Another server may run the turn.
                Ok(Err(SessionError::Idle { .. })) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
        if record.status != SessionStatus::Running {
            return Err(SessionError::Idle { name: name.clone() });
        }
        match self.0.steer_remote(name, prompt).await? {
            ControlOutcome::Done => Ok(()),
            ControlOutcome::Refused(reason) => Err(SessionError::NotSteered { reason }),
            ControlOutcome::Unconfirmed(reason) => Err(SessionError::SteerUnconfirmed { reason }),
        }
    }

    /// The open approvals of all servers that share the store, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn approvals(&self) -> Result<Vec<ApprovalRecord>, SessionError> {
        Ok(self.0.store(Timestamp::now()).await?.open_approvals(None).await?)
    }

    /// Answers an approval, whichever server runs its turn. Only the first answer counts.
    ///
    /// # Errors
    /// [`SessionError::ApprovalExpired`] if it is not open any more, [`SessionError::DecisionNotOffered`], or if
    /// the store cannot be written.
    pub async fn answer(&self, id: &ApprovalId, given: AnswerRecord) -> Result<(), SessionError> {
        self.1.check(Verb::Answer)?;
        let store = self.0.store(Timestamp::now()).await?;
        let open = store.open_approvals(None).await?;
        let expired = || SessionError::ApprovalExpired { id: id.clone() };
        let asked = open.iter().find(|open| open.approval.id == *id).ok_or_else(expired)?;
        let (decision, choices) = (given.answer.decision, &asked.approval.choices);
        if !choices.contains(&decision) {
            let choices = choices.iter().map(|choice| choice.as_str()).collect();
            return Err(SessionError::DecisionNotOffered { decision: decision.as_str(), choices });
        }
        let session = store.answer_approval(id, &given).await?.ok_or_else(expired)?;
        // If the turn runs here, clients stop asking at once, and Codex need not wait for the next tick.
        if let Some((turns, _)) = self.0.turns(&session) {
            for turn in turns {
                turn.log.append(Update::ApprovalSettled(id.clone()));
            }
        }
        self.0.tell(&session, Message::CheckInbox);
        Ok(())
    }

    /// A session as it is recorded.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn record(&self, name: &SessionName) -> Result<SessionRecord, SessionError> {
        self.0.record(name).await
    }

    /// How many turns run or wait here.
    pub fn running(&self) -> usize {
        self.0.running()
    }

    /// The turns that run or wait here, by session.
    pub fn turns_here(&self) -> Vec<(SessionName, Option<u32>)> {
        self.0.all_turns()
    }

    /// Subscribes to the changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes()
    }

    /// Subscribes to the notices from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.0.notices()
    }

    /// The limits and defaults in force.
    pub fn config(&self) -> &SessionConfig {
        &self.0.config
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Interrupts and records every turn, answers every waiting call, and ends Codex.
    pub async fn shutdown(&self) {
        self.0.closing.cancel();
        self.0.actors.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.0.actors.wait()).await.is_err() {
            tracing::warn!("a session did not end in time");
        }
        self.shutdown_codex().await;
    }

    /// Ends Codex without waiting for turns.
    pub async fn shutdown_codex(&self) {
        self.0.codex.shutdown().await;
    }
}

/// The turn of this number among those that run or wait here, or the first of them if `number` is `None`.
fn pick(turns: &[Arc<LiveTurn>], number: Option<u32>) -> Option<Arc<LiveTurn>> {
    match number {
        Some(_) => turns.iter().find(|turn| turn.number() == number).cloned(),
        None => turns.first().cloned(),
    }
}

/// Opens the store, then sweeps it from time to time. No rule depends on when: an expired session is not seen even
/// before it is swept.
async fn sweep(shared: Arc<Shared>) {
    if let Err(error) = shared.store(Timestamp::now()).await {
        tracing::error!(error = &error as &dyn std::error::Error, "sessions cannot be kept");
    }
    shared.tasks.spawn(adopt(Arc::clone(&shared)));
    let period = SWEEP.min(shared.config.ttl()).max(Duration::from_secs(1));
    let closing = shared.closing.clone();
    while closing.run_until_cancelled(tokio::time::sleep(period)).await.is_some() {
        let Some(store) = shared.store.opened() else { continue };
        if let Some(worktrees) = &shared.worktrees {
            worktrees.sweep(&*store).await;
        }
        match store.sweep(Timestamp::now()).await {
            Ok(expired) if expired.is_empty() => {}
            Ok(expired) => {
                tracing::info!(count = expired.len(), "sessions expired");
                shared.changed(Change::List);
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot sweep sessions");
            }
        }
    }
}
