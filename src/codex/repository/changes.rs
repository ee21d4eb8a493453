//! The changes that a review looks at, as one diff. Never cut: what is too large is refused.

use std::path::{Component, Path, PathBuf};

use super::{
    error::RepositoryError,
    git::{Repository, copy_index},
};

/// What is reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewTarget {
    /// What is staged, unstaged and untracked.
    UncommittedChanges,
    /// What the current branch has changed since it left this one, with what is not committed yet.
    BaseBranch {
        /// The branch.
        branch: String,
    },
    /// What a commit changed.
    Commit {
        /// The commit.
        sha: String,
    },
    /// What has changed in the working tree since it was like this commit or tree.
    Since {
        /// The commit or tree.
        tree: String,
    },
    /// Whatever the prompt says.
    Custom,
}

/// Changes to a code base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The top directory of the repository, to which the paths in the diff are relative.
    pub root: PathBuf,
    /// A diff in git's format, with the prefixes `a/` and `b/`.
    pub diff: String,
}

/// How a diff is written, whatever the user has configured.
const DIFF: [&str; 7] = [
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--find-renames",
    "--unified=3",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// How many of the largest files are named when there is too much.
const LARGEST: usize = 5;

impl Repository {
    /// The changes to review, at most `limit` bytes of them, in `paths` alone if there are any. `None` for
    /// [`ReviewTarget::Custom`].
    ///
    /// # Errors
    /// [`RepositoryError`]; each of them before any model is asked.
    pub async fn changes(
        &self,
        target: &ReviewTarget,
        paths: &[String],
        limit: u64,
    ) -> Result<Option<Changes>, RepositoryError> {
        if *target == ReviewTarget::Custom {
            return Ok(None);
        }
        let root = self.root().await?;
        let at_root = Self { directory: root.clone(), ..self.clone() };
        let folder = temporary()?;
        let working = at_root.with_index(&folder.path().join("index"));
        let (from, repository) = match target {
            ReviewTarget::Commit { sha } => {
                let commit = self.commit("commit", sha).await?;
                (From::Commit(commit), &at_root)
            }
            ReviewTarget::BaseBranch { branch } => {
                let base = self.commit("branch", branch).await?;
                let merge_base = self.merge_base(&base, branch).await?;
                working.add_untracked().await?;
                (From::Tree(merge_base), &working)
            }
            ReviewTarget::Since { tree } => {
                let tree = self.tree(tree).await?;
                working.add_untracked().await?;
                (From::Tree(tree), &working)
            }
            ReviewTarget::UncommittedChanges | ReviewTarget::Custom => {
                working.add_untracked().await?;
                (From::Tree(self.head_tree().await?), &working)
            }
        };
        let paths_given = paths;
        let paths = self.pathspecs(&root, paths_given).await?;
        let diff = repository.diff(&from, &paths, limit).await?;
        if diff.trim().is_empty() {
            let place = root.display();
            let only = if paths_given.is_empty() { "" } else { " of those paths" };
            return Err(RepositoryError::Unchanged(match target {
                ReviewTarget::BaseBranch { branch } => {
                    format!("nothing{only} has changed against `{branch}` in `{place}`")
                }
                ReviewTarget::Commit { sha } => {
                    format!("commit `{sha}` changes no files{only} in `{place}`")
                }
                _ => format!("nothing{only} is uncommitted in `{place}`"),
            }));
        }
        Ok(Some(Changes { root, diff }))
    }

    /// The top directory of the repository.
    ///
    /// # Errors
    /// [`RepositoryError::None`] if the directory is in none.
    pub async fn root(&self) -> Result<PathBuf, RepositoryError> {
        let action = "find the repository";
        let arguments = ["rev-parse", "--show-toplevel"];
        match self.text(action, &arguments).await {
            Ok(root) if !root.is_empty() => Ok(root.into()),
            // A bare repository has no top directory.
            Ok(_) => Err(RepositoryError::None(self.directory.clone())),
            Err(RepositoryError::Failed { reason, .. })
                if reason.contains("not a git repository")
                    || reason.contains("must be run in a work tree") =>
            {
                Err(RepositoryError::None(self.directory.clone()))
            }
            Err(error) => Err(error),
        }
    }

    /// The id of a commit.
    pub(super) async fn commit(
        &self,
        kind: &'static str,
        name: &str,
    ) -> Result<String, RepositoryError> {
        let unknown = || RepositoryError::Unknown {
            kind,
            name: name.to_owned(),
            directory: self.directory.clone(),
        };
        // A name like this would be an option.
        if name.starts_with('-') {
            return Err(unknown());
        }
        let commit = format!("{name}^{{commit}}");
        let id = self.text("find a commit", &["rev-parse", "--verify", "--quiet", &commit]).await;
        match id {
            Err(RepositoryError::Failed { reason, .. }) if reason.starts_with("exit status") => {
                Err(unknown())
            }
            other => other,
        }
    }

    /// The id of a commit or a tree.
    async fn tree(&self, name: &str) -> Result<String, RepositoryError> {
        let (kind, directory) = ("commit or tree", self.directory.clone());
        let unknown = RepositoryError::Unknown { kind, name: name.to_owned(), directory };
        if name.starts_with('-') {
            return Err(unknown);
        }
        let tree = format!("{name}^{{tree}}");
        let id = self.text("find a tree", &["rev-parse", "--verify", "--quiet", &tree]).await;
        id.map_err(|error| match error {
            RepositoryError::Failed { reason, .. } if reason.starts_with("exit status") => unknown,
            other => other,
        })
    }

    /// The commit that is checked out. `None` if there is none yet.
    pub(super) async fn head(&self) -> Result<Option<String>, RepositoryError> {
        match self.commit("commit", &self.head_name()).await {
            Ok(id) => Ok(Some(id)),
            Err(RepositoryError::Unknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is checked out, for git.
    fn head_name(&self) -> String {
        match &self.apart {
            Some(apart) => format!("refs/heads/{}", apart.branch),
            None => "HEAD".to_owned(),
        }
    }

    /// What is compared with: the commit that is checked out, or the empty tree if there is none yet.
    async fn head_tree(&self) -> Result<String, RepositoryError> {
        match self.head().await? {
            Some(head) => Ok(head),
            None => {
                self.text("make the empty tree", &["hash-object", "-t", "tree", "--stdin"]).await
            }
        }
    }

    async fn merge_base(&self, base: &str, branch: &str) -> Result<String, RepositoryError> {
        let arguments = ["merge-base", &self.head_name(), base];
        let found = self.text("find where the branch began", &arguments).await;
        found.map_err(|error| match error {
            RepositoryError::Failed { action, reason } if reason.starts_with("exit status") => {
                let reason = format!(
                    "this branch and `{branch}` have no common commit here; if the clone is shallow, \
                     `git fetch --unshallow` gets the rest"
                );
                RepositoryError::Failed { action, reason }
            }
            other => other,
        })
    }

    /// Fills this index with the working tree's own, and with the names of untracked files that are not ignored.
    async fn add_untracked(&self) -> Result<(), RepositoryError> {
        let action = "read the working tree";
        self.copy_index().await?;
        self.text(action, &["add", "--intent-to-add", "--all", "--", ":/"]).await.map(drop)
    }

    /// Makes this index a copy of the working tree's own.
    pub(super) async fn copy_index(&self) -> Result<(), RepositoryError> {
        let action = "read the working tree";
        if let (Some(apart), Some(to)) = (&self.apart, &self.index) {
            // Its own index is Codex's to write.
            let known = apart.top.with_extension("index");
            if copy_index(&known, to).await.is_err() {
                self.text(action, &["read-tree", &self.head_name()]).await?;
            }
            return Ok(());
        }
        let own = Self::at(&self.directory);
        let index = own.text(action, &["rev-parse", "--git-path", "index"]).await?;
        if let Some(to) = &self.index {
            // Copied, so that git need not read every file again. There is none before the first `git add`.
            match copy_index(&self.directory.join(index), to).await {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(RepositoryError::Failed { action, reason: error.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Paths as a caller gives them, from where it works, as pathspecs from the top.
    async fn pathspecs(
        &self,
        root: &Path,
        paths: &[String],
    ) -> Result<Vec<String>, RepositoryError> {
        let real = async |path: &Path| {
            // The part that there is, without links.
            for part in path.ancestors() {
                if let Ok(real) = tokio::fs::canonicalize(part).await {
                    return real.join(path.strip_prefix(part).unwrap_or(Path::new("")));
                }
            }
            path.to_owned()
        };
        let mut specs = Vec::new();
        for path in paths {
            let whole = real(&plain(&self.directory.join(path))).await;
            let Ok(below) = whole.strip_prefix(real(root).await) else {
                let (name, directory) = (path.clone(), self.directory.clone());
                return Err(RepositoryError::Unknown { kind: "path", name, directory });
            };
            specs.push(format!(":(top,literal){}", below.display()));
        }
        Ok(specs)
    }

    async fn diff(
        &self,
        from: &From,
        pathspecs: &[String],
        limit: u64,
    ) -> Result<String, RepositoryError> {
        let action = "compare";
        let paths: Vec<&str> =
            ["--"].into_iter().chain(pathspecs.iter().map(String::as_str)).collect();
        let arguments = [from.arguments().as_slice(), &DIFF, &paths].concat();
        let output = self.run(action, &arguments, &[], limit.saturating_add(1)).await?;
        if output.bytes.len() as u64 > limit {
            return Err(self.too_large(from, &paths, limit).await?);
        }
        Ok(String::from_utf8_lossy(&output.succeeded(action)?.bytes).into_owned())
    }

    async fn too_large(
        &self,
        from: &From,
        paths: &[&str],
        limit: u64,
    ) -> Result<RepositoryError, RepositoryError> {
        let action = "compare";
        let whole = [from.arguments().as_slice(), &DIFF, paths].concat();
        let bytes = self.run(action, &whole, &[], u64::MAX).await?.bytes.len() as u64;
        let counted = [from.arguments().as_slice(), &["--numstat"], paths].concat();
        let counted = self.text(action, &counted).await?;
        let mut files: Vec<(u64, &str)> = counted.lines().filter_map(lines_of).collect();
        files.sort_by(|one, other| other.cmp(one));
        let largest = files.iter().take(LARGEST);
        let largest = largest.map(|(lines, path)| format!("`{path}` ({lines} lines)"));
        let largest = largest.collect::<Vec<_>>().join(", ");
        Ok(RepositoryError::TooLarge { bytes, limit, largest })
    }
}

/// A folder for an index.
pub(super) fn temporary() -> Result<tempfile::TempDir, RepositoryError> {
    tempfile::tempdir().map_err(|error| RepositoryError::Failed {
        action: "make a folder for an index",
        reason: error.to_string(),
    })
}

/// Where a diff begins.
enum From {
    /// A tree that the working tree is compared with.
    Tree(String),
    /// The parent of this commit, which is compared with the commit.
    Commit(String),
}

impl From {
    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Tree(tree) => vec!["diff", tree],
            Self::Commit(commit) => vec!["show", "--format=", "-m", "--first-parent", commit],
        }
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// A line of `--numstat`: how many lines of a file have changed.
fn lines_of(line: &str) -> Option<(u64, &str)> {
    let mut parts = line.splitn(3, '\t');
    let (added, removed, path) = (parts.next()?, parts.next()?, parts.next()?);
    // Of binary files git does not say.
    let count = |text: &str| text.parse::<u64>().unwrap_or_default();
    Some((count(added) + count(removed), path))
}
