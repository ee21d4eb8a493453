//! Connections: taken, bounded, served, closed.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    HttpConfig, HttpError, MetricsText, Tenants,
    addresses::{Addresses, Place},
    app::App,
    auth::Authenticator,
    client_address::{Peer, networks},
    drain::drain,
    route::{metrics_router, router},
    tls::Tls,
    write_progress::WriteProgress,
};
use crate::{
    mcp::{Handshakes, SessionError, Tokens},
    serve::{Shutdown, page::in_one_line, peers::Peers},
};

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes; twice that may pass, as much as is read at once.
const HEAD_BYTES: usize = 32 * 1024;

/// How many connections there may be at the address for metrics.
const MONITORS: usize = 16;

/// How often to look for MCP sessions that nobody uses.
const SWEEP: Duration = Duration::from_secs(10);

/// How long connections may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many connections may wait to be taken.
const BACKLOG: u32 = 1024;

/// How much of what a client does not take the system keeps, in bytes.
const UNTAKEN: u32 = 128 * 1024;

/// The pause after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// What is said to a connection too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until `shutdown` asks for the end. `ready` is told the URL of the endpoint once clients can connect.
///
/// # Errors
/// [`HttpError`] if it cannot listen there, or not as the settings say.
pub async fn serve_http(
    mut config: HttpConfig,
    tokens: Option<Tokens>,
    handshakes: Option<Handshakes>,
    tenants: Tenants,
    metrics: MetricsText,
    shutdown: Shutdown,
    ready: impl FnOnce(&str),
) -> Result<(), HttpError> {
    let settings = &config.settings;
    let proxies = networks(&settings.trusted_proxies).map_err(HttpError::Proxy)?;
    let files = settings.tls_certificate.as_ref().zip(settings.tls_key.as_ref());
    let tls = files.map(|(certificate, key)| Tls::load(certificate, key)).transpose()?;
    let tls = tls.map(Arc::new);
    let address = config.address;
    let failed = |source| HttpError::Listen { address, source };
    let listener = listen(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let monitored = match config.metrics_address {
        Some(address) => {
            let failed = |source| HttpError::Listen { address, source };
            Some(listen(address).map_err(failed)?)
        }
        None => None,
    };
    config.settings.origins.extend(own_origins(bound, tls.is_some()));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let here = format!("{scheme}://{bound}");
    ready(&format!("{here}{}", config.settings.path));
    let base_url = config.settings.base_url.clone().unwrap_or(here);
    let jwt = &mut config.settings.jwt;
    if jwt.audience.is_empty() {
        jwt.audience.push(format!("{base_url}{}", config.settings.path));
    }
    let authenticator = if config.settings.auth {
        Authenticator::by_token(tokens, jwt, config.tenants.clone())
    } else {
        Authenticator::Open
    };
    let permits = Arc::new(Semaphore::new(config.settings.connections));
    let addresses = Addresses::new(config.settings.connections_per_address, proxies);
    let stalled = config.settings.write_timeout.0;
    let (counted, peers) = (Some(Arc::clone(&addresses)), Peers::default());
    let app = App::new(config, &base_url, authenticator, handshakes, addresses, metrics, tenants);
    let connections = Connections {
        router: router(Arc::clone(&app)),
        permits,
        addresses: counted,
        peers: peers.clone(),
        stalled,
        tls: tls.clone(),
        tasks: TaskTracker::new(),
        graceful: GracefulShutdown::new(),
    };
    let monitoring = async {
        let Some(listener) = monitored else { return std::future::pending().await };
        let router = metrics_router(Arc::clone(&app));
        let permits = Arc::new(Semaphore::new(MONITORS));
        let (tasks, graceful) = (TaskTracker::new(), GracefulShutdown::new());
        let monitors = Connections {
            router,
            permits,
            addresses: None,
            peers,
            stalled,
            tls: None,
            tasks,
            graceful,
        };
        monitors.accept(&listener).await;
    };
    let ending = async {
        let reload = || match &tls {
            Some(tls) => {
                tls.reload();
                true
            }
            // Only who started it by hand means its end when the terminal goes.
            None if std::io::stdin().is_terminal() => false,
            None => {
                tracing::info!("there is nothing to read again");
                true
            }
        };
        shutdown.asked_or_reload(reload).await;
        drain(&app, &shutdown.at_once).await;
    };
    tokio::select! {
        () = connections.accept(&listener) => {}
        () = monitoring => {}
        () = sweep(&app) => {}
        () = Box::pin(app.take_forwarded()) => {}
        () = ending => {}
    }
    drop(listener);
    let closed = timeout(CLOSE_TIMEOUT, connections.graceful.shutdown()).await;
    tracing::debug!(in_time = closed.is_ok(), "connections closed");
    Ok(())
}

/// Listens there. The system keeps little of what a client does not take, so that one that takes something is soon seen to.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that starts again finds connections of the last one that are about to close.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Each connection has what the listener has.
    if let Err(error) = socket.set_send_buffer_size(UNTAKEN) {
        tracing::debug!(%error, "a slow reader may be cut off early");
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The pages that may call a loopback address without being named: its own.
fn own_origins(address: SocketAddr, is_tls: bool) -> Vec<String> {
    let (port, scheme) = (address.port(), if is_tls { "https" } else { "http" });
    let names = ["localhost", "127.0.0.1", "[::1]"].iter().filter(|_| address.ip().is_loopback());
    names.map(|name| format!("{scheme}://{name}:{port}")).collect()
}

async fn sweep(app: &App) {
    let mut tick = interval(SWEEP.min(app.config.settings.mcp_session_idle.0));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        app.end_idle().await;
    }
}

struct Connections {
    router: Router,
    permits: Arc<Semaphore>,
    /// How many connections each address has. `None` if that is not counted.
    addresses: Option<Arc<Addresses>>,
    /// Which processes of this machine may be clients.
    peers: Peers,
    /// For how long a client may take nothing of an answer.
    stalled: Duration,
    tls: Option<Arc<Tls>>,
    tasks: TaskTracker,
    graceful: GracefulShutdown,
}

impl Connections {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.take(stream, Peer(peer)),
                // Too many open files, perhaps: that passes.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(&self, mut stream: TcpStream, peer: Peer) {
        let Peer(address) = peer;
        // The connections of the operator's proxies are counted by their requests.
        let counted = self.addresses.as_ref().filter(|counted| !counted.is_trusted(address.ip()));
        let place = counted.map(|counted| counted.take(address.ip()).map(Arc::new));
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let (Ok(permit), None | Some(Some(_))) = (permit, &place) else {
            tracing::warn!(from = %address.ip(), "too many connections");
            self.tasks.spawn(async move {
                // Whether it hears that or not, it is closed.
                let _ = timeout(CLOSE_TIMEOUT, stream.write_all(FULL)).await;
            });
            return;
        };
        // Without it each small answer waits for the last one to be acknowledged.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers may be late");
        }
        let (router, watcher) = (self.router.clone(), self.graceful.watcher());
        let place = place.flatten();
        let (tls, stalled, peers) = (self.tls.clone(), self.stalled, self.peers.clone());
        self.tasks.spawn(async move {
            let _permit = permit;
            // Without our own address the connection is gone.
            let Ok(own) = stream.local_addr() else { return };
            if !peers.is_trusted(address, own).await {
                return refuse(stream).await;
            }
            let stream = WriteProgress::new(stream, stalled);
            let Some(tls) = tls else { return serve(stream, peer, place, router, watcher).await };
            match tls.accept(stream).await {
                Ok(stream) => serve(stream, peer, place, router, watcher).await,
                Err(error) => tracing::debug!(%error, "no handshake"),
            }
        });
    }
}

/// Says that what a Codex of ours has started is no client.
async fn refuse(mut stream: TcpStream) {
    tracing::warn!("what Codex has started is refused");
    let words = in_one_line(&SessionError::Nested);
    let length = words.len();
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{words}"
    );
    // Whether it hears that or not, it is closed.
    let _ = timeout(CLOSE_TIMEOUT, stream.write_all(answer.as_bytes())).await;
}

/// Serves one connection to its end.
async fn serve<S>(
    stream: S,
    peer: Peer,
    place: Option<Arc<Place>>,
    router: Router,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        if let Some(place) = &place {
            request.extensions_mut().insert(Arc::clone(place));
        }
        service.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended");
    }
}
