//! A log file of bounded size: when it is full it becomes the old one, and a new one begins.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tracing_subscriber::fmt::MakeWriter;

use crate::system::open_private_file;

/// The largest size of a file, in bytes. There are two at most.
const LONGEST: u64 = 1024 * 1024;

/// How long files are kept that nobody writes to any more.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Where to log to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    open: Mutex<Open>,
    longest: u64,
    /// Whether standard error goes there too: what is written past the log, a panic for instance, belongs there.
    takes_stderr: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Open {
    fn new(path: &Path, takes_stderr: bool) -> io::Result<Self> {
        let file = open_private_file(path)?;
        let length = file.metadata()?.len();
        #[cfg(unix)]
        if takes_stderr {
            rustix::stdio::dup2_stderr(&file)?;
        }
        Ok(Self { file, length })
    }
}

impl LogFile {
    /// Opens a file for this process alone, and makes it standard error.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        Self::with(path, LONGEST, true)
    }

    fn with(path: &Path, longest: u64, takes_stderr: bool) -> io::Result<Self> {
        let open = Mutex::new(Open::new(path, takes_stderr)?);
        Ok(Self { path: path.to_owned(), open, longest, takes_stderr })
    }

    /// Removes other files of this kind from its folder that nobody has written to for a week, unless they belong to
    /// a socket.
    pub(super) fn sweep(&self, now: SystemTime) {
        let entries = self.path.parent().and_then(|folder| fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            let is_log = path.extension().is_some_and(|ending| ending == "log" || ending == "old");
            let written = entry.metadata().and_then(|found| found.modified());
            let is_dead = !path.with_extension("sock").exists();
            let is_stale =
                written.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEPT));
            if is_log && is_stale && is_dead && path != self.path {
                // It stays if it cannot be removed, which does no harm.
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { log: self, open: self.open.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// The right to write to the file.
pub(super) struct Line<'a> {
    log: &'a LogFile,
    open: MutexGuard<'a, Open>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let coming = bytes.len() as u64;
        if self.open.length > 0 && self.open.length + coming > self.log.longest {
            // It may have been swept away.
            match fs::rename(&self.log.path, self.log.path.with_extension("old")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            *self.open = Open::new(&self.log.path, self.log.takes_stderr)?;
        }
        let written = self.open.file.write(bytes)?;
        self.open.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_old_one_and_there_are_two_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let log = LogFile::with(&path, 10, false).unwrap();
        for line in ["one\n", "two\n", "three\n", "a line longer than the file\n", "five\n"] {
            log.make_writer().write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("a.old"), "a line longer than the file\n");
        assert_eq!(read("a.log"), "five\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        // One that was there already goes on.
        let log = LogFile::with(&path, 10, false).unwrap();
        log.make_writer().write_all(b"6\n").unwrap();
        assert_eq!(read("a.log"), "five\n6\n");
    }

    #[test]
    fn what_nobody_has_written_to_for_a_week_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::with(&folder.path().join("a.log"), 10, false).unwrap();
        for name in ["b.log", "b.old", "c.log", "c.sock"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let written = folder.path().join("b.log").metadata().unwrap().modified().unwrap();
        log.sweep(written + KEPT / 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
        log.sweep(written + KEPT * 2);
        assert!(["a.log", "c.log"].iter().all(|name| folder.path().join(name).exists()));
        assert!(!folder.path().join("b.log").exists() && !folder.path().join("b.old").exists());
    }
}
