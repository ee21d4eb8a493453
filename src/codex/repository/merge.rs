//! Bringing what a worktree has changed into the user's own working tree: all of it, or nothing.

use std::path::Path;

use super::{changes::temporary, error::RepositoryError, git::Repository, worktree::Worktree};

/// How a patch is written so that `git apply` takes it, whatever the user has configured.
const PATCH: [&str; 10] = [
    "diff",
    "--binary",
    "--full-index",
    "--no-renames",
    "--unified=3",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

const ACTION: &str = "merge the changes";

impl Worktree {
    /// Merges what has changed since the worktree began, or since `applied`, the state of it that was merged last, into
    /// the user's working tree. Returns the files that were changed there, and the state of the worktree that is there
    /// now.
    ///
    /// # Errors
    /// [`RepositoryError::Conflicts`] names the files that both have changed, [`RepositoryError::Nested`] the repositories
    /// of which git takes nothing. Whatever the error is, nothing has changed.
    pub async fn merge(
        &self,
        applied: Option<&str>,
    ) -> Result<(Vec<String>, String), RepositoryError> {
        let own = self.own();
        let theirs = self.snapshot().await?;
        let nested = self.nested(&theirs).await?;
        if !nested.is_empty() {
            return Err(RepositoryError::Nested { paths: nested });
        }
        let ours = own.snapshot().await?;
        let base = match applied {
            Some(applied) => own.commit_of(applied, &self.base, "applied").await?,
            None => self.base.clone(),
        };
        let ours_now = own.commit_of(&ours, &base, "ours").await?;
        let theirs_now = own.commit_of(&theirs, &base, "theirs").await?;
        let result = own.merged(&ours_now, &theirs_now).await?;
        let changed = ["diff", "--name-only", "--no-renames", "-z", &ours, &result];
        let changed = own.run(ACTION, &changed, &[], u64::MAX).await?.succeeded(ACTION)?;
        let changed = String::from_utf8_lossy(&changed.bytes).into_owned();
        let files: Vec<String> =
            changed.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect();
        if !files.is_empty() {
            own.become_like(&ours, &result, &files).await?;
        }
        // The next merge begins with it.
        own.hold("applied", &self.branch, &theirs_now).await?;
        Ok((files, theirs))
    }
}

impl Repository {
    /// The tree that a merge of two commits results in.
    async fn merged(&self, ours: &str, theirs: &str) -> Result<String, RepositoryError> {
        let merge = ["merge-tree", "--write-tree", "--name-only", "--no-messages", ours, theirs];
        let merged = self.run(ACTION, &merge, &[], u64::MAX).await?;
        let is_clean = merged.is_success();
        let text = String::from_utf8_lossy(&merged.bytes).into_owned();
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let Some(result) = lines.next() else {
            let reason = "this needs git 2.38 or newer".to_owned();
            let failed = RepositoryError::Failed { action: ACTION, reason };
            return Err(merged.succeeded(ACTION).err().unwrap_or(failed));
        };
        if !is_clean {
            return Err(RepositoryError::Conflicts { files: lines.map(str::to_owned).collect() });
        }
        Ok(result.to_owned())
    }

    /// Changes the working tree from one state to another. If that cannot be done it is as before.
    async fn become_like(
        &self,
        ours: &str,
        result: &str,
        files: &[String],
    ) -> Result<(), RepositoryError> {
        let patch = [PATCH.as_slice(), &[ours, result]].concat();
        let patch = self.run(ACTION, &patch, &[], u64::MAX).await?.succeeded(ACTION)?.bytes;
        // Git checks all of it first: a file that has changed meanwhile, or that git ignores here, stops it.
        let apply = ["apply", "--whitespace=nowarn", "-"];
        let applied = self.run(ACTION, &apply, &patch, u64::MAX).await?;
        let Err(error) = applied.succeeded(ACTION) else { return Ok(()) };
        // What the file system refuses comes in the middle.
        self.restore(ours, result, files).await?;
        Err(match error {
            RepositoryError::Failed { reason, .. }
                if reason.contains("already exists in working directory") =>
            {
                let named = reason.lines().filter_map(|line| line.strip_prefix("error: "));
                let files = named
                    .filter_map(|line| line.strip_suffix(": already exists in working directory"));
                RepositoryError::Conflicts { files: files.map(str::to_owned).collect() }
            }
            other => other,
        })
    }

    /// Puts files back to how they were before a change that stopped half-way.
    async fn restore(
        &self,
        ours: &str,
        result: &str,
        files: &[String],
    ) -> Result<(), RepositoryError> {
        let action = "undo what was changed";
        let folder = temporary()?;
        let before = self.with_index(&folder.path().join("index"));
        before.text(action, &["read-tree", ours]).await?;
        for file in files {
            let at = |tree: &str| format!("{tree}:{file}");
            let known = ["rev-parse", "--verify", "--quiet", &at(ours)];
            let path = self.directory.join(file);
            if self.succeeds(action, &known).await? {
                before.text(action, &["checkout-index", "--force", "--", file]).await?;
            } else if self.is_blob(&path, &at(result)).await? {
                // It is ours: nothing else was there before.
                drop(tokio::fs::remove_file(&path).await);
            }
        }
        Ok(())
    }

    /// Whether a file is what a tree has there.
    async fn is_blob(&self, path: &Path, blob: &str) -> Result<bool, RepositoryError> {
        let action = "undo what was changed";
        if !path.is_file() {
            return Ok(false);
        }
        let place = path.to_string_lossy();
        let is = self.text(action, &["hash-object", "--", &place]).await?;
        Ok(is == self.text(action, &["rev-parse", "--verify", blob]).await?)
    }
}
