//! Who is whose parent, and what a process was started with.
//!
//! On Linux a few small files say it, in some microseconds; elsewhere `sysinfo` does, which takes some milliseconds for a
//! chain of parents. Each start of a client pays for it.

use std::io;

/// The parent of a process: 0 if it has none, `None` if the process is gone or cannot be seen from here.
///
/// # Errors
/// If nothing can be told, as where this process has too many files open.
#[cfg(target_os = "linux")]
pub(super) fn parent_of(process: u32) -> io::Result<Option<u32>> {
    let stat = match std::fs::read(format!("/proc/{process}/stat")) {
        Ok(stat) => stat,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = String::from_utf8_lossy(&stat);
    // The name of a program may have spaces and parentheses in it; state and parent follow the last of these.
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
    let parent = parent.and_then(|word| word.parse().ok());
    parent.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether a variable of this name was set when the process was started. `None` if it is gone. Not if another user's process
/// hides that.
///
/// # Errors
/// If nothing can be told.
#[cfg(target_os = "linux")]
pub(super) fn is_marked(process: u32, variable: &str) -> io::Result<Option<bool>> {
    use std::io::Read;

    /// More than Linux gives a program by default. A variable could be behind it.
    const LARGEST: u64 = 4 * 1024 * 1024;
    let mut environment = Vec::new();
    let read = std::fs::File::open(format!("/proc/{process}/environ"))
        .and_then(|file| file.take(LARGEST).read_to_end(&mut environment));
    match read {
        Ok(length) if length as u64 == LARGEST => return Err(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(Some(false)),
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let begin = format!("{variable}=");
    let mut entries = environment.split(|byte| *byte == 0);
    Ok(Some(entries.any(|entry| entry.starts_with(begin.as_bytes()))))
}

/// Whether a process that cannot be read is one no more.
#[cfg(target_os = "linux")]
fn is_gone(error: &io::Error) -> bool {
    let ended = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ended)
}

/// The parent of a process: 0 if it has none, `None` if the process is gone or cannot be seen from here.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(super) fn parent_of(process: u32) -> io::Result<Option<u32>> {
    let look = |process: &sysinfo::Process| process.parent().map_or(0, sysinfo::Pid::as_u32);
    Ok(seen(process, look))
}

/// Whether a variable of this name was set when the process was started. `None` if it is gone.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(super) fn is_marked(process: u32, variable: &str) -> io::Result<Option<bool>> {
    let begin = format!("{variable}=");
    let is_it = |entry: &std::ffi::OsString| entry.as_encoded_bytes().starts_with(begin.as_bytes());
    Ok(seen(process, |process| process.environ().iter().any(is_it)))
}

#[cfg(not(target_os = "linux"))]
fn seen<T>(process: u32, look: impl FnOnce(&sysinfo::Process) -> T) -> Option<T> {
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

    let pid = Pid::from_u32(process);
    let with_environment = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    let mut system = System::new();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, with_environment);
    system.process(pid).map(look)
}
