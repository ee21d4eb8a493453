//! Keeping one app-server: started when needed, stopped when idle, started again after its death.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::counter;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::backoff::Backoff;
use crate::codex::{
    app_server::Connection,
    error::CodexError,
    launch::{CodexConfig, Found},
    lineage::Lineage,
    processes::Processes,
    version::CodexVersion,
};

/// How long a child has to have had nothing to do before others can get its place.
const IDLE_IF_WANTED: Duration = Duration::from_secs(1);

/// The place of the one app-server.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) config: CodexConfig,
    pub(super) tasks: TaskTracker,
    pub(super) closing: CancellationToken,
    /// Whether this process runs below a Codex that a server like this one started.
    pub(super) lineage: OnceLock<Lineage>,
    state: Mutex<State>,
}

/// What drives the Codex there is.
pub(super) enum Engine {
    AppServer(Arc<Connection>),
    Exec(Found),
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    backoff: Backoff,
}

#[derive(Debug)]
struct Running {
    connection: Arc<Connection>,
    started: Instant,
    /// Its place among all processes, if they are limited.
    _place: Option<OwnedSemaphorePermit>,
}

/// What became of one try to get an engine.
enum Try {
    Ready(Engine),
    NotBefore(Instant),
    /// As many processes run as may.
    Full,
}

impl Slot {
    pub(super) fn new(config: CodexConfig, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            config,
            tasks,
            closing: CancellationToken::new(),
            lineage: OnceLock::new(),
            state: Mutex::default(),
        })
    }

    /// A slot with a child in it.
    #[cfg(test)]
    pub(super) fn running_on(
        connection: Arc<Connection>,
        config: CodexConfig,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let running = Some(Running { connection, started: Instant::now(), _place: None });
        let state = Mutex::new(State { running, backoff: Backoff::default() });
        let closing = CancellationToken::new();
        Arc::new(Self { config, tasks, closing, lineage: OnceLock::from(Lineage::Other), state })
    }

    /// The living connection, a new one, or the Codex that is too old for one.
    ///
    /// A Codex that cannot be found is an error at once, each time. One that keeps dying is started again
    /// after a pause; callers wait for that without keeping others from the slot.
    pub(super) async fn engine(self: &Arc<Self>) -> Result<Engine, CodexError> {
        let engine = async {
            let mut place = None;
            loop {
                match self.attempt(&mut place).await? {
                    Try::Ready(engine) => return Ok(engine),
                    Try::NotBefore(at) => tokio::time::sleep_until(at).await,
                    // Nobody else waits for this slot meanwhile.
                    Try::Full => match &self.config.processes {
                        Some(processes) => {
                            let taken = processes.take(self.config.timeout).await;
                            place = Some(taken.ok_or(CodexError::TooMany)?);
                        }
                        None => return Err(CodexError::TooMany),
                    },
                }
            }
        };
        let engine = self.closing.run_until_cancelled(engine).await;
        engine.unwrap_or(Err(CodexError::ShuttingDown))
    }

    /// Tries once, with a place among all processes if there is one already.
    async fn attempt(
        self: &Arc<Self>,
        place: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Try, CodexError> {
        let mut state = self.state.lock().await;
        if let Some(dead) = state.running.take_if(|running| running.connection.is_ending()) {
            state.backoff.ended(dead.started);
            counter!("codex_mcp_codex_deaths_total", "tenant" => Arc::clone(&self.config.label))
                .increment(1);
            let cause = dead.connection.terminate().await;
            tracing::warn!(%cause, "Codex ended; starting it again");
        }
        if let Some(running) = &state.running {
            return Ok(Try::Ready(Engine::AppServer(Arc::clone(&running.connection))));
        }
        let found = Found::inspect(&self.config).await?.drivable()?;
        if found.version < CodexVersion::APP_SERVER {
            if self.config.api_key.is_some() {
                let what = "an API key from a file";
                return Err(CodexError::Unsupported { what, version: found.version });
            }
            return Ok(Try::Ready(Engine::Exec(found)));
        }
        if let Some(at) = state.backoff.not_before() {
            return Ok(Try::NotBefore(at));
        }
        if let (Some(processes), None) = (&self.config.processes, &place) {
            *place = processes.try_take();
            if place.is_none() {
                return Ok(Try::Full);
            }
        }
        let place = place.take();
        counter!("codex_mcp_codex_starts_total", "tenant" => Arc::clone(&self.config.label))
            .increment(1);
        // Boxed, because it is large and every request may begin with it.
        let starting = Box::pin(Connection::start(found, &self.config, &self.tasks));
        let connection = starting.await.inspect_err(|_| state.backoff.failed())?;
        let started = Instant::now();
        state.running =
            Some(Running { connection: Arc::clone(&connection), started, _place: place });
        self.tasks.spawn(Arc::clone(self).stop_when_idle(Arc::clone(&connection)));
        Ok(Try::Ready(Engine::AppServer(connection)))
    }

    /// The Codex that runs, if that can be told without waiting.
    pub(super) fn running(&self) -> Option<Found> {
        let state = self.state.try_lock().ok()?;
        state.running.as_ref().map(|running| running.connection.found().clone())
    }

    /// Ends a child that no thread needs, so that the next request starts another. Returns whether it
    /// did.
    pub(super) async fn replace_if_unused(&self, connection: &Arc<Connection>) -> bool {
        let mut state = self.state.lock().await;
        let is_unused = connection.has_no_threads() && !connection.is_ending();
        if is_unused {
            state.running = None;
            connection.terminate().await;
        }
        is_unused
    }

    /// Ends the child and starts none again.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        // A task that is starting a child holds the slot and gives up now.
        let running = self.state.lock().await.running.take();
        if let Some(running) = running {
            running.connection.terminate().await;
        }
    }

    /// Ends the child after it has had nothing to do for a while, which is short if others need its place. A later call
    /// starts another.
    async fn stop_when_idle(self: Arc<Self>, connection: Arc<Connection>) {
        let mut limit = self.config.idle;
        while !connection.is_ending() {
            let rest = limit.saturating_sub(connection.idle());
            if rest > Duration::ZERO {
                tokio::select! {
                    () = self.closing.cancelled() => return,
                    () = tokio::time::sleep(rest) => {}
                    () = self.place_is_wanted(), if limit > IDLE_IF_WANTED => limit = IDLE_IF_WANTED,
                }
                continue;
            }
            if limit < self.config.idle && !self.is_place_wanted() {
                // Somebody else has given his meanwhile.
                limit = self.config.idle;
                continue;
            }
            // No caller can get hold of the connection while we have the slot.
            let mut state = self.state.lock().await;
            if connection.idle() >= limit {
                let over = std::mem::take(&mut *state);
                tracing::info!("Codex was idle; stopping it");
                connection.terminate().await;
                // Only now another may start.
                drop(over);
                return;
            }
            limit = self.config.idle;
        }
    }

    fn is_place_wanted(&self) -> bool {
        self.config.processes.as_ref().is_some_and(Processes::are_wanted)
    }

    async fn place_is_wanted(&self) {
        match &self.config.processes {
            Some(processes) => processes.wanted().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::{SearchPath, supervise::Codex};

    fn codex(binary: &str) -> Codex {
        let config = CodexConfig {
            search: SearchPath { binary: Some(binary.into()), ..SearchPath::default() },
            ..CodexConfig::example()
        };
        Codex::new(config, TaskTracker::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_codex_is_an_error_at_once_each_time_and_never_after_shutdown() {
        let codex = codex("/no/codex");
        let started = Instant::now();
        for _ in 0..20 {
            assert!(matches!(codex.models().await, Err(CodexError::NotFound { .. })));
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        codex.shutdown().await;
        assert!(matches!(codex.models().await, Err(CodexError::ShuttingDown)));
    }

    /// A Codex that says its version and dies when it is to serve.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_codex_that_keeps_dying_is_paused_and_holds_nobody_up() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("codex");
        let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo codex-cli 0.169.0\nexit 1\n";
        std::fs::write(&binary, script).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o700)).unwrap();
        let codex = codex(&binary.to_string_lossy());
        for _ in 0..3 {
            assert!(matches!(codex.models().await, Err(CodexError::Start { .. })));
        }
        // The next start has to wait; meanwhile the slot is free for other questions.
        let waiting = codex.models();
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("it was started without a pause"),
            found = codex.inspect() => assert!(found.is_ok()),
        }
        // It may be asking for the version still, which ends when it is polled.
        let ((), waited) = tokio::join!(codex.shutdown(), waiting);
        assert!(matches!(waited, Err(CodexError::ShuttingDown)));
    }
}
