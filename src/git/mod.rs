//! Git, hermetically: the code that a review looks at, worktrees, snapshots, merging. Knows nothing of Codex, of
//! sessions, or of this process's environment.
//!
//! **What a repository says never runs anything here.** Codex can write most of a repository: files, attributes, and all
//! of a nested repository, its git folder included. Four means keep all of that from deciding how git
//! runs, each for its whole kind:
//!
//! 1. **No configuration of a repository is in force.** Git reads a repository's configuration from its git folder. Ours
//!    never works in that folder but in a [`shadow`]: a private git folder with a configuration that we wrote. The
//!    repository's refs are links there, its objects an alternate. What programs a repository names (filters, textconv,
//!    merge drivers, hooks, fsmonitor, pagers, gpg, ssh, credential helpers, `uploadpack`, and keys that a later git
//!    invents) is therefore unknown to git, whatever the key is called. Of the repository's own values we carry over
//!    those in [`survey`]'s short list: they say how bytes of files are read, and none can name a program. The user's
//!    global and system values are carried over whole, so git-lfs and line ends go on working. Attributes in files can
//!    then only choose among the programs that the user has configured.
//! 2. **Nothing that git runs by itself is reached.** Only the commands of this folder run. None fetches, signs, shows
//!    a signature or opens an editor, and none compares an index that holds a submodule with the working tree, which is
//!    what makes git run another git inside it: a [`snapshot`] takes submodules out of its index first, and everything
//!    is compared tree with tree. Nested repositories are named and left out, never entered.
//! 3. **The environment is a list** ([`environment`]): what git needs, what says where the user's configuration is, and
//!    switches against fetching and prompting. A program of the user's that git runs sees no more.
//! 4. **A git folder leads nowhere.** It is refused where anything among its refs and objects is a link
//!    ([`files::all_plain`]), and where its configuration says that the files are elsewhere. All folders that git reads
//!    are said ([`Repository::folders`]), so that a `.git` file or an alternate that points elsewhere can be held against
//!    what the operator allows. A worktree goes back to the very folders that it was made from ([`Worktree::home`]).
//!
//! The first look at a repository ([`survey`]) does run git in it, with two commands that only print: `rev-parse` and
//! `config --list`.
//!
//! **Nothing of ours is in the user's git folder** but what the user asked for: a worktree and its branch. Objects go to
//! folders of our own, with the user's as alternate, and are removed with what needed them.

mod apply;
mod changes;
mod command;
mod environment;
mod error;
mod files;
mod keeping;
mod merge;
mod names;
mod removal;
mod shadow;
mod snapshot;
mod state;
mod survey;
#[cfg(test)]
#[cfg(unix)]
#[expect(
    clippy::disallowed_methods,
    reason = "the user's own git, in the environment of the tests"
)]
mod tests;
mod worktree;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use changes::{Changes, ReviewTarget};
pub use environment::GitEnvironment;
pub use error::RepositoryError;
pub use worktree::{Begin, Worktree};

/// Git on this machine: its environment, and our own folder for what it needs. A cheap handle.
#[derive(Debug, Clone)]
pub struct Git(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    environment: GitEnvironment,
    folder: Option<PathBuf>,
    swept: tokio::sync::OnceCell<()>,
}

impl Git {
    /// Git with this environment. `folder` is private to this user; shadows and the objects of snapshots are made there.
    /// Without one nothing can be looked at.
    pub fn new(environment: GitEnvironment, folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { environment, folder, swept: tokio::sync::OnceCell::new() }))
    }

    /// The repository that a directory is in, if it is in one.
    pub fn repository(&self, directory: &Path) -> Repository {
        Repository { git: self.clone(), directory: directory.to_owned(), worktree: None }
    }

    /// A worktree of ours as a repository, seen from a directory in it.
    pub fn inside(&self, worktree: &Worktree, directory: &Path) -> Repository {
        let worktree = Some(worktree.clone());
        Repository { git: self.clone(), directory: directory.to_owned(), worktree }
    }
}

/// A directory that may be in a git repository.
#[derive(Debug, Clone)]
pub struct Repository {
    git: Git,
    directory: PathBuf,
    /// Set for a worktree that Codex works in: what its git folder says is not believed.
    worktree: Option<Worktree>,
}
