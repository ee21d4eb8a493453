//! Who is whose parent, and what a process was started with.
//!
//! On Linux a few small files say it, in some microseconds; elsewhere `sysinfo` does, which takes some milliseconds for a
//! chain of parents. Each start of a client pays for it.

/// What is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kin {
    /// Its parent. `None` if it has none, or none that can be seen from here.
    pub(super) parent: Option<u32>,
    /// Whether a variable of the name that was asked for was set when it was started. Not if that cannot be read.
    pub(super) is_marked: bool,
}

#[cfg(target_os = "linux")]
impl Kin {
    /// Looks at a process. `None` if it is gone.
    pub(super) fn of(process: u32, variable: &str) -> Option<Self> {
        let parent = parent_of(process)?;
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let begin = format!("{variable}=");
        let mut entries = environment.split(|byte| *byte == 0);
        let is_marked = entries.any(|entry| entry.starts_with(begin.as_bytes()));
        Some(Self { parent: Some(parent).filter(|parent| *parent != 0), is_marked })
    }
}

/// The parent of a process. `None` if the process is gone.
#[cfg(target_os = "linux")]
pub(super) fn parent_of(process: u32) -> Option<u32> {
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name of a program may have spaces and parentheses in it; state and parent follow the last of these.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
impl Kin {
    /// Looks at a process. `None` if it is gone.
    pub(super) fn of(process: u32, variable: &str) -> Option<Self> {
        use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

        let pid = Pid::from_u32(process);
        let with_environment = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, with_environment);
        let process = system.process(pid)?;
        let begin = format!("{variable}=");
        let is_it =
            |entry: &std::ffi::OsString| entry.as_encoded_bytes().starts_with(begin.as_bytes());
        let is_marked = process.environ().iter().any(is_it);
        let parent = process.parent().map(Pid::as_u32).filter(|parent| *parent != 0);
        Some(Self { parent, is_marked })
    }
}
