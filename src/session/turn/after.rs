//! What is found out and kept once a turn is recorded: its worktree's state and its thread's history. Each has a time of its
//! own, and nothing of it can take the answer back.

use std::time::Duration;

use tokio::time::timeout;

use super::{actor::Actor, away::Away, recorder::Recorder};
use crate::session::{WorktreeRecord, WorktreeState, worktree::state};

/// How long an answer waits for the state of its worktree.
const WORKTREE: Duration = Duration::from_secs(10);

/// How long it waits for its history to be kept.
const HISTORY: Duration = Duration::from_secs(15);

impl Actor {
    /// Finds out and keeps what belongs to a turn that is recorded, and records that too.
    pub(super) async fn after(&mut self, recorder: &mut Recorder, away: &mut Away) {
        let warned = recorder.entry.details.warnings.len();
        if let Some(worktree) = recorder.record.details.worktree.clone() {
            match self.state_of(&worktree).await {
                Ok(state) => recorder.entry.details.worktree = Some(state),
                Err(reason) => {
                    let warning = format!("What is in the worktree is not known: {reason}.");
                    recorder.entry.details.warnings.push(warning);
                }
            }
        }
        let kept = timeout(HISTORY, self.keep_history(recorder, away)).await;
        let warning = kept.unwrap_or_else(|_| Some(super::history::not_kept("it takes too long")));
        let details = &mut recorder.entry.details;
        details.warnings.extend(warning);
        if details.worktree.is_none() && details.warnings.len() == warned {
            return;
        }
        if let Err(error) = recorder.put().await {
            tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "cannot write down what a turn has left");
        }
    }

    async fn state_of(&self, worktree: &WorktreeRecord) -> Result<WorktreeState, String> {
        let asked = timeout(WORKTREE, state(&self.shared.config.git, worktree));
        match self.shared.closing.run_until_cancelled(asked).await {
            Some(Ok(state)) => state.map_err(|error| error.to_string()),
            Some(Err(_)) => Err("git takes too long".to_owned()),
            None => Err("the server stops".to_owned()),
        }
    }
}
