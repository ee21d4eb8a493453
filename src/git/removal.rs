//! Removing a worktree, and what a sandbox must leave open for commits in it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Git, error::RepositoryError, files, shadow::Objects, worktree::Worktree};

const ACTION: &str = "remove a worktree";

impl Worktree {
    /// Removes it and its branch, whatever is in them. What is gone already is no error.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails, or a folder cannot be removed.
    pub async fn remove(&self, git: &Git) -> Result<(), RepositoryError> {
        self.remove_folders().await?;
        if !self.root.is_dir() {
            return Ok(());
        }
        let own = git.repository(&self.root);
        if self.branch.is_empty() {
            // It was never made completely: git's part of it may be there.
            return match own.layout().await {
                Ok(layout) => remove_unfinished(&layout.common_dir, &self.path).await,
                Err(_) => Ok(()),
            };
        }
        let shadow = own.shadow(Objects::Passing, &[]).await?;
        let branch = format!("refs/heads/{}", self.branch);
        shadow.text("remove a branch", &["update-ref", "-d", &branch]).await.map(drop)
    }

    /// Removes its folders by their names: git would ask the worktree where it is.
    pub(super) async fn remove_folders(&self) -> Result<(), RepositoryError> {
        let is_made = !self.git_dir.as_os_str().is_empty();
        let git_dir = is_made.then(|| self.git_dir.clone());
        for folder in [Some(self.path.clone()), git_dir, Some(self.objects())].into_iter().flatten()
        {
            remove_folder(&folder).await?;
        }
        // There is none if it was never made completely.
        drop(tokio::fs::remove_file(self.first_index()).await);
        Ok(())
    }

    /// What a sandbox must let commands write so that they can commit in it, and no more: the git folder of the worktree,
    /// objects, and the branches beside its own. Makes those folders that git makes when needed.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if a folder cannot be made.
    pub async fn writable_for_commits(&self) -> Result<Vec<PathBuf>, RepositoryError> {
        let mut folders = vec![self.git_dir.clone(), self.common_dir.join("objects")];
        if self.common_dir.join("reftable").is_dir() {
            folders.push(self.common_dir.join("reftable"));
        } else {
            let folder = self.branch.rsplit_once('/').map_or("", |(folder, _)| folder);
            folders.push(self.common_dir.join("refs/heads").join(folder));
            folders.push(self.common_dir.join("logs/refs/heads").join(folder));
        }
        for folder in &folders {
            tokio::fs::create_dir_all(folder).await.map_err(|error| {
                let action = "find the repository";
                RepositoryError::Failed { action, reason: error.to_string() }
            })?;
        }
        Ok(folders)
    }
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
