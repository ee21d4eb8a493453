//! What a child leaves behind outside its process group.
//!
//! Codex runs each command in a session of its own, so ending Codex's group does not reach them, and
//! once Codex is gone nothing says whose they were. What we start therefore carries a tag in its
//! environment, which everything it starts inherits.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// How often is looked at most: a process that was being started escapes the first look.
const LOOKS: usize = 5;

/// The tag of one child.
#[derive(Debug)]
pub(super) struct ChildTag(String);

impl ChildTag {
    /// The environment variable that holds it.
    pub(super) const VARIABLE: &str = "CODEX_MCP_SERVER_MARK";

    pub(super) fn new() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Kills whatever carries the tag. Where other processes' environments cannot be read it finds
    /// nothing.
    pub(super) async fn end_all(&self) {
        let entry = format!("{}={}", Self::VARIABLE, self.0);
        // Reads a file per process.
        let killed = tokio::task::spawn_blocking(move || end_all(&entry)).await;
        match killed {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "ended what Codex left running"),
            Err(error) => tracing::warn!(%error, "cannot look for what Codex left running"),
        }
    }
}

/// Whether this process was started, directly or not, by a child of one like it.
pub(super) fn is_nested() -> bool {
    let with_environment = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    let mut next = sysinfo::get_current_pid().ok();
    // A chain of parents that long would be a loop.
    for _ in 0..64 {
        let Some(pid) = next else { return false };
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, with_environment);
        let Some(process) = system.process(pid) else { return false };
        let tagged = |variable: &&std::ffi::OsString| {
            variable.to_string_lossy().starts_with(&format!("{}=", ChildTag::VARIABLE))
        };
        if process.environ().iter().find(tagged).is_some() {
            return true;
        }
        next = process.parent();
    }
    false
}

fn end_all(entry: &str) -> usize {
    let with_environment = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    let mut count = 0;
    for _ in 0..LOOKS {
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, with_environment);
        let tagged = system.processes().values().filter(|process| {
            process.thread_kind().is_none()
                && process.environ().iter().any(|variable| variable == entry)
        });
        let killed = tagged.filter(|process| process.kill()).count();
        count += killed;
        if killed == 0 {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::codex::process;

    #[tokio::test]
    async fn what_carries_the_mark_is_ended_wherever_it_hides() {
        let tag = ChildTag::new();
        let sleeper = |tag: &str| {
            let mut command = process::command(Path::new("/bin/sh"));
            command.args(["-c", "setsid sleep 1000 & wait"]).env(ChildTag::VARIABLE, tag);
            command.kill_on_drop(true).spawn().unwrap()
        };
        let others = ChildTag::new();
        let (mut ours, mut other) = (sleeper(tag.as_str()), sleeper(others.as_str()));
        tag.end_all().await;
        let ended = tokio::time::timeout(Duration::from_secs(10), ours.wait()).await;
        assert!(!ended.unwrap().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        others.end_all().await;
        assert!(!other.wait().await.unwrap().success());
    }
}
