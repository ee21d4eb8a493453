//! Bringing what a worktree has changed into the user's own working tree: all of it, or nothing.

use std::{collections::BTreeSet, path::Path};

use super::{
    Git,
    changes::{COMPARE, PATCH},
    command::LIST,
    error::RepositoryError,
    files,
    shadow::{Objects, Shadow},
    snapshot::path_of,
    worktree::Worktree,
};

/// What a patch has besides so that `git apply` takes all of it.
const WHOLE: [&str; 4] = ["--binary", "--full-index", "--no-renames", "--unified=3"];

const ACTION: &str = "merge the changes";

/// The largest patch that is held, in bytes.
const PATCH_LIMIT: u64 = 1024 * 1024 * 1024;

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
        git: &Git,
        applied: Option<&str>,
    ) -> Result<(Vec<String>, String), RepositoryError> {
        let inside = git.inside(self, &self.path);
        // The next merge begins with this state, so its objects last.
        let theirs = inside.shadow(Objects::In(self.objects()), &[]).await?;
        let theirs = inside.snapshot_in(&theirs).await?;
        if !theirs.nested.is_empty() {
            return Err(RepositoryError::Nested { paths: theirs.nested });
        }
        let (repository, own) = self.home(git, &[self.objects()]).await?;
        let ours = repository.snapshot_in(&own).await?.tree;
        let base = match applied {
            Some(applied) => own.commit_of(applied, &self.base, "applied").await?,
            None => self.base.clone(),
        };
        let ours_now = own.commit_of(&ours, &base, "ours").await?;
        let theirs_now = own.commit_of(&theirs.tree, &base, "theirs").await?;
        let result = own.merged(&ours_now, &theirs_now).await?;
        let names = ["--name-only", "--no-renames", "-z", &ours, &result];
        let changed = [COMPARE.as_slice(), &names].concat();
        let changed = own.run(ACTION, &changed, &[], LIST).await?.succeeded(ACTION)?;
        let files: Vec<Vec<u8>> = changed.parts(ACTION)?.into_iter().map(<[u8]>::to_vec).collect();
        if !files.is_empty() {
            own.become_like(&ours, &result, &files).await?;
        }
        let files = files.iter().map(|file| String::from_utf8_lossy(file).into_owned());
        Ok((files.collect(), theirs.tree))
    }
}

impl Shadow {
    /// The tree that a merge of two commits results in.
    async fn merged(&self, ours: &str, theirs: &str) -> Result<String, RepositoryError> {
        let merge = ["merge-tree", "--write-tree", "--name-only", "--no-messages", ours, theirs];
        let merged = self.run(ACTION, &merge, &[], LIST).await?;
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
        files: &[Vec<u8>],
    ) -> Result<(), RepositoryError> {
        let patch = [COMPARE.as_slice(), &PATCH, &WHOLE, &[ours, result]].concat();
        let patch = self.run(ACTION, &patch, &[], PATCH_LIMIT).await?.succeeded(ACTION)?;
        if patch.length > PATCH_LIMIT {
            let reason = format!("the changes are {} MiB", patch.length >> 20);
            return Err(RepositoryError::Failed { action: ACTION, reason });
        }
        let patch = patch.bytes;
        // Git checks all of it first: a file that has changed meanwhile, or that git ignores here, stops it.
        let apply = ["apply", "--whitespace=nowarn", "-"];
        let applied = self.run(ACTION, &apply, &patch, LIST).await?;
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
        files: &[Vec<u8>],
    ) -> Result<(), RepositoryError> {
        let action = "undo what was changed";
        let before = self.file("before");
        let run = async |arguments: &[&str], input: &[u8]| {
            let ran = self.run_on(&before, action, arguments, input, LIST).await?;
            ran.succeeded(action)
        };
        run(&["read-tree", ours], &[]).await?;
        let known = run(&["ls-files", "-z", "--cached"], &[]).await?;
        let known: BTreeSet<&[u8]> = known.parts(action)?.into_iter().collect();
        for file in files {
            let name = [file, &b"\0"[..]].concat();
            // Nothing is undone through a link, where git has changed nothing either.
            let Ok(path) = files::plain_below(&self.layout.top, &path_of(file)) else { continue };
            if known.contains(file.as_slice()) {
                run(&["checkout-index", "--force", "-z", "--stdin"], &name).await?;
            } else if self
                .is_blob(&path, &format!("{result}:{}", String::from_utf8_lossy(file)))
                .await?
            {
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
