//! A thread of either engine. Its users cannot tell the engines apart except by [`Thread::engine`].

use super::{
    app_server::AppThread,
    error::CodexError,
    exec::ExecThread,
    ids::ThreadId,
    settings::{ContextItem, Sandbox, ThreadSettings, TurnRequest},
    turn::Turn,
    version::CodexVersion,
};

/// A thread that is ready for turns.
///
/// With an app-server it is loaded there, and no other process can write to it (from 0.147) until
/// [`Thread::release`].
#[derive(Debug)]
pub struct Thread(Engine);

#[derive(Debug)]
enum Engine {
    AppServer(Box<AppThread>),
    Exec(Box<ExecThread>),
}

impl Thread {
    pub(super) fn exec(thread: ExecThread) -> Self {
        Self(Engine::Exec(Box::new(thread)))
    }

    /// Codex's name for it. `None` before the first turn of a thread that `codex exec` has yet to begin.
    pub fn id(&self) -> Option<&ThreadId> {
        match &self.0 {
            Engine::AppServer(thread) => Some(thread.id()),
            Engine::Exec(thread) => thread.id(),
        }
    }

    /// The model it was opened with, if Codex said.
    pub fn model(&self) -> Option<&str> {
        match &self.0 {
            Engine::AppServer(thread) => thread.model(),
            Engine::Exec(thread) => thread.settings.model.as_deref(),
        }
    }

    /// The reasoning effort it was opened with, if Codex said.
    pub fn effort(&self) -> Option<&str> {
        match &self.0 {
            Engine::AppServer(thread) => thread.effort(),
            Engine::Exec(thread) => thread.settings.effort.as_deref(),
        }
    }

    /// The sandbox in force, if Codex said.
    pub fn sandbox(&self) -> Option<Sandbox> {
        match &self.0 {
            Engine::AppServer(thread) => thread.sandbox(),
            Engine::Exec(thread) => Some(thread.settings.sandbox),
        }
    }

    /// Whether this thread can run a turn so that exactly the `wanted` settings are in force.
    ///
    /// If not, it must be released and opened again with them: a sandbox and options are only given to a
    /// thread when it is opened, and a turn that may still run forbids any other.
    pub fn can_run(&self, wanted: &ThreadSettings) -> bool {
        match &self.0 {
            Engine::AppServer(thread) => thread.can_run(wanted),
            Engine::Exec(thread) => thread.can_run(wanted),
        }
    }

    /// What to say of a goal of Codex's own that was paused when the thread was resumed.
    pub fn goal_warning(&self) -> Option<String> {
        match &self.0 {
            Engine::AppServer(thread) => thread.goal_warning(),
            Engine::Exec(_) => None,
        }
    }

    /// Whether Codex runs a turn that it has begun by itself and that is not followed yet. None is to be begun before it is over.
    pub fn has_unasked(&self) -> bool {
        matches!(&self.0, Engine::AppServer(thread) if thread.has_unasked())
    }

    /// Whether a sub-agent that one of its turns has begun still works. Giving the thread up would end that.
    pub fn has_working_agents(&self) -> bool {
        matches!(&self.0, Engine::AppServer(thread) if thread.has_working_agents())
    }

    /// Whether Codex has begun a turn by itself since the thread was opened, or begins one now because messages wait in its
    /// own queue.
    pub async fn begins_by_itself(&self) -> bool {
        match &self.0 {
            Engine::AppServer(thread) => thread.begins_by_itself().await,
            Engine::Exec(_) => false,
        }
    }

    /// The same for a thread that was open before, if messages may have come to wait in the meantime. If it `is_to`, Codex is
    /// told to begin with those that it has not noticed.
    pub async fn goes_on_by_itself(&self, is_to: bool) -> bool {
        match &self.0 {
            Engine::AppServer(thread) => thread.goes_on_by_itself(is_to).await,
            Engine::Exec(_) => false,
        }
    }

    /// Asks ahead for [`Thread::goes_on_as_asked`].
    pub fn ask_ahead(&self) {
        if let Engine::AppServer(thread) = &self.0 {
            thread.ask_ahead();
        }
    }

    /// The same as [`Thread::goes_on_by_itself`], with what was asked ahead.
    pub async fn goes_on_as_asked(&self, is_to: bool) -> bool {
        match &self.0 {
            Engine::AppServer(thread) => thread.goes_on_as_asked(is_to).await,
            Engine::Exec(_) => false,
        }
    }

    /// Waits for a turn that Codex begins by itself: of its own queue, or because an agent has woken it. Dropping the future
    /// loses nothing.
    pub async fn unasked(&self) -> Turn {
        match &self.0 {
            Engine::AppServer(thread) => thread.unasked().await,
            Engine::Exec(_) => std::future::pending().await,
        }
    }

    /// The Codex that has it.
    pub fn codex_version(&self) -> CodexVersion {
        match &self.0 {
            Engine::AppServer(thread) => thread.codex_version(),
            Engine::Exec(thread) => thread.found.version,
        }
    }

    /// How Codex is driven.
    pub fn engine(&self) -> &'static str {
        match &self.0 {
            Engine::AppServer(_) => "app-server",
            Engine::Exec(_) => "exec",
        }
    }

    /// Whether it can still be used: an app-server may have died.
    pub fn is_open(&self) -> bool {
        match &self.0 {
            Engine::AppServer(thread) => thread.is_open(),
            Engine::Exec(_) => true,
        }
    }

    /// Whether earlier conversation can be given to it as structured items.
    pub fn takes_context(&self) -> bool {
        match &self.0 {
            Engine::AppServer(thread) => thread.codex_version() >= CodexVersion::INJECT_ITEMS,
            Engine::Exec(_) => false,
        }
    }

    /// Whether Codex asks for approvals on it; else it refuses what would need one.
    pub fn asks(&self) -> bool {
        matches!(self.0, Engine::AppServer(_))
    }

    /// Gives it earlier conversation, as if it had been said here.
    ///
    /// # Errors
    /// If Codex refuses, as versions before 0.121 do.
    pub async fn give_context(&self, items: &[ContextItem]) -> Result<(), CodexError> {
        match &self.0 {
            Engine::AppServer(thread) => thread.give_context(items).await,
            Engine::Exec(thread) => Err(CodexError::Unsupported {
                what: "context as items",
                version: thread.found.version,
            }),
        }
    }

    /// Gives it a name, under which Codex's own terminal and apps show it. Another thread may have the same.
    ///
    /// # Errors
    /// If Codex refuses or dies, or is too old for that.
    pub async fn set_name(&self, name: &str) -> Result<(), CodexError> {
        match &self.0 {
            Engine::AppServer(thread) => thread.set_name(name).await,
            Engine::Exec(thread) => Err(CodexError::Unsupported {
                what: "names of threads",
                version: thread.found.version,
            }),
        }
    }

    /// Starts a turn. Returns once Codex has acknowledged it, which is when the thread has a record.
    ///
    /// Only one turn may run on a thread; Codex would merge a second one into the first.
    ///
    /// # Errors
    /// If Codex refuses or dies. After [`CodexError::NotReached`] nothing was begun; after any other
    /// error it may have been, and asking again could do it twice.
    pub async fn start_turn(&self, request: &TurnRequest) -> Result<Turn, CodexError> {
        match &self.0 {
            Engine::AppServer(thread) => thread.start_turn(request).await,
            Engine::Exec(thread) => thread.start_turn(request).await,
        }
    }

    /// Gives up a thread that cannot be trusted to be idle, so that Codex never merges the next turn into
    /// one that still runs on it. A thread that knows this of itself is discarded by [`Thread::release`].
    pub async fn discard(self) {
        match self.0 {
            Engine::AppServer(thread) => thread.discard().await,
            // Its process ends with the turn.
            Engine::Exec(_) => {}
        }
    }

    /// Gives up the thread, so that any other process can resume it at once.
    pub async fn release(self) {
        match self.0 {
            Engine::AppServer(thread) => thread.release().await,
            // Nothing of it is held between turns.
            Engine::Exec(_) => {}
        }
    }
}

impl From<AppThread> for Thread {
    fn from(thread: AppThread) -> Self {
        Self(Engine::AppServer(Box::new(thread)))
    }
}
