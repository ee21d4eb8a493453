//! What a child leaves behind outside its process group.
//!
//! Codex runs each command in a session of its own, so ending Codex's group does not reach them, and
//! once Codex is gone nothing says whose they were. What we start therefore carries a tag in its
//! environment, which everything it starts inherits.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// How often to look at most: a process that was being started escapes the first look.
const LOOKS: usize = 5;

/// The tag of one child.
#[derive(Debug)]
pub(super) struct ChildTag(String);

impl ChildTag {
    /// The environment variable that holds it.
    pub(super) const VARIABLE: &str = "CODEX_MCP_CHILD_TAG";

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
    use std::{path::Path, process::Stdio, time::Duration};

    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, BufReader},
        process::{Child, ChildStdout},
    };

    use super::*;
    use crate::codex::process;

    /// A shell and what it left in a session of its own: both have the pipe, which ends with the
    /// last of them.
    async fn family(tag: &ChildTag) -> (Child, BufReader<ChildStdout>) {
        let mut command = process::command(Path::new("/bin/sh"));
        command.args(["-c", "setsid sh -c 'echo up; exec sleep 60' & wait"]);
        command.env(ChildTag::VARIABLE, tag.as_str()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut pipe = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        pipe.read_line(&mut line).await.unwrap();
        assert_eq!(line, "up\n");
        (child, pipe)
    }

    #[tokio::test]
    async fn what_carries_the_tag_is_ended_wherever_it_hides() {
        let (tag, others) = (ChildTag::new(), ChildTag::new());
        let (_ours, mut pipe) = family(&tag).await;
        let (mut other, mut others_pipe) = family(&others).await;
        tag.end_all().await;
        let mut rest = String::new();
        let over = tokio::time::timeout(Duration::from_secs(10), pipe.read_to_string(&mut rest));
        over.await.expect("all of ours have ended").unwrap();
        assert!(other.try_wait().unwrap().is_none());
        others.end_all().await;
        others_pipe.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
    }
}
