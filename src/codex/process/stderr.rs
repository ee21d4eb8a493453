//! The end of what a child writes to stderr.
//!
//! It is read to its end whatever is in it, because a child that cannot write stops; what is kept is
//! bounded in lines and in their length.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncRead, AsyncReadExt};

/// How many lines are kept.
const LINES: usize = 20;

/// How much of one line is kept, in bytes.
const LINE_BYTES: usize = 4096;

/// How much is read at once.
const CHUNK: usize = 8192;

/// The last lines of stderr. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// Reads `stderr` to its end.
    pub(super) async fn collect(self, mut stderr: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; CHUNK];
        let mut line = Vec::new();
        while let Ok(count) = stderr.read(&mut chunk).await
            && count > 0
        {
            self.take(chunk.get(..count).unwrap_or_default(), &mut line);
        }
        self.keep(&line);
    }

    /// The lines so far, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    /// Takes what was read; `line` is the one that has begun.
    fn take(&self, read: &[u8], line: &mut Vec<u8>) {
        let mut parts = read.split(|byte| *byte == b'\n');
        let mut part = parts.next();
        while let Some(text) = part {
            let room = LINE_BYTES.saturating_sub(line.len());
            line.extend(text.iter().take(room));
            part = parts.next();
            if part.is_some() {
                self.keep(line);
                line.clear();
            }
        }
    }

    fn keep(&self, line: &[u8]) {
        let line = strip_ansi_escapes::strip_str(String::from_utf8_lossy(line));
        if line.trim().is_empty() {
            return;
        }
        tracing::trace!(line, "codex stderr");
        let mut lines = self.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collected(bytes: &[u8]) -> Vec<String> {
        let tail = Tail::default();
        tail.clone().collect(bytes).await;
        tail.lines()
    }

    #[tokio::test]
    async fn whatever_is_written_is_read_to_its_end() {
        let odd = b"one\n\xff\xfe half\n\n  \n\x1b]0;title\x07\x1b[1;31mred\x1b[0m end\nlast";
        assert_eq!(collected(odd).await, ["one", "\u{fffd}\u{fffd} half", "red end", "last"]);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let mut bytes = vec![b'x'; 10 * CHUNK];
        for number in 0..100 {
            bytes.extend(format!("\n{number}").bytes());
        }
        let kept = collected(&bytes).await;
        assert_eq!((kept.len(), kept.last().unwrap().as_str()), (LINES, "99"));
        let endless = collected(&vec![b'x'; 10 * CHUNK]).await;
        assert_eq!(endless, ["x".repeat(LINE_BYTES)]);
    }
}
