//! One `codex exec` process: its events on a channel, its end, and how to end it.

use std::{ffi::OsString, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::ChildStdout,
    sync::oneshot,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::events::{self, Line};
use crate::codex::{
    error::CodexError,
    ids::{ThreadId, TurnId},
    launch::CodexConfig,
    launch::Found,
    process::{ExitCause, Process},
    protocol::EventKind,
    turn::{Driver, Inbox, Outlet, ThreadEvent, inbox},
    usage::RateLimits,
    version::CodexVersion,
};

/// How long a Codex whose turn is over may take to end by itself.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running turn. It ends when the last reference is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    process: Process,
    force_kill: CancellationToken,
    tasks: TaskTracker,
    version: CodexVersion,
    /// What the command line was given, kept as long as it is read.
    _files: Vec<tempfile::TempPath>,
}

/// What a run says first, and then.
pub(super) struct Started {
    pub(super) run: Run,
    /// Resolves when Codex reports the thread id; the sender is dropped if the process ends first.
    pub(super) thread: oneshot::Receiver<ThreadId>,
    pub(super) events: Inbox,
}

impl Run {
    /// Starts the process and gives it the prompt.
    pub(super) fn start(
        found: &Found,
        arguments: Vec<OsString>,
        prompt: String,
        files: Vec<tempfile::TempPath>,
        config: &CodexConfig,
        tasks: &TaskTracker,
    ) -> Result<Started, CodexError> {
        let failed = |cause: String| CodexError::Start { binary: found.binary.clone(), cause };
        let mut command = config.command(&found.binary);
        command.args(arguments);
        let force_kill = config.force_kill.child_token();
        let (process, pipes) = Process::spawn(command, &force_kill, tasks)
            .map_err(|error| failed(error.to_string()))?;
        let mut stdin = pipes.stdin;
        tasks.spawn(async move {
            // A Codex that ends before it has read everything says why by itself.
            let written = stdin.write_all(prompt.as_bytes()).await;
            tracing::debug!(written = written.is_ok(), "prompt given");
        });
        let (outlet, events) = inbox();
        let (say, thread) = oneshot::channel();
        tasks.spawn(read(pipes.stdout, say, outlet));
        let run = Self {
            process,
            force_kill,
            tasks: tasks.clone(),
            version: found.version,
            _files: files,
        };
        Ok(Started { run, thread, events })
    }

    /// Ends it now, with everything it has started. Codex can resume the thread after any end.
    pub(super) async fn stop(&self) {
        self.force_kill.cancel();
        self.process.terminate().await;
    }
}

#[async_trait::async_trait]
impl Driver for Run {
    async fn interrupt(&self, _: &ThreadId, _: &TurnId) -> Result<(), CodexError> {
        self.stop().await;
        Ok(())
    }

    async fn steer(&self, _: &ThreadId, _: &TurnId, _: &str) -> Result<(), CodexError> {
        let (what, version) = ("steering a running turn", self.version);
        Err(CodexError::Unsupported { what, version })
    }

    async fn ended(&self) -> ExitCause {
        self.process.ended().await
    }

    fn rate_limits(&self) -> Option<RateLimits> {
        None
    }

    fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Its commands are in sessions of their own; only a hurried end looks for them.
        self.force_kill.cancel();
    }
}

/// Forwards Codex's events. The end of the turn comes last, because its receiver then drops the process,
/// which may still have its own record to write.
async fn read(stdout: ChildStdout, thread: oneshot::Sender<ThreadId>, outlet: Outlet) {
    let event = |kind| ThreadEvent::Event { turn_id: None, kind };
    let mut thread = Some(thread);
    let mut end = None;
    let mut lines = BufReader::new(stdout).split(b'\n');
    loop {
        let next = lines.next_segment();
        let line = if end.is_none() {
            next.await
        } else {
            tokio::time::timeout(DRAIN_TIMEOUT, next).await.unwrap_or(Ok(None))
        };
        let Ok(Some(line)) = line else { break };
        match events::read(&String::from_utf8_lossy(&line)) {
            Some(Line::Thread(id)) => {
                if let Some(thread) = thread.take() {
                    // The turn may have been given up.
                    let _ = thread.send(ThreadId(id));
                }
            }
            Some(Line::Events(events)) => {
                for kind in events {
                    if matches!(kind, EventKind::Ended(_)) {
                        end = Some(kind);
                    } else {
                        outlet.push(event(kind));
                    }
                }
            }
            None => tracing::debug!(bytes = line.len(), "skipped a line of codex exec"),
        }
    }
    if let Some(end) = end {
        outlet.push(event(end));
    }
}
