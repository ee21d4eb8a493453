//! One child process: its own group, the end of its stderr, and why it ended.
//!
//! A task of its own owns the child. It ends the whole group when asked or when the last [`Process`]
//! is dropped: closed stdin first, then SIGTERM, then SIGKILL. It knows nothing of what the child says.

mod stderr;

use std::{
    fmt, io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use stderr::Tail;
use tokio::{
    process::{ChildStdin, ChildStdout, Command},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::orphans;

/// How long a child gets for each way of ending: by itself, after SIGTERM.
///
/// Codex 0.169 needs 0.04 s for either.
const GRACE: Duration = Duration::from_secs(1);

/// How many lines of stderr one error may have.
const ERROR_LINES: usize = 3;

#[cfg(unix)]
const SIGTERM: i32 = 15;

/// Why a child is no longer there.
#[derive(Debug, Clone)]
pub struct ExitCause {
    status: Option<ExitStatus>,
    stderr_tail: Vec<String>,
}

impl ExitCause {
    /// What it said last: its last error with the lines that belong to it, else its last line.
    pub(crate) fn stderr_tail(&self) -> String {
        let is_error = |line: &String| line.starts_with("Error") || line.starts_with("error");
        let begin = self.stderr_tail.iter().rposition(is_error);
        let begin = begin.unwrap_or(self.stderr_tail.len().saturating_sub(1));
        let lines = self.stderr_tail.iter().skip(begin).map(|line| line.trim());
        let lines = lines.take_while(|line| !line.starts_with("Stack backtrace"));
        lines.take(ERROR_LINES).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("it is gone")?,
        }
        // A child that was killed did not say why; its earlier output is about something else.
        let has_failed =
            self.status.is_some_and(|status| status.code().is_some_and(|code| code != 0));
        match self.stderr_tail() {
            words if has_failed && !words.is_empty() => write!(f, "; last words: {words}"),
            _ => Ok(()),
        }
    }
}

/// A handle to a running child. Dropping it ends the child.
#[derive(Debug)]
pub(crate) struct Process {
    stop: CancellationToken,
    ended: watch::Receiver<Option<ExitCause>>,
}

/// The child's ends of stdin and stdout.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: ChildStdout,
}

/// A command for `binary`. The only way this crate makes one.
pub(crate) fn command(binary: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes commands")]
    Command::new(binary)
}

impl Process {
    /// Starts `command` in a process group of its own. Cancelling `force_kill` skips all waiting for its end.
    pub(crate) fn spawn(
        mut command: Command,
        force_kill: &CancellationToken,
        tasks: &TaskTracker,
    ) -> io::Result<(Self, Pipes)> {
        let tag = orphans::ChildTag::new();
        command.env(orphans::ChildTag::VARIABLE, tag.as_str());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut wrapped = CommandWrap::from(command);
        #[cfg(unix)]
        wrapped.wrap(process_wrap::tokio::ProcessGroup::leader());
        wrapped.wrap(KillOnDrop);
        let mut child = wrapped.spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(io::Error::other("the child has no pipes"));
        };
        let tail = Tail::default();
        let collected = tasks.spawn(tail.clone().collect(stderr));
        let stop = CancellationToken::new();
        let (ended, receiver) = watch::channel(None);
        let (stopped, force_kill) = (stop.clone(), force_kill.clone());
        tasks.spawn(async move {
            let status = supervise(child, &stopped, &force_kill).await;
            // A child that ends in order has cleared up after itself; some versions do not even then.
            if !status.is_some_and(|status| status.success()) {
                tag.end_all().await;
            }
            stopped.cancel();
            // What was written just before the end is still on its way.
            let _ = tokio::time::timeout(Duration::from_millis(100), collected).await;
            let stderr_tail = tail.lines();
            ended.send_replace(Some(ExitCause { status, stderr_tail }));
        });
        Ok((Self { stop, ended: receiver }, Pipes { stdin, stdout }))
    }

    /// A process that there is none of, and that ends as soon as it is told to.
    #[cfg(test)]
    pub(crate) fn without_child(tasks: &TaskTracker) -> Self {
        let stop = CancellationToken::new();
        let (ended, receiver) = watch::channel(None);
        let stopped = stop.clone();
        tasks.spawn(async move {
            stopped.cancelled().await;
            ended.send_replace(Some(ExitCause { status: None, stderr_tail: Vec::new() }));
        });
        Self { stop, ended: receiver }
    }

    /// Cancelled when the child shall end or has ended; the holder of its stdin closes it then.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Ends the child and waits until it and its group are gone.
    pub(crate) async fn terminate(&self) -> ExitCause {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits for the end, whatever brings it.
    pub(crate) async fn ended(&self) -> ExitCause {
        let mut ended = self.ended.clone();
        let cause = ended.wait_for(Option::is_some).await;
        let cause = cause.ok().and_then(|cause| cause.clone());
        cause.unwrap_or(ExitCause { status: None, stderr_tail: Vec::new() })
    }

    /// Whether the child has ended or is about to.
    pub(crate) fn is_ending(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits for the child, or ends it step by step, then clears what is left of its group.
async fn supervise(
    mut child: Box<dyn ChildWrapper>,
    stop: &CancellationToken,
    force_kill: &CancellationToken,
) -> Option<ExitStatus> {
    let mut status = tokio::select! {
        ended = child.wait() => Some(ended),
        () = stop.cancelled() => None,
        () = force_kill.cancelled() => None,
    };
    let graced = || tokio::time::timeout(GRACE, force_kill.cancelled());
    if status.is_none() {
        status = tokio::select! {
            ended = child.wait() => Some(ended),
            _ = graced() => None,
        };
    }
    #[cfg(unix)]
    if status.is_none() && child.signal(SIGTERM).is_ok() {
        status = tokio::select! {
            ended = child.wait() => Some(ended),
            _ = graced() => None,
        };
    }
    // Also reaches what the child left behind in its group; fails if nothing is left.
    let _ = child.start_kill();
    match status {
        Some(ended) => ended.ok(),
        None => child.wait().await.ok(),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn sh(script: &str) -> (Process, Pipes) {
        let mut shell = command(Path::new("/bin/sh"));
        shell.args(["-c", script]);
        Process::spawn(shell, &CancellationToken::new(), &TaskTracker::new()).unwrap()
    }

    fn is_alive(pid: &str) -> bool {
        // A zombie has no command line.
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    }

    /// Between a fork and its exec a process has no command line for a moment.
    async fn becomes(alive: bool, pid: &str) {
        for _ in 0..500 {
            if is_alive(pid) == alive {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{pid} is alive: {}", !alive);
    }

    #[tokio::test]
    async fn the_cause_of_the_end_is_kept() {
        let (process, _pipes) =
            sh("echo one >&2; printf '\\033[31mred\\033[0m end\\n' >&2; exit 7");
        let cause = process.ended().await.to_string();
        assert!(cause.contains("exit status: 7") && cause.ends_with("red end"), "{cause}");
        assert!(process.is_ending());
    }

    #[tokio::test]
    async fn an_error_of_several_lines_is_said_whole() {
        let (process, _pipes) = sh("echo x >&2; echo 'Error: bad' >&2; echo 'in `m`' >&2; \
                                    echo 'Stack backtrace:' >&2; echo '0: y' >&2; exit 1");
        assert_eq!(process.ended().await.stderr_tail(), "Error: bad in `m`");
    }

    #[tokio::test]
    async fn a_child_that_ignores_sigterm_is_killed_with_its_group() {
        let (process, mut pipes) = sh("trap '' TERM; sleep 1000 & echo $!; wait; wait");
        let mut pid = [0; 32];
        let count = pipes.stdout.read(&mut pid).await.unwrap();
        let pid = String::from_utf8_lossy(&pid[..count]).trim().to_owned();
        becomes(true, &pid).await;
        process.terminate().await;
        assert!(!is_alive(&pid));
    }

    #[tokio::test]
    async fn dropping_the_handle_ends_the_child() {
        let (process, mut pipes) = sh("echo $$; cat");
        let mut pid = [0; 32];
        let count = pipes.stdout.read(&mut pid).await.unwrap();
        let pid = String::from_utf8_lossy(&pid[..count]).trim().to_owned();
        assert!(is_alive(&pid));
        drop((process, pipes));
        becomes(false, &pid).await;
    }
}
