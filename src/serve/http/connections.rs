//! Connections: taken, bounded, served, closed.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::TaskTracker;

use super::{HttpConfig, HttpError, Tenants, app::App, drain::drain, route::router};
use crate::serve::Shutdown;

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes; twice that may pass, as much as is read at once.
const HEAD_BYTES: usize = 32 * 1024;

/// How often to look for MCP sessions that nobody uses.
const SWEEP: Duration = Duration::from_secs(10);

/// How long connections may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// What is said to a connection too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until `shutdown` asks for the end. `ready` is told the address once clients can connect.
///
/// # Errors
/// [`HttpError`] if it cannot listen there.
pub async fn serve_http(
    mut config: HttpConfig,
    tenants: Tenants,
    shutdown: Shutdown,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), HttpError> {
    let address = config.address;
    let failed = |source| HttpError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    config.settings.origins.extend(own_origins(bound));
    ready(bound);
    let permits = Arc::new(Semaphore::new(config.settings.connections));
    let app = App::new(config, tenants);
    let connections = Connections {
        router: router(Arc::clone(&app)),
        permits,
        tasks: TaskTracker::new(),
        graceful: GracefulShutdown::new(),
    };
    let ending = async {
        shutdown.asked.cancelled().await;
        drain(&app, &shutdown.at_once).await;
    };
    tokio::select! {
        () = connections.accept(&listener) => {}
        () = sweep(&app) => {}
        () = ending => {}
    }
    drop(listener);
    let closed = timeout(CLOSE_TIMEOUT, connections.graceful.shutdown()).await;
    tracing::debug!(in_time = closed.is_ok(), "connections closed");
    Ok(())
}

/// The pages that may call a loopback address without being named: its own.
fn own_origins(address: std::net::SocketAddr) -> Vec<String> {
    let port = address.port();
    let names = ["localhost", "127.0.0.1", "[::1]"].iter().filter(|_| address.ip().is_loopback());
    names.map(|name| format!("http://{name}:{port}")).collect()
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
    tasks: TaskTracker,
    graceful: GracefulShutdown,
}

impl Connections {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.take(stream),
                // Too many open files, perhaps: that passes.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            tracing::warn!("too many connections");
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
        let service = TowerToHyperService::new(self.router.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
        let serving = self.graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(permit);
        });
    }
}
