//! One child process: its own group, the end of its stderr, and why it ended.
//!
//! A task of its own owns the child. It ends the whole group when asked or when the last [`Process`]
//! is dropped: closed stdin first, then SIGTERM, then SIGKILL. It knows nothing of what the child says.

use std::{
    collections::VecDeque,
    fmt, io,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{ChildStdin, ChildStdout, Command},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::orphans;

/// How long a child gets for each way of ending: by itself, after SIGTERM.
///
/// Codex 0.169 needs 0.04 s for either.
const GRACE: Duration = Duration::from_secs(1);

/// How many lines of stderr are kept for the exit cause.
const STDERR_LINES: usize = 20;

/// How many of them one error may have.
const ERROR_LINES: usize = 3;

#[cfg(unix)]
const SIGTERM: i32 = 15;

/// Why a child is no longer there.
#[derive(Debug, Clone)]
pub struct ExitCause {
    status: Option<ExitStatus>,
    last_words: Vec<String>,
}

impl ExitCause {
    /// What it said last: its last error with the lines that belong to it, else its last line.
    pub(crate) fn last_words(&self) -> String {
        let is_error = |line: &String| line.starts_with("Error") || line.starts_with("error");
        let begin = self.last_words.iter().rposition(is_error);
        let begin = begin.unwrap_or(self.last_words.len().saturating_sub(1));
        let lines = self.last_words.iter().skip(begin).map(|line| line.trim());
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
        // Who is killed has no last words; what was said before is about something else.
        let spoke = self.status.is_some_and(|status| status.code().is_some_and(|code| code != 0));
        match self.last_words() {
            words if spoke && !words.is_empty() => write!(f, "; last words: {words}"),
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
    /// Starts `command` in a process group of its own. `hurry` cuts all patience with its end short.
    pub(crate) fn spawn(
        mut command: Command,
        hurry: &CancellationToken,
        tasks: &TaskTracker,
    ) -> io::Result<(Self, Pipes)> {
        let mark = orphans::Mark::new();
        command.env(orphans::Mark::VARIABLE, mark.as_str());
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
        let last_words = Arc::default();
        let collected = tasks.spawn(collect(stderr, Arc::clone(&last_words)));
        let stop = CancellationToken::new();
        let (ended, receiver) = watch::channel(None);
        let (stopped, hurry) = (stop.clone(), hurry.clone());
        tasks.spawn(async move {
            let status = supervise(child, &stopped, &hurry).await;
            // Who ends in order clears up himself; some versions do not even then.
            if !status.is_some_and(|status| status.success()) {
                mark.end_all().await;
            }
            stopped.cancel();
            // What was written just before the end is still on its way.
            let _ = tokio::time::timeout(Duration::from_millis(100), collected).await;
            let last_words = lock(&last_words).iter().cloned().collect();
            ended.send_replace(Some(ExitCause { status, last_words }));
        });
        Ok((Self { stop, ended: receiver }, Pipes { stdin, stdout }))
    }

    /// Cancelled when the child shall end or has ended; whoever holds its stdin lets go then.
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
        cause.unwrap_or(ExitCause { status: None, last_words: Vec::new() })
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
    hurry: &CancellationToken,
) -> Option<ExitStatus> {
    let mut status = tokio::select! {
        ended = child.wait() => Some(ended),
        () = stop.cancelled() => None,
        () = hurry.cancelled() => None,
    };
    let graced = || tokio::time::timeout(GRACE, hurry.cancelled());
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
    // Also reaches what the child left behind in its group; fails if there is nobody.
    let _ = child.start_kill();
    match status {
        Some(ended) => ended.ok(),
        None => child.wait().await.ok(),
    }
}

async fn collect(stderr: impl AsyncRead + Unpin, last_words: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = without_colours(&line);
        tracing::trace!(line, "codex stderr");
        let mut last_words = lock(&last_words);
        if last_words.len() == STDERR_LINES {
            last_words.pop_front();
        }
        if !line.trim().is_empty() {
            last_words.push_back(line);
        }
    }
}

fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(process.ended().await.last_words(), "Error: bad in `m`");
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
