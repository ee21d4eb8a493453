//! Standard input and output as a transport, and the moment the client goes away.

use std::io;

use rmcp::{
    RoleServer,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, async_rw::AsyncRwTransport},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Where messages come from.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// Where they go to.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A transport that says when its input has ended.
///
/// The SDK would wait five seconds for calls under way before it tells anybody; clients kill the
/// server sooner, which would leave Codex behind.
pub(super) struct Noticing {
    inner: AsyncRwTransport<RoleServer, Reader, Writer>,
    ended: CancellationToken,
}

impl Noticing {
    pub(super) fn new(reader: Reader, writer: Writer, ended: CancellationToken) -> Self {
        Self { inner: AsyncRwTransport::new_server(reader, writer), ended }
    }
}

impl Transport<RoleServer> for Noticing {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let message = self.inner.receive().await;
        if message.is_none() {
            self.ended.cancel();
        }
        message
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// Standard input and output, without a thread in between where they allow it.
///
/// Shells give us pipes, Node's clients give us sockets; both can be waited for directly.
pub(super) fn standard_streams() -> (Reader, Writer) {
    #[cfg(unix)]
    if let Some((reader, writer)) = sockets() {
        return (Box::new(reader), Box::new(writer));
    }
    let (reader, writer) = rmcp::transport::stdio_pipes();
    (Box::new(reader), Box::new(writer))
}

#[cfg(unix)]
fn sockets() -> Option<(tokio::net::UnixStream, tokio::net::UnixStream)> {
    use std::os::fd::{AsFd, BorrowedFd};

    fn socket(stream: BorrowedFd<'_>) -> Option<tokio::net::UnixStream> {
        use std::os::unix::fs::FileTypeExt;

        let own = stream.try_clone_to_owned().ok()?;
        let file = std::fs::File::from(own);
        if !file.metadata().ok()?.file_type().is_socket() {
            return None;
        }
        let socket = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(file));
        socket.set_nonblocking(true).ok()?;
        tokio::net::UnixStream::from_std(socket).ok()
    }
    Some((socket(io::stdin().as_fd())?, socket(io::stdout().as_fd())?))
}
