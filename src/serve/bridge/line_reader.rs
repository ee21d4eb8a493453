//! Lines as they come from one side.

use std::{io, os::fd::AsFd};

use tokio_util::{bytes::BytesMut, codec::Decoder};

use crate::serve::lines::{Line, LineDecoder};

/// How much is read at once.
const CHUNK: usize = 4096;

/// What has been read and is no whole line yet.
#[derive(Debug)]
pub(super) struct LineReader {
    decoder: LineDecoder,
    buffer: BytesMut,
    is_ended: bool,
}

impl LineReader {
    pub(super) fn new(decoder: LineDecoder) -> Self {
        Self { decoder, buffer: BytesMut::new(), is_ended: false }
    }

    /// Reads a part. Returns false at the end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(&mut self, from: impl AsFd) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        match rustix::io::read(from, &mut chunk) {
            Ok(0) => {
                self.is_ended = true;
                Ok(false)
            }
            Ok(count) => {
                self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(true)
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The next whole line of what has been read.
    pub(super) fn next(&mut self) -> Option<Line> {
        let line = if self.is_ended {
            self.decoder.decode_eof(&mut self.buffer)
        } else {
            self.decoder.decode(&mut self.buffer)
        };
        line.ok().flatten()
    }
}
