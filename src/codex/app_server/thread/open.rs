//! Opening a thread: new, resumed, or as a fork.

use std::sync::{Arc, Mutex, atomic::AtomicBool};

use serde::Deserialize;
use serde_json::Value;

use super::{AppThread, sandbox::TurnSandbox, unasked::Unasked};
use crate::codex::{
    app_server::{connection::Connection, goals, queries, refusal},
    error::CodexError,
    ids::{ThreadId, TurnId},
    projects::Project,
    protocol::{
        ConfigRead, ConfigReadParams, Empty, SandboxPolicy, ThreadForkParams, ThreadOpened,
        ThreadParams, ThreadResumeParams, ThreadStartParams,
    },
    record::EnvironmentContext,
    settings::{ApprovalPolicy, EffectiveSettings, Reviewer, Sandbox, ThreadSettings},
    turn::Trust,
    version::CodexVersion,
};

/// What Codex says of a thread whose record names no provider.
const NO_PROVIDER: &str = "uses model provider \u{201c}\u{201d}";

impl AppThread {
    pub(in crate::codex) async fn start(
        connection: Arc<Connection>,
        settings: &ThreadSettings,
        project: &Project,
    ) -> Result<Self, CodexError> {
        let version = connection.found().version;
        check(settings, version)?;
        let sandbox = TurnSandbox::of(settings, project, version);
        let params = ThreadStartParams::new(settings, sandbox.first(), project, version);
        let opened = connection.call("thread/start", params).await;
        let opened = opened.map_err(|error| refusal::of_settings(error, settings))?;
        Self::opened(connection, opened, settings, (false, sandbox), None)
            .await
            .if_logged_in()
            .await
    }

    pub(in crate::codex) async fn resume(
        connection: Arc<Connection>,
        thread: &ThreadId,
        settings: &ThreadSettings,
        project: &Project,
    ) -> Result<Self, CodexError> {
        let version = connection.found().version;
        check(settings, version)?;
        let sandbox = TurnSandbox::of(settings, project, version);
        if connection.is_haunted(thread) {
            let reason = "a turn that could not be stopped may still run on it".to_owned();
            return Err(CodexError::ThreadUnavailable { thread: thread.clone(), reason });
        }
        let paused_goal = goals::pause(&connection, thread).await?;
        let queued = queries::queued(&connection, thread).await?;
        // A turn may begin before we hear that the thread is open.
        let unasked = Unasked::of(&connection, thread, Some(queued));
        let resume = async |model_provider: Option<&str>| {
            let params = ThreadResumeParams {
                thread_id: &thread.0,
                exclude_turns: true,
                model_provider,
                settings: ThreadStartParams::new(settings, sandbox.first(), project, version),
            };
            connection.call::<ThreadOpened>("thread/resume", params).await
        };
        let mut opened = resume(None).await;
        if matches!(&opened, Err(CodexError::Refused { message, .. }) if message.contains("is archived"))
        {
            // A server died between the two halves of a release.
            let params = ThreadParams { thread_id: &thread.0 };
            let _: Empty = connection.call("thread/unarchive", params).await?;
            opened = resume(None).await;
        }
        if matches!(&opened, Err(CodexError::Refused { message, .. }) if message.contains(NO_PROVIDER))
        {
            // The records of old versions do not say who answers (0.50, to 0.169): whoever does now.
            let read = ConfigReadParams { cwd: &settings.cwd };
            let ConfigRead { config } = connection.call("config/read", read).await?;
            opened = resume(Some(config.model_provider.as_deref().unwrap_or("openai"))).await;
        }
        let opened = opened
            .map_err(|error| refusal::of_resume(refusal::of_settings(error, settings), thread))?;
        let mut opened =
            Self::opened(connection, opened, settings, (true, sandbox), Some(unasked)).await;
        opened.paused_goal = paused_goal;
        opened.if_logged_in().await
    }

    /// Makes a new thread with the history of another one, through that turn if one is named.
    pub(in crate::codex) async fn fork(
        connection: Arc<Connection>,
        thread: &ThreadId,
        through: Option<&TurnId>,
        settings: &ThreadSettings,
        project: &Project,
    ) -> Result<Self, CodexError> {
        let version = connection.found().version;
        if version < CodexVersion::FORK {
            return Err(CodexError::Unsupported { what: "forking threads", version });
        }
        check(settings, version)?;
        let sandbox = TurnSandbox::of(settings, project, version);
        let params = ThreadForkParams {
            thread_id: &thread.0,
            last_turn_id: through.map(|turn| turn.0.as_str()),
            exclude_turns: true,
            settings: ThreadStartParams::new(settings, sandbox.first(), project, version),
        };
        let opened = connection.call("thread/fork", params).await;
        let opened = opened
            .map_err(|error| refusal::of_resume(refusal::of_settings(error, settings), thread))?;
        Self::opened(connection, opened, settings, (true, sandbox), None).await.if_logged_in().await
    }

    /// Releases the thread again and fails if Codex needs a login and has none.
    ///
    /// Asked after opening, not before: a broken configuration looks like no login.
    async fn if_logged_in(self) -> Result<Self, CodexError> {
        match self.connection.require_login().await {
            Ok(()) => Ok(self),
            Err(error) => {
                self.release().await;
                Err(error)
            }
        }
    }

    async fn opened(
        connection: Arc<Connection>,
        opened: ThreadOpened,
        settings: &ThreadSettings,
        (recorded, sandbox): (bool, TurnSandbox<'_>),
        unasked: Option<Unasked>,
    ) -> Self {
        let id = ThreadId(opened.thread.id);
        // Nothing can have begun on a new one.
        let unasked = unasked.unwrap_or_else(|| Unasked::of(&connection, &id, None)).kept();
        let is_told = !recorded || connection.found().version >= CodexVersion::TELLS_ON_RESUME;
        let told = match opened.thread.path {
            Some(record) if !is_told => EnvironmentContext::read(record).await,
            _ => EnvironmentContext::default(),
        };
        connection.thread_opened();
        // An object of a form we do not know says nothing.
        let policy = sandbox.in_force(&connection, opened.sandbox.unwrap_or_default()).await;
        let wider = sandbox.wider(&policy);
        let roots = sandbox.roots();
        let sandbox = SandboxPolicy::deserialize(&policy).ok();
        let mode = sandbox.as_ref().map_or(Some(settings.sandbox), SandboxPolicy::mode);
        // Of the others these say nothing.
        let writing = sandbox.filter(|_| mode == Some(Sandbox::WorkspaceWrite));
        let reviewer = Reviewer::deserialize(&opened.approvals_reviewer).ok();
        let mut opened_with = EffectiveSettings {
            model: opened.model,
            // Old versions do not say; they take what they are told.
            reasoning_effort: opened.reasoning_effort.or_else(|| settings.effort.clone()),
            sandbox: mode,
            network: writing.as_ref().and_then(|policy| policy.network_access),
            writable_roots: writing.unwrap_or_default().writable_roots,
            approvals_reviewer: reviewer.filter(|reviewer| *reviewer != Reviewer::User),
            approval_policy: approvals(&opened.approval_policy).unwrap_or(settings.approval_policy),
            working_directory: opened.cwd.unwrap_or_else(|| settings.cwd.clone()),
        };
        if let Some(roots) = roots {
            opened_with.writable_roots = roots;
        }
        Self {
            id,
            settings: Box::new(settings.clone()),
            in_force: Mutex::new(opened_with.clone()),
            opened: Box::new(opened_with),
            wider,
            is_widened: AtomicBool::new(false),
            recorded: AtomicBool::new(recorded),
            trust: Trust::default(),
            told: Mutex::new(told),
            paused_goal: None,
            unasked,
            connection,
        }
    }
}

/// Refuses what this version would silently ignore.
fn check(settings: &ThreadSettings, version: CodexVersion) -> Result<(), CodexError> {
    let is_reviewed = settings.options.reviewer == Some(Reviewer::AutoReview);
    if is_reviewed && version < CodexVersion::REVIEWER {
        return Err(CodexError::Unsupported { what: "approvals decided by a model", version });
    }
    Ok(())
}

/// A policy this server knows; newer ones are objects.
fn approvals(value: &Value) -> Option<ApprovalPolicy> {
    ApprovalPolicy::deserialize(value).ok()
}
