//! A pair of streams as a transport of the SDK. Refuses lines that are not messages, and notices at once when
//! the client closes its end.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::StreamExt;
use rmcp::{
    RoleServer,
    model::{CallToolRequestParams, ClientNotification, ClientRequest, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use serde::Serialize;
use tokio::{io::AsyncWriteExt, sync::Mutex, task::JoinHandle};
use tokio_util::{codec::FramedRead, sync::CancellationToken, task::TaskTracker};

use super::{
    Reader, Streams, Writer,
    lines::{Line, LineDecoder},
    message::{self, Incoming},
};
use crate::mcp::{GivenUp, is_time_out};

/// The longest message that is read, in bytes.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;

/// A connection to one client.
///
/// It reports the end of its input at once. The SDK would first wait five seconds for calls under way; clients
/// kill the server sooner, which would leave Codex running.
pub(super) struct ClientTransport {
    lines: FramedRead<Reader, LineDecoder>,
    writer: Arc<Mutex<Writer>>,
    /// A refusal that is being written. The next line is read when that is done, so that a client that
    /// does not read cannot pile them up.
    refusing: Option<JoinHandle<()>>,
    tasks: TaskTracker,
    ended: CancellationToken,
    /// The calls that are under way, each with what tells it from others.
    calls: HashMap<RequestId, (u64, GivenUp)>,
    /// Those that the client has given up on, until they are over.
    given_up: Vec<(u64, GivenUp)>,
    /// Whether the client has chosen a protocol. Until then the SDK would end the connection at anything but a
    /// request.
    is_begun: Arc<AtomicBool>,
}

impl ClientTransport {
    /// Of messages in the lines of `decoder`.
    pub(super) fn new(streams: Streams, decoder: LineDecoder, ended: CancellationToken) -> Self {
        let Streams { reader, writer } = streams;
        Self {
            lines: FramedRead::new(reader, decoder),
            writer: Arc::new(Mutex::new(writer)),
            refusing: None,
            tasks: TaskTracker::new(),
            ended,
            calls: HashMap::new(),
            given_up: Vec::new(),
            is_begun: Arc::default(),
        }
    }

    /// The flag to set when the SDK has begun to serve.
    pub(super) fn begun(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_begun)
    }

    /// The next message; `None` at the end. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(refusing) = &mut self.refusing {
                // If it could not be written the client is gone, which reading tells.
                let _ = refusing.await;
                self.refusing = None;
            }
            let incoming = match self.lines.next().await? {
                Ok(Line::Whole(line)) => message::read(&line),
                Ok(Line::TooLong) => Incoming::Refused(message::too_long(LONGEST)),
                Err(error) => {
                    tracing::info!(%error, "cannot read from the client");
                    return None;
                }
            };
            match incoming {
                Incoming::Message(message) if self.takes(&message) => return Some(*message),
                Incoming::Message(_) => tracing::debug!("nothing but a request can come first"),
                Incoming::Nothing => {}
                Incoming::Refused(answer) => {
                    tracing::debug!(%answer, "a line is no message");
                    let writer = Arc::clone(&self.writer);
                    self.refusing = Some(self.tasks.spawn(async move {
                        if let Err(error) = write(&writer, &answer).await {
                            tracing::debug!(%error, "cannot write to the client");
                        }
                    }));
                }
            }
        }
    }

    /// Gives each call what says that its client has given up, and sets that before the SDK hears of the cancellation.
    fn watch(&mut self, message: &mut RxJsonRpcMessage<RoleServer>) {
        match message {
            JsonRpcMessage::Request(request) => {
                if let ClientRequest::CallToolRequest(call) = &mut request.request {
                    let digest = digest(&call.params);
                    self.given_up.retain(|(_, given_up)| !given_up.is_over());
                    let mut earlier = self.given_up.iter().rev().filter(|(it, _)| *it == digest);
                    let given_up = earlier.next().map(|(_, earlier)| GivenUp::after(earlier));
                    let given_up = given_up.unwrap_or_default();
                    call.extensions.insert(given_up.clone());
                    self.calls.insert(request.id.clone(), (digest, given_up));
                }
            }
            JsonRpcMessage::Notification(note) => {
                if let ClientNotification::CancelledNotification(cancelled) = &note.notification
                    && let Some(id) = &cancelled.params.request_id
                    && let Some((digest, given_up)) = self.calls.remove(id)
                    && is_time_out(cancelled.params.reason.as_deref())
                {
                    given_up.set();
                    self.given_up.push((digest, given_up));
                }
            }
            _ => {}
        }
    }

    fn takes(&self, message: &RxJsonRpcMessage<RoleServer>) -> bool {
        match message {
            JsonRpcMessage::Request(request) => {
                if matches!(request.request, ClientRequest::InitializeRequest(_)) {
                    self.is_begun.store(true, Ordering::Relaxed);
                }
                true
            }
            _ => self.is_begun.load(Ordering::Relaxed),
        }
    }
}

impl Transport<RoleServer> for ClientTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        match &item {
            JsonRpcMessage::Response(answer) => drop(self.calls.remove(&answer.id)),
            JsonRpcMessage::Error(error) => {
                error.id.as_ref().and_then(|id| self.calls.remove(id));
            }
            _ => {}
        }
        let writer = Arc::clone(&self.writer);
        async move { write(&writer, &item).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let mut message = self.next().await;
        match &mut message {
            Some(message) => self.watch(message),
            None => self.ended.cancel(),
        }
        message
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.writer.lock().await.shutdown().await
    }
}

/// What equal calls have in common.
fn digest(call: &CallToolRequestParams) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&call.name, serde_json::to_string(&call.arguments).ok()).hash(&mut hasher);
    hasher.finish()
}

/// Writes one message as a line.
async fn write(writer: &Mutex<Writer>, message: &(impl Serialize + Sync)) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut writer = writer.lock().await;
    writer.write_all(&line).await?;
    writer.flush().await
}
