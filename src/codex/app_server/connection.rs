//! One app-server child, from its handshake to its end.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{
    launch::{CodexConfig, Found},
    questions::Login,
    routes::{Routes, Told, Unanswered},
};
use crate::codex::{
    approval::{self, Asked},
    error::{CodexError, RpcErrorSource},
    process::{self, ExitCause, Process},
    protocol::{
        AccountRead, Empty, Event, EventKind, InitializeParams, Initialized, RateLimitsUpdated,
        TurnInterruptParams, TurnSteerParams, UserInput,
    },
    rpc::{self, Incoming, Peer, RequestId, RpcError},
    turn::{ThreadId, TurnId},
    usage::RateLimits,
    version::CodexVersion,
};

/// How long an interrupt may take to be acknowledged; up to 0.125 it may never be.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(2);

/// A running app-server. It ends when the last reference is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    process: Process,
    peer: Peer,
    routes: Routes,
    found: Found,
    patience: Duration,
    logged_in: AtomicBool,
    open_threads: AtomicUsize,
    last_used: Mutex<Instant>,
    rate_limits: Mutex<Option<RateLimits>>,
    tasks: TaskTracker,
}

impl Connection {
    /// Starts the child and shakes hands.
    pub(super) async fn start(
        found: Found,
        config: &CodexConfig,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>, CodexError> {
        let mut command = process::command(&found.binary);
        command.arg("app-server");
        let (process, pipes) = Process::spawn(command, &config.hurry, tasks).map_err(|error| {
            CodexError::Start { binary: found.binary.clone(), cause: error.to_string() }
        })?;
        let (peer, incoming) = rpc::connect(pipes.stdout, pipes.stdin, process.stop(), tasks);
        let connection = Arc::new(Self {
            process,
            peer,
            routes: Routes::default(),
            found,
            patience: config.patience,
            logged_in: AtomicBool::new(false),
            open_threads: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
            rate_limits: Mutex::default(),
            tasks: tasks.clone(),
        });
        // The reader must not keep the connection alive, or dropping it would end nothing.
        tasks.spawn(dispatch(Arc::downgrade(&connection), incoming));
        let shaken: Result<Initialized, _> =
            connection.call("initialize", InitializeParams::new()).await;
        match shaken {
            Ok(answer) => {
                connection.peer.notify("initialized").await;
                tracing::info!(
                    binary = %connection.found.binary.display(),
                    version = %connection.found.version,
                    user_agent = answer.user_agent,
                    "Codex started"
                );
                Ok(connection)
            }
            Err(error) => {
                let binary = connection.found.binary.clone();
                Err(CodexError::Start { binary, cause: error.to_string() })
            }
        }
    }

    /// Makes a request and reads its answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, CodexError> {
        self.call_within(self.patience, method, params).await
    }

    /// Who is logged in, and whether somebody has to be.
    pub(super) async fn login(&self) -> Result<Login, CodexError> {
        let account: AccountRead = self.call("account/read", serde_json::json!({})).await?;
        let how = account.account.as_ref().and_then(|account| account.get("type")?.as_str());
        Ok(match (how, account.requires_openai_auth) {
            (Some(how), _) => Login::As(how.to_owned()),
            (None, true) => Login::Missing,
            (None, false) => Login::NotNeeded,
        })
    }

    /// Makes sure that somebody is logged in if the provider asks for it.
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

    pub(crate) async fn interrupt(
        &self,
        thread: &ThreadId,
        turn: &TurnId,
    ) -> Result<(), CodexError> {
        let params = TurnInterruptParams { thread_id: &thread.0, turn_id: &turn.0 };
        let answer: Result<Empty, _> =
            self.call_within(INTERRUPT_PATIENCE, "turn/interrupt", params).await;
        answer.map(drop)
    }

    pub(crate) async fn steer(
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

    /// The account's allowance, as last heard.
    pub(crate) fn rate_limits(&self) -> Option<RateLimits> {
        *self.rate_limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen to a thread's turn.
    pub(super) fn listen(&self, thread: &ThreadId) -> mpsc::Receiver<Told> {
        self.routes.listen(thread)
    }

    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(super) fn is_ending(&self) -> bool {
        self.process.is_ending()
    }

    pub(crate) async fn ended(&self) -> ExitCause {
        self.process.ended().await
    }

    pub(super) async fn terminate(&self) {
        self.process.terminate().await;
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

    pub(super) fn has_no_threads(&self) -> bool {
        self.open_threads.load(Ordering::Relaxed) == 0
    }

    /// How long there has been nothing to do; zero while a thread is open.
    pub(super) fn idle(&self) -> Duration {
        if !self.has_no_threads() {
            return Duration::ZERO;
        }
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn touch(&self) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn call_within<T: DeserializeOwned>(
        &self,
        patience: Duration,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, CodexError> {
        self.touch();
        let answer = tokio::time::timeout(patience, self.peer.request(method, params)).await;
        let value = match answer {
            Err(_) => return Err(CodexError::Timeout { method }),
            Ok(Err(RpcError::Closed)) => return Err(CodexError::Exited(self.ended().await)),
            Ok(Err(RpcError::NotSent)) => return Err(CodexError::NotReached(self.ended().await)),
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

    async fn take(&self, call: Incoming) {
        match call {
            Incoming::Notification { method, params } => {
                if let Some(event) = Event::parse(&method, &params) {
                    self.told(event).await;
                } else if method == "account/rateLimits/updated" {
                    self.limited(params);
                }
            }
            Incoming::Request { id, method, params } => {
                match approval::parse(id.to_string(), &method, &params) {
                    Some(asked) => self.asked(id, asked).await,
                    None => self.peer.refuse(&id, &method).await,
                }
            }
        }
    }

    /// Passes a question on to the turn it belongs to, and its answer back.
    async fn asked(&self, id: RequestId, asked: Asked) {
        let refusal = asked.refusal();
        let thread = asked.thread_id.clone().unwrap_or_default();
        let (unanswered, answer) = Unanswered::new(asked);
        let peer = self.peer.clone();
        // Whoever drops the question, if only because nobody listens, has declined it.
        self.tasks.spawn(async move {
            let answer = answer.await.unwrap_or(refusal);
            peer.respond(&id, &answer).await;
        });
        self.routes.tell(&thread, Told::Asked(unanswered)).await;
    }

    fn limited(&self, params: Value) {
        let Ok(news) = RateLimitsUpdated::deserialize(params) else { return };
        let mut known = self.rate_limits.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_default().update(news.rate_limits);
    }

    async fn told(&self, event: Event) {
        let Event { thread_id, turn_id, kind } = event;
        if matches!(kind, EventKind::ThreadClosed) {
            tracing::debug!(thread_id, "Codex let go of a thread");
        }
        self.routes.tell(&thread_id, Told::Event { turn_id, kind }).await;
    }
}

async fn dispatch(connection: std::sync::Weak<Connection>, mut incoming: mpsc::Receiver<Incoming>) {
    while let Some(call) = incoming.recv().await {
        let Some(connection) = connection.upgrade() else { return };
        connection.take(call).await;
    }
    if let Some(connection) = connection.upgrade() {
        connection.routes.close();
        // A child that closes its stdout but lives on is of no use.
        connection.process.stop().cancel();
    }
}
