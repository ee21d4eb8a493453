//! Whether a worktree has what is nowhere else, and keeping that on its branch.
//!
//! Who asks, and what the user is told, is not known here.

use super::{
    Git,
    error::RepositoryError,
    files,
    shadow::{Objects, Shadow},
    worktree::Worktree,
};

const ACTION: &str = "keep the changes";

impl Worktree {
    /// Whether something in it is nowhere else: its state is not what it began with, not `applied`, and not what another
    /// branch has; or it has commits that no other branch has and whose content was not applied; or it has repositories
    /// inside, which git does not enter.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails.
    pub async fn is_only_there(
        &self,
        git: &Git,
        applied: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        let (_, own) = self.home(git, &[self.objects()]).await?;
        let tip = format!("refs/heads/{}", self.branch);
        let has_tip = own.has(&tip).await?;
        let tree_of = async |commit: &str| {
            own.text("compare", &["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).await
        };
        let state = if self.path.is_dir() {
            let inside = git.inside(self, &self.path);
            let shadow = inside.shadow(Objects::Passing, &[self.objects()]).await?;
            let state = inside.snapshot_in(&shadow).await?;
            if !state.nested.is_empty() || !state.submodules.is_empty() {
                return Ok(true);
            }
            state.tree
        } else if has_tip {
            tree_of(&tip).await?
        } else {
            return Ok(false);
        };
        if self.is_detached_with_commits(&own, &tip).await? {
            return Ok(true);
        }
        let is_applied = Some(state.as_str()) == applied;
        let is_untouched = state == tree_of(&self.base).await?;
        if !has_tip || is_applied {
            return Ok(!is_applied && !is_untouched);
        }
        let is_committed = state == tree_of(&tip).await?;
        Ok(!(is_committed || is_untouched) || self.has_commits(&own, &tip).await?)
    }

    /// Whether its branch has commits that no other branch has.
    async fn has_commits(&self, own: &Shadow, tip: &str) -> Result<bool, RepositoryError> {
        let exclude = format!("--exclude={}", self.branch);
        let count = [
            "rev-list",
            "--count",
            tip,
            &format!("^{}", self.base),
            "--not",
            &exclude,
            "--branches",
            "--remotes",
        ];
        Ok(own.text("count commits", &count).await? != "0")
    }

    /// Whether something else than its branch is checked out, which the branch does not have. What its own git folder
    /// says is read as text.
    async fn is_detached_with_commits(
        &self,
        own: &Shadow,
        tip: &str,
    ) -> Result<bool, RepositoryError> {
        let head = files::small_text(&self.git_dir.join("HEAD")).unwrap_or_default();
        let head = head.trim();
        if head.len() < 40 || !head.chars().all(|c| c.is_ascii_hexdigit()) || !own.has(head).await?
        {
            return Ok(false);
        }
        let arguments = ["merge-base", "--is-ancestor", head, tip];
        Ok(!own.succeeds("compare commits", &arguments).await?)
    }

    /// Commits what is not committed to its branch, so that it lasts without the worktree, which is removed.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails, or cannot keep all of it; then the worktree stays.
    pub async fn keep(&self, git: &Git) -> Result<(), RepositoryError> {
        let inside = git.inside(self, &self.path);
        // The user is to find them there.
        let shadow = inside.shadow(Objects::Repository, &[self.objects()]).await?;
        let tip = format!("refs/heads/{}", self.branch);
        let state = inside.snapshot_in(&shadow).await?;
        let nested: Vec<_> = state.nested.into_iter().chain(state.submodules).collect();
        if !nested.is_empty() {
            return Err(RepositoryError::Nested { paths: nested });
        }
        if self.is_detached_with_commits(&shadow, &tip).await? {
            let reason = "something else than its branch is checked out".to_owned();
            return Err(RepositoryError::Failed { action: ACTION, reason });
        }
        let parent = shadow.text(ACTION, &["rev-parse", "--verify", &tip]).await?;
        let before =
            shadow.text(ACTION, &["rev-parse", "--verify", &format!("{tip}^{{tree}}")]).await?;
        if state.tree != before {
            let message = "What Codex had not committed";
            let commit = shadow.commit_of(&state.tree, &parent, message).await?;
            shadow.text(ACTION, &["update-ref", "--no-deref", &tip, &commit, &parent]).await?;
        }
        self.remove_folders().await
    }
}
