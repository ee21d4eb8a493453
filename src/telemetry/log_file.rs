//! A log file of bounded size: when it is full it becomes the old one, and a new one begins.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tracing_subscriber::fmt::MakeWriter;

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
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        // What is written past the log, a panic for instance, belongs there as well.
        #[cfg(unix)]
        rustix::stdio::dup2_stderr(&file)?;
        Ok(Self { file, length })
    }
}

impl LogFile {
    /// Opens a file for this process alone, and makes it standard error.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let open = Mutex::new(Open::new(path)?);
        Ok(Self { path: path.to_owned(), open, longest: LONGEST })
    }

    /// Removes files of this kind from its folder that nobody has written to for a week.
    pub(super) fn sweep(&self, now: SystemTime) {
        let entries = self.path.parent().and_then(|folder| fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            let is_log = path.extension().is_some_and(|ending| ending == "log" || ending == "old");
            let written = entry.metadata().and_then(|found| found.modified());
            let is_stale =
                written.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEPT));
            if is_log && is_stale {
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
            fs::rename(&self.log.path, self.log.path.with_extension("old"))?;
            *self.open = Open::new(&self.log.path)?;
        }
        let written = self.open.file.write(bytes)?;
        self.open.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()
    }
}
