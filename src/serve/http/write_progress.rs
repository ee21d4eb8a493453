//! A connection whose other end must take what is written to it: a reader that takes nothing for too long is cut off, so
//! that its connection is free for others.
//!
//! Time counts only while a write waits. A stream that has nothing to say may be silent for as long as it likes. Knows
//! nothing of HTTP or TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A connection that fails once a write has waited for this long.
#[derive(Debug)]
pub(super) struct WriteProgress<S> {
    stream: S,
    limit: Duration,
    /// When the write that waits has waited too long.
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteProgress<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, late: None }
    }

    /// The result of a write, or the failure if it waits and is late.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.late = None;
            return written;
        }
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        ready!(late.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteProgress<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteProgress<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off() {
        let (ours, _theirs) = duplex(8);
        let mut ours = WriteProgress::new(ours, Duration::from_secs(30));
        let error = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_and_a_silent_writer_go_on() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = WriteProgress::new(ours, Duration::from_secs(30));
        let reading = async {
            let mut taken = 0;
            let mut buffer = [0; 8];
            while let Ok(count @ 1..) = theirs.read(&mut buffer).await {
                taken += count;
                sleep(Duration::from_secs(20)).await;
            }
            taken
        };
        let writing = async move {
            ours.write_all(&[0; 100]).await.unwrap();
            sleep(Duration::from_hours(1)).await;
            ours.write_all(&[0; 8]).await.unwrap();
        };
        assert_eq!(tokio::join!(reading, writing).0, 108);
    }
}
