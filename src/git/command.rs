//! One run of git: what goes in, what comes out, how long it may take. The only place of this folder that makes a command.

use std::{
    ffi::OsString,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{environment::GitEnvironment, error::RepositoryError};
use crate::system::GroupKill;

/// How long git may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The longest message that git can give, in bytes.
const MESSAGE: u64 = 64 * 1024;

/// The longest list of files that is read, in bytes.
pub(super) const LIST: u64 = 256 * 1024 * 1024;

/// What git wrote.
#[derive(Debug)]
pub(super) struct Output {
    status: ExitStatus,
    /// The beginning of it, up to the limit.
    pub(super) bytes: Vec<u8>,
    /// How much it was in all, in bytes.
    pub(super) length: u64,
    stderr: String,
}

/// Runs git in a directory with `variables` besides its environment and `input` on stdin. At most `limit` bytes of what
/// it writes are kept; the rest is counted.
///
/// # Errors
/// [`RepositoryError::Failed`] if git cannot be run or takes too long.
pub(super) async fn run(
    environment: &GitEnvironment,
    directory: &Path,
    variables: &[(OsString, OsString)],
    action: &'static str,
    arguments: &[&str],
    input: &[u8],
    limit: u64,
) -> Result<Output, RepositoryError> {
    let failed = |reason: String| RepositoryError::Failed { action, reason };
    let missing = || failed("git is in no folder of PATH".to_owned());
    #[expect(clippy::disallowed_methods, reason = "the one place that makes a git")]
    let mut command = Command::new(environment.program().ok_or_else(missing)?);
    command.arg("--no-pager").args(arguments).current_dir(directory);
    command.env_clear().envs(environment.variables());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let run = async {
        let mut child = command.spawn()?;
        let mut group = GroupKill::of(child.id());
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        };
        let write = async {
            // A git that does not read all of it says why itself.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let (read, complain) = (take(stdout, limit), take(stderr, MESSAGE));
        let ((), read, complain) = tokio::join!(write, read, complain);
        let ((bytes, length), (complaint, _)) = (read?, complain?);
        let status = child.wait().await?;
        group.leave();
        let stderr = String::from_utf8_lossy(&complaint).trim().to_owned();
        Ok(Output { status, bytes, length, stderr })
    };
    match tokio::time::timeout(TIMEOUT, run).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("it took over {} seconds", TIMEOUT.as_secs()))),
    }
}

/// Reads to the end; keeps the first `limit` bytes and counts the rest.
async fn take(
    mut stream: impl AsyncRead + Unpin,
    limit: u64,
) -> Result<(Vec<u8>, u64), std::io::Error> {
    let mut kept = Vec::new();
    let mut length = (&mut stream).take(limit).read_to_end(&mut kept).await? as u64;
    let mut rest = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut rest).await? {
            0 => return Ok((kept, length)),
            more => length += more as u64,
        }
    }
}

impl Output {
    /// Whether git succeeded.
    pub(super) fn is_success(&self) -> bool {
        self.status.success()
    }

    /// The output, if git succeeded.
    pub(super) fn succeeded(self, action: &'static str) -> Result<Self, RepositoryError> {
        if self.status.success() {
            return Ok(self);
        }
        // What git advises besides is about what the user would do, not we.
        let lines = self.stderr.lines().filter(|line| !line.starts_with("hint:"));
        let mut reason = lines.collect::<Vec<_>>().join("\n");
        if reason.is_empty() {
            reason = self.status.to_string();
        }
        Err(RepositoryError::Failed { action, reason })
    }

    /// Its lines or other parts that end with `\0`. A list of which the end was cut off is an error.
    pub(super) fn parts(&self, action: &'static str) -> Result<Vec<&[u8]>, RepositoryError> {
        if self.length > self.bytes.len() as u64 {
            let reason = format!("that is too much to list ({} bytes)", self.length);
            return Err(RepositoryError::Failed { action, reason });
        }
        Ok(self.bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty()).collect())
    }
}
