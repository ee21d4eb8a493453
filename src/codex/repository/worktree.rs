//! Git worktrees: a place of its own to work in, the changes made there, and removing it.
//!
//! The state of a working tree, committed or not, untracked files included, is written as a tree object by way of an
//! index of our own: nobody's index is touched. Codex can write into the git folder of a worktree, so nothing that is
//! there is believed; see [`super::git`].

use std::path::{Path, PathBuf};

use super::{
    changes::temporary,
    error::RepositoryError,
    git::{Apart, Repository, copy_index},
};

/// Held while git adds a worktree: it reads those of others, and fails on one that is only half there.
static ADDING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Where refs are kept that only hold objects for us.
const REFS: &str = "refs/codex-mcp-server";

/// How much of a session's name is in the name of its branch.
const NAME: usize = 100;

/// A worktree of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Where it is.
    pub path: PathBuf,
    /// The branch that is checked out in it.
    pub branch: String,
    /// The commit that its changes are counted from.
    pub base: String,
    /// The top directory of the repository, which is the user's own working tree.
    pub root: PathBuf,
    /// The git folder of the worktree.
    pub git_dir: PathBuf,
    /// The git folder of the repository.
    pub common_dir: PathBuf,
}

/// What a new worktree begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin<'a> {
    /// This commit, or the one that is checked out.
    At(Option<&'a str>),
    /// The one that is checked out, with what is not committed yet.
    WithChanges,
    /// As another worktree is now, with its changes counted from the same commit.
    Like(&'a Worktree),
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
    /// Makes a worktree at `path`, which must not exist, on a new branch for `name`. Returns it and what to know besides.
    ///
    /// # Errors
    /// [`RepositoryError`] if there is no repository, it has no commits, or git fails; then nothing is left of it.
    pub async fn add_worktree(
        &self,
        path: &Path,
        name: &str,
        begin: Begin<'_>,
    ) -> Result<(Worktree, Vec<String>), RepositoryError> {
        let root = self.root().await?;
        let own = Self::at(&root);
        let base = match begin {
            Begin::At(Some(base)) => own.commit("commit", base).await?,
            Begin::Like(other) => {
                own.commit("branch", &format!("refs/heads/{}", other.branch)).await?
            }
            _ => own.head().await?.ok_or_else(|| RepositoryError::NoCommits(root.clone()))?,
        };
        let action = "find the repository";
        let common = own.text(action, &["rev-parse", "--git-common-dir"]).await?;
        let common_dir = root.join(common);
        let branch = own.free_branch(name).await?;
        let mut new = Worktree {
            path: path.to_owned(),
            branch,
            base,
            root,
            git_dir: PathBuf::new(),
            common_dir,
        };
        if let Err(error) = own.make(&mut new, begin).await {
            new.remove().await?;
            return Err(error);
        }
        let mut warnings = Vec::new();
        if new.root.join(".gitmodules").exists() {
            let text = "The repository has submodules; git leaves them empty in a worktree.";
            warnings.push(text.to_owned());
        }
        Ok((new, warnings))
    }

    async fn make(&self, new: &mut Worktree, begin: Begin<'_>) -> Result<(), RepositoryError> {
        let action = "make a worktree";
        let place = new.path.to_string_lossy().into_owned();
        let add = ["worktree", "add", "--quiet", "-b", &new.branch, &place, &new.base];
        {
            let _one_at_a_time = ADDING.lock().await;
            self.text(action, &add).await?;
        }
        // Nobody else has written there yet.
        let fresh = Self::at(&new.path);
        new.git_dir = fresh.text(action, &["rev-parse", "--absolute-git-dir"]).await?.into();
        let action = "bring the changes along";
        let lay = async |tree: &str| {
            fresh.text(action, &["read-tree", "-m", "-u", &new.base, tree]).await.map(drop)
        };
        match begin {
            Begin::At(_) => {}
            Begin::Like(other) => {
                lay(&other.snapshot().await?).await?;
                new.base.clone_from(&other.base);
            }
            Begin::WithChanges => {
                let tree = self.snapshot().await?;
                lay(&tree).await?;
                let base = self.commit_of(&tree, &new.base, "what was not committed").await?;
                self.hold("base", &new.branch, &base).await?;
                new.base = base;
            }
        }
        Ok(())
    }

    /// A branch name that is not taken, nor has branches below it.
    async fn free_branch(&self, name: &str) -> Result<String, RepositoryError> {
        let action = "list branches";
        let name: String = name.chars().take(NAME).collect();
        let listed = [
            "for-each-ref",
            "--format=%(refname)",
            "refs/heads/codex",
            "refs/heads/codex-sessions",
        ];
        let listed = self.text(action, &listed).await?;
        let taken: Vec<&str> = listed.lines().collect();
        // A branch of that name excludes branches below it.
        let folder = if taken.contains(&"refs/heads/codex") { "codex-sessions" } else { "codex" };
        let is_taken = |branch: &str| {
            let full = format!("refs/heads/{branch}");
            let below = format!("{full}/");
            taken.iter().any(|other| *other == full || other.starts_with(&below))
        };
        let mut branch = format!("{folder}/{name}");
        let mut number = 2;
        while is_taken(&branch) {
            branch = format!("{folder}/{name}-{number}");
            number += 1;
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
        let index = folder.path().join("index");
        let mine = self.with_index(&index);
        mine.copy_index().await?;
        let mut add = vec!["-c", "advice.addEmbeddedRepo=false", "add", "--all", "--", ":/"];
        // Some versions leave an empty file of this name behind where a command has run (0.120, 0.125).
        let left = self.apart.as_ref().map(|apart| apart.top.join(".codex"));
        if left.is_some_and(|left| left.metadata().is_ok_and(|it| it.is_file() && it.len() == 0)) {
            add.push(":(exclude,top,literal).codex");
        }
        mine.text(action, &add).await?;
        let tree = mine.text(action, &["write-tree"]).await?;
        if let Some(apart) = &self.apart {
            // The next one need not read every file again. Without it, it does.
            drop(copy_index(&index, &apart.top.with_extension("index")).await);
        }
        Ok(tree)
    }

    pub(super) async fn commit_of(
        &self,
        tree: &str,
        parent: &str,
        message: &str,
    ) -> Result<String, RepositoryError> {
        // Whoever uses this repository need not have told git a name, and signs what is their own.
        let by = [
            "-c",
            "user.name=codex-mcp-server",
            "-c",
            "user.email=codex-mcp-server@localhost",
            "-c",
            "commit.gpgSign=false",
        ];
        let commit = ["commit-tree", tree, "-p", parent, "-m", message];
        self.text("write a commit", &[by.as_slice(), &commit].concat()).await
    }

    /// Keeps a commit that nothing else names: git would throw it away.
    pub(super) async fn hold(
        &self,
        kind: &str,
        branch: &str,
        commit: &str,
    ) -> Result<(), RepositoryError> {
        let name = format!("{REFS}/{kind}/{branch}");
        self.text("keep a commit", &["update-ref", &name, commit]).await.map(drop)
    }

    /// Whether a ref or object is there.
    pub(super) async fn has(&self, name: &str) -> Result<bool, RepositoryError> {
        self.succeeds("find a commit", &["rev-parse", "--verify", "--quiet", name]).await
    }
}

impl Worktree {
    /// The worktree for git, in a directory in it.
    pub fn repository(&self, directory: &Path) -> Repository {
        Repository {
            directory: directory.to_owned(),
            index: None,
            apart: Some(Apart {
                common: self.common_dir.clone(),
                top: self.path.clone(),
                branch: self.branch.clone(),
            }),
        }
    }

    /// The repository it belongs to.
    pub(super) fn own(&self) -> Repository {
        Repository::at(&self.root)
    }

    /// Puts the files back by which git finds the repository from the worktree, if they are not what they were: Codex
    /// itself runs git there, outside of its sandbox, and believes them. Says whether that was needed.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if they cannot be written.
    pub async fn mend(&self) -> Result<bool, RepositoryError> {
        let action = "mend the worktree's links";
        let failed =
            |error: std::io::Error| RepositoryError::Failed { action, reason: error.to_string() };
        let said = |prefix: &str, path: &Path| format!("{prefix}{}\n", path.display());
        let link = self.path.join(".git");
        let mut was_changed = false;
        for (file, wanted) in [
            (self.git_dir.join("commondir"), said("", &self.common_dir)),
            (self.git_dir.join("gitdir"), said("", &link)),
            (link, said("gitdir: ", &self.git_dir)),
        ] {
            let is = tokio::fs::read_to_string(&file).await.unwrap_or_default();
            if is == wanted {
                continue;
            }
            // Git's own way to say the same is a relative path.
            was_changed |= is != "../..\n";
            drop(tokio::fs::remove_file(&file).await);
            tokio::fs::write(&file, wanted).await.map_err(failed)?;
        }
        match tokio::fs::remove_file(self.git_dir.join("config.worktree")).await {
            Ok(()) => was_changed = true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(was_changed)
    }

    /// Its state; see [`Repository::snapshot`].
    pub(super) async fn snapshot(&self) -> Result<String, RepositoryError> {
        self.repository(&self.path).snapshot().await
    }

    /// How much it differs from what it began with.
    ///
    /// # Errors
    /// [`RepositoryError`] if it is gone, or git fails.
    pub async fn extent(&self) -> Result<Extent, RepositoryError> {
        let tree = self.snapshot().await?;
        let counted = ["diff", "--numstat", "--no-renames", &self.base, &tree];
        let listed = self.own().text("compare", &counted).await?;
        let mut extent = Extent::default();
        for line in listed.lines() {
            let mut counts = line.split('\t').map(|count| count.parse::<u32>().unwrap_or_default());
            extent.files_changed += 1;
            extent.insertions += counts.next().unwrap_or_default();
            extent.deletions += counts.next().unwrap_or_default();
        }
        Ok(extent)
    }

    /// The difference to what it began with, at most `limit` bytes of it, and whether that is all.
    ///
    /// # Errors
    /// [`RepositoryError`] if it is gone, or git fails.
    pub async fn difference(&self, limit: u64) -> Result<(String, bool), RepositoryError> {
        let tree = self.snapshot().await?;
        let arguments = [
            "diff",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--find-renames",
            &self.base,
            &tree,
        ];
        let output = self.own().run("compare", &arguments, &[], limit.saturating_add(1)).await?;
        let is_all = output.bytes.len() as u64 <= limit;
        let mut text = String::from_utf8_lossy(&output.bytes).into_owned();
        if !is_all {
            // Up to the end of a line.
            text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        }
        Ok((text, is_all))
    }

    /// Repositories that were made inside of it: git takes nothing of what is in them.
    pub(super) async fn nested(&self, tree: &str) -> Result<Vec<String>, RepositoryError> {
        let action = "find nested repositories";
        let changed = ["diff", "--raw", "--no-renames", "--abbrev", &self.base, tree];
        let changed = self.own().text(action, &changed).await?;
        let is_link = |line: &&str| line.split(' ').nth(1) == Some("160000");
        let path = |line: &str| line.split_once('\t').map(|(_, path)| path.to_owned());
        Ok(changed.lines().filter(is_link).filter_map(path).collect())
    }

    /// Files that git ignores, and folders of nothing else: they are in no state and go with the worktree.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails.
    pub async fn ignored(&self) -> Result<Vec<String>, RepositoryError> {
        let list = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory"];
        let folder = temporary()?;
        let repository = self.repository(&self.path).with_index(&folder.path().join("index"));
        repository.copy_index().await?;
        let listed = repository.text("list ignored files", &list).await?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// Removes it and its branch, whatever is in them. What is gone already is no error.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails, or a folder cannot be removed.
    pub async fn remove(&self) -> Result<(), RepositoryError> {
        self.remove_folders().await?;
        if !self.root.is_dir() {
            return Ok(());
        }
        let own = self.own();
        own.text("remove a worktree", &["worktree", "prune"]).await?;
        let branch = &self.branch;
        if branch.is_empty() {
            return Ok(());
        }
        for name in [
            format!("refs/heads/{branch}"),
            format!("{REFS}/base/{branch}"),
            format!("{REFS}/applied/{branch}"),
        ] {
            own.text("remove a branch", &["update-ref", "-d", &name]).await?;
        }
        Ok(())
    }

    /// Removes its folders by their names: git would ask the worktree where it is.
    pub(super) async fn remove_folders(&self) -> Result<(), RepositoryError> {
        let is_made = !self.git_dir.as_os_str().is_empty();
        let git_dir = is_made.then_some(&self.git_dir);
        for folder in [Some(&self.path), git_dir].into_iter().flatten() {
            match tokio::fs::remove_dir_all(folder).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let action = "remove a worktree";
                    return Err(RepositoryError::Failed { action, reason: error.to_string() });
                }
                _ => {}
            }
        }
        // There is none before its first snapshot.
        drop(tokio::fs::remove_file(self.path.with_extension("index")).await);
        Ok(())
    }

    /// What a sandbox must let commands write so that they can commit in it, and no more: the git folder of the worktree,
    /// objects, and the branches beside its own. Makes those folders that git makes when needed.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if a folder cannot be made.
    pub async fn writable_for_commits(&self) -> Result<Vec<PathBuf>, RepositoryError> {
        let folder = self.branch.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folders = [
            self.git_dir.clone(),
            self.common_dir.join("objects"),
            self.common_dir.join("refs/heads").join(folder),
            self.common_dir.join("logs/refs/heads").join(folder),
        ];
        for folder in &folders {
            tokio::fs::create_dir_all(folder).await.map_err(|error| {
                let action = "find the repository";
                RepositoryError::Failed { action, reason: error.to_string() }
            })?;
        }
        Ok(folders.into())
    }
}
