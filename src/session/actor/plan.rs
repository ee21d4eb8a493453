//! What a turn runs with: each setting from the nearest place that says something.

use std::path::PathBuf;

use crate::{
    codex::{ApprovalPolicy, Codex, CodexError, Sandbox, Thread, ThreadSettings, TurnRequest},
    session::{
        Request, SessionConfig, SessionError, Settings,
        model::ModelChoice,
        request::{check_directory, check_sandbox},
    },
};

/// The settings of one turn that do not depend on Codex.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) directory: PathBuf,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) approval_policy: ApprovalPolicy,
    pub(super) effort: Option<String>,
    pub(super) model: Option<ModelChoice>,
}

impl Plan {
    /// Takes the call's settings, else the session's, else the operator's, and checks them: a pinned
    /// directory may be gone, a ceiling may have come down.
    pub(super) fn new(
        request: &Request,
        session: &Settings,
        config: &SessionConfig,
    ) -> Result<Self, SessionError> {
        let call = &request.settings;
        let operator = &config.defaults;
        let model = ModelChoice::named(
            call.model.as_deref(),
            session.model.as_deref(),
            operator.model.as_deref(),
        );
        let settings = call.clone().or(session).or(operator);
        let directory = settings.working_directory.unwrap_or_else(|| config.directory.clone());
        check_directory(&directory)?;
        if let Some(sandbox) = settings.sandbox {
            check_sandbox(sandbox, config)?;
        }
        Ok(Self {
            directory,
            sandbox: settings.sandbox,
            // Who cannot be asked is not asked.
            approval_policy: settings.approval_policy.unwrap_or(if request.can_ask {
                ApprovalPolicy::OnRequest
            } else {
                ApprovalPolicy::Never
            }),
            effort: settings.reasoning_effort,
            model,
        })
    }

    /// Fills in what only Codex can say, for a thread that is about to be opened.
    pub(super) async fn complete(
        &self,
        codex: &Codex,
        config: &SessionConfig,
    ) -> Result<(ThreadSettings, ModelChoice), CodexError> {
        let defaults = codex.defaults(&self.directory).await?;
        // The user's own wish for more than the operator allows is cut, not refused: no call made it.
        // Always said: a resumed thread would else keep what it ran with last, in whoever's hands (0.155).
        let own = defaults.sandbox.map(|own| own.min(config.sandbox_ceiling));
        let sandbox = self.sandbox.or(own).unwrap_or(Sandbox::ReadOnly);
        let choice = match &self.model {
            Some(choice) => choice.clone(),
            None => ModelChoice::unnamed(codex, &defaults).await?,
        };
        let settings = ThreadSettings {
            cwd: self.directory.clone(),
            model: choice.model.clone(),
            sandbox,
            approval_policy: self.approval_policy,
            ephemeral: false,
        };
        Ok((settings, choice))
    }

    /// Whether a loaded thread can run it. A sandbox with all the user's details is only given to a
    /// thread when it is opened.
    pub(super) fn fits(&self, thread: &Thread) -> bool {
        self.sandbox.is_none_or(|wanted| thread.sandbox() == Some(wanted))
    }

    /// The turn to start. Model and effort are always said, so that what one turn chose for itself
    /// does not stick to the next.
    pub(super) fn request(
        &self,
        prompt: String,
        thread: &Thread,
        choice: &ModelChoice,
    ) -> TurnRequest {
        let model = choice.model.as_deref().or(thread.model());
        let effort = self.effort.as_deref().or(thread.effort());
        TurnRequest {
            prompt,
            cwd: self.directory.clone(),
            model: model.map(str::to_owned),
            effort: effort.map(str::to_owned),
            approval_policy: self.approval_policy,
        }
    }
}
