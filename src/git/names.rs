//! Names of commits and trees, and commits of our own.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Git, command::LIST, error::RepositoryError, shadow::Shadow};

impl Git {
    /// A folder in our own.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if there is none.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, RepositoryError> {
        let folder = self.0.folder.as_ref().map(|folder| folder.join(name));
        folder.ok_or_else(|| RepositoryError::Failed {
            action: "make a private folder",
            reason: "there is no folder for state; set HOME or XDG_STATE_HOME".to_owned(),
        })
    }

    /// Where the objects of a repository's snapshots are kept.
    pub(super) fn snapshots_of(&self, root: &Path) -> Result<PathBuf, RepositoryError> {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let name: Vec<String> = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(self.folder("snapshots")?.join(name.concat()))
    }
}

impl Shadow {
    /// The id of a commit that a caller names. `kind` is what it calls it: `commit` or `branch`.
    ///
    /// # Errors
    /// [`RepositoryError::Unknown`] if there is none.
    pub(super) async fn commit(
        &self,
        kind: &'static str,
        name: &str,
    ) -> Result<String, RepositoryError> {
        self.object(kind, name, "commit").await
    }

    /// The id of a commit or a tree that a caller names, as that of the tree.
    ///
    /// # Errors
    /// [`RepositoryError::Unknown`] if there is none.
    pub(super) async fn tree(&self, name: &str) -> Result<String, RepositoryError> {
        self.object("commit or tree", name, "tree").await
    }

    async fn object(
        &self,
        kind: &'static str,
        name: &str,
        of: &str,
    ) -> Result<String, RepositoryError> {
        let directory = self.layout.top.clone();
        let unknown = || RepositoryError::Unknown { kind, name: name.to_owned(), directory };
        // A name that begins like this would be an option; one with a zero byte cannot be passed on.
        if name.starts_with('-') || name.contains('\0') {
            return Err(unknown());
        }
        let object = format!("{name}^{{{of}}}");
        let id = self.text("find a commit", &["rev-parse", "--verify", "--quiet", &object]).await;
        match id {
            Err(RepositoryError::Failed { reason, .. }) if reason.starts_with("exit status") => {
                Err(unknown())
            }
            other => other,
        }
    }

    /// The commit that is checked out. `None` if there is none yet.
    pub(super) async fn head(&self) -> Result<Option<String>, RepositoryError> {
        match self.commit("commit", "HEAD").await {
            Ok(id) => Ok(Some(id)),
            Err(RepositoryError::Unknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a commit is compared with: its first parent, or the empty tree if it has none. Without a commit: the empty tree.
    pub(super) async fn before(&self, commit: Option<&str>) -> Result<String, RepositoryError> {
        if let Some(commit) = commit {
            let parent = format!("{commit}^1^{{tree}}");
            let parent = ["rev-parse", "--verify", "--quiet", &parent];
            let found = self.run("find a commit", &parent, &[], LIST).await?;
            if found.is_success() {
                return Ok(String::from_utf8_lossy(&found.bytes).trim().to_owned());
            }
        }
        self.text("make the empty tree", &["hash-object", "-t", "tree", "--stdin"]).await
    }

    /// Whether a ref or object is there.
    pub(super) async fn has(&self, name: &str) -> Result<bool, RepositoryError> {
        self.succeeds("find a commit", &["rev-parse", "--verify", "--quiet", name]).await
    }

    /// Writes a commit of a tree.
    pub(super) async fn commit_of(
        &self,
        tree: &str,
        parent: &str,
        message: &str,
    ) -> Result<String, RepositoryError> {
        self.text("write a commit", &["commit-tree", tree, "-p", parent, "-m", message]).await
    }
}
