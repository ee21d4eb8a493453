//! Git worktrees: a place of its own to work in, the changes made there, and bringing them back.
//!
//! The state of a working tree, committed or not, untracked files included, is written as a tree object by way of an
//! index of our own: nobody's index is touched.

use std::path::{Path, PathBuf};

use super::{changes::temporary, error::RepositoryError, git::Repository};

/// Where refs are kept that only hold objects for us.
const REFS: &str = "refs/codex-mcp-server";

/// A worktree that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorktree {
    /// The top directory of the repository it belongs to.
    pub root: PathBuf,
    /// The branch that is checked out in it.
    pub branch: String,
    /// The commit its changes are counted from.
    pub base: String,
    /// What to know besides.
    pub warnings: Vec<String>,
}

/// What a new worktree begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin<'a> {
    /// This commit, or the one that is checked out.
    At(Option<&'a str>),
    /// The one that is checked out, with what is not committed yet.
    WithChanges,
    /// As another worktree is now, with its changes counted from the same commit.
    Like {
        /// The other worktree.
        path: &'a Path,
        /// The commit its changes are counted from.
        base: &'a str,
    },
}

/// How much has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// In how many files.
    pub files_changed: u32,
    /// Lines that were added; none of binary files.
    pub insertions: u32,
    /// Lines that were removed; none of binary files.
    pub deletions: u32,
}

impl Repository {
    /// Makes a worktree at `path`, which must not exist, on a new branch for `name`.
    ///
    /// # Errors
    /// [`RepositoryError`] if there is no repository, it has no commits, or git fails; then nothing is left of it.
    pub async fn add_worktree(
        &self,
        path: &Path,
        name: &str,
        begin: Begin<'_>,
    ) -> Result<NewWorktree, RepositoryError> {
        let root = self.root().await?;
        let own = Self::at(&root);
        let commit = match begin {
            Begin::At(Some(base)) => own.commit("commit", base).await?,
            Begin::Like { path, .. } => Self::at(path).commit("commit", "HEAD").await?,
            _ => own.head().await?.ok_or_else(|| RepositoryError::NoCommits(root.clone()))?,
        };
        let branch = own.free_branch(name).await?;
        let place = path.to_string_lossy().into_owned();
        let action = "make a worktree";
        own.text(action, &["worktree", "add", "--quiet", "-b", &branch, &place, &commit]).await?;
        let filled = own.fill(path, &branch, begin, &commit).await;
        match filled {
            Ok(base) => {
                let mut warnings = Vec::new();
                if root.join(".gitmodules").exists() {
                    warnings.push(
                        "The repository has submodules; git leaves them empty in a worktree."
                            .to_owned(),
                    );
                }
                Ok(NewWorktree { root, branch, base, warnings })
            }
            Err(error) => {
                own.remove_worktree(path, &branch).await?;
                Err(error)
            }
        }
    }

    /// Brings the changes into a new worktree. Returns the commit that its own changes are counted from.
    async fn fill(
        &self,
        path: &Path,
        branch: &str,
        begin: Begin<'_>,
        commit: &str,
    ) -> Result<String, RepositoryError> {
        let action = "bring the changes along";
        let new = Self::at(path);
        let lay = async |tree: &str| {
            new.text(action, &["read-tree", "-m", "-u", commit, tree]).await.map(drop)
        };
        match begin {
            Begin::At(_) => Ok(commit.to_owned()),
            Begin::Like { path, base } => {
                lay(&Self::at(path).snapshot().await?).await?;
                Ok(base.to_owned())
            }
            Begin::WithChanges => {
                let tree = self.snapshot().await?;
                lay(&tree).await?;
                // Kept by a ref, because git throws away what nothing names.
                let base = self.commit_of(&tree, commit, "what was not committed").await?;
                let name = format!("{REFS}/{branch}");
                self.text(action, &["update-ref", &name, &base]).await?;
                Ok(base)
            }
        }
    }

    /// A branch name that is not taken.
    async fn free_branch(&self, name: &str) -> Result<String, RepositoryError> {
        let action = "look for a branch";
        let is_taken = async |branch: &str| {
            self.holds(
                action,
                &["show-ref", "--verify", "--quiet", &format!("refs/heads/{branch}")],
            )
            .await
        };
        // A branch of that name leaves no room for branches below it.
        let folder = if is_taken("codex").await? { "codex-sessions" } else { "codex" };
        let mut branch = format!("{folder}/{name}");
        for number in 2..u32::MAX {
            if !is_taken(&branch).await? {
                break;
            }
            branch = format!("{folder}/{name}-{number}");
        }
        Ok(branch)
    }

    /// The state of the working tree, committed or not and untracked files included, as git's id of a tree.
    ///
    /// # Errors
    /// [`RepositoryError`] if there is no repository, or git fails.
    pub async fn snapshot(&self) -> Result<String, RepositoryError> {
        let action = "read the working tree";
        let folder = temporary()?;
        let mine = self.with_index(&folder.path().join("index"));
        mine.copy_index().await?;
        mine.text(action, &["add", "--all", "--", ":/"]).await?;
        mine.text(action, &["write-tree"]).await
    }

    async fn commit_of(
        &self,
        tree: &str,
        parent: &str,
        message: &str,
    ) -> Result<String, RepositoryError> {
        // Whoever uses this repository need not have told git a name.
        let by =
            ["-c", "user.name=codex-mcp-server", "-c", "user.email=codex-mcp-server@localhost"];
        let commit = ["commit-tree", tree, "-p", parent, "-m", message];
        self.text("write a commit", &[by.as_slice(), &commit].concat()).await
    }

    /// How much the working tree differs from a commit.
    ///
    /// # Errors
    /// [`RepositoryError`] if it is gone, or git fails.
    pub async fn extent(&self, base: &str) -> Result<Extent, RepositoryError> {
        let tree = self.snapshot().await?;
        let listed =
            self.text("compare", &["diff", "--numstat", "--no-renames", base, &tree]).await?;
        let mut extent = Extent::default();
        for line in listed.lines() {
            let mut counts = line.split('\t').map(|count| count.parse::<u32>().unwrap_or_default());
            extent.files_changed += 1;
            extent.insertions += counts.next().unwrap_or_default();
            extent.deletions += counts.next().unwrap_or_default();
        }
        Ok(extent)
    }

    /// The difference of the working tree to a commit, at most `limit` bytes of it, and whether that is all.
    ///
    /// # Errors
    /// [`RepositoryError`] if it is gone, or git fails.
    pub async fn difference(
        &self,
        base: &str,
        limit: u64,
    ) -> Result<(String, bool), RepositoryError> {
        let tree = self.snapshot().await?;
        let arguments = ["diff", "--no-color", "--no-ext-diff", "--find-renames", base, &tree];
        let output = self.run("compare", &arguments, &[], limit.saturating_add(1)).await?;
        let is_all = output.bytes.len() as u64 <= limit;
        let mut text = String::from_utf8_lossy(&output.bytes).into_owned();
        if !is_all {
            // Up to the end of a line.
            text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        }
        Ok((text, is_all))
    }

    /// Merges what the worktree at `path` has changed since `base`, or since the state of it that was merged last, into
    /// this working tree: all of it, or nothing. Returns the files that were changed here, and the state of the
    /// worktree that is here now.
    ///
    /// # Errors
    /// [`RepositoryError::Conflicts`] names the files that both have changed; then nothing is touched.
    pub async fn merge(
        &self,
        path: &Path,
        base: &str,
        applied: Option<&str>,
    ) -> Result<(Vec<String>, String), RepositoryError> {
        let action = "merge the changes";
        let root = self.root().await?;
        let own = Self::at(&root);
        let theirs = Self::at(path).snapshot().await?;
        let ours = own.snapshot().await?;
        let base = match applied {
            Some(applied) => own.commit_of(applied, base, "applied").await?,
            None => base.to_owned(),
        };
        let sides = [
            own.commit_of(&ours, &base, "ours").await?,
            own.commit_of(&theirs, &base, "theirs").await?,
        ];
        let merge = ["merge-tree", "--write-tree", "--name-only", "--no-messages"];
        let [ours_now, theirs_now] = &sides;
        let merge = [merge.as_slice(), &[ours_now, theirs_now]].concat();
        let merged = own.run(action, &merge, &[], u64::MAX).await?;
        let text = String::from_utf8_lossy(&merged.bytes).into_owned();
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let (Some(result), conflicts) =
            (lines.next(), lines.map(str::to_owned).collect::<Vec<_>>())
        else {
            let reason = "this needs git 2.38 or newer".to_owned();
            return Err(merged
                .succeeded(action)
                .err()
                .unwrap_or(RepositoryError::Failed { action, reason }));
        };
        if !conflicts.is_empty() {
            return Err(RepositoryError::Conflicts { files: conflicts });
        }
        let files =
            own.text(action, &["diff", "--name-only", "--no-renames", &ours, result]).await?;
        let change = own.patch(&ours, result).await?;
        if !change.is_empty() {
            // Git checks all of a patch before it writes any of it: a file that has changed meanwhile stops it.
            let apply = ["apply", "--whitespace=nowarn", "-"];
            own.run(action, &apply, &change, u64::MAX).await?.succeeded(action)?;
        }
        Ok((files.lines().map(str::to_owned).collect(), theirs))
    }

    async fn patch(&self, from: &str, to: &str) -> Result<Vec<u8>, RepositoryError> {
        let action = "compare";
        let arguments = [
            "diff",
            "--binary",
            "--full-index",
            "--no-renames",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            from,
            to,
        ];
        Ok(self.run(action, &arguments, &[], u64::MAX).await?.succeeded(action)?.bytes)
    }

    /// Whether the state of the worktree at `path` is nowhere else: not what it began with, not `applied`, and not what
    /// another branch has.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails.
    pub async fn is_only_there(
        &self,
        path: &Path,
        branch: &str,
        base: &str,
        applied: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        let action = "compare";
        let tree_of = async |commit: &str| {
            self.text(action, &["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).await
        };
        let tip = format!("refs/heads/{branch}");
        let state = if path.is_dir() {
            Self::at(path).snapshot().await?
        } else if self.holds(action, &["show-ref", "--verify", "--quiet", &tip]).await? {
            tree_of(&tip).await?
        } else {
            return Ok(false);
        };
        if Some(state.as_str()) == applied || state == tree_of(base).await? {
            return Ok(false);
        }
        if state != tree_of(&tip).await? {
            return Ok(true);
        }
        let others = [
            "for-each-ref",
            "--format=%(refname)",
            "--contains",
            &tip,
            "refs/heads",
            "refs/remotes",
        ];
        let others = self.text(action, &others).await?;
        Ok(!others.lines().any(|other| other != tip))
    }

    /// Commits what is not committed in the worktree at `path` to its branch, so that it lasts without the worktree.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails.
    pub async fn keep(&self, path: &Path, branch: &str) -> Result<(), RepositoryError> {
        let action = "keep the changes";
        let tip = format!("refs/heads/{branch}");
        let state = Self::at(path).snapshot().await?;
        let parent = self.text(action, &["rev-parse", "--verify", &tip]).await?;
        let before =
            self.text(action, &["rev-parse", "--verify", &format!("{tip}^{{tree}}")]).await?;
        if state != before {
            let commit = self.commit_of(&state, &parent, "What Codex had not committed").await?;
            self.text(action, &["update-ref", &tip, &commit, &parent]).await?;
        }
        self.text(action, &["worktree", "remove", "--force", &path.to_string_lossy()])
            .await
            .map(drop)
    }

    /// Removes a worktree and its branch, whatever is in them. What is gone already is no error.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails.
    pub async fn remove_worktree(&self, path: &Path, branch: &str) -> Result<(), RepositoryError> {
        let action = "remove a worktree";
        if path.exists() {
            let place = path.to_string_lossy();
            let remove = ["worktree", "remove", "--force", "--force", &place];
            if !self.holds(action, &remove).await? {
                // Git does not know it any more.
                tokio::fs::remove_dir_all(path).await.map_err(|error| RepositoryError::Failed {
                    action,
                    reason: error.to_string(),
                })?;
            }
        }
        self.text(action, &["worktree", "prune"]).await?;
        for name in [format!("refs/heads/{branch}"), format!("{REFS}/{branch}")] {
            self.text(action, &["update-ref", "-d", &name]).await?;
        }
        Ok(())
    }

    /// What a sandbox must let commands write so that they can commit in the worktree at `path`, and no more: the index
    /// of the worktree, objects, and the branches beside its own. Makes those folders that git makes when needed.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails, or a folder cannot be made.
    pub async fn writable_for_commits(
        path: &Path,
        branch: &str,
    ) -> Result<Vec<PathBuf>, RepositoryError> {
        let action = "find the repository";
        let worktree = Self::at(path);
        let own = worktree.text(action, &["rev-parse", "--absolute-git-dir"]).await?;
        let common = worktree.text(action, &["rev-parse", "--git-common-dir"]).await?;
        let common = path.join(common);
        let folder = branch.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folders = [
            own.into(),
            common.join("objects"),
            common.join("refs/heads").join(folder),
            common.join("logs/refs/heads").join(folder),
        ];
        for folder in &folders {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| RepositoryError::Failed { action, reason: error.to_string() })?;
        }
        Ok(folders.into())
    }
}
