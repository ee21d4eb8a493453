//! What is in force on a thread, and what a turn can change of it.

use std::sync::PoisonError;

use super::AppThread;
use crate::codex::{
    caveats,
    settings::{EffectiveSettings, ThreadSettings, TurnRequest},
    version::CodexVersion,
};

impl AppThread {
    /// Whether it can run a turn with exactly the `wanted` settings, without being opened again.
    pub(crate) fn can_run(&self, wanted: &ThreadSettings) -> bool {
        let (with, opened, now) = (&self.settings, &self.opened, self.in_force());
        let model = Choice {
            wanted: wanted.model.as_deref(),
            asked: with.model.as_deref(),
            opened: opened.model.as_deref(),
            now: now.model.as_deref(),
        };
        let effort = Choice {
            wanted: wanted.effort.as_deref(),
            asked: with.effort.as_deref(),
            opened: opened.reasoning_effort.as_deref(),
            now: now.reasoning_effort.as_deref(),
        };
        !self.trust.is_lost()
            && self.is_open()
            && with.ephemeral == wanted.ephemeral
            && with.options.equals(&wanted.options)
            // A sandbox with all the user's details is only given to a thread when it is opened.
            && opened.sandbox == Some(wanted.sandbox)
            && model.can_be_set()
            && effort.can_be_set()
    }

    /// What does not hold although Codex accepts it; corrects `effective` by that.
    pub(super) async fn caveats(&self, effective: &mut EffectiveSettings) -> Vec<String> {
        let version = self.connection.found().version;
        let mut caveats = Vec::new();
        if version < CodexVersion::TELLS_ON_RESUME {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if self.in_force().working_directory != effective.working_directory {
                // Said with the turn, and passed on.
                told.directory = None;
            }
            caveats.extend(caveats::outdated(version, &told, effective));
        }
        if let (Some(model), Some(_)) = (&effective.model, &effective.reasoning_effort)
            && !self.takes_effort(model).await
        {
            caveats.push(caveats::effort_not_sent(version, model));
            effective.reasoning_effort = None;
        }
        caveats
    }

    /// Whether Codex sends this model a reasoning effort.
    async fn takes_effort(&self, model: &str) -> bool {
        let version = self.connection.found().version;
        if caveats::sends_effort(version, model, false) {
            return true;
        }
        let models = self.connection.models().await.unwrap_or_default();
        models.iter().any(|listed| listed.id == model)
    }

    /// What is in force once a turn has set what it wants.
    pub(super) fn in_force_with(&self, wanted: &TurnRequest) -> EffectiveSettings {
        let now = self.in_force().clone();
        EffectiveSettings {
            model: wanted.model.clone().or(now.model),
            reasoning_effort: wanted.effort.clone().or(now.reasoning_effort),
            sandbox: now.sandbox,
            approval_policy: wanted.approval_policy,
            working_directory: wanted.cwd.clone(),
            ..now
        }
    }
}

/// A model or an effort that a turn wants, against what the thread was opened with and has by now.
#[derive(Clone, Copy)]
struct Choice<'a> {
    /// `None` leaves it to Codex.
    wanted: Option<&'a str>,
    /// What was asked for when the thread was opened.
    asked: Option<&'a str>,
    /// What Codex then said.
    opened: Option<&'a str>,
    now: Option<&'a str>,
}

impl Choice<'_> {
    fn holds(self) -> bool {
        match self.wanted {
            Some(wanted) => self.now == Some(wanted),
            None => self.asked.is_none() && self.now == self.opened,
        }
    }

    /// A turn can name another one, but cannot go back to none.
    fn can_be_set(self) -> bool {
        self.wanted.is_some() || self.holds() || self.asked.is_none() && self.opened.is_some()
    }
}
