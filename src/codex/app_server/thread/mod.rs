//! Threads on one connection.

mod open;
mod sandbox;
mod settings;
mod unasked;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use unasked::Unasked;

use super::{connection::Connection, goals, queries};
use crate::codex::{
    error::CodexError,
    ids::{ThreadId, TurnId},
    protocol::{
        Empty, InjectItemsParams, ThreadParams, TurnStartParams, TurnStarted, UserInput,
        response_item,
    },
    record::EnvironmentContext,
    settings::{ContextItem, EffectiveSettings, Sandbox, ThreadSettings, TurnRequest},
    turn::{Begun, Driver, Trust, Turn},
    version::CodexVersion,
};

/// A thread that is loaded in the running app-server.
///
/// While it is, no other process can write to it (from 0.147). [`AppThread::release`] gives it up.
#[derive(Debug)]
pub(crate) struct AppThread {
    id: ThreadId,
    /// What it was opened with.
    settings: Box<ThreadSettings>,
    /// What Codex said was in force then.
    opened: Box<EffectiveSettings>,
    /// What is in force by now: a turn's settings stay until another turn's. We hold the thread, so
    /// nobody else changes them.
    in_force: Mutex<EffectiveSettings>,
    /// The sandbox that each turn is given, if it is wider than what the thread was opened with.
    wider: Option<Value>,
    /// Whether a turn has been given it, after which it stays.
    is_widened: AtomicBool,
    /// Whether there is a record of it on disk, which there is from its first turn on (0.99).
    recorded: AtomicBool,
    trust: Trust,
    /// What the model was told before the thread was resumed, where this version does not tell it anew.
    told: Mutex<EnvironmentContext>,
    /// The goal of Codex's own that was paused when the thread was resumed.
    paused_goal: Option<String>,
    /// Turns that Codex begins by itself.
    unasked: Unasked,
    connection: Arc<Connection>,
}

impl AppThread {
    /// Codex's name for it.
    pub(crate) fn id(&self) -> &ThreadId {
        &self.id
    }

    /// The model it was opened with, if Codex said.
    pub(crate) fn model(&self) -> Option<&str> {
        self.opened.model.as_deref()
    }

    /// The reasoning effort it was opened with, if Codex said.
    pub(crate) fn effort(&self) -> Option<&str> {
        self.opened.reasoning_effort.as_deref()
    }

    /// The sandbox in force, if Codex said.
    pub(crate) fn sandbox(&self) -> Option<Sandbox> {
        self.opened.sandbox
    }

    /// What to say of a goal of Codex's own that was paused when the thread was resumed.
    pub(crate) fn goal_warning(&self) -> Option<String> {
        self.paused_goal.as_deref().map(goals::said)
    }

    /// The Codex that has it.
    pub(crate) fn codex_version(&self) -> CodexVersion {
        self.connection.found().version
    }

    /// Whether a sub-agent that one of its turns has begun still works. Giving the thread up would end that.
    pub(crate) fn has_working_agents(&self) -> bool {
        self.connection.has_working_agents(&self.id)
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
        // They are written down, also if no turn ever comes (observed from 0.125 on).
        self.recorded.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Gives it a name for Codex's own lists.
    ///
    /// # Errors
    /// If Codex refuses, as versions before 0.93 do.
    pub(crate) async fn set_name(&self, name: &str) -> Result<(), CodexError> {
        queries::name_thread(&self.connection, &self.id, name).await
    }

    /// Starts a turn. Returns once Codex has acknowledged it, which is when the thread has a record.
    ///
    /// Only one turn may run on a thread; Codex would merge a second one into the first.
    ///
    /// # Errors
    /// If Codex refuses or dies. After [`CodexError::NotReached`] nothing was begun; after any other
    /// error it may have been, and asking again could do it twice.
    pub(crate) async fn start_turn(&self, request: &TurnRequest) -> Result<Turn, CodexError> {
        let mut effective = self.in_force_with(request);
        // Before the turn begins: from then on nothing may keep it from its owner.
        let caveats = self.caveats(&mut effective).await;
        let events = self.connection.listen(&self.id);
        // Until Codex has answered, also if the caller gives up before, a turn may run unseen.
        let begun = Unacknowledged { trust: &self.trust, is_known: false };
        let asked = Some(uuid::Uuid::new_v4().to_string());
        let asked = asked.filter(|_| self.codex_version() >= CodexVersion::QUEUES);
        let started: TurnStarted = begun.settle(self.say(request, asked.as_deref()).await)?;
        self.recorded.store(true, Ordering::Relaxed);
        let id = TurnId(started.turn.id);
        self.forget_unasked(&id);
        Ok(Turn::new(Begun {
            id,
            thread: self.id.clone(),
            events,
            driver: Arc::clone(&self.connection) as Arc<dyn Driver>,
            effective,
            caveats,
            trust: self.trust.clone(),
            asked,
        }))
    }

    async fn say(
        &self,
        wanted: &TurnRequest,
        asked: Option<&str>,
    ) -> Result<TurnStarted, CodexError> {
        let now = self.in_force().clone();
        let mut input = vec![UserInput::Text { text: &wanted.text }];
        input.extend(wanted.images.iter().map(|path| UserInput::LocalImage { path }));
        // Saying again what holds already makes Codex write it down again: 15 ms a turn (0.169).
        let params = TurnStartParams {
            thread_id: &self.id.0,
            input,
            cwd: Some(wanted.cwd.as_path()).filter(|cwd| *cwd != now.working_directory),
            approval_policy: Some(wanted.approval_policy)
                .filter(|policy| *policy != now.approval_policy),
            model: wanted.model.as_deref().filter(|_| wanted.model != now.model),
            effort: wanted.effort.as_deref().filter(|_| wanted.effort != now.reasoning_effort),
            output_schema: wanted.output_schema.as_ref(),
            sandbox_policy: self
                .wider
                .as_ref()
                .filter(|_| !self.is_widened.load(Ordering::Relaxed)),
            client_user_message_id: asked,
        };
        let started: TurnStarted = self.connection.call("turn/start", params).await?;
        self.is_widened.store(true, Ordering::Relaxed);
        let then = self.in_force_with(wanted);
        *self.in_force() = then;
        Ok(started)
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn in_force(&self) -> MutexGuard<'_, EffectiveSettings> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up the thread, so that any other process can resume it at once.
    ///
    /// Archiving unloads it and frees its lock in some milliseconds; unsubscribing alone takes a
    /// minute (observed, 0.169). A failure is logged: the lock is free at the latest when the child
    /// ends. A thread on which a turn may still run is discarded.
    pub(crate) async fn release(self) {
        if self.trust.is_lost() {
            return self.discard().await;
        }
        if self.codex_version() < CodexVersion::UNARCHIVE {
            // Archiving would lose it, and nothing locks it.
            tracing::debug!(thread_id = %self.id, "left a thread loaded");
        } else if self.settings.ephemeral || !self.recorded.load(Ordering::Relaxed) {
            // There is nothing that another process could resume.
            self.unsubscribe().await;
        } else if let Err(error) = self.unload().await {
            tracing::warn!(thread_id = %self.id, %error, "cannot release a thread");
        }
    }

    /// Gives up a thread on which a turn may still run, so that Codex never merges the next one into it.
    ///
    /// Archiving ends such a turn. If Codex does not confirm that, the connection refuses to resume the
    /// thread.
    pub(crate) async fn discard(self) {
        if self.settings.ephemeral {
            // It cannot be resumed.
            return self.unsubscribe().await;
        }
        if let Err(error) = self.unload().await {
            tracing::warn!(thread_id = %self.id, %error, "a turn may still run on a discarded thread");
            self.connection.haunt(&self.id);
        }
    }

    async fn unsubscribe(&self) {
        let params = ThreadParams { thread_id: &self.id.0 };
        let left = self.connection.call::<Empty>("thread/unsubscribe", params).await;
        tracing::debug!(thread_id = %self.id, ok = left.is_ok(), "left an unrecorded thread");
    }

    async fn unload(&self) -> Result<(), CodexError> {
        let version = self.connection.found().version;
        if version < CodexVersion::UNARCHIVE {
            return Err(CodexError::Unsupported { what: "unloading a thread", version });
        }
        let params = || ThreadParams { thread_id: &self.id.0 };
        let _: Empty = self.connection.call("thread/archive", params()).await?;
        let _: Empty = self.connection.call("thread/unarchive", params()).await?;
        Ok(())
    }
}

/// A turn that was requested. Until Codex has answered it may run without being known.
struct Unacknowledged<'a> {
    trust: &'a Trust,
    is_known: bool,
}

impl Unacknowledged<'_> {
    fn settle<T>(mut self, answer: Result<T, CodexError>) -> Result<T, CodexError> {
        self.is_known =
            !matches!(answer, Err(CodexError::Timeout { .. } | CodexError::Answer { .. }));
        answer
    }
}

impl Drop for Unacknowledged<'_> {
    fn drop(&mut self) {
        if !self.is_known {
            self.trust.lose();
        }
    }
}

impl Drop for AppThread {
    fn drop(&mut self) {
        self.connection.thread_closed(&self.id);
    }
}
