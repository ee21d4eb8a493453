//! Bringing what a worktree has changed into the user's own working tree: all of it, or nothing.

use std::collections::BTreeSet;

use super::{
    Git, apply,
    changes::COMPARE,
    command::LIST,
    error::RepositoryError,
    shadow::{Objects, Shadow},
    worktree::Worktree,
};

const ACTION: &str = "merge the changes";

impl Worktree {
    /// Merges what has changed since the worktree began, or since `applied`, the state of it that was merged last, into
    /// the user's working tree. Returns the files that were changed there, and the state of the worktree that is there
    /// now.
    ///
    /// # Errors
    /// [`RepositoryError::Conflicts`] names the files that both have changed, [`RepositoryError::Nested`] the repositories
    /// of which git takes nothing, [`RepositoryError::HalfWritten`] the files that could not be put back as they were.
    /// After any other error nothing has changed.
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
        // From here on no other apply writes, and the user's git is refused.
        let _held = own.hold().await?;
        apply::clean_up(&self.journal());
        let ours = repository.snapshot_of_all(&own).await?.tree;
        let base = match applied {
            Some(applied) => own.commit_of(applied, &self.base, "applied").await?,
            None => self.base.clone(),
        };
        let ours_now = own.commit_of(&ours, &base, "ours").await?;
        let theirs_now = own.commit_of(&theirs.tree, &base, "theirs").await?;
        let result = own.merged(&ours_now, &theirs_now).await?;
        own.check_removed(&base, &ours, &result).await?;
        let files = own.become_like(&ours, &result, &self.journal()).await?;
        Ok((files, theirs.tree))
    }
}

impl Shadow {
    /// Refuses to take away a file that the user has changed. Git would, where the worktree has renamed it: the changes are
    /// then in the new file, and in neither if we are killed in between.
    async fn check_removed(
        &self,
        base: &str,
        ours: &str,
        result: &str,
    ) -> Result<(), RepositoryError> {
        let names = async |filter: &str, from: &str, to: &str| {
            let names = ["--no-renames", "--name-only", "-z", filter, from, to];
            let names = [COMPARE.as_slice(), &names].concat();
            let listed = self.run(ACTION, &names, &[], LIST).await?.succeeded(ACTION)?;
            let names = listed.parts(ACTION)?.into_iter();
            Ok(names
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect::<BTreeSet<_>>())
        };
        let removed = names("--diff-filter=D", ours, result).await?;
        let changed = names("--diff-filter=AMT", base, ours).await?;
        let files: Vec<String> = removed.intersection(&changed).cloned().collect();
        if files.is_empty() { Ok(()) } else { Err(RepositoryError::Conflicts { files }) }
    }

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
}
