//! One `codex exec` process: its events on a channel, its end, and how to end it.

use std::{ffi::OsString, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::ChildStdout,
    sync::{mpsc, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::events::{self, Line};
use crate::codex::{
    app_server::{Found, Told},
    error::CodexError,
    process::{self, ExitCause, Process},
    protocol::EventKind,
    turn::ThreadId,
    version::CodexVersion,
};

/// How much a turn may lag behind before Codex has to wait for it.
const QUEUE: usize = 256;

/// How long a Codex whose turn is over may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// A running turn. It ends when the last reference is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    process: Process,
    hurry: CancellationToken,
    tasks: TaskTracker,
    version: CodexVersion,
    /// What the command line was given, kept as long as it is read.
    _files: Vec<tempfile::TempPath>,
}

/// What a run says first, and then.
pub(super) struct Started {
    pub(super) run: Run,
    /// The thread's id, once Codex says it; dropped if it ends without.
    pub(super) thread: oneshot::Receiver<ThreadId>,
    pub(super) told: mpsc::Receiver<Told>,
}

impl Run {
    /// Starts the process and gives it the prompt.
    pub(super) fn start(
        found: &Found,
        arguments: Vec<OsString>,
        prompt: String,
        files: Vec<tempfile::TempPath>,
        hurry: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Started, CodexError> {
        let failed = |cause: String| CodexError::Start { binary: found.binary.clone(), cause };
        let mut command = process::command(&found.binary);
        command.args(arguments);
        let hurry = hurry.child_token();
        let (process, pipes) =
            Process::spawn(command, &hurry, tasks).map_err(|error| failed(error.to_string()))?;
        let mut stdin = pipes.stdin;
        tasks.spawn(async move {
            // A Codex that ends before it has read everything says why by itself.
            let written = stdin.write_all(prompt.as_bytes()).await;
            tracing::debug!(written = written.is_ok(), "prompt given");
        });
        let (tell, told) = mpsc::channel(QUEUE);
        let (say, thread) = oneshot::channel();
        tasks.spawn(read(pipes.stdout, say, tell));
        let run =
            Self { process, hurry, tasks: tasks.clone(), version: found.version, _files: files };
        Ok(Started { run, thread, told })
    }

    /// Ends it now, with everything it has started. Codex can resume the thread after any end.
    pub(crate) async fn stop(&self) {
        self.hurry.cancel();
        self.process.terminate().await;
    }

    /// Why it ended, once it has.
    pub(crate) async fn ended(&self) -> ExitCause {
        self.process.ended().await
    }

    pub(crate) fn version(&self) -> CodexVersion {
        self.version
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Its commands are in sessions of their own; only a hurried end looks for them.
        self.hurry.cancel();
    }
}

/// Tells what Codex says. The end of the turn is told last: whoever has heard it lets go of the process,
/// which may have its own record still to write.
async fn read(stdout: ChildStdout, thread: oneshot::Sender<ThreadId>, tell: mpsc::Sender<Told>) {
    let told = |kind| Told::Event { turn_id: None, kind };
    let mut thread = Some(thread);
    let mut end = None;
    let mut lines = BufReader::new(stdout).split(b'\n');
    loop {
        let next = lines.next_segment();
        let line = if end.is_none() {
            next.await
        } else {
            tokio::time::timeout(FAREWELL, next).await.unwrap_or(Ok(None))
        };
        let Ok(Some(line)) = line else { break };
        match events::read(&String::from_utf8_lossy(&line)) {
            Some(Line::Thread(id)) => {
                if let Some(thread) = thread.take() {
                    // Whoever waited may be gone.
                    let _ = thread.send(ThreadId(id));
                }
            }
            Some(Line::Events(events)) => {
                for kind in events {
                    if matches!(kind, EventKind::Ended(_)) {
                        end = Some(kind);
                    } else if tell.send(told(kind)).await.is_err() {
                        return;
                    }
                }
            }
            None => tracing::debug!(bytes = line.len(), "skipped a line of codex exec"),
        }
    }
    if let Some(end) = end {
        // Nobody may listen any more.
        let _ = tell.send(told(end)).await;
    }
}
