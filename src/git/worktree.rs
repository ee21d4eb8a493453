//! Making a git worktree: a place of its own to work in, on a branch of its own.
//!
//! Git makes it in a shadow, so that no setting of the repository has a say; what it made is then moved into the
//! repository. Commands can write all of a repository that is below their directory, so nothing in its git folder is believed later on.

use std::path::{Path, PathBuf};

use super::{
    Git, Repository,
    command::LIST,
    error::RepositoryError,
    files,
    shadow::{Objects, Shadow},
};

/// How much of a session's name is in the name of its branch.
const NAME: usize = 100;

const ACTION: &str = "make a worktree";

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

impl Worktree {
    /// Its index as it was when it began, which Codex cannot write.
    pub(super) fn first_index(&self) -> PathBuf {
        self.path.with_extension("index")
    }

    /// Objects of ours that last as long as it does: what it began with and what was applied of it.
    pub(super) fn objects(&self) -> PathBuf {
        self.path.with_extension("objects")
    }

    /// Where an apply that is under way says what it leaves if it is killed.
    pub(super) fn journal(&self) -> PathBuf {
        self.path.with_extension("applying")
    }
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
        let mut new = Worktree {
            path: path.to_owned(),
            branch: String::new(),
            base: String::new(),
            root: PathBuf::new(),
            git_dir: PathBuf::new(),
            common_dir: PathBuf::new(),
        };
        let objects = match begin {
            Begin::At(_) => Objects::Passing,
            _ => Objects::In(new.objects()),
        };
        let shadow = self.shadow(objects, &[]).await?;
        new.root.clone_from(&shadow.layout.top);
        new.common_dir.clone_from(&shadow.layout.common_dir);
        new.base = match begin {
            Begin::At(Some(base)) => shadow.commit("commit", base).await?,
            Begin::Like(other) => {
                shadow.commit("branch", &format!("refs/heads/{}", other.branch)).await?
            }
            _ => {
                let none = || RepositoryError::NoCommits(new.root.clone());
                shadow.head().await?.ok_or_else(none)?
            }
        };
        new.branch = shadow.free_branch(name).await?;
        if let Err(error) = self.make(&mut new, &shadow, begin).await {
            new.remove(&self.git).await?;
            return Err(error);
        }
        let mut warnings = Vec::new();
        if new.root.join(".gitmodules").exists() {
            let text = "The repository has submodules; git leaves them empty in a worktree.";
            warnings.push(text.to_owned());
        }
        Ok((new, warnings))
    }

    async fn make(
        &self,
        new: &mut Worktree,
        shadow: &Shadow,
        begin: Begin<'_>,
    ) -> Result<(), RepositoryError> {
        // Git makes the branch there.
        let folder = new.branch.rsplit_once('/').map_or("", |(folder, _)| folder);
        let heads = Path::new("refs/heads").join(folder);
        files::plain_below(&new.common_dir, &heads).map_err(|error| RepositoryError::Failed {
            action: ACTION,
            reason: error.to_string(),
        })?;
        let place = new.path.to_string_lossy().into_owned();
        let add =
            ["worktree", "add", "--quiet", "--no-checkout", "-b", &new.branch, &place, &new.base];
        shadow.text(ACTION, &add).await?;
        new.git_dir = shadow.hand_over(&new.path).await?;
        let linked = new.clone();
        let linked = tokio::task::spawn_blocking(move || linked.link()).await;
        linked.map_err(std::io::Error::other).flatten().map_err(|error| {
            RepositoryError::Failed { action: ACTION, reason: error.to_string() }
        })?;
        // What it begins with is laid over what its branch has.
        let (commit, mut laid) = (new.base.clone(), None);
        match begin {
            Begin::At(_) => {}
            Begin::Like(other) => {
                laid = Some(other.snapshot_for(&self.git, new).await?);
                new.base.clone_from(&other.base);
            }
            Begin::WithChanges => {
                let tree = self.snapshot_in(shadow).await?.tree;
                new.base = shadow.commit_of(&tree, &commit, "what was not committed").await?;
                laid = Some(tree);
            }
        }
        let inside = self.git.inside(new, &new.path);
        let inside = inside.shadow(Objects::Passing, &[new.objects()]).await?;
        let (index, first) = (new.git_dir.join("index"), new.first_index());
        let lay = async |index: &Path, arguments: &[&str]| {
            let arguments = [&["read-tree", "-u"], arguments].concat();
            inside.run_on(index, ACTION, &arguments, &[], LIST).await?.succeeded(ACTION).map(drop)
        };
        lay(&index, &["--reset", &commit]).await?;
        inside.copy_index(&index, &first).await?;
        match laid {
            Some(tree) => lay(&first, &["-m", &commit, &tree]).await,
            None => Ok(()),
        }
    }
}

impl Shadow {
    /// Moves what git has made of a worktree in the shadow into the repository. Returns the git folder of the worktree.
    async fn hand_over(&self, path: &Path) -> Result<PathBuf, RepositoryError> {
        let failed = |error: std::io::Error| RepositoryError::Failed {
            action: ACTION,
            reason: error.to_string(),
        };
        let missing = || failed(std::io::ErrorKind::NotFound.into());
        let (made, theirs) = (self.file("worktrees"), self.layout.common_dir.join("worktrees"));
        let name = path.file_name().ok_or_else(missing)?.to_owned();
        let common = self.layout.common_dir.clone();
        let moved = tokio::task::spawn_blocking(move || {
            let (from, to) = (made.join(&name), theirs.join(&name));
            files::plain_below(&common, Path::new("worktrees"))?;
            std::fs::create_dir_all(&theirs)?;
            files::move_folder(&from, &to).map(|()| to)
        });
        moved.await.map_err(std::io::Error::other).flatten().map_err(failed)
    }

    /// A branch name that is not taken, nor has branches below it.
    async fn free_branch(&self, name: &str) -> Result<String, RepositoryError> {
        let name: String = name.chars().take(NAME).collect();
        let listed = [
            "for-each-ref",
            "--format=%(refname)",
            "refs/heads/codex",
            "refs/heads/codex-sessions",
        ];
        let listed = self.text("list branches", &listed).await?;
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
}

impl Worktree {
    /// The repository that it was made from, with a private git folder for it.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if another one is there by now: a command can put one there.
    pub(super) async fn home(
        &self,
        git: &Git,
        alternates: &[PathBuf],
    ) -> Result<(Repository, Shadow), RepositoryError> {
        let repository = git.repository(&self.root);
        let shadow = repository.shadow(Objects::Passing, alternates).await?;
        let (top, common) = (&shadow.layout.top, &shadow.layout.common_dir);
        if (top, common) != (&self.root, &self.common_dir) {
            let reason = format!("`{}` is another repository by now", self.root.display());
            let action = "find the repository of a worktree";
            return Err(RepositoryError::Failed { action, reason });
        }
        Ok((repository, shadow))
    }

    /// Its state as a tree, with objects that last as long as `new`, which is to begin with it.
    async fn snapshot_for(&self, git: &Git, new: &Self) -> Result<String, RepositoryError> {
        let (theirs, ours) = (self.objects(), new.objects());
        let linked = tokio::task::spawn_blocking(move || files::link_objects(&theirs, &ours)).await;
        linked.map_err(std::io::Error::other).flatten().map_err(|error| {
            RepositoryError::Failed { action: "bring the changes along", reason: error.to_string() }
        })?;
        let inside = git.inside(self, &self.path);
        let shadow = inside.shadow(Objects::In(new.objects()), &[]).await?;
        Ok(inside.snapshot_in(&shadow).await?.tree)
    }

    /// Says where things are by whole paths, which git itself does only with some settings.
    fn link(&self) -> std::io::Result<()> {
        let name = self.git_dir.file_name().unwrap_or_default();
        files::plain_below(&self.common_dir, &Path::new("worktrees").join(name))?;
        let said = |prefix: &str, path: &Path| format!("{prefix}{}\n", path.display());
        let link = self.path.join(".git");
        files::replace(&self.git_dir.join("commondir"), &said("", &self.common_dir))?;
        files::replace(&self.git_dir.join("gitdir"), &said("", &link))?;
        files::replace(&link, &said("gitdir: ", &self.git_dir))
    }
}
