//! Serving one client over standard input and output, or any other pair of streams.

use std::{sync::atomic::Ordering, time::Duration};

use rmcp::{RoleServer, ServiceExt, service::RunningService};
use tokio_util::sync::CancellationToken;

use super::{
    Streams,
    lines::LineDecoder,
    shutdown::Shutdown,
    transport::{ClientTransport, LONGEST},
};
use crate::mcp::Server;

/// How long answers that are ready may take to reach a client that is leaving.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long calls may take to finish once the input has ended. A script may write its requests and close its
/// end at once. A turn takes longer, and is interrupted.
const CALLS_TIMEOUT: Duration = Duration::from_millis(100);

/// How long calls of a client that has left may take to end, which includes that Codex interrupts their turns.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(8);

/// How long the SDK may take to begin with the last request it read.
const DISPATCH_TIMEOUT: Duration = Duration::from_millis(5);

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The handshake failed.
    #[error("the client did not complete the handshake")]
    Handshake(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Serves over standard input and output; see [`serve_over`].
///
/// # Errors
/// Fails with [`ServeError::Handshake`] if the handshake fails.
pub async fn serve(server: Server, shutdown: Shutdown) -> Result<(), ServeError> {
    Box::pin(serve_over(server, Streams::standard(), shutdown)).await
}

/// Serves the one client of this process until it closes its end or `shutdown` asks for the end. Then it interrupts and
/// records turns, answers their calls and stops Codex. If asked to end at once, it only stops Codex.
///
/// # Errors
/// Fails with [`ServeError::Handshake`] if the handshake fails.
pub async fn serve_over(
    server: Server,
    streams: Streams,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let sessions = server.sessions().clone();
    // A script may leave out the end of its last line.
    let lines = LineDecoder::new(LONGEST);
    let conversed = Box::pin(converse(server, streams, lines, &shutdown.asked)).await;
    let Ok(conversation) = conversed else {
        sessions.shutdown().await;
        return conversed.map(drop);
    };
    if shutdown.at_once.run_until_cancelled(sessions.shutdown()).await.is_none() {
        tracing::warn!("asked to end at once");
        let gone = tokio::time::timeout(DRAIN_TIMEOUT, sessions.shutdown_codex()).await;
        tracing::debug!(in_time = gone.is_ok(), "Codex ended");
        return Ok(());
    }
    close(conversation).await;
    Ok(())
}

/// Serves one of several clients until it closes its end or `closing` is cancelled. Turns that its calls hold are then
/// interrupted, and the calls are answered; turns that were detached go on.
///
/// # Errors
/// Fails with [`ServeError::Handshake`] if the handshake fails.
pub(super) async fn serve_client(
    server: Server,
    streams: Streams,
    closing: &CancellationToken,
) -> Result<(), ServeError> {
    let calls = server.clone();
    let lines = LineDecoder::of_whole_lines(LONGEST);
    let conversation = Box::pin(converse(server, streams, lines, closing)).await?;
    calls.end_calls(INTERRUPT_TIMEOUT).await;
    close(conversation).await;
    Ok(())
}

/// A conversation that has begun. None if the client never said anything.
type Conversation = Option<RunningService<RoleServer, Server>>;

/// Goes on until the client closes its end or `stop` is cancelled.
async fn converse(
    server: Server,
    streams: Streams,
    lines: LineDecoder,
    stop: &CancellationToken,
) -> Result<Conversation, ServeError> {
    let calls = server.clone();
    let ended = CancellationToken::new();
    let transport = ClientTransport::new(streams, lines, ended.clone());
    let begun = transport.begun();
    let handshake = server.serve(transport);
    let running = tokio::select! {
        () = stop.cancelled() => return Ok(None),
        running = handshake => match running {
            Ok(running) => {
                begun.store(true, Ordering::Relaxed);
                running
            }
            // A client that only looked whether we start.
            Err(_) if ended.is_cancelled() => return Ok(None),
            Err(error) => return Err(ServeError::Handshake(Box::new(error))),
        },
    };
    tokio::select! {
        () = stop.cancelled() => tracing::info!("asked to end"),
        () = ended.cancelled() => {
            tracing::debug!("the client has closed its end");
            tokio::time::sleep(DISPATCH_TIMEOUT).await;
            let finished = tokio::time::timeout(CALLS_TIMEOUT, calls.idle()).await;
            tracing::debug!(calls_finished = finished.is_ok(), "ending");
        }
    }
    Ok(Some(running))
}

/// Closes the connection once the answers that are ready have reached the client.
async fn close(conversation: Conversation) {
    let Some(running) = conversation else { return };
    let cancelled = tokio::time::timeout(DRAIN_TIMEOUT, running.cancel()).await;
    tracing::debug!(in_time = cancelled.is_ok(), "connection closed");
}
