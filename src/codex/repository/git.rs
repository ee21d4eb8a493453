//! Running git in a repository.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::io::AsyncReadExt;

use super::error::RepositoryError;
use crate::codex::process;

/// How long git may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Variables that would make git use another repository or index than that of the directory.
const FOREIGN: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// A directory that may be in a git repository.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) directory: PathBuf,
    /// An index to use in place of the repository's own.
    pub(super) index: Option<PathBuf>,
    /// Set for a worktree that Codex works in.
    pub(super) apart: Option<Apart>,
}

/// What git is told of a worktree in which Codex can write whatever it likes, the worktree's own git folder included:
/// nothing there decides how git runs.
#[derive(Debug, Clone)]
pub(super) struct Apart {
    /// The git folder of the repository.
    pub(super) common: PathBuf,
    /// The top directory of the worktree.
    pub(super) top: PathBuf,
    /// Its branch.
    pub(super) branch: String,
}

/// What git answered.
#[derive(Debug)]
pub(super) struct Output {
    status: ExitStatus,
    pub(super) bytes: Vec<u8>,
    stderr: String,
}

impl Repository {
    /// The repository a directory is in, if it is in one.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), index: None, apart: None }
    }

    /// The same repository with another index.
    pub(super) fn with_index(&self, index: &Path) -> Self {
        Self { index: Some(index.to_owned()), ..self.clone() }
    }

    /// What git writes to stdout, without the last line break.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] with `action` if git does not succeed.
    pub(super) async fn text(
        &self,
        action: &'static str,
        arguments: &[&str],
    ) -> Result<String, RepositoryError> {
        let output = self.run(action, arguments, &[], u64::MAX).await?;
        let output = output.succeeded(action)?;
        Ok(String::from_utf8_lossy(&output.bytes).trim_end_matches('\n').to_owned())
    }

    /// Whether git succeeds.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if git cannot be run.
    pub(super) async fn succeeds(
        &self,
        action: &'static str,
        arguments: &[&str],
    ) -> Result<bool, RepositoryError> {
        Ok(self.run(action, arguments, &[], u64::MAX).await?.status.success())
    }

    /// Runs git with `input` on stdin, and reads at most `limit` bytes of what it writes.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if git cannot be run or takes too long.
    pub(super) async fn run(
        &self,
        action: &'static str,
        arguments: &[&str],
        input: &[u8],
        limit: u64,
    ) -> Result<Output, RepositoryError> {
        let failed = |reason: String| RepositoryError::Failed { action, reason };
        let mut command = process::command(Path::new("git"));
        // Quoted paths and the user's own prefixes would have to be undone.
        command.args(["-c", "core.quotePath=false", "-c", "core.fsmonitor=false"]);
        // What we do are no acts of the user's. A sparse checkout hides nothing from us.
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false"]);
        command.arg("-C").arg(&self.directory).args(arguments);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        if let Some(Apart { common, top, .. }) = &self.apart {
            command.env("GIT_DIR", common).env("GIT_WORK_TREE", top);
        }
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let run = async {
            let mut child = command.spawn()?;
            let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let (Some(mut stdin), Some(stdout), Some(mut stderr)) = streams else {
                return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
            };
            let mut said = Vec::new();
            let write = async {
                // A git that does not read all of it says why itself.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input).await;
                drop(stdin);
            };
            let read = async move {
                let mut bytes = Vec::new();
                stdout.take(limit).read_to_end(&mut bytes).await.map(|_| bytes)
                // Closed here, so that a git with more to say ends.
            };
            let complain = stderr.read_to_end(&mut said);
            let ((), bytes, complain) = tokio::join!(write, read, complain);
            let bytes = bytes?;
            complain?;
            let status = child.wait().await?;
            let stderr = String::from_utf8_lossy(&said).trim().to_owned();
            Ok(Output { status, bytes, stderr })
        };
        match tokio::time::timeout(TIMEOUT, run).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("it took over {} seconds", TIMEOUT.as_secs()))),
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
        if let Some(path) = reason.split("error: '").nth(1)
            && let Some((path, _)) = path.split_once("/' does not have a commit checked out")
        {
            return Err(RepositoryError::Nested { paths: vec![path.to_owned()] });
        }
        if reason.is_empty() {
            reason = self.status.to_string();
        }
        Err(RepositoryError::Failed { action, reason })
    }
}
/// Copies an index with its time. By that git knows the entries it cannot trust: those of files that were written in the
/// instant in which the index was. With a later time it would take such a file to be unchanged.
pub(super) async fn copy_index(from: &Path, to: &Path) -> io::Result<()> {
    tokio::fs::copy(from, to).await?;
    let written = tokio::fs::metadata(from).await?.modified()?;
    let copy = tokio::fs::OpenOptions::new().write(true).open(to).await?;
    copy.into_std().await.set_modified(written)
}
