//! What a turn runs with: each setting from the nearest place that says something.

use std::path::PathBuf;

use crate::{
    codex::{
        ApprovalPolicy, Codex, CodexError, Sandbox, Thread, ThreadOptions, ThreadSettings,
        TurnRequest, TurnWork,
    },
    session::{Request, SessionConfig, SessionError, Settings, model::ModelChoice},
};

/// The settings of one turn that do not depend on Codex.
#[derive(Debug, Clone)]
pub(in crate::session) struct Plan {
    pub(super) directory: PathBuf,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) approval_policy: ApprovalPolicy,
    pub(super) effort: Option<String>,
    pub(super) model: Option<ModelChoice>,
    /// As the call has them; which MCP servers there are to disable only Codex knows.
    pub(super) options: ThreadOptions,
    pub(super) ephemeral: bool,
}

impl Plan {
    /// Takes the call's settings, else the session's, else the operator's, and checks them: a pinned
    /// directory may be gone, a ceiling may have come down.
    pub(in crate::session) fn new(
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
        config.limits.check_directory(&directory)?;
        if let Some(sandbox) = settings.sandbox {
            config.limits.check_sandbox(sandbox)?;
        }
        let only_looks = request.only_looks();
        Ok(Self {
            directory,
            sandbox: if only_looks { Some(Sandbox::ReadOnly) } else { settings.sandbox },
            // Who cannot be asked is not asked.
            approval_policy: settings.approval_policy.unwrap_or(
                if request.can_ask && !only_looks {
                    ApprovalPolicy::OnRequest
                } else {
                    ApprovalPolicy::Never
                },
            ),
            effort: settings.reasoning_effort,
            model,
            options: request.options.clone(),
            ephemeral: request.ephemeral,
        })
    }

    /// Fills in what only Codex can say, for a thread that is about to be opened.
    pub(in crate::session) async fn complete(
        &self,
        codex: &Codex,
        config: &SessionConfig,
    ) -> Result<(ThreadSettings, ModelChoice), CodexError> {
        let defaults = codex.defaults(&self.directory).await?;
        // The user's own wish for more than the operator allows is cut, not refused: no call made it.
        // Always said: a resumed thread would else keep what it ran with last, in whoever's hands (0.155).
        let own = defaults.sandbox.map(|own| own.min(config.limits.ceiling()));
        let sandbox = self.sandbox.or(own).unwrap_or(Sandbox::ReadOnly);
        let profile = self.options.profile.get("mcp_servers").and_then(|all| all.as_object());
        let profile = profile.into_iter().flat_map(|servers| servers.keys());
        let servers = defaults.mcp_servers.iter().chain(profile);
        let disabled = servers.filter(|name| !config.mcp_servers.allows(name)).cloned().collect();
        let choice = match &self.model {
            Some(choice) => choice.clone(),
            None => ModelChoice::unnamed(codex, &defaults).await?,
        };
        let settings = ThreadSettings {
            cwd: self.directory.clone(),
            model: choice.model.clone(),
            sandbox,
            approval_policy: self.approval_policy,
            ephemeral: self.ephemeral,
            options: ThreadOptions { disabled_mcp_servers: disabled, ..self.options.clone() },
        };
        Ok((settings, choice))
    }

    /// Whether a loaded thread can run it. A sandbox with all the user's details is only given to a
    /// thread when it is opened.
    pub(super) fn fits(&self, thread: &Thread) -> bool {
        let opened = thread.options();
        let disabled_mcp_servers = opened.disabled_mcp_servers.clone();
        let options = ThreadOptions { disabled_mcp_servers, ..self.options.clone() };
        *opened == options && self.sandbox.is_none_or(|wanted| thread.sandbox() == Some(wanted))
    }

    /// The turn to start. Model and effort are always said, so that what one turn chose for itself
    /// does not stick to the next.
    pub(super) fn request(
        &self,
        work: TurnWork,
        thread: &Thread,
        choice: &ModelChoice,
    ) -> TurnRequest {
        let model = choice.model.as_deref().or(thread.model());
        let effort = self.effort.as_deref().or(thread.effort());
        TurnRequest {
            work,
            cwd: self.directory.clone(),
            model: model.map(str::to_owned),
            effort: effort.map(str::to_owned),
            approval_policy: self.approval_policy,
        }
    }
}
