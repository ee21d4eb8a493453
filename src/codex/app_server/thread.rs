//! Threads on one connection.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;

use super::{connection::Connection, refusal};
use crate::codex::{
    error::CodexError,
    protocol::{
        Empty, InjectItemsParams, ReviewStartParams, ThreadForkParams, ThreadOpened, ThreadParams,
        ThreadResumeParams, ThreadStartParams, TurnStartParams, TurnStarted, UserInput,
        response_item,
    },
    settings::{
        ApprovalPolicy, ContextItem, Sandbox, ThreadOptions, ThreadSettings, TurnRequest, TurnWork,
    },
    turn::{Driver, ThreadId, Turn, TurnId},
    version::CodexVersion,
};

/// A thread that is loaded in the running app-server.
///
/// While it is, no other process can write to it (from 0.147). [`AppThread::release`] lets go of it.
#[derive(Debug)]
pub(crate) struct AppThread {
    id: ThreadId,
    /// What Codex said is in force since the thread was opened.
    model: Option<String>,
    effort: Option<String>,
    sandbox: Option<Sandbox>,
    options: ThreadOptions,
    /// What is in force by now: a turn's settings stay until another turn's.
    in_force: Mutex<InForce>,
    /// Whether there is a record of it on disk, which there is from its first turn on (0.99).
    recorded: AtomicBool,
    ephemeral: bool,
    connection: Arc<Connection>,
}

/// The settings a turn can change. We hold the thread, so nobody else changes them.
#[derive(Debug, Clone, PartialEq)]
struct InForce {
    cwd: PathBuf,
    model: Option<String>,
    effort: Option<String>,
    approval_policy: ApprovalPolicy,
}

impl AppThread {
    pub(super) async fn start(
        connection: Arc<Connection>,
        settings: &ThreadSettings,
    ) -> Result<Self, CodexError> {
        let params = ThreadStartParams::new(settings, connection.found().version);
        let opened = connection.call("thread/start", params).await;
        let opened = opened.map_err(refusal::configuration)?;
        Self::opened(connection, opened, settings, false).for_somebody().await
    }

    pub(super) async fn resume(
        connection: Arc<Connection>,
        thread: &ThreadId,
        settings: &ThreadSettings,
    ) -> Result<Self, CodexError> {
        let resume = || {
            let settings = ThreadStartParams::new(settings, connection.found().version);
            let params = ThreadResumeParams { thread_id: &thread.0, exclude_turns: true, settings };
            connection.call::<ThreadOpened>("thread/resume", params)
        };
        let mut opened = resume().await;
        if matches!(&opened, Err(CodexError::Refused { message, .. }) if message.contains("is archived"))
        {
            // Somebody died between the two halves of a release.
            let params = ThreadParams { thread_id: &thread.0 };
            let _: Empty = connection.call("thread/unarchive", params).await?;
            opened = resume().await;
        }
        let opened =
            opened.map_err(|error| refusal::of_resume(refusal::configuration(error), thread))?;
        Self::opened(connection, opened, settings, true).for_somebody().await
    }

    /// Makes a new thread with the history of another one, through that turn if one is named.
    pub(super) async fn fork(
        connection: Arc<Connection>,
        thread: &ThreadId,
        through: Option<&TurnId>,
        settings: &ThreadSettings,
    ) -> Result<Self, CodexError> {
        let version = connection.found().version;
        if version < CodexVersion::FORK {
            return Err(CodexError::Unsupported { what: "forking threads", version });
        }
        let params = ThreadForkParams {
            thread_id: &thread.0,
            last_turn_id: through.map(|turn| turn.0.as_str()),
            exclude_turns: true,
            settings: ThreadStartParams::new(settings, version),
        };
        let opened = connection.call("thread/fork", params).await;
        let opened =
            opened.map_err(|error| refusal::of_resume(refusal::configuration(error), thread))?;
        Self::opened(connection, opened, settings, true).for_somebody().await
    }

    /// Gives the thread back if nobody is logged in who could use it.
    ///
    /// Asked after opening, not before: a broken configuration looks like no login.
    async fn for_somebody(self) -> Result<Self, CodexError> {
        match self.connection.require_login().await {
            Ok(()) => Ok(self),
            Err(error) => {
                self.release().await;
                Err(error)
            }
        }
    }

    fn opened(
        connection: Arc<Connection>,
        opened: ThreadOpened,
        settings: &ThreadSettings,
        recorded: bool,
    ) -> Self {
        connection.thread_opened();
        Self {
            id: ThreadId(opened.thread.id),
            in_force: Mutex::new(InForce {
                cwd: settings.cwd.clone(),
                model: opened.model.clone(),
                effort: opened.reasoning_effort.clone(),
                approval_policy: settings.approval_policy,
            }),
            model: opened.model,
            effort: opened.reasoning_effort,
            sandbox: opened.sandbox.and_then(|policy| policy.mode()),
            options: settings.options.clone(),
            recorded: AtomicBool::new(recorded),
            ephemeral: settings.ephemeral,
            connection,
        }
    }

    /// Codex's name for it.
    pub(crate) fn id(&self) -> &ThreadId {
        &self.id
    }

    /// The model in force, if Codex said.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The reasoning effort in force, if Codex said.
    pub(crate) fn effort(&self) -> Option<&str> {
        self.effort.as_deref()
    }

    /// The sandbox in force, if Codex said.
    pub(crate) fn sandbox(&self) -> Option<Sandbox> {
        self.sandbox
    }

    /// What it was opened with besides.
    pub(crate) fn options(&self) -> &ThreadOptions {
        &self.options
    }

    /// The Codex that has it.
    pub(crate) fn codex_version(&self) -> CodexVersion {
        self.connection.found().version
    }

    /// Whether the app-server that has it still runs.
    pub(crate) fn is_open(&self) -> bool {
        !self.connection.is_ending()
    }

    /// Gives it earlier conversation, as if it had been said here.
    ///
    /// # Errors
    /// If Codex refuses, as versions before 0.121 do.
    pub(crate) async fn give_context(&self, items: &[ContextItem]) -> Result<(), CodexError> {
        if items.is_empty() {
            return Ok(());
        }
        let items = items.iter().map(response_item).collect();
        let params = InjectItemsParams { thread_id: &self.id.0, items };
        let _: Empty = self.connection.call("thread/inject_items", params).await?;
        Ok(())
    }

    /// Starts a turn. Returns once Codex has acknowledged it, which is when the thread has a record.
    ///
    /// Only one turn may run on a thread; Codex would merge a second one into the first.
    ///
    /// # Errors
    /// If Codex refuses or dies. After [`CodexError::NotReached`] nothing was begun; after any other
    /// error it may have been, and asking again could do it twice.
    pub(crate) async fn start_turn(&self, request: &TurnRequest) -> Result<Turn, CodexError> {
        let told = self.connection.listen(&self.id);
        let wanted = InForce {
            cwd: request.cwd.clone(),
            model: request.model.clone(),
            effort: request.effort.clone(),
            approval_policy: request.approval_policy,
        };
        let started = match &request.work {
            TurnWork::Review(target) => {
                let params =
                    ReviewStartParams { thread_id: &self.id.0, target, delivery: "inline" };
                self.connection.call("review/start", params).await?
            }
            TurnWork::Prompt { text, images, output_schema } => {
                let mut input = vec![UserInput::Text { text }];
                input.extend(images.iter().map(|path| UserInput::LocalImage { path }));
                self.say(input, output_schema.as_ref(), wanted).await?
            }
        };
        self.recorded.store(true, Ordering::Relaxed);
        let id = TurnId(started.turn.id);
        Ok(Turn::new(id, self.id.clone(), told, Driver::AppServer(Arc::clone(&self.connection))))
    }

    async fn say(
        &self,
        input: Vec<UserInput<'_>>,
        output_schema: Option<&Value>,
        wanted: InForce,
    ) -> Result<TurnStarted, CodexError> {
        let now = self.in_force().clone();
        // Saying again what holds already makes Codex write it down again: 15 ms a turn (0.169).
        let params = TurnStartParams {
            thread_id: &self.id.0,
            input,
            cwd: Some(wanted.cwd.as_path()).filter(|_| wanted.cwd != now.cwd),
            approval_policy: Some(wanted.approval_policy)
                .filter(|_| wanted.approval_policy != now.approval_policy),
            model: wanted.model.as_deref().filter(|_| wanted.model != now.model),
            effort: wanted.effort.as_deref().filter(|_| wanted.effort != now.effort),
            output_schema,
        };
        let started: TurnStarted = self.connection.call("turn/start", params).await?;
        *self.in_force() = InForce {
            model: wanted.model.or(now.model),
            effort: wanted.effort.or(now.effort),
            ..wanted
        };
        Ok(started)
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn in_force(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the thread, so that any other process can resume it at once.
    ///
    /// Archiving unloads it and frees its lock in some milliseconds; unsubscribing alone takes a
    /// minute (observed, 0.169). A failure is logged: the lock is free at the latest when the child
    /// ends.
    pub(crate) async fn release(self) {
        let params = || ThreadParams { thread_id: &self.id.0 };
        if self.ephemeral || !self.recorded.load(Ordering::Relaxed) {
            // There is nothing that anybody else could resume.
            let unsubscribed = self.connection.call::<Empty>("thread/unsubscribe", params()).await;
            tracing::debug!(thread_id = %self.id, ok = unsubscribed.is_ok(), "left an unrecorded thread");
            return;
        }
        let released = async {
            let _: Empty = self.connection.call("thread/archive", params()).await?;
            self.connection.call::<Empty>("thread/unarchive", params()).await
        };
        if let Err(error) = released.await {
            tracing::warn!(thread_id = %self.id, %error, "cannot release a thread");
        }
    }
}

impl Drop for AppThread {
    fn drop(&mut self) {
        self.connection.thread_closed(&self.id);
    }
}
