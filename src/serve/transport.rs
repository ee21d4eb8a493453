//! A pair of streams as a transport of the SDK. Refuses lines that are not messages, and notices at once when
//! the client closes its end.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::StreamExt;
use rmcp::{
    RoleServer,
    model::{ClientRequest, JsonRpcMessage},
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
        let writer = Arc::clone(&self.writer);
        async move { write(&writer, &item).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let message = self.next().await;
        if message.is_none() {
            self.ended.cancel();
        }
        message
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.writer.lock().await.shutdown().await
    }
}

/// Writes one message as a line.
async fn write(writer: &Mutex<Writer>, message: &(impl Serialize + Sync)) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut writer = writer.lock().await;
    writer.write_all(&line).await?;
    writer.flush().await
}
