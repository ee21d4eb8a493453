//! The handle itself: what can be asked of Codex.

use std::{path::Path, sync::Arc};

use tokio_util::task::TaskTracker;

use super::slot::{Engine, Slot};
use crate::codex::{
    app_server::{AppThread, Connection, name_thread},
    catalog::{Defaults, Login, Model, ThreadFilter, ThreadInfo},
    error::CodexError,
    exec::{self, ExecThread},
    ids::{ThreadId, TurnId},
    launch::{CodexConfig, Found},
    lineage::Lineage,
    profile::Profile,
    projects::Project,
    record,
    settings::ThreadSettings,
    thread::Thread,
    usage::AccountLimits,
};

#[cfg(test)]
use crate::codex::app_server::Script;

/// A handle to Codex. Clones share one child.
#[derive(Debug, Clone)]
pub struct Codex(Arc<Slot>);

impl Codex {
    /// A handle that starts nothing yet. Its tasks run on `tasks`.
    pub fn new(config: CodexConfig, tasks: TaskTracker) -> Self {
        Self(Slot::new(config, tasks))
    }

    /// Codex's own folder.
    pub(in crate::codex) fn home(&self) -> &Path {
        &self.0.config.codex_home
    }

    /// A handle to an app-server that a test plays. There is no other one when that has ended.
    #[cfg(test)]
    pub(crate) fn scripted(tasks: &TaskTracker) -> (Self, Script) {
        let config = CodexConfig::example();
        let (connection, script) = Script::new(tasks);
        (Self(Slot::running_on(connection, config, tasks.clone())), script)
    }

    /// Where a client comes from, or this process if none is named. One that a Codex of a server like this one has started
    /// is no client: starting another one would never end.
    pub fn lineage(&self, client: Option<u32>) -> Lineage {
        match (client, self.0.lineage.get()) {
            (None, Some(known)) => *known,
            (None, None) => {
                let own = Lineage::of(None);
                if own != Lineage::Unknown {
                    // It stays as it is.
                    let _ = self.0.lineage.set(own);
                }
                own
            }
            (client, _) => Lineage::of(client),
        }
    }

    /// Which Codex is there, without starting it.
    ///
    /// # Errors
    /// [`CodexError::NotFound`], [`CodexError::Start`].
    pub async fn inspect(&self) -> Result<Found, CodexError> {
        match self.0.running() {
            Some(found) => Ok(found),
            None => Found::inspect(&self.0.config).await,
        }
    }

    /// A profile of the user's configuration. `None` if there is none of this name.
    ///
    /// # Errors
    /// [`CodexError::Configuration`] if it cannot be read.
    pub fn profile(&self, name: &str) -> Result<Option<Profile>, CodexError> {
        Profile::read(&self.0.config.codex_home, name)
    }

    /// Starts a new thread.
    ///
    /// # Errors
    /// If Codex cannot be started, needs a login and has none, or refuses the settings.
    pub async fn start_thread(&self, settings: &ThreadSettings) -> Result<Thread, CodexError> {
        let connection = match self.0.engine().await? {
            Engine::Exec(found) => return self.exec(found, None, settings).await,
            Engine::AppServer(connection) => connection,
        };
        let project = self.project(&settings.cwd, connection.found()).await?;
        let opened = AppThread::start(Arc::clone(&connection), settings, &project).await;
        self.checked(&connection, opened).await.map(Thread::from)
    }

    /// Resumes a thread that Codex has a record of.
    ///
    /// # Errors
    /// [`CodexError::ThreadUnavailable`] if it has none, [`CodexError::ActiveWriter`] if another process
    /// holds the thread, else as for [`Codex::start_thread`].
    pub async fn resume_thread(
        &self,
        thread: &ThreadId,
        settings: &ThreadSettings,
    ) -> Result<Thread, CodexError> {
        let mut connection = match self.0.engine().await? {
            Engine::Exec(found) => return self.exec(found, Some(thread), settings).await,
            Engine::AppServer(connection) => connection,
        };
        if connection.is_haunted(thread) && self.0.replace_if_unused(&connection).await {
            connection = self.connection("resuming threads").await?;
        }
        let project = self.project(&settings.cwd, connection.found()).await?;
        let opened = AppThread::resume(Arc::clone(&connection), thread, settings, &project).await;
        self.checked(&connection, opened).await.map(Thread::from)
    }

    /// Makes a new thread with the history of another one, also while another process has that one.
    ///
    /// # Errors
    /// As for [`Codex::resume_thread`], or [`CodexError::Unsupported`].
    pub async fn fork_thread(
        &self,
        thread: &ThreadId,
        through: Option<&TurnId>,
        settings: &ThreadSettings,
    ) -> Result<Thread, CodexError> {
        let connection = self.connection("forking threads").await?;
        let project = self.project(&settings.cwd, connection.found()).await?;
        let opened =
            AppThread::fork(Arc::clone(&connection), thread, through, settings, &project).await;
        self.checked(&connection, opened).await.map(Thread::from)
    }

    /// What matters of the project that a thread is to work in.
    async fn project(&self, cwd: &Path, found: &Found) -> Result<Project, CodexError> {
        Project::of(&self.0.config.codex_home, cwd, found.version).await
    }

    /// Gives a thread a name in Codex's own lists, whether or not it is loaded.
    ///
    /// # Errors
    /// If Codex cannot be started, dies, refuses, or is too old for that.
    pub async fn name_thread(&self, thread: &ThreadId, name: &str) -> Result<(), CodexError> {
        let connection = self.connection("names of threads").await?;
        name_thread(&connection, thread, name).await
    }

    /// What Codex knows of a thread. `None` if it has no record of it.
    ///
    /// # Errors
    /// If Codex cannot be started or dies.
    pub async fn thread_info(&self, thread: &ThreadId) -> Result<Option<ThreadInfo>, CodexError> {
        if let Engine::AppServer(connection) = self.0.engine().await?
            && let Some(info) = ThreadInfo::read(&connection, thread).await?
        {
            return Ok(Some(info));
        }
        // Before 0.89 Codex cannot be asked.
        let Some(record) = record::of_thread(&self.0.config.codex_home, thread) else {
            return Ok(None);
        };
        let last_turn = record::last_turn(record).await;
        Ok(last_turn.map(|last| ThreadInfo::recorded(thread.clone(), last)))
    }

    /// One page of the threads Codex has a record of, and where the next begins.
    ///
    /// # Errors
    /// If Codex cannot be started, dies, or does not take the filter.
    pub async fn threads(
        &self,
        filter: ThreadFilter<'_>,
    ) -> Result<(Vec<ThreadInfo>, Option<String>), CodexError> {
        ThreadInfo::list(&*self.connection("listing threads").await?, filter).await
    }

    /// The user's own defaults for a directory. Empty where this version cannot tell.
    ///
    /// # Errors
    /// If Codex cannot be started or dies.
    pub async fn defaults(&self, cwd: &Path) -> Result<Defaults, CodexError> {
        match self.0.engine().await? {
            Engine::Exec(_) => Ok(exec::defaults(&self.0.config.codex_home)),
            Engine::AppServer(connection) => {
                // Codex reads what the project has for that.
                self.project(cwd, connection.found()).await?;
                let defaults = Defaults::read(&connection, cwd).await;
                self.checked(&connection, defaults).await
            }
        }
    }

    /// How the user is logged in.
    ///
    /// # Errors
    /// If Codex cannot be started or dies, or cannot read its configuration.
    pub async fn login(&self) -> Result<Login, CodexError> {
        match self.0.engine().await? {
            Engine::Exec(_) => Ok(Login::Unknown),
            Engine::AppServer(connection) => {
                let mut login = connection.login().await;
                if matches!(login, Ok(Login::Missing)) {
                    // A configuration that cannot be read looks like no login.
                    let read = Defaults::read(&connection, &self.0.config.codex_home).await;
                    login = read.and(login);
                }
                self.checked(&connection, login).await
            }
        }
    }

    /// What the account itself says of its allowance.
    ///
    /// # Errors
    /// [`CodexError::Refused`] in Codex's words if there is no such account, and if Codex cannot be started or dies.
    pub async fn account_limits(&self) -> Result<AccountLimits, CodexError> {
        AccountLimits::read(&*self.connection("limits of the account").await?).await
    }

    /// The models Codex offers.
    ///
    /// # Errors
    /// If Codex cannot be started, dies, or is too old to say.
    pub async fn models(&self) -> Result<Vec<Model>, CodexError> {
        Model::list(&*self.connection("listing models").await?).await
    }

    /// Whether Codex lists this model. Asked of Codex once while it runs.
    pub async fn lists_model(&self, model: &str) -> bool {
        let Ok(Engine::AppServer(connection)) = self.0.engine().await else { return false };
        let models = connection.models().await;
        models.is_ok_and(|models| models.iter().any(|listed| listed.id == model))
    }

    /// The reasoning efforts a model takes, lowest first. `None` where Codex does not list the model or
    /// cannot be asked. Asked of Codex once while it runs.
    pub async fn efforts_of(&self, model: &str) -> Option<Vec<String>> {
        let Ok(Engine::AppServer(connection)) = self.0.engine().await else { return None };
        let models = connection.models().await.ok()?;
        let listed = models.iter().find(|listed| listed.id == model)?;
        (!listed.efforts.is_empty()).then(|| listed.efforts.clone())
    }

    /// Ends the child and starts none again. Turns that still run end as failed.
    pub async fn shutdown(&self) {
        self.0.close().await;
    }

    /// Ends a child that was started with a broken configuration or without a login: it would not
    /// notice that the user has mended it.
    async fn checked<T>(
        &self,
        connection: &Arc<Connection>,
        result: Result<T, CodexError>,
    ) -> Result<T, CodexError> {
        if let Err(CodexError::Configuration { .. } | CodexError::NotLoggedIn) = &result {
            self.0.replace_if_unused(connection).await;
        }
        result
    }

    async fn exec(
        &self,
        found: Found,
        thread: Option<&ThreadId>,
        settings: &ThreadSettings,
    ) -> Result<Thread, CodexError> {
        let Slot { config, tasks, closing, .. } = &*self.0;
        if closing.is_cancelled() {
            return Err(CodexError::ShuttingDown);
        }
        let project = self.project(&settings.cwd, &found).await?;
        ExecThread::open(found, thread, (settings, project), config, tasks).map(Thread::exec)
    }

    /// The app-server, for what only that can do.
    async fn connection(&self, what: &'static str) -> Result<Arc<Connection>, CodexError> {
        match self.0.engine().await? {
            Engine::AppServer(connection) => Ok(connection),
            Engine::Exec(Found { version, .. }) => Err(CodexError::Unsupported { what, version }),
        }
    }
}
