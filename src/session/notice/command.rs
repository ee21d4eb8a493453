//! The operator's hook: a command that is run when a detached turn ends or asks, with a small JSON on its input.

use std::{collections::BTreeMap, ffi::OsString, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::Notice;
use crate::{session::Sessions, system::GroupKill};

/// How long one run may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the last runs may take once the server ends.
const LAST_TIMEOUT: Duration = Duration::from_secs(10);

/// What is run, and what it sees of the environment.
#[derive(Debug)]
struct Hook {
    command: String,
    variables: BTreeMap<OsString, OsString>,
}

/// The hook at work.
#[derive(Debug)]
pub struct Notifier {
    ending: CancellationToken,
    task: Option<AbortOnDropHandle<()>>,
}

impl Notifier {
    /// Runs `command`, if there is one, for each notice of these sessions, one after the other, with these variables.
    pub fn start(
        command: Option<String>,
        variables: BTreeMap<OsString, OsString>,
        sessions: &Sessions,
    ) -> Self {
        let ending = CancellationToken::new();
        let task = command.map(|command| {
            let hook = Hook { command, variables };
            let follow = follow(hook, sessions.notices(), ending.clone());
            AbortOnDropHandle::new(TaskTracker::new().spawn(follow))
        });
        Self { ending, task }
    }

    /// Waits until the remaining notices have been sent.
    pub async fn finish(self) {
        self.ending.cancel();
        let Some(task) = self.task else { return };
        if timeout(LAST_TIMEOUT, task).await.is_err() {
            tracing::warn!("the last run of notify.command did not end in time");
        }
    }
}

async fn follow(hook: Hook, mut notices: Receiver<Notice>, ending: CancellationToken) {
    loop {
        let next = match ending.run_until_cancelled(notices.recv()).await {
            Some(next) => next,
            None => match notices.try_recv() {
                Ok(notice) => Ok(notice),
                Err(_) => return,
            },
        };
        match next {
            Ok(notice) => run(&hook, &notice.payload()).await,
            Err(RecvError::Lagged(count)) => {
                tracing::warn!(count, "notify.command is too slow; some notices were dropped");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Runs the command once. What comes of it matters to nobody but the log.
async fn run(hook: &Hook, payload: &Value) {
    let ran = timeout(RUN_TIMEOUT, async {
        let mut child = shell(&hook.command)
            .env_clear()
            .envs(&hook.variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut group = GroupKill::of(child.id());
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read its input is fine.
            let _ = stdin.write_all(format!("{payload}\n").as_bytes()).await;
        }
        let status = child.wait().await;
        // What it has left in the background is its own affair.
        group.leave();
        status
    });
    match ran.await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!(%status, "notify.command failed"),
        Ok(Err(error)) => tracing::warn!(%error, "notify.command cannot be run"),
        Err(_) => tracing::warn!("notify.command took too long and was ended"),
    }
}

#[expect(clippy::disallowed_methods, reason = "it starts the operator's own command, not Codex")]
fn shell(command: &str) -> tokio::process::Command {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell = tokio::process::Command::new(shell);
    shell.arg(flag).arg(command);
    #[cfg(unix)]
    shell.process_group(0);
    shell
}
