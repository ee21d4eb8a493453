//! What a turn runs with: each setting from the nearest place that says something.

use std::path::PathBuf;

use super::loaded::Loaded;
use crate::{
    codex::{ApprovalPolicy, Codex, Sandbox, ThreadOptions, ThreadSettings},
    session::{
        Request, SessionConfig, SessionError, Settings, Work, WorktreeRecord,
        model::ModelChoice,
        paths::{AllowedPath, blocking},
    },
};

/// The settings of one turn, as far as they do not depend on Codex.
#[derive(Debug, Clone)]
pub(in crate::session) struct Plan {
    pub(in crate::session) directory: PathBuf,
    /// Every directory that commands may write in, as it was found.
    found: Vec<AllowedPath>,
    pub(in crate::session) sandbox: Option<Sandbox>,
    pub(super) approval_policy: ApprovalPolicy,
    pub(super) effort: Option<String>,
    pub(super) model: Option<ModelChoice>,
    /// As the call has them; which MCP servers there are to disable only Codex knows.
    pub(in crate::session) options: ThreadOptions,
    pub(super) ephemeral: bool,
    /// The worktree it works in, if it does.
    pub(in crate::session) apart: Option<WorktreeRecord>,
    /// Whether Codex's own choice of a model for reviews counts.
    is_review: bool,
}

impl Plan {
    /// Takes the call's settings, else the session's, else the operator's, and checks them: a pinned directory may be
    /// gone, a ceiling may have come down. `machine` is where the session's last turn ran.
    pub(in crate::session) async fn new(
        request: &Request,
        (session, machine): (&Settings, Option<&str>),
        config: &SessionConfig,
    ) -> Result<Self, SessionError> {
        let call = &request.settings;
        let operator = &config.defaults;
        let model = ModelChoice::named(
            call.model.as_deref(),
            session.model.as_deref(),
            operator.model.as_deref(),
        );
        let mut session = session.clone();
        let mut is_kept = machine.is_none_or(|machine| *machine == config.machine);
        if let Some(directory) = &mut session.working_directory {
            let local = config.local_directory(directory).await;
            is_kept &= local == *directory;
            *directory = local;
        }
        // What a call or a session of this machine has was canonical when it was chosen.
        let kept = call.working_directory.as_ref();
        let kept = kept.or(session.working_directory.as_ref().filter(|_| is_kept)).cloned();
        let settings = call.clone().or(&session).or(operator);
        let directory =
            settings.working_directory.clone().or_else(|| request.origin.directory.clone());
        let directory = directory.unwrap_or_else(|| config.directory.clone());
        let directory = config.limits.find_directory(directory).await?;
        kept.map_or(Ok(()), |kept| directory.check_is(&kept))?;
        // One pinned before the operator changed the list is not allowed either.
        let named = call.model.as_ref().or(session.model.as_ref());
        named.map_or(Ok(()), |model| config.limits.check_model(model))?;
        if let Some(sandbox) = settings.sandbox {
            config.limits.check_sandbox(sandbox)?;
        }
        let only_looks = request.only_looks();
        config.limits.check_widening(&settings)?;
        let mut options = request.options.clone();
        let mut found = Vec::new();
        if !only_looks {
            if let Some(wanted) = settings.writable_roots {
                found = config.limits.writable_roots(wanted.clone()).await?;
                let mut kept = found.iter().zip(&wanted);
                kept.try_for_each(|(found, kept)| found.check_is(kept))?;
                options.writable_roots = Some(wanted);
            }
            options.network = settings.network;
            options.reviewer = settings.approvals_reviewer;
        }
        Ok(Self {
            directory: directory.to_path_buf(),
            found: found.into_iter().chain([directory]).collect(),
            sandbox: if only_looks { Some(Sandbox::ReadOnly) } else { settings.sandbox },
            // A client that cannot show approvals gets a policy that asks for none.
            approval_policy: settings.approval_policy.unwrap_or(
                if request.can_ask && !only_looks {
                    ApprovalPolicy::OnRequest
                } else {
                    ApprovalPolicy::Never
                },
            ),
            effort: settings.reasoning_effort,
            model,
            options,
            ephemeral: request.ephemeral,
            apart: None,
            is_review: matches!(request.work, Work::Review { .. }),
        })
    }

    /// Takes the directory within the session's worktree as it is: what a turn has made in there may be a link.
    pub(super) async fn settle(&mut self) -> Result<(), SessionError> {
        let Some(apart) = &self.apart else { return Ok(()) };
        let (worktree, inside) = (apart.path.clone(), self.directory.clone());
        let found = blocking(move || AllowedPath::directory(&[worktree], &inside)).await?;
        self.directory = found.to_path_buf();
        self.found.push(found);
        Ok(())
    }

    /// Fails if something else is by now where commands are to write. Called at the last moment, as calls wait for their
    /// turn, for Codex and for git.
    pub(super) async fn check_unchanged(&self) -> Result<(), SessionError> {
        let found = self.found.clone();
        blocking(move || found.iter().try_for_each(AllowedPath::check_unchanged)).await
    }

    /// Fills in what only Codex can say, for a thread that is about to be opened.
    pub(in crate::session) async fn complete(
        &self,
        codex: &Codex,
        config: &SessionConfig,
    ) -> Result<(ThreadSettings, ModelChoice), SessionError> {
        let defaults = codex.defaults(&self.directory).await?;
        // The user's own wish for more than the operator allows is cut, not refused: no call made it.
        // Always said: a resumed thread would else keep what it ran with last, here or in a terminal (0.155).
        let own = defaults.sandbox.map(|own| own.min(config.limits.sandbox_ceiling));
        let sandbox = self.sandbox.or(own).unwrap_or(Sandbox::ReadOnly);
        let profile = self.options.profile.get("mcp_servers").and_then(|all| all.as_object());
        let profile = profile.into_iter().flat_map(|servers| servers.keys());
        let servers = defaults.mcp_servers.iter().chain(profile);
        let disabled = servers.filter(|name| !config.mcp_servers.allows(name)).cloned().collect();
        let choice = match &self.model {
            Some(choice) => choice.clone(),
            None => ModelChoice::unnamed(codex, &defaults, self.is_review).await?,
        };
        let settings = ThreadSettings {
            cwd: self.directory.clone(),
            model: choice.model.clone(),
            effort: self.effort.clone(),
            sandbox,
            approval_policy: self.approval_policy,
            ephemeral: self.ephemeral,
            options: ThreadOptions {
                disabled_mcp_servers: disabled,
                own_writable_roots: defaults.writable_roots,
                ..self.options.clone()
            },
        };
        Ok((settings, choice))
    }
}

impl Plan {
    /// The settings of a turn on a thread that is open already, where nothing has to be asked of Codex for them. What
    /// nobody chooses stays as it was when it was opened. None if that was in another directory, whose own
    /// configuration may say otherwise, or if it is a review, which may have a model of its own.
    pub(super) fn on(&self, loaded: &Loaded) -> Option<(ThreadSettings, ModelChoice)> {
        let Loaded { thread, settings: opened, unnamed, .. } = loaded;
        if opened.cwd != self.directory || (self.is_review && self.model.is_none()) {
            return None;
        }
        let choice = self.model.clone().unwrap_or_else(|| unnamed.clone());
        let disabled_mcp_servers = opened.options.disabled_mcp_servers.clone();
        let settings = ThreadSettings {
            cwd: self.directory.clone(),
            model: choice.model.as_deref().or(thread.model()).map(str::to_owned),
            effort: self.effort.as_deref().or(thread.effort()).map(str::to_owned),
            sandbox: self.sandbox.unwrap_or(opened.sandbox),
            approval_policy: self.approval_policy,
            ephemeral: self.ephemeral,
            options: ThreadOptions { disabled_mcp_servers, ..self.options.clone() },
        };
        Some((settings, choice))
    }

    /// What the call wants that has no effect in the sandbox of the thread.
    pub(super) fn without_effect(&self, loaded: Option<&Loaded>) -> Option<String> {
        let sandbox = loaded?.settings.sandbox;
        let roots = self.options.writable_roots.as_ref();
        let is_wider =
            self.options.network == Some(true) || roots.is_some_and(|roots| !roots.is_empty());
        (is_wider && sandbox == Sandbox::ReadOnly).then(|| {
            "network and writableRoots have an effect with sandbox workspace-write alone; this turn is read-only."
                .to_owned()
        })
    }

    /// Refuses an effort that the model's own list does not have. What cannot be checked is for Codex to refuse.
    pub(super) async fn check_effort(
        &self,
        codex: &Codex,
        choice: &ModelChoice,
    ) -> Result<(), SessionError> {
        let (Some(model), Some(effort)) = (&choice.model, &self.effort) else { return Ok(()) };
        match codex.efforts_of(model).await {
            Some(efforts) if !efforts.iter().any(|known| known == effort) => {
                let (model, effort) = (model.clone(), effort.clone());
                Err(SessionError::EffortRefused { model, effort, efforts })
            }
            _ => Ok(()),
        }
    }
}
