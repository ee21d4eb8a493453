//! The two directions of a connection, whatever they are made of.

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};

/// Where messages come from.
pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// Where they go to.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The two directions of a connection.
pub struct Streams {
    /// Where messages come from.
    pub(crate) reader: Reader,
    /// Where they go to.
    pub(crate) writer: Writer,
}

impl Streams {
    /// Two streams.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self { reader: Box::new(reader), writer: Box::new(writer) }
    }

    /// One stream for both directions.
    pub fn of(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self::new(reader, writer)
    }

    /// Standard input and output. Pipes (from shells) and sockets (from Node.js) are read without a thread in
    /// between.
    pub(super) fn standard() -> Self {
        #[cfg(unix)]
        if let Some((reader, writer)) = sockets() {
            return Self::new(reader, writer);
        }
        let (reader, writer) = rmcp::transport::stdio_pipes();
        Self::new(reader, writer)
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
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
    Some((socket(std::io::stdin().as_fd())?, socket(std::io::stdout().as_fd())?))
}
