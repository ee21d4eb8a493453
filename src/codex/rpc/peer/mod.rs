//! The asking end of a connection, and the two tasks that read and write it.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::{codec::FramedRead, sync::CancellationToken, task::TaskTracker};

use super::{
    codec::{Line, Lines},
    error::RpcError,
    message::{self, Incoming, Message, RequestId},
    pending::Pending,
};

/// How many outgoing lines may wait before the sender has to.
const QUEUE: usize = 256;

/// Receives what the other side says without being asked.
pub(crate) trait Listener: Send + 'static {
    /// Takes one request or notification. Called by the reader itself, so it must not block.
    fn hear(&self, incoming: Incoming);

    /// Called once, after the last message.
    fn closed(&self);
}

/// A handle for requests and notifications to the other side. Clones share one connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pending: Arc<Mutex<Pending>>,
    outgoing: mpsc::Sender<Outgoing>,
}

/// A line to write, and the request it is, if it is one.
#[derive(Debug)]
struct Outgoing {
    line: String,
    request: Option<u64>,
}

/// Starts talking over a reader and a writer.
///
/// The connection ends when the reader ends or `stop` is cancelled; then the writer is dropped, every
/// open request fails with [`RpcError::Closed`], or [`RpcError::NotSent`] if it never left, and the
/// listener is told.
pub(crate) fn connect(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    listener: impl Listener,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Peer {
    let pending = Arc::new(Mutex::new(Pending::default()));
    let (outgoing, lines) = mpsc::channel(QUEUE);
    let ended = stop.child_token();
    tasks.spawn(write(writer, lines, Arc::clone(&pending), ended.clone()));
    tasks.spawn(read(reader, Arc::clone(&pending), listener, ended));
    Peer { pending, outgoing }
}

impl Peer {
    /// Sends a request and waits for its result. Dropping the future forgets the request.
    ///
    /// The request is registered when this is called, so its answer cannot come too early.
    pub(crate) fn request(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> impl Future<Output = Result<Value, RpcError>> + Send + 'static {
        let params = serde_json::to_value(params);
        let registered = lock(&self.pending).register();
        let peer = self.clone();
        async move {
            let (id, reply) = registered.ok_or(RpcError::NotSent)?;
            let _open = Open { id, pending: Arc::clone(&peer.pending) };
            let params = params.map_err(RpcError::Encode)?;
            let line = message::request(id, method, &params);
            let sent = peer.outgoing.send(Outgoing { line, request: Some(id) }).await;
            sent.map_err(|_| RpcError::NotSent)?;
            // Else a request on a dead connection would keep its own channel alive.
            drop(peer);
            reply.await.map_err(|_| RpcError::Closed)?
        }
    }

    /// Sends a notification without parameters.
    pub(crate) async fn notify(&self, method: &str) {
        self.write(message::notification(method)).await;
    }

    /// Answers a request of the other side.
    pub(crate) async fn respond(&self, id: &RequestId, result: &Value) {
        self.write(message::response(id, result)).await;
    }

    /// Answers a request of the other side that we do not know.
    pub(crate) async fn refuse(&self, id: &RequestId, method: &str) {
        let words = format!("`{method}` is not supported by this client");
        self.write(message::refusal(id, -32601, &words)).await;
    }

    async fn write(&self, line: String) {
        // A connection that is gone needs no answer.
        let _ = self.outgoing.send(Outgoing { line, request: None }).await;
    }
}

/// Forgets a request when its future is dropped.
struct Open {
    id: u64,
    pending: Arc<Mutex<Pending>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.pending).forget(self.id);
    }
}

/// The lock is never held across an await and nothing under it can panic.
fn lock(pending: &Mutex<Pending>) -> std::sync::MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut lines: mpsc::Receiver<Outgoing>,
    pending: Arc<Mutex<Pending>>,
    ended: CancellationToken,
) {
    let _end = ended.clone().drop_guard();
    while let Some(Some(Outgoing { mut line, request })) =
        ended.run_until_cancelled(lines.recv()).await
    {
        line.push('\n');
        let written = async {
            writer.write_all(line.as_bytes()).await?;
            writer.flush().await
        };
        match ended.run_until_cancelled(written).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "cannot write to the app-server");
                // A line that did not go out whole is no request.
                if let Some(id) = request {
                    lock(&pending).complete(id, Err(RpcError::NotSent));
                }
                return;
            }
            None => return,
        }
    }
}

async fn read(
    reader: impl AsyncRead + Unpin,
    pending: Arc<Mutex<Pending>>,
    listener: impl Listener,
    ended: CancellationToken,
) {
    let _end = ended.clone().drop_guard();
    let mut lines = FramedRead::new(reader, Lines::default());
    while let Some(Some(Ok(line))) = ended.run_until_cancelled(lines.next()).await {
        let Line::Text(line) = line else {
            tracing::warn!("skipped an oversized message from the app-server");
            continue;
        };
        match Message::parse(&line) {
            Some(Message::Response { id, result }) => {
                lock(&pending).complete(id, result.map_err(RpcError::from));
            }
            Some(Message::Incoming(incoming)) => listener.hear(incoming),
            None if line.is_empty() => {}
            None => tracing::debug!(bytes = line.len(), "skipped a line that is no message"),
        }
    }
    lock(&pending).close();
    listener.closed();
}

#[cfg(test)]
mod tests;
