//! The changes that a review looks at, as one diff. Never cut: what is too large is refused.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Repository,
    error::RepositoryError,
    shadow::{Objects, Shadow},
    worktree::Worktree,
};

/// What is reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReviewTarget {
    /// What is staged, unstaged and untracked.
    UncommittedChanges,
    /// What the current branch has changed since it left this one, with what is not committed yet.
    BaseBranch { branch: String },
    /// What a commit changed.
    Commit { sha: String },
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

/// How two trees are compared. `diff-tree` follows none of the user's settings for diffs.
///
/// Without the last word git reads `.gitmodules`, and one that is not in order stops it.
pub(super) const COMPARE: [&str; 3] = ["diff-tree", "-r", "--ignore-submodules=dirty"];

/// How a difference is written.
pub(super) const PATCH: [&str; 7] = [
    "--patch",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// How many of the largest files are named when there is too much.
const LARGEST: usize = 5;

const ACTION: &str = "compare";

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
        let kept = self.worktree.as_ref().map(Worktree::objects);
        let alternates: Vec<_> = kept.into_iter().chain([self.git.snapshots_of(&root)?]).collect();
        let shadow = self.shadow(Objects::Passing, &alternates).await?;
        let from = match target {
            ReviewTarget::Commit { sha } => shadow.commit("commit", sha).await?,
            ReviewTarget::BaseBranch { branch } => {
                let base = shadow.commit("branch", branch).await?;
                shadow.merge_base(&base, branch).await?
            }
            ReviewTarget::Since { tree } => shadow.tree(tree).await?,
            ReviewTarget::UncommittedChanges | ReviewTarget::Custom => match shadow.head().await? {
                Some(head) => head,
                None => shadow.before(None).await?,
            },
        };
        let specs = self.pathspecs(&root, paths).await?;
        let (from, to) = match target {
            ReviewTarget::Commit { .. } => (shadow.before(Some(&from)).await?, from),
            _ => (from, self.snapshot_in(&shadow).await?.tree),
        };
        let diff = shadow.diff(&from, &to, &specs, limit).await?;
        if diff.trim().is_empty() {
            let place = root.display();
            let only = if paths.is_empty() { "" } else { " of those paths" };
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
}

impl Shadow {
    /// The last commit that what is checked out and `base` have in common.
    async fn merge_base(&self, base: &str, branch: &str) -> Result<String, RepositoryError> {
        let found = self.text("find where the branch began", &["merge-base", "HEAD", base]).await;
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

    /// The difference between two trees, whole.
    ///
    /// # Errors
    /// [`RepositoryError::TooLarge`] if it is over `limit` bytes. It is counted as it comes, not held.
    async fn diff(
        &self,
        from: &str,
        to: &str,
        pathspecs: &[String],
        limit: u64,
    ) -> Result<String, RepositoryError> {
        let paths: Vec<&str> =
            ["--"].into_iter().chain(pathspecs.iter().map(String::as_str)).collect();
        let renames = ["--find-renames", "--unified=3", from, to];
        let arguments = [COMPARE.as_slice(), &PATCH, &renames, &paths].concat();
        let output = self.run(ACTION, &arguments, &[], limit).await?.succeeded(ACTION)?;
        if output.length > limit {
            return Err(self.too_large(from, to, &paths, output.length, limit).await?);
        }
        Ok(String::from_utf8_lossy(&output.bytes).into_owned())
    }

    async fn too_large(
        &self,
        from: &str,
        to: &str,
        paths: &[&str],
        bytes: u64,
        limit: u64,
    ) -> Result<RepositoryError, RepositoryError> {
        let counted = [COMPARE.as_slice(), &["--numstat", from, to], paths].concat();
        let counted = self.text(ACTION, &counted).await?;
        let mut files: Vec<(u64, &str)> = counted.lines().filter_map(lines_of).collect();
        files.sort_by(|one, other| other.cmp(one));
        let largest = files.iter().take(LARGEST);
        let largest = largest.map(|(lines, path)| format!("`{path}` ({lines} lines)"));
        let largest = largest.collect::<Vec<_>>().join(", ");
        Ok(RepositoryError::TooLarge { bytes, limit, largest })
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
