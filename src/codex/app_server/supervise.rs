//! Keeping one app-server: started when needed, stopped when idle, started again after its death.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::Connection,
    launch::{CodexConfig, Found},
    questions::{Defaults, Login, Model, ThreadFilter, ThreadInfo},
    thread::AppThread,
};
use crate::codex::{
    error::CodexError,
    exec::{self, ExecThread},
    orphans,
    profile::Profile,
    settings::ThreadSettings,
    thread::Thread,
    turn::{ThreadId, TurnId},
    version::CodexVersion,
};

/// A child that lived this long counts as having worked.
const HEALTHY: Duration = Duration::from_secs(30);

/// The pause before the second try after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A handle to Codex. Clones share one child.
#[derive(Debug, Clone)]
pub struct Codex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CodexConfig,
    slot: Mutex<Slot>,
    tasks: TaskTracker,
    closing: CancellationToken,
    nested: OnceLock<bool>,
}

/// What drives the Codex there is.
enum Engine {
    AppServer(Arc<Connection>),
    Exec(Found),
}

#[derive(Debug, Default)]
struct Slot {
    connection: Option<Arc<Connection>>,
    started: Option<Instant>,
    failures: u32,
}

impl Codex {
    /// A handle that starts nothing yet. Its tasks run on `tasks`.
    pub fn new(config: CodexConfig, tasks: TaskTracker) -> Self {
        Self(Arc::new(Inner {
            config,
            slot: Mutex::default(),
            tasks,
            closing: CancellationToken::new(),
            nested: OnceLock::new(),
        }))
    }

    /// Whether we were started by a Codex that a server like this one runs: then starting another one
    /// would never end.
    pub fn is_nested(&self) -> bool {
        *self.0.nested.get_or_init(orphans::is_nested)
    }

    /// Which Codex is there, without starting it.
    ///
    /// # Errors
    /// [`CodexError::NotFound`], [`CodexError::Start`].
    pub async fn look(&self) -> Result<Found, CodexError> {
        if let Some(connection) = &self.0.slot.lock().await.connection {
            return Ok(connection.found().clone());
        }
        Found::look(&self.0.config.search).await
    }

    /// A profile of the user's configuration; none if there is none of this name.
    ///
    /// # Errors
    /// [`CodexError::Configuration`] if it cannot be read.
    pub fn profile(&self, name: &str) -> Result<Option<Profile>, CodexError> {
        Profile::read(&self.0.config.codex_home, name)
    }

    /// Starts a new thread.
    ///
    /// # Errors
    /// If Codex cannot be started, nobody is logged in, or it refuses the settings.
    pub async fn start_thread(&self, settings: &ThreadSettings) -> Result<Thread, CodexError> {
        let connection = match self.engine().await? {
            Engine::Exec(found) => return self.exec(found, None, settings),
            Engine::AppServer(connection) => connection,
        };
        let opened = AppThread::start(Arc::clone(&connection), settings).await;
        self.renew_if_misconfigured(&connection, opened).await
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
        let connection = match self.engine().await? {
            Engine::Exec(found) => return self.exec(found, Some(thread), settings),
            Engine::AppServer(connection) => connection,
        };
        let opened = AppThread::resume(Arc::clone(&connection), thread, settings).await;
        self.renew_if_misconfigured(&connection, opened).await
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
        let opened = AppThread::fork(Arc::clone(&connection), thread, through, settings).await;
        self.renew_if_misconfigured(&connection, opened).await
    }

    /// What Codex knows of a thread; none if nothing.
    ///
    /// # Errors
    /// If Codex cannot be started or dies.
    pub async fn thread_info(&self, thread: &ThreadId) -> Result<Option<ThreadInfo>, CodexError> {
        match self.engine().await? {
            Engine::Exec(_) => Ok(None),
            Engine::AppServer(connection) => ThreadInfo::read(&connection, thread).await,
        }
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

    /// The user's own defaults that hold in a directory; empty where this Codex cannot say.
    ///
    /// # Errors
    /// If Codex cannot be started or dies.
    pub async fn defaults(&self, cwd: &Path) -> Result<Defaults, CodexError> {
        match self.engine().await? {
            Engine::Exec(_) => Ok(exec::defaults(&self.0.config.codex_home)),
            Engine::AppServer(connection) => Defaults::read(&connection, cwd).await,
        }
    }

    /// Who is logged in.
    ///
    /// # Errors
    /// If Codex cannot be started or dies.
    pub async fn login(&self) -> Result<Login, CodexError> {
        match self.engine().await? {
            Engine::Exec(_) => Ok(Login::Unknown),
            Engine::AppServer(connection) => connection.login().await,
        }
    }

    /// The models Codex offers.
    ///
    /// # Errors
    /// If Codex cannot be started, dies, or is too old to say.
    pub async fn models(&self) -> Result<Vec<Model>, CodexError> {
        Model::list(&*self.connection("listing models").await?).await
    }

    /// Ends the child and starts none again. Turns that still run end as failed.
    pub async fn shutdown(&self) {
        self.0.closing.cancel();
        // Whoever is starting a child holds the slot and gives up now.
        let connection = self.0.slot.lock().await.connection.take();
        if let Some(connection) = connection {
            connection.terminate().await;
        }
    }

    /// Ends a child that was started with a broken configuration or without a login: it would not
    /// notice that the user has mended it.
    async fn renew_if_misconfigured(
        &self,
        connection: &Arc<Connection>,
        opened: Result<AppThread, CodexError>,
    ) -> Result<Thread, CodexError> {
        if let Err(CodexError::Configuration { .. } | CodexError::NotLoggedIn) = &opened {
            let mut slot = self.0.slot.lock().await;
            if connection.has_no_threads() && !connection.is_ending() {
                slot.connection = None;
                connection.terminate().await;
            }
        }
        opened.map(Thread::from)
    }

    fn exec(
        &self,
        found: Found,
        thread: Option<&ThreadId>,
        settings: &ThreadSettings,
    ) -> Result<Thread, CodexError> {
        let Inner { config, tasks, closing, .. } = &*self.0;
        if closing.is_cancelled() {
            return Err(CodexError::ShuttingDown);
        }
        ExecThread::open(found, thread, settings, config, tasks).map(Thread::exec)
    }

    /// The app-server, for what only that can do.
    async fn connection(&self, what: &'static str) -> Result<Arc<Connection>, CodexError> {
        match self.engine().await? {
            Engine::AppServer(connection) => Ok(connection),
            Engine::Exec(Found { version, .. }) => Err(CodexError::Unsupported { what, version }),
        }
    }

    /// The living connection, a new one, or none where Codex is too old for that.
    async fn engine(&self) -> Result<Engine, CodexError> {
        let mut slot = self.0.slot.lock().await;
        if let Some(connection) = slot.connection.take_if(|connection| connection.is_ending()) {
            let lived = slot.started.map(|started| started.elapsed()).unwrap_or_default();
            slot.failures = if lived < HEALTHY { slot.failures + 1 } else { 0 };
            let cause = connection.ended().await;
            tracing::warn!(%cause, "Codex ended; starting it again");
        }
        if let Some(connection) = &slot.connection {
            return Ok(Engine::AppServer(Arc::clone(connection)));
        }
        let starting = self.start(slot.failures);
        let started = self.0.closing.run_until_cancelled(starting).await;
        match started.unwrap_or(Err(CodexError::ShuttingDown)) {
            Ok(Engine::AppServer(connection)) => {
                slot.connection = Some(Arc::clone(&connection));
                slot.started = Some(Instant::now());
                self.0.tasks.spawn(self.clone().stop_when_idle(Arc::clone(&connection)));
                Ok(Engine::AppServer(connection))
            }
            Ok(exec) => Ok(exec),
            Err(error) => {
                slot.failures += 1;
                Err(error)
            }
        }
    }

    async fn start(&self, failures: u32) -> Result<Engine, CodexError> {
        tokio::time::sleep(pause(failures)).await;
        let found = Found::look(&self.0.config.search).await?.drivable()?;
        if found.version < CodexVersion::APP_SERVER {
            return Ok(Engine::Exec(found));
        }
        let connection = Connection::start(found, &self.0.config, &self.0.tasks).await?;
        Ok(Engine::AppServer(connection))
    }

    /// Ends the child after it has had nothing to do for a while. A later call starts another.
    async fn stop_when_idle(self, connection: Arc<Connection>) {
        let limit = self.0.config.idle;
        while !connection.is_ending() {
            let rest = limit.saturating_sub(connection.idle());
            if rest > Duration::ZERO {
                let waited = self.0.closing.run_until_cancelled(tokio::time::sleep(rest)).await;
                if waited.is_none() {
                    return;
                }
                continue;
            }
            // Nobody can get hold of the connection while we have the slot.
            let mut slot = self.0.slot.lock().await;
            if connection.idle() >= limit {
                slot.connection = None;
                slot.failures = 0;
                tracing::info!("Codex was idle; stopping it");
                connection.terminate().await;
                return;
            }
        }
    }
}

/// The first failure costs nothing: most deaths are one-off.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(10)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let millis: Vec<_> = [0, 1, 2, 3, 5, 9, 99].map(|n| pause(n).as_millis()).into();
        assert_eq!(millis, [0, 0, 100, 200, 800, 10_000, 10_000]);
    }

    #[tokio::test]
    async fn a_missing_codex_is_an_error_each_time_and_never_after_shutdown() {
        let search =
            crate::codex::SearchPath { binary: Some("/no/codex".into()), ..Default::default() };
        let hurry = CancellationToken::new();
        let config = CodexConfig {
            search,
            idle: HEALTHY,
            patience: HEALTHY,
            hurry,
            codex_home: PathBuf::new(),
        };
        let codex = Codex::new(config, TaskTracker::new());
        for _ in 0..2 {
            assert!(matches!(codex.models().await, Err(CodexError::NotFound { .. })));
        }
        codex.shutdown().await;
        assert!(matches!(codex.models().await, Err(CodexError::ShuttingDown)));
    }
}
