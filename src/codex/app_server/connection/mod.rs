//! One app-server child, from its handshake to its end.
//!
//! [`Connection`] makes requests. What Codex says by itself is sorted by [`dispatch`], reaches turns
//! through [`routes`], and, for approvals of sub-agents, is traced to a turn with [`agents`]. It does not
//! know what a turn makes of it.

mod agents;
mod dispatch;
mod routes;
#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use agents::Agents;
use dispatch::Dispatch;
use routes::Routes;
pub(super) use routes::Unasked;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OnceCell, mpsc},
};
use tokio_util::task::TaskTracker;

use crate::codex::{
    approval::ApprovalId,
    catalog::{Login, Model},
    error::{CodexError, RpcErrorSource},
    ids::{ThreadId, TurnId},
    launch::{CodexConfig, Found},
    process::{ExitCause, Process},
    protocol::{
        AccountRead, Empty, InitializeParams, Initialized, LoginParams, TurnInterruptParams,
        TurnSteerParams, UserInput,
    },
    rpc::{self, Peer, RpcError},
    turn::{Driver, Inbox},
    usage::RateLimits,
    version::CodexVersion,
};

/// How long an interrupt may take to be acknowledged; up to 0.125 it may never be.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(2);

/// A request in flight, until it is dropped.
struct Asking<'a>(&'a Connection);

impl<'a> Asking<'a> {
    fn begin(connection: &'a Connection) -> Self {
        connection.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(connection)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.touch();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A running app-server. It ends when the last reference is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Tells this process from every other one, also after a restart.
    id: String,
    process: Process,
    peer: Peer,
    routes: Routes,
    agents: Agents,
    found: Found,
    timeout: Duration,
    logged_in: AtomicBool,
    open_threads: AtomicUsize,
    /// How many requests wait for an answer.
    in_flight: AtomicUsize,
    /// Approvals that Codex waits for, by the number Codex gave its request.
    approvals: Mutex<HashMap<String, OpenApproval>>,
    /// Threads on which a turn may run that could not be stopped. Codex would merge the next turn into it.
    ghosts: Mutex<HashSet<ThreadId>>,
    /// What each thread has used, as it was told last.
    totals: Mutex<HashMap<String, Value>>,
    last_used: Mutex<Instant>,
    rate_limits: Mutex<Option<RateLimits>>,
    /// Asked for once; what a Codex offers does not change while it runs.
    models: OnceCell<Vec<Model>>,
    tasks: TaskTracker,
}

/// An approval that Codex waits for.
#[derive(Debug)]
struct OpenApproval {
    approval: ApprovalId,
    /// The thread whose turn was told; a sub-agent's approval is told to its parent's.
    route: ThreadId,
}

impl Connection {
    /// Starts the child and shakes hands.
    pub(in crate::codex) async fn start(
        found: Found,
        config: &CodexConfig,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>, CodexError> {
        let key = config.read_api_key().await?;
        let mut command = config.command(&found.binary);
        command.arg("app-server");
        if config.strict && found.version >= CodexVersion::STRICT_CONFIG {
            command.arg("--strict-config");
        }
        if key.is_some() {
            command.args(["-c", "cli_auth_credentials_store=\"ephemeral\""]);
        }
        let spawned = Process::spawn(command, &config.force_kill, tasks);
        let (process, pipes) = spawned.map_err(|error| CodexError::Start {
            binary: found.binary.clone(),
            cause: error.to_string(),
        })?;
        let connection =
            Self::over(pipes.stdout, pipes.stdin, process, found, config.timeout, tasks);
        let initialize = InitializeParams::new();
        let answer: Initialized =
            connection.call("initialize", initialize).await.map_err(|error| CodexError::Start {
                binary: connection.found.binary.clone(),
                cause: error.to_string(),
            })?;
        connection.peer.notify("initialized").await;
        if let Some(api_key) = key {
            let params = LoginParams::ApiKey { api_key };
            connection.call::<Empty>("account/login/start", params).await?;
        }
        tracing::info!(
            binary = %connection.found.binary.display(),
            version = %connection.found.version,
            user_agent = answer.user_agent,
            "Codex started"
        );
        Ok(connection)
    }

    /// A connection to `process` over its pipes.
    fn over(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        process: Process,
        found: Found,
        timeout: Duration,
        tasks: &TaskTracker,
    ) -> Arc<Self> {
        Arc::new_cyclic(|connection| {
            // The reader must not keep the connection alive, or dropping it would end nothing.
            let listener = Dispatch::new(connection.clone());
            let peer = rpc::connect(reader, writer, listener, process.stop(), tasks);
            Self {
                id: uuid::Uuid::new_v4().to_string(),
                process,
                peer,
                routes: Routes::default(),
                agents: Agents::default(),
                found,
                timeout,
                logged_in: AtomicBool::new(false),
                open_threads: AtomicUsize::new(0),
                in_flight: AtomicUsize::new(0),
                approvals: Mutex::default(),
                ghosts: Mutex::default(),
                totals: Mutex::default(),
                last_used: Mutex::new(Instant::now()),
                rate_limits: Mutex::default(),
                models: OnceCell::new(),
                tasks: tasks.clone(),
            }
        })
    }

    /// Makes a request and reads its answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, CodexError> {
        self.call_within(self.timeout, method, params).await
    }

    async fn call_within<T: DeserializeOwned>(
        &self,
        timeout: Duration,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, CodexError> {
        self.touch();
        let _asking = Asking::begin(self);
        let answer = tokio::time::timeout(timeout, self.peer.request(method, params)).await;
        let value = match answer {
            Err(_) => return Err(CodexError::Timeout { method }),
            Ok(Err(RpcError::Closed)) => {
                return Err(CodexError::Exited(self.process.ended().await));
            }
            Ok(Err(RpcError::NotSent)) => {
                return Err(CodexError::NotReached(self.process.ended().await));
            }
            Ok(Err(RpcError::Refused(error))) => {
                return Err(CodexError::Refused { method, message: error.message });
            }
            Ok(Err(error)) => {
                return Err(CodexError::Ask { method, source: RpcErrorSource::from(error) });
            }
            Ok(Ok(value)) => value,
        };
        serde_json::from_value(value).map_err(|source| CodexError::Answer { method, source })
    }

    /// How the user is logged in, and whether a login is needed.
    pub(in crate::codex) async fn login(&self) -> Result<Login, CodexError> {
        let account: AccountRead = self.call("account/read", serde_json::json!({})).await?;
        let how = account.account.as_ref().and_then(|account| account.get("type")?.as_str());
        Ok(match (how, account.requires_openai_auth) {
            (Some(how), _) => Login::As(how.to_owned()),
            (None, true) => Login::Missing,
            (None, false) => Login::NotNeeded,
        })
    }

    /// Fails if the provider needs a login and there is none.
    ///
    /// Without this an unlucky combination (no login, no network) waits for ever.
    pub(super) async fn require_login(&self) -> Result<(), CodexError> {
        if self.logged_in.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.login().await? == Login::Missing {
            return Err(CodexError::NotLoggedIn);
        }
        self.logged_in.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The models Codex lists, asked for once.
    pub(in crate::codex) async fn models(&self) -> Result<&[Model], CodexError> {
        self.models.get_or_try_init(|| Model::list(self)).await.map(Vec::as_slice)
    }

    /// Begins to listen to a thread's turn.
    pub(super) fn listen(&self, thread: &ThreadId) -> Inbox {
        self.routes.listen(thread)
    }

    /// Begins to listen for turns that Codex begins on a thread by itself.
    pub(super) fn watch(&self, thread: &ThreadId) -> mpsc::Receiver<Unasked> {
        self.routes.watch(thread)
    }

    /// Whether a sub-agent of a thread works.
    pub(super) fn has_working_agents(&self, thread: &ThreadId) -> bool {
        self.agents.work_for(thread)
    }

    /// When a thread's own queue has changed, if no turn has begun since.
    pub(super) fn queue_changed(&self, thread: &ThreadId) -> Option<Instant> {
        self.routes.queue_changed(thread)
    }

    /// Gives up a thread that was watched and is not opened.
    pub(super) fn unwatch(&self, thread: &ThreadId) {
        self.routes.forget(thread);
    }

    pub(in crate::codex) fn found(&self) -> &Found {
        &self.found
    }

    pub(in crate::codex) fn is_ending(&self) -> bool {
        self.process.is_ending()
    }

    pub(in crate::codex) async fn terminate(&self) -> ExitCause {
        self.process.terminate().await
    }

    pub(super) fn thread_opened(&self) {
        self.open_threads.fetch_add(1, Ordering::Relaxed);
        self.touch();
    }

    pub(super) fn thread_closed(&self, thread: &ThreadId) {
        self.routes.forget(thread);
        self.open_threads.fetch_sub(1, Ordering::Relaxed);
        self.touch();
    }

    pub(in crate::codex) fn has_no_threads(&self) -> bool {
        self.open_threads.load(Ordering::Relaxed) == 0
    }

    /// Remembers that a turn may run on a thread that could not be stopped.
    pub(super) fn haunt(&self, thread: &ThreadId) {
        lock(&self.ghosts).insert(thread.clone());
    }

    /// Whether a turn may run on a thread that could not be stopped.
    pub(in crate::codex) fn is_haunted(&self, thread: &ThreadId) -> bool {
        lock(&self.ghosts).contains(thread)
    }

    /// How long there has been nothing to do; zero while a thread is open.
    pub(in crate::codex) fn idle(&self) -> Duration {
        if !self.has_no_threads() || self.in_flight.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        lock(&self.last_used).elapsed()
    }

    fn touch(&self) {
        *lock(&self.last_used) = Instant::now();
    }
}

#[async_trait::async_trait]
impl Driver for Connection {
    async fn interrupt(&self, thread: &ThreadId, turn: &TurnId) -> Result<(), CodexError> {
        let params = TurnInterruptParams { thread_id: &thread.0, turn_id: &turn.0 };
        let answer: Result<Empty, _> =
            self.call_within(INTERRUPT_TIMEOUT, "turn/interrupt", params).await;
        answer.map(drop)
    }

    async fn steer(
        &self,
        thread: &ThreadId,
        turn: &TurnId,
        prompt: &str,
    ) -> Result<(), CodexError> {
        let version = self.found.version;
        if version < CodexVersion::STEER {
            return Err(CodexError::Unsupported { what: "steering a running turn", version });
        }
        let input = vec![UserInput::Text { text: prompt }];
        let params = TurnSteerParams { thread_id: &thread.0, expected_turn_id: &turn.0, input };
        self.call::<Empty>("turn/steer", params).await.map(drop)
    }

    async fn ended(&self) -> ExitCause {
        self.process.ended().await
    }

    fn rate_limits(&self) -> Option<RateLimits> {
        *lock(&self.rate_limits)
    }

    fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}

/// No lock here is held across an await, and nothing under one can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
