//! The history of the session's thread on its way between machines: kept after a turn, fetched before the thread is resumed.

use jiff::Timestamp;

use super::{actor::Actor, away::Away, held::HeldTimeout, queued::QueuedTurn, recorder::Recorder};
use crate::{
    codex::ThreadId,
    session::{
        SessionError, SessionRecord, TurnRecord,
        rollouts::{KeepError, fetch},
        store::{Excerpt, StoreError},
    },
};

/// The most turns that a thread is told of which its history lacks, the last ones.
const LACKING: u32 = 20;

/// What the thread's history lacks, and where it comes from.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The machine it was moved from. `None` if it was here.
    pub(super) moved_from: Option<String>,
    /// Turns of the record that it does not have.
    pub(super) lacking: Vec<TurnRecord>,
    /// Why Codex must not resume what there is of it here.
    pub(super) unusable: Option<String>,
    /// What to tell the caller.
    pub(super) warnings: Vec<String>,
}

impl Actor {
    /// Keeps what the turn has added to the history. Says what went wrong, for the caller.
    pub(super) async fn keep_history(
        &mut self,
        recorder: &Recorder,
        away: &mut Away,
    ) -> Option<String> {
        let config = self.shared.config.rollouts.as_ref()?;
        let thread = self.loaded.as_ref().and_then(|loaded| loaded.thread.id())?;
        let guard = self.lease.as_ref()?;
        if recorder.entry.details.ephemeral {
            return None;
        }
        let with = (config, &self.shared.codex);
        let under = (&**guard.store(), guard.lease());
        let kept = loop {
            let keep = self.kept.keep(with, under, thread, recorder.entry.number);
            match away.unless_lost(Box::pin(keep)).await? {
                Err(KeepError::Store(error)) if away.is_over_soon(&error).await => {}
                other => break other,
            }
        };
        match kept {
            Ok(reason) => reason.as_deref().map(not_kept),
            // What follows says so.
            Err(KeepError::Store(StoreError::LeaseLost { .. })) => None,
            Err(error) => {
                tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "a history is not kept");
                Some(not_kept(&error.to_string()))
            }
        }
    }

    /// Fetches the history of a thread that is about to be resumed.
    pub(super) async fn fetch_history(
        &self,
        record: &SessionRecord,
        thread: &ThreadId,
    ) -> Result<History, SessionError> {
        let Some(config) = &self.shared.config.rollouts else { return Ok(History::default()) };
        let store = self.shared.store(Timestamp::now()).await?;
        let codex = &self.shared.codex;
        let held = HeldTimeout::begin();
        let fetched = loop {
            match fetch(config, codex, &*store, &self.name, thread).await {
                Err(SessionError::Codex(error)) if held.tries_again(&error).await => {}
                other => break other?,
            }
        };
        let last = record.details.machine.clone();
        let is_remote = last.as_ref().is_some_and(|last| *last != self.shared.config.machine);
        let mut history = History {
            moved_from: last.filter(|_| is_remote && fetched.laid),
            unusable: fetched.unusable(is_remote),
            lacking: Vec::new(),
            warnings: fetched.warnings.clone(),
        };
        if let Some(turn) = fetched.ends_before(record.last_turn, is_remote) {
            let skip = turn.max(record.last_turn.saturating_sub(LACKING));
            if skip > turn {
                history.warnings.push(format!("It lacks turns {} to {skip} as well.", turn + 1));
            }
            let turns = store.turns(&self.name, skip, LACKING, Excerpt::ALL).await?;
            let begun = |turn: &TurnRecord| {
                turn.details.turn_id.is_some() && turn.details.thread_id.as_ref() == Some(thread)
            };
            history.lacking = turns.into_iter().filter(begun).collect();
        }
        Ok(history)
    }

    /// Says on which machine the session's directory was, if that is what the call fails for.
    pub(super) fn naming_the_machine(
        &self,
        error: SessionError,
        queued: &QueuedTurn,
        record: &SessionRecord,
    ) -> SessionError {
        let here = &self.shared.config.machine;
        let machine = record.details.machine.as_ref().filter(|machine| *machine != here);
        match (error, machine) {
            (SessionError::Directory { path, reason }, Some(machine))
                if queued.request.settings.working_directory.is_none() =>
            {
                let reason = format!("{reason} on {here}; the session worked in it on {machine}");
                SessionError::Directory { path, reason }
            }
            (error, _) => error,
        }
    }
}

pub(super) fn not_kept(reason: &str) -> String {
    format!(
        "The history of this turn could not be kept for other machines ({reason}); there the session would go on with \
         what this server's record has."
    )
}
