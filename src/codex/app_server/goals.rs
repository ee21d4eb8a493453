//! Goals of Codex's own. While a thread has an active one, Codex begins a turn on it whenever none runs (0.171), which nothing
//! here would record, count or stop. So a goal is paused before its thread is taken, and as soon as one is made on it.

use std::sync::Arc;

use super::connection::Connection;
use crate::codex::{
    error::CodexError,
    ids::ThreadId,
    protocol::{Empty, Goal, GoalRead, GoalSetParams, ThreadParams},
    version::CodexVersion,
};

/// The longest part of an objective that is shown, in letters.
const SHOWN: usize = 100;

/// Pauses the goal of a thread that is about to be loaded. What it was, if it was active.
///
/// # Errors
/// If Codex dies, or has an active goal and does not pause it.
pub(super) async fn pause(
    connection: &Connection,
    thread: &ThreadId,
) -> Result<Option<String>, CodexError> {
    if connection.found().version < CodexVersion::GOALS {
        return Ok(None);
    }
    let params = ThreadParams { thread_id: &thread.0 };
    let goal = match connection.call::<GoalRead>("thread/goal/get", params).await {
        Ok(GoalRead { goal }) => goal,
        // It knows no goals, or not this thread, which the next request is told of.
        Err(CodexError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    match goal.filter(Goal::is_active) {
        None => Ok(None),
        Some(goal) => {
            set_paused(connection, thread).await?;
            Ok(Some(shown(&goal)))
        }
    }
}

impl Connection {
    /// Pauses a goal that was just made or resumed, and tells the turn that runs.
    pub(super) fn pause_goal(self: &Arc<Self>, goal: &Goal) {
        let thread = ThreadId(goal.thread_id.clone());
        let (connection, objective) = (Arc::clone(self), shown(goal));
        self.spawn(async move {
            // Said once it is so: a turn that waits for its goal's tool is not over before.
            let said = match set_paused(&connection, &thread).await {
                Ok(()) => said(&objective),
                Err(error) => format!(
                    "A goal of Codex's own (\u{201c}{objective}\u{201d}) could not be paused ({error}): Codex may begin turns for it \
                     that are not recorded here."
                ),
            };
            connection.warn(&thread, said);
        });
    }
}

async fn set_paused(connection: &Connection, thread: &ThreadId) -> Result<(), CodexError> {
    let params = GoalSetParams { thread_id: &thread.0, status: "paused" };
    connection.call::<Empty>("thread/goal/set", params).await.map(drop)
}

/// What a person is told of a goal that was paused.
pub(super) fn said(objective: &str) -> String {
    format!(
        "Codex had a goal of its own on this thread (\u{201c}{objective}\u{201d}) and would have begun turns for it by itself. \
         It was paused; `/goal resume` in Codex's own terminal goes on with it."
    )
}

fn shown(goal: &Goal) -> String {
    let mut shown: String = goal.objective.chars().take(SHOWN).collect();
    if shown.len() < goal.objective.len() {
        shown.push('\u{2026}');
    }
    shown
}
