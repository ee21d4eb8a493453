//! Forking a session or any Codex thread into a new session.

use jiff::Timestamp;

use super::{
    Change, Origin, Request, SessionError, SessionName, SessionRecord, SessionStatus, Sessions,
    Settings, Verb,
    lease::LeaseGuard,
    record::ForkedFrom,
    rollouts::{KeepError, Known, fetch},
    shared::Shared,
    store::{Claim, CopiedTurns, Created, Excerpt},
    turn::Plan,
};
use crate::codex::{CodexError, ThreadId, TurnId};

/// What to fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForkSource {
    /// A session through the turn of this number, or the whole session if `None`.
    Session(SessionName, Option<u32>),
    /// A thread that Codex has a record of.
    Thread(ThreadId),
}

/// The result of a fork.
#[derive(Debug, Clone, PartialEq)]
pub struct Forked {
    pub session: SessionRecord,
    /// Why Codex could not fork the thread, if it could not: the next turn then rebuilds the context from our record.
    pub rebuilt: Option<String>,
}

impl Sessions {
    /// Makes a new session that continues from the source, which stays as it is.
    ///
    /// Works even while the source runs a turn, or another program has the thread open.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::NoTurn`], [`SessionError::Taken`], if the settings are not allowed
    /// any more, or if Codex or the store fails.
    pub async fn fork(
        &self,
        source: ForkSource,
        name: Option<SessionName>,
        origin: Origin,
    ) -> Result<Forked, SessionError> {
        self.caller().check(Verb::Change)?;
        let automatic = name.is_none();
        let name = name.unwrap_or_else(SessionName::automatic);
        let shared = self.shared();
        let now = Timestamp::now();
        let mut record = SessionRecord::new(name.clone(), automatic, now, shared.config.ttl());
        if shared.store(now).await?.load(&name, now).await?.is_some() {
            return Err(SessionError::Taken { name });
        }
        let (mut apart, mut machine) = (None, None);
        let (thread, through, from) = match source {
            ForkSource::Thread(thread) => {
                let info = shared.codex.thread_info(&thread).await?;
                let cwd = info.as_ref().and_then(|info| info.cwd.as_deref());
                shared.config.limits.check_history(cwd).await?;
                if let Some(info) = &info {
                    record.settings = Settings::adopted(info, &shared.config.limits).await;
                }
                (Some(thread), None, None)
            }
            ForkSource::Session(other, turn) => {
                let source = shared.record(&other).await?;
                let (number, through) = last_turn(shared, &source, turn).await?;
                record.settings = source.settings;
                record.effective = source.effective;
                apart = source.details.worktree;
                record.details.title = source.details.title.filter(|_| automatic);
                record.details.forked_from =
                    Some(ForkedFrom { session: other.clone(), turn: number });
                record.last_turn = number;
                record.details.cleared = source.details.cleared;
                if number > 0 {
                    record.status = SessionStatus::Completed;
                }
                machine.clone_from(&source.details.machine);
                let source_machine = source.details.machine;
                let source_session = SourceSession { name: other, number, machine: source_machine };
                (source.thread_id, through, Some(source_session))
            }
        };
        // Checked before anything is made: the new session must be able to run turns.
        let mut plan = Plan::new(
            &Request { origin, ..Request::ask("fork") },
            (&record.settings, machine.as_deref()),
            &shared.config,
        )
        .await?;
        if let (Some(other), Some(worktrees)) = (&apart, &shared.worktrees) {
            let worktree = worktrees.fork(&name, other).await?;
            plan.move_into(&worktree).await?;
            record.details.worktree = Some(worktree);
        }
        let worktree = record.details.worktree.clone();
        let made = make(shared, record, thread, through, from, &plan, now).await;
        if let (Err(_), Some(worktree)) = (&made, &worktree) {
            shared.remove_worktree(worktree).await?;
        }
        made
    }
}

/// Forks the thread and adds the session.
async fn make(
    shared: &Shared,
    mut record: SessionRecord,
    thread: Option<ThreadId>,
    through: Option<TurnId>,
    from: Option<SourceSession>,
    plan: &Plan,
    now: Timestamp,
) -> Result<Forked, SessionError> {
    let name = record.name.clone();
    let is_ours = from.is_some();
    let forked = match thread {
        Some(thread) => match unusable(shared, from.as_ref(), &thread).await? {
            Some(reason) => Err(reason),
            None => fork_thread(shared, plan, &thread, through.as_ref(), &mut record).await,
        },
        None => Err("there is no thread yet".to_owned()),
    };
    let rebuilt = match forked {
        Ok(()) => None,
        // We have no record to rebuild the context from.
        Err(reason) if !is_ours => {
            return Err(SessionError::Codex(CodexError::Refused {
                method: "thread/fork",
                message: reason,
            }));
        }
        Err(reason) => Some(reason),
    };
    let store = shared.store(now).await?;
    let copy = from.as_ref();
    let copy = copy.map(|from| CopiedTurns { from: &from.name, through: from.number });
    match store.create(&record, copy, shared.config.session.cap, now).await? {
        Created::Done { .. } => {}
        Created::Conflict => return Err(SessionError::Taken { name }),
        Created::Full => return Err(SessionError::Full { cap: shared.config.session.cap }),
    }
    keep_history(shared, &record).await;
    shared.changed(Change::List);
    Ok(Forked { session: record, rebuilt })
}

/// The session that is forked.
struct SourceSession {
    name: SessionName,
    /// Its last turn that the fork has.
    number: u32,
    /// The machine that ran its last turn.
    machine: Option<String>,
}

/// Sees to it that the thread of the session that is forked is here. Says why what is here must not be forked, if it must
/// not: it may lack turns.
async fn unusable(
    shared: &Shared,
    from: Option<&SourceSession>,
    thread: &ThreadId,
) -> Result<Option<String>, SessionError> {
    let (Some(config), Some(from)) = (&shared.config.rollouts, from) else { return Ok(None) };
    let store = shared.store(Timestamp::now()).await?;
    let is_remote = from.machine.as_ref().is_some_and(|it| *it != shared.config.machine);
    let fetched = match fetch(config, &shared.codex, &*store, &from.name, thread).await {
        Ok(fetched) => fetched,
        // Somebody works with what is here. It can be forked all the same, if it is as it was when we left it.
        Err(SessionError::Codex(error @ CodexError::ActiveWriter { .. })) => {
            return Ok(is_remote.then(|| error.to_string()));
        }
        Err(error) => return Err(error),
    };
    if let Some(reason) = fetched.unusable(is_remote) {
        return Ok(Some(reason));
    }
    let Some(turn) = fetched.ends_before(from.number, is_remote) else { return Ok(None) };
    let turns = store.turns(&from.name, turn, from.number - turn, Excerpt::first(0)).await?;
    let lacks = turns.iter().any(|turn| turn.details.turn_id.is_some());
    Ok(lacks.then(|| "its history lacks turns".to_owned()))
}

/// Keeps the history of a fork, so that its first turn can be on another machine. Without that it is rebuilt there.
async fn keep_history(shared: &Shared, record: &SessionRecord) {
    let (Some(config), Some(thread)) = (&shared.config.rollouts, &record.thread_id) else { return };
    let now = Timestamp::now();
    let kept = async {
        let store = shared.store(now).await?;
        let claim = store.claim(&record.name, None, shared.config.lease(), now).await?;
        // A server that was quicker keeps it after the turn.
        let Claim::Ours { lease, .. } = claim else { return Ok(()) };
        let measures = shared.measures.clone();
        let guard = LeaseGuard::keep(lease, store, shared.config.lease(), &shared.tasks, measures);
        let (with, under) = ((config, &shared.codex), (&**guard.store(), guard.lease()));
        let kept = Known::default().keep(with, under, thread, record.last_turn).await;
        guard.release().await;
        kept.map(drop)
    };
    let kept: Result<(), KeepError> = kept.await;
    if let Err(error) = kept {
        tracing::warn!(session = %record.name, error = &error as &dyn std::error::Error, "the history of a fork is not kept");
    }
}

/// The last turn of the fork, and its id in Codex unless the whole thread is forked.
async fn last_turn(
    shared: &Shared,
    source: &SessionRecord,
    turn: Option<u32>,
) -> Result<(u32, Option<TurnId>), SessionError> {
    let count = source.last_turn;
    let is_running = source.status == SessionStatus::Running;
    let number = match turn {
        Some(number) if number <= source.details.cleared || number > count => {
            return Err(SessionError::NoTurn { name: source.name.clone(), number, count });
        }
        Some(number) => number,
        // A running turn is left out.
        None if is_running => count.saturating_sub(1),
        None => return Ok((count, None)),
    };
    if number == count && !is_running {
        return Ok((number, None));
    }
    let store = shared.store(Timestamp::now()).await?;
    let found = store.turn(&source.name, number, u64::MAX).await?;
    Ok((number, found.and_then(|turn| turn.details.turn_id)))
}

/// Has Codex fork the thread, and gives the new one to the session. Fails with the reason, for display.
async fn fork_thread(
    shared: &Shared,
    plan: &Plan,
    thread: &ThreadId,
    through: Option<&TurnId>,
    record: &mut SessionRecord,
) -> Result<(), String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let settings = plan.complete(&shared.codex, &shared.config).await;
    let (settings, _) = settings.map_err(|error| said(&error))?;
    let forked = shared.codex.fork_thread(thread, through, &settings).await;
    let forked = forked.map_err(|error| said(&error))?;
    let id = forked.id().cloned().ok_or_else(|| "it has no id".to_owned());
    // Codex has given it the name of the other one.
    if let Some(name) = record.name_for_thread().map(str::to_owned)
        && forked.set_name(&name).await.is_ok()
    {
        record.details.thread_name = Some(name);
    }
    forked.release().await;
    record.thread_id = Some(id?);
    Ok(())
}
