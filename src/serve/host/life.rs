//! A host from its start to its end: it accepts clients, and leaves when there is nobody and nothing left.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    HostError, HostFiles, HostStatus,
    hello::{self, Ask, ClientAbout, Hello, Welcome},
};
use crate::{
    config::Config,
    mcp::{Client, Lineage, Server, SessionError},
    serve::{
        Shutdown, Streams, connection,
        page::{Page, in_one_line},
    },
    system::open_private_file,
};

/// How long whoever connects may take to say what for.
const HELLO_LIMIT: Duration = Duration::from_secs(5);

/// The same for one that is refused whatever it says.
const REFUSED_HELLO_LIMIT: Duration = Duration::from_millis(250);

/// How many of them may be told why at one time. The others are not answered.
const REFUSED: usize = 16;

/// How often to check whether turns still run once there is no client.
const TICK: Duration = Duration::from_millis(100);

/// How long the client for which it was started may take to come.
const FIRST_CLIENT: Duration = Duration::from_secs(5);

/// How long connections may take to end when the host does.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What a host is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostConfig {
    /// Where it is to be found.
    pub files: HostFiles,
    /// The settings of all its clients.
    pub config: Config,
    /// The program.
    pub executable: PathBuf,
}

struct Host {
    server: Server,
    config: HostConfig,
    clients: watch::Sender<usize>,
    /// Cancelled when the host is to end.
    leaving: CancellationToken,
    /// Cancelled when the turns have ended, and connections are to.
    closing: CancellationToken,
    connections: TaskTracker,
    /// The places of those who are refused.
    refused: Arc<Semaphore>,
}

/// Serves clients on its socket until nobody is left, `shutdown` is asked for, or somebody asks it to stop. Does
/// nothing if there is another host already.
///
/// # Errors
/// [`HostError`] if it cannot listen there.
pub async fn host(server: Server, config: HostConfig, shutdown: Shutdown) -> Result<(), HostError> {
    let files = config.files.clone();
    let Some(lock) = Lock::take(&files.lock())? else { return Ok(()) };
    sweep(&files);
    let listener = listen(&files.socket())?;
    tracing::info!(pid = std::process::id(), socket = %files.socket().display(), "host started");
    let linger = config.config.host.linger.0;
    let host = Arc::new(Host {
        server,
        config,
        clients: watch::channel(0).0,
        leaving: CancellationToken::new(),
        closing: CancellationToken::new(),
        connections: TaskTracker::new(),
        refused: Arc::new(Semaphore::new(REFUSED)),
    });
    let reason = tokio::select! {
        () = Arc::clone(&host).accept(&listener) => "it cannot accept clients any more",
        () = host.deserted(linger) => "nobody is left",
        () = host.leaving.cancelled() => "it was asked to",
        () = shutdown.asked.cancelled() => "a signal asked for it",
    };
    tracing::info!(reason, "host ends");
    // From now on clients start another one, also those that have just connected.
    host.leaving.cancel();
    let removed = fs::remove_file(files.socket());
    tracing::debug!(removed = removed.is_ok(), "the socket is gone");
    drop(listener);
    drop(lock);
    let sessions = host.server.sessions().clone();
    if shutdown.at_once.run_until_cancelled(sessions.shutdown()).await.is_none() {
        sessions.shutdown_codex().await;
    }
    host.closing.cancel();
    host.connections.close();
    let drained = timeout(DRAIN_TIMEOUT, host.connections.wait()).await;
    tracing::debug!(in_time = drained.is_ok(), "connections closed");
    Ok(())
}

impl Host {
    async fn accept(self: Arc<Self>, listener: &UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    self.connections.spawn(Arc::clone(&self).connected(stream));
                }
                // Too many open files, perhaps: that passes.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client");
                    tokio::time::sleep(TICK).await;
                }
            }
        }
    }

    /// Returns once there has been no client and no turn for as long as the host lingers.
    async fn deserted(&self, linger: Duration) {
        let mut clients = self.clients.subscribe();
        let mut limit = FIRST_CLIENT.max(linger);
        loop {
            let mut idle_since = Instant::now();
            while *clients.borrow_and_update() == 0 {
                let is_idle = self.server.sessions().running() == 0;
                if !is_idle {
                    idle_since = Instant::now();
                }
                let left = limit.saturating_sub(idle_since.elapsed());
                if is_idle && left.is_zero() {
                    return;
                }
                let pause = if is_idle { left.min(TICK) } else { TICK };
                if let Ok(changed) = timeout(pause, clients.changed()).await {
                    if changed.is_err() {
                        return;
                    }
                    limit = linger;
                }
            }
            if clients.changed().await.is_err() {
                return;
            }
            limit = linger;
        }
    }

    async fn connected(self: Arc<Self>, stream: UnixStream) {
        let us = rustix::process::geteuid().as_raw();
        let Ok(peer) = stream.peer_cred() else { return };
        if peer.uid() != us {
            tracing::warn!(uid = peer.uid(), "another user is refused");
            return;
        }
        let process = peer.pid().and_then(|pid| u32::try_from(pid).ok());
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let lineage = match process {
            Some(process) => {
                let look = move || Lineage::of(Some(process));
                tokio::task::spawn_blocking(look).await.unwrap_or(Lineage::Unknown)
            }
            // This system does not say who it is.
            None => Lineage::Other,
        };
        let is_trusted = lineage.is_trusted();
        let place = (!is_trusted).then(|| Arc::clone(&self.refused).try_acquire_owned());
        let Ok(_place) = place.transpose() else { return };
        // A client that says nothing only looked whether we are there. A command of Codex's could keep many waiting.
        let limit = if is_trusted { HELLO_LIMIT } else { REFUSED_HELLO_LIMIT };
        let Ok(Ok(Hello { key, ask })) = timeout(limit, hello::read_line(&mut reader)).await else {
            return;
        };
        let answer = match ask {
            _ if lineage == Lineage::Unknown => {
                tracing::warn!(
                    process,
                    "a client is refused, as the system does not say what has started it"
                );
                Welcome::Refused("the system does not say what has started it".to_owned())
            }
            _ if !is_trusted => {
                tracing::warn!(process, "what Codex has started is refused");
                Welcome::Refused(in_one_line(&SessionError::Nested))
            }
            Ask::Serve(_) if key.is_some_and(|key| key != *self.config.files.key()) => {
                Welcome::Refused("it is another client's host".to_owned())
            }
            Ask::Serve(_) | Ask::Page(_) if self.leaving.is_cancelled() => {
                Welcome::Refused("it is about to end".to_owned())
            }
            Ask::Serve(about) => {
                let _client = Guest::new(&self.clients);
                let served = Welcome::Served { pid: std::process::id() };
                if hello::write_line(&served, &mut writer).await.is_ok() {
                    self.serve(about, process, Streams::new(reader, writer)).await;
                }
                return;
            }
            Ask::Page(keys) => match Page::bind(keys).await {
                Ok(page) => {
                    let _client = Guest::new(&self.clients);
                    let there = Welcome::Page { port: page.port() };
                    if hello::write_line(&there, &mut writer).await.is_ok() {
                        self.show(page, reader, writer).await;
                    }
                    return;
                }
                Err(error) => Welcome::Refused(format!("cannot listen: {error}")),
            },
            Ask::Status => Welcome::Status(self.status()),
            Ask::Stop { force: false } if self.server.sessions().running() > 0 => {
                Welcome::Busy(self.status())
            }
            Ask::Stop { .. } => Welcome::Stopping(self.status()),
        };
        let ends = matches!(answer, Welcome::Stopping(_));
        let said = hello::write_line(&answer, &mut writer).await;
        tracing::debug!(said = said.is_ok(), "asked");
        if ends {
            self.leaving.cancel();
        }
    }

    /// Shows the page until whoever asked for it has gone, or the host ends.
    async fn show(
        &self,
        page: Page,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
    ) {
        let ending = self.leaving.child_token();
        let entered = CancellationToken::new();
        let telling = async {
            entered.cancelled().await;
            // Another host is not to let somebody in by the same code.
            let said = hello::write_line(&Welcome::Entered, &mut writer).await;
            tracing::debug!(said = said.is_ok(), "somebody has come in");
        };
        let held = async {
            let gone = reader.read_u8().await;
            tracing::debug!(?gone, "nobody wants the page any more");
            ending.cancel();
        };
        let sessions = self.server.sessions().clone();
        tokio::join!(
            page.serve(sessions, entered.clone(), ending.clone()),
            ending.run_until_cancelled(held),
            ending.run_until_cancelled(telling),
        );
    }

    async fn serve(&self, about: ClientAbout, process: Option<u32>, streams: Streams) {
        tracing::debug!(?process, directory = %about.directory.display(), "a client has come");
        let ClientAbout { directory, limit, is_terminal } = about;
        // What the operator chose for all clients; somebody at a terminal means where they are.
        let chosen = self.config.config.defaults.working_directory.clone();
        let directory = chosen.filter(|_| !is_terminal).unwrap_or(directory);
        let server = self.server.for_client(Client { directory, process, limit, is_terminal });
        let ended = connection::serve_client(server, streams, &self.closing).await;
        if let Err(error) = ended {
            tracing::debug!(error = &error as &dyn std::error::Error, "not served");
        }
        tracing::debug!(?process, "a client has gone");
    }

    fn status(&self) -> HostStatus {
        HostStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            executable: self.config.executable.clone(),
            clients: *self.clients.borrow(),
            running_turns: self.server.sessions().running(),
            log: self.config.files.log(),
            socket: self.config.files.socket(),
            store: self.server.sessions().store_place(),
        }
    }
}

/// A client that counts for as long as this lives.
struct Guest<'a>(&'a watch::Sender<usize>);

impl<'a> Guest<'a> {
    fn new(clients: &'a watch::Sender<usize>) -> Self {
        clients.send_modify(|count| *count += 1);
        Self(clients)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Says that there is a host, from its start until it begins to end. The file is removed then.
struct Lock {
    path: PathBuf,
    _file: fs::File,
}

impl Lock {
    /// None if somebody else holds it.
    fn take(path: &Path) -> Result<Option<Self>, HostError> {
        let failed = |source| HostError::File { path: path.to_owned(), source };
        loop {
            let file = open_private_file(path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
            }
            // The one before may have removed it after we had opened it.
            let ours = file.metadata().map_err(failed)?.ino();
            if fs::metadata(path).is_ok_and(|found| found.ino() == ours) {
                return Ok(Some(Self { path: path.to_owned(), _file: file }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "a lock file stays");
        }
    }
}

/// Removes what hosts that were killed have left in the same folder.
fn sweep(files: &HostFiles) {
    let folder = files.lock().parent().map(Path::to_owned).unwrap_or_default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "lock")
            && path != files.lock()
            && let Ok(Some(_lock)) = Lock::take(&path)
        {
            // Nobody has one here, and whoever starts one now waits for our lock to go.
            let _ = fs::remove_file(path.with_extension("sock"));
        }
    }
}

/// Listens on a socket. Whoever had one here before is gone, because we have the lock.
fn listen(socket: &Path) -> Result<UnixListener, HostError> {
    let failed = |source| HostError::File { path: socket.to_owned(), source };
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}
