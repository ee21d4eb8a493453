//! Removing a worktree.

use std::{io, path::Path};

use super::{Git, apply, error::RepositoryError, files, worktree::Worktree};

const ACTION: &str = "remove a worktree";

impl Worktree {
    /// Removes it and its branch, whatever is in them. What is gone already is no error.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails, or a folder cannot be removed.
    pub async fn remove(&self, git: &Git) -> Result<(), RepositoryError> {
        apply::clean_up(&self.journal());
        self.remove_folders().await?;
        if !self.root.is_dir() {
            return Ok(());
        }
        if self.branch.is_empty() {
            let own = git.repository(&self.root);
            // It was never made completely: git's part of it may be there.
            return match own.layout().await {
                Ok(layout) => remove_unfinished(&layout.common_dir, &self.path).await,
                Err(_) => Ok(()),
            };
        }
        let (_, shadow) = self.home(git, &[]).await?;
        let branch = format!("refs/heads/{}", self.branch);
        // Codex can have made it stand for another branch, which is not ours to remove.
        shadow.text("remove a branch", &["update-ref", "--no-deref", "-d", &branch]).await?;
        let log = Path::new("logs").join(&branch);
        if let Ok(log) = files::plain_below(&self.common_dir, &log) {
            // There is one if Codex has committed.
            drop(tokio::fs::remove_file(log).await);
        }
        Ok(())
    }

    /// Removes its folders by their names: git would ask the worktree where it is.
    pub(super) async fn remove_folders(&self) -> Result<(), RepositoryError> {
        let is_made = !self.git_dir.as_os_str().is_empty();
        if is_made && let Some(name) = self.git_dir.file_name() {
            let place = Path::new("worktrees").join(name);
            files::plain_below(&self.common_dir, &place).map_err(failed)?;
        }
        let git_dir = is_made.then(|| self.git_dir.clone());
        for folder in [Some(self.path.clone()), git_dir, Some(self.objects())].into_iter().flatten()
        {
            remove_folder(&folder).await?;
        }
        // There is none if it was never made completely.
        drop(tokio::fs::remove_file(self.first_index()).await);
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn failed(error: io::Error) -> RepositoryError {
    RepositoryError::Failed { action: "use the git folder", reason: error.to_string() }
}

async fn remove_folder(folder: &Path) -> Result<(), RepositoryError> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RepositoryError::Failed { action: ACTION, reason: error.to_string() })
        }
        _ => Ok(()),
    }
}

/// Removes what a killed server has handed over to the repository of a worktree that was not finished.
async fn remove_unfinished(common_dir: &Path, path: &Path) -> Result<(), RepositoryError> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let folder = common_dir.join("worktrees").join(name);
    let link = path.join(".git");
    let is_its =
        files::small_text(&folder.join("gitdir")).is_some_and(|it| Path::new(it.trim()) == link);
    if is_its { remove_folder(&folder).await } else { Ok(()) }
}
