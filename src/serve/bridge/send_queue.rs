//! Lines on their way to one side, which takes them as it can.

use std::{collections::VecDeque, io, os::fd::AsFd};

/// How much is written at once. A pipe that can be written to takes that much without a wait.
const CHUNK: usize = 4096;

/// How many bytes may be on their way before no more are read from the other side.
const MOST: usize = 256 * 1024;

/// Lines that have not been written yet.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    lines: VecDeque<Outgoing>,
    /// How much of the first line has been written.
    written: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Outgoing {
    /// With its end.
    bytes: Vec<u8>,
    /// Whether it is for the host of now alone: the repetition of what an earlier one was sent, or an answer.
    is_for_this: bool,
}

impl SendQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether it should not be given more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > MOST
    }

    /// Whether there is anything that another host would be sent.
    pub(super) fn is_needed(&self) -> bool {
        self.lines.iter().any(|line| !line.is_for_this)
    }

    /// Adds a line at the end.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.push(line, false);
    }

    /// Adds a line that no other host shall have.
    pub(super) fn add_for_this(&mut self, line: &[u8]) {
        self.push(line, true);
    }

    fn push(&mut self, line: &[u8], is_for_this: bool) {
        let line = Outgoing::new(line, is_for_this);
        self.bytes += line.bytes.len();
        self.lines.push_back(line);
    }

    /// Takes out what another host would be sent.
    pub(super) fn take_requests(&mut self) -> Vec<Vec<u8>> {
        let lines = std::mem::take(&mut self.lines);
        (self.written, self.bytes) = (0, 0);
        lines.into_iter().filter(|line| !line.is_for_this).map(|line| line.bytes).collect()
    }

    /// Starts again for another host: `opening` comes first, then every line that the one before has not had whole.
    pub(super) fn restart(&mut self, opening: &[Vec<u8>]) {
        self.lines.retain(|line| !line.is_for_this);
        self.written = 0;
        for line in opening.iter().rev() {
            self.lines.push_front(Outgoing::new(line, true));
        }
        self.bytes = self.lines.iter().map(|line| line.bytes.len()).sum();
    }

    /// Writes a part. Returns a line that has now been written whole, unless it was for this host alone.
    ///
    /// # Errors
    /// If the other side is gone.
    pub(super) fn write(&mut self, to: impl AsFd) -> io::Result<Option<Vec<u8>>> {
        let Some(first) = self.lines.front() else { return Ok(None) };
        let rest = first.bytes.get(self.written..).unwrap_or_default();
        let chunk = rest.get(..CHUNK).unwrap_or(rest);
        match rustix::io::write(to, chunk) {
            Ok(count) => self.written += count,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if self.written < first.bytes.len() {
            return Ok(None);
        }
        self.written = 0;
        let done = self.lines.pop_front();
        self.bytes -= done.as_ref().map_or(0, |line| line.bytes.len());
        Ok(done.filter(|line| !line.is_for_this).map(|line| line.bytes))
    }
}

impl Outgoing {
    fn new(line: &[u8], is_for_this: bool) -> Self {
        Self { bytes: [line, b"\n"].concat(), is_for_this }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn what_a_host_has_not_had_whole_goes_to_the_next_one_behind_the_opening() {
        let (ours, dead) = UnixStream::pair().unwrap();
        let long = vec![b'x'; CHUNK + 1];
        let mut send_queue = SendQueue::default();
        send_queue.add(b"first");
        send_queue.add(&long);
        assert_eq!(send_queue.write(&ours).unwrap().unwrap(), b"first\n");
        assert!(send_queue.write(&ours).unwrap().is_none());
        // Not only dropped: a process that another test starts has a copy until it runs.
        dead.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(send_queue.write(&ours).is_err());

        send_queue.restart(&[b"hello".to_vec()]);
        let (ours, mut next) = UnixStream::pair().unwrap();
        // A second death before anything was written repeats the opening once.
        send_queue.restart(&[b"hello".to_vec()]);
        assert!(send_queue.write(&ours).unwrap().is_none());
        assert!(send_queue.write(&ours).unwrap().is_none());
        assert_eq!(send_queue.write(&ours).unwrap().unwrap().len(), long.len() + 1);
        assert!(send_queue.is_empty());
        drop(ours);
        let mut heard = Vec::new();
        next.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, [b"hello\n".as_slice(), &long, b"\n"].concat());
    }
}
