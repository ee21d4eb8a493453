//! Serving the command line: as a client of the host, or of a server in this process.

use super::{Environment, ServerError, server::server};
use crate::{
    config::Config,
    serve::{self, Shutdown, Streams},
    session::Sessions,
};

/// A limit that no answer reaches, and that can be added to without overflow.
const WHOLE: usize = usize::MAX / 4;

/// The size of the buffer between the server and the command line, in bytes.
const BUFFER: usize = 64 * 1024;

/// Runs a server in this process and `work` as its client: the command line.
///
/// Calls wait until their turn is over, answers are not cut, and Codex works in the current directory.
///
/// # Errors
/// [`ServerError`].
pub async fn serve_here<T, W: Future<Output = T>>(
    mut config: Config,
    mut environment: Environment,
    shutdown: Shutdown,
    work: impl FnOnce(Sessions, Streams) -> W,
) -> Result<T, ServerError> {
    config.turn.wait = None;
    config.limits.result_characters = WHOLE;
    config.defaults.working_directory = None;
    config.tools.clear();
    config.results.structured = true;
    environment.client_limit = None;
    let server = server(config, environment, shutdown.at_once.clone())?;
    let sessions = server.sessions().clone();
    let (near, far) = tokio::io::duplex(BUFFER);
    let serving = serve::serve_over(server, Streams::of(far), shutdown);
    let (ended, done) = tokio::join!(serving, work(sessions, Streams::of(near)));
    ended?;
    Ok(done)
}

/// Runs `work` as a client of the host if one runs (or `starts` says to start one), else of a server in this process;
/// see [`serve_here`]. Returns nothing if `shutdown` was asked for while the host served.
///
/// # Errors
/// [`ServerError`].
pub async fn serve_terminal<T, W: Future<Output = T>>(
    config: Config,
    environment: Environment,
    shutdown: Shutdown,
    starts: bool,
    work: impl FnOnce(Streams) -> W,
) -> Result<Option<T>, ServerError> {
    #[cfg(unix)]
    if let Some(streams) = super::hosting::terminal(config.clone(), &environment, starts).await {
        return Ok(shutdown.asked.run_until_cancelled(work(streams)).await);
    }
    serve_here(config, environment, shutdown, |_, streams| work(streams)).await.map(Some)
}
