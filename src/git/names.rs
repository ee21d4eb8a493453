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
        Ok(self.folder("snapshots")?.join(short_name(root)))
    }

    /// The file that is locked while changes are applied to a working tree.
    pub(super) fn lock_of(&self, top: &Path) -> Result<PathBuf, RepositoryError> {
        Ok(self.folder("applying")?.join(short_name(top)))
    }
}

/// A name that stands for a path.
fn short_name(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let parts: Vec<String> = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    parts.concat()
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
        if !is_name(name) {
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

/// Whether this is the name of a commit and no more: an id, a ref or `@`, then steps to ancestors (`~2`, `^`) or to what a
/// ref was (`@{1}`). Git takes much else for a name, such as an option, or a search for a message by a regular expression,
/// which can take all memory there is.
fn is_name(name: &str) -> bool {
    let first = ['~', '^'].iter().filter_map(|step| name.find(*step)).chain(name.find("@{")).min();
    let (reference, mut steps) = name.split_at(first.unwrap_or(name.len()));
    let is_odd = |letter: char| letter.is_control() || " :?*[\\{}".contains(letter);
    if reference.starts_with('-') || reference.contains(is_odd) || reference.contains("..") {
        return false;
    }
    // `@{1}` and `@{upstream}` belong to the branch that is checked out.
    if reference.is_empty() && !steps.starts_with("@{") {
        return false;
    }
    while !steps.is_empty() {
        let rest = if let Some(inside) = steps.strip_prefix("@{") {
            let Some((what, rest)) = inside.split_once('}') else { return false };
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_. ".contains(letter);
            if what.is_empty() || !what.chars().all(is_plain) {
                return false;
            }
            rest
        } else {
            let Some(rest) = steps.strip_prefix(['~', '^']) else { return false };
            rest.trim_start_matches(|letter: char| letter.is_ascii_digit())
        };
        steps = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_name_is_no_question() {
        for good in [
            "HEAD",
            "@",
            "main",
            "codex/s",
            "refs/heads/ä",
            "v1.2-3",
            "0199abc",
            "HEAD~2^2~1",
            "main^^",
            "@{1}",
            "main@{upstream}",
            "main@{2 days ago}~1",
            "a@b",
            "stash@{0}^2",
        ] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--all",
            ":/x",
            ":/x{1,255}{1,255}",
            "HEAD^{/x}",
            "HEAD^{tree}",
            "HEAD:a",
            ":a",
            "a..b",
            "a...b",
            "a b",
            "a*",
            "a[b]",
            "a\\b",
            "a\0",
            "a\n",
            "^main",
            "~1",
            "HEAD~x",
            "HEAD^{",
            "@{/x}",
            "main@{",
            "main@{}",
            "HEAD^!",
            "HEAD^@",
            "HEAD^-",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
