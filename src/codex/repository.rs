//! What git says of the code a review is to look at.
//!
//! Codex itself takes a branch that does not exist, or nothing to review, and lets the model find out.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::{process, settings::ReviewTarget};

/// How long git may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A directory that may be in a git repository.
#[derive(Debug, Clone)]
pub struct Repository {
    directory: PathBuf,
}

/// Why there is nothing to review.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RepositoryError {
    /// The directory is in no repository.
    #[error("`{}` is in no git repository", .0.display())]
    None(PathBuf),
    /// There is no such branch or commit.
    #[error("there is no {kind} `{name}` in the repository at `{}`", directory.display())]
    Unknown {
        /// `branch` or `commit`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// Where.
        directory: PathBuf,
    },
    /// Nothing has changed.
    #[error("there is nothing to review: {0}")]
    Unchanged(String),
}

impl Repository {
    /// The repository a directory is in, if it is in one.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Checks that there is something to review. Where git cannot be asked nothing is found wrong.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn check(&self, target: &ReviewTarget) -> Result<(), RepositoryError> {
        // Instructions can be about anything.
        if matches!(target, ReviewTarget::Custom { .. }) {
            return Ok(());
        }
        if self.git(&["rev-parse", "--git-dir"]).await == Git::No {
            return Err(RepositoryError::None(self.directory.clone()));
        }
        match target {
            ReviewTarget::UncommittedChanges => {
                let changes = self.git(&["status", "--porcelain"]).await;
                self.unless_empty(changes, "there are no uncommitted changes")
            }
            ReviewTarget::BaseBranch { branch } => {
                self.exists("branch", branch).await?;
                let range = format!("{branch}...");
                let changes = self.git(&["diff", "--name-only", &range]).await;
                let local = self.git(&["status", "--porcelain"]).await;
                // What is not committed is looked at too.
                let is_dirty = matches!(local, Git::Said(text) if !text.is_empty());
                if is_dirty {
                    return Ok(());
                }
                self.unless_empty(changes, &format!("nothing has changed against `{branch}`"))
            }
            ReviewTarget::Commit { sha, .. } => {
                self.exists("commit", sha).await?;
                let changes = self.git(&["show", "--name-only", "--format=", sha]).await;
                self.unless_empty(changes, &format!("commit `{sha}` changes no files"))
            }
            ReviewTarget::Custom { .. } => Ok(()),
        }
    }

    async fn exists(&self, kind: &'static str, name: &str) -> Result<(), RepositoryError> {
        let missing = || RepositoryError::Unknown {
            kind,
            name: name.to_owned(),
            directory: self.directory.clone(),
        };
        // A name like this would be an option.
        if name.starts_with('-') {
            return Err(missing());
        }
        let commit = format!("{name}^{{commit}}");
        match self.git(&["rev-parse", "--verify", "--quiet", &commit]).await {
            Git::No => Err(missing()),
            Git::Said(_) | Git::Silent => Ok(()),
        }
    }

    fn unless_empty(&self, listed: Git, reason: &str) -> Result<(), RepositoryError> {
        match listed {
            Git::Said(text) if text.trim().is_empty() => {
                let place = self.directory.display();
                Err(RepositoryError::Unchanged(format!("{reason} in `{place}`")))
            }
            _ => Ok(()),
        }
    }

    async fn git(&self, arguments: &[&str]) -> Git {
        let mut command = process::command(Path::new("git"));
        command.arg("-C").arg(&self.directory).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(TIMEOUT, command.output()).await {
            Ok(Ok(output)) if output.status.success() => {
                Git::Said(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Ok(Ok(_)) => Git::No,
            Ok(Err(_)) | Err(_) => Git::Silent,
        }
    }
}

/// What git says.
#[derive(Debug, PartialEq, Eq)]
enum Git {
    /// This.
    Said(String),
    /// That it cannot be.
    No,
    /// Nothing: it is not there, or takes too long.
    Silent,
}
