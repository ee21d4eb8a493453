//! Serving one client over standard input and output, or any other pair of streams.

use std::{sync::atomic::Ordering, time::Duration};

use rmcp::ServiceExt;
use tokio_util::sync::CancellationToken;

use super::{
    shutdown::Shutdown,
    transport::{ClientTransport, Reader, Writer, standard_streams},
};
use crate::mcp::Server;

/// How long answers that are ready may take to reach a client that is leaving.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long calls may take to finish once the input has ended. A script may write its requests and close its
/// end at once. A turn takes longer, and is interrupted.
const CALLS_TIMEOUT: Duration = Duration::from_millis(100);

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
    let (reader, writer) = standard_streams();
    Box::pin(serve_over(server, reader, writer, shutdown)).await
}

/// Serves until the client closes its end or `shutdown` asks for the end. Then it interrupts and records turns,
/// answers their calls and stops Codex. If asked to end at once, it only stops Codex.
///
/// # Errors
/// Fails with [`ServeError::Handshake`] if the handshake fails.
pub async fn serve_over(
    server: Server,
    reader: Reader,
    writer: Writer,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let (sessions, calls) = (server.sessions().clone(), server.clone());
    let ended = CancellationToken::new();
    let transport = ClientTransport::new(reader, writer, ended.clone());
    let begun = transport.begun();
    let handshake = server.serve(transport);
    let running = tokio::select! {
        () = shutdown.asked.cancelled() => None,
        running = handshake => match running {
            Ok(running) => {
                begun.store(true, Ordering::Relaxed);
                Some(running)
            }
            // A client that only looked whether we start.
            Err(_) if ended.is_cancelled() => None,
            Err(error) => {
                sessions.shutdown().await;
                return Err(ServeError::Handshake(Box::new(error)));
            }
        },
    };
    if running.is_some() {
        tokio::select! {
            () = shutdown.asked.cancelled() => tracing::info!("asked to end"),
            () = ended.cancelled() => {
                tracing::debug!("the client has closed its end");
                tokio::time::sleep(DISPATCH_TIMEOUT).await;
                let finished = tokio::time::timeout(CALLS_TIMEOUT, calls.idle()).await;
                tracing::debug!(calls_finished = finished.is_ok(), "ending");
            }
        }
    }
    if shutdown.at_once.run_until_cancelled(sessions.shutdown()).await.is_none() {
        tracing::warn!("asked to end at once");
        let gone = tokio::time::timeout(DRAIN_TIMEOUT, sessions.shutdown_codex()).await;
        tracing::debug!(in_time = gone.is_ok(), "Codex ended");
        return Ok(());
    }
    if let Some(running) = running {
        let cancelled = tokio::time::timeout(DRAIN_TIMEOUT, running.cancel()).await;
        tracing::debug!(in_time = cancelled.is_ok(), "connection closed");
    }
    Ok(())
}
