//! The state of a working tree, committed or not and untracked files included, as a tree of git's.
//!
//! It is read by way of an index of our own: the user's is not touched. Git looks into no repository inside the working
//! tree: submodules are taken out of the index before anything is compared and put back as they were, and other
//! repositories are named and left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    Repository,
    command::LIST,
    error::RepositoryError,
    shadow::{Objects, Shadow},
};

const ACTION: &str = "read the working tree";

/// The state of a working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Git's id of the tree.
    pub tree: String,
    /// Repositories inside that are no submodules, and folders of submodules that hold files without being a repository:
    /// nothing in them is in the tree.
    pub nested: Vec<String>,
    /// Submodules that are checked out: the tree has the commit that was recorded for them, not what is there now.
    pub submodules: Vec<String>,
}

impl Repository {
    /// The state of the working tree now. Its objects are kept where [`super::ReviewTarget::Since`] finds them, until
    /// [`Self::forget_snapshots`].
    ///
    /// # Errors
    /// [`RepositoryError`] if there is no repository, or git fails.
    pub async fn snapshot(&self) -> Result<Snapshot, RepositoryError> {
        let root = self.root().await?;
        let shadow = self.shadow(Objects::In(self.git.snapshots_of(&root)?), &[]).await?;
        self.snapshot_in(&shadow).await
    }

    /// Removes the objects of all snapshots of this repository.
    ///
    /// # Errors
    /// [`RepositoryError`] if there is no repository, or a file cannot be removed.
    pub async fn forget_snapshots(&self) -> Result<(), RepositoryError> {
        let folder = self.git.snapshots_of(&self.root().await?)?;
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let (action, reason) = ("remove snapshots", error.to_string());
                Err(RepositoryError::Failed { action, reason })
            }
            _ => Ok(()),
        }
    }

    /// The state of the working tree now, its objects where the shadow puts them.
    pub(super) async fn snapshot_in(&self, shadow: &Shadow) -> Result<Snapshot, RepositoryError> {
        self.copy_its_index(shadow).await?;
        self.snapshot_by_index(shadow).await
    }

    /// The same with what is really in files that the user has told git to take for unchanged (`assume-unchanged`,
    /// `skip-worktree`). Files that are not there for such a flag count as they are in the index.
    pub(super) async fn snapshot_of_all(
        &self,
        shadow: &Shadow,
    ) -> Result<Snapshot, RepositoryError> {
        self.copy_its_index(shadow).await?;
        shadow.forget_flags().await?;
        self.snapshot_by_index(shadow).await
    }

    async fn copy_its_index(&self, shadow: &Shadow) -> Result<(), RepositoryError> {
        let index = shadow.index();
        match &self.worktree {
            None => drop(shadow.copy_index(&shadow.layout.git_dir.join("index"), &index).await?),
            // Its own index is Codex's to write.
            Some(worktree) => {
                if !shadow.copy_index(&worktree.first_index(), &index).await? {
                    let tip = format!("refs/heads/{}", worktree.branch);
                    shadow.text(ACTION, &["read-tree", &tip]).await?;
                }
            }
        }
        Ok(())
    }

    async fn snapshot_by_index(&self, shadow: &Shadow) -> Result<Snapshot, RepositoryError> {
        // Some versions leave an empty file of this name behind where a command has run (0.120, 0.125).
        let left = self.worktree.as_ref().map(|worktree| worktree.path.join(".codex"));
        let left = left.filter(|it| it.metadata().is_ok_and(|it| it.is_file() && it.len() == 0));
        shadow.snapshot(left.is_some()).await
    }
}

impl Shadow {
    /// Takes the flags off the files that are there.
    async fn forget_flags(&self) -> Result<(), RepositoryError> {
        let listed = self.run(ACTION, &["ls-files", "-v", "-z"], &[], LIST).await?;
        let listed = listed.succeeded(ACTION)?;
        let mut flagged = Vec::new();
        for entry in listed.parts(ACTION)? {
            let Some((tag, path)) = entry.split_at_checked(2) else { continue };
            // Small letters are files that are assumed to be unchanged, `S` those that are skipped.
            let is_flagged = tag.first().is_some_and(|it| it.is_ascii_lowercase() || *it == b'S');
            if is_flagged && self.layout.top.join(path_of(path)).symlink_metadata().is_ok() {
                flagged.extend([path, b"\0"].concat());
            }
        }
        if !flagged.is_empty() {
            self.update(&["--no-assume-unchanged", "-z", "--stdin"], &flagged).await?;
            self.update(&["--no-skip-worktree", "-z", "--stdin"], &flagged).await?;
        }
        Ok(())
    }

    /// Brings the index up to the working tree and writes it as a tree.
    async fn snapshot(&self, leaves_out_mark: bool) -> Result<Snapshot, RepositoryError> {
        let links = self.links().await?;
        if !links.is_empty() {
            let paths: Vec<u8> =
                links.keys().flat_map(|path| [path, &b"\0"[..]].concat()).collect();
            self.update(&["--force-remove", "-z", "--stdin"], &paths).await?;
        }
        let list = ["ls-files", "-z", "--modified", "--others", "--exclude-standard"];
        let listed = self.run(ACTION, &list, &[], LIST).await?.succeeded(ACTION)?;
        let (mut changed, mut replaced) = (Vec::new(), Vec::new());
        let (mut nested, mut submodules) = (BTreeSet::new(), Vec::new());
        for path in listed.parts(ACTION)? {
            if let Some(folder) = path.strip_suffix(b"/") {
                if links.contains_key(folder) {
                    submodules.push(name_of(folder));
                } else {
                    nested.insert(name_of(folder));
                }
            } else if let Some(link) = above(path, &links) {
                nested.insert(name_of(link));
            } else if self
                .layout
                .top
                .join(path_of(path))
                .symlink_metadata()
                .is_ok_and(|it| it.is_dir())
            {
                // A folder is now where a file was.
                replaced.extend([path, b"\0"].concat());
            } else if !(leaves_out_mark && path == b".codex") {
                changed.extend([path, b"\0"].concat());
            }
        }
        if !replaced.is_empty() {
            self.update(&["--force-remove", "-z", "--stdin"], &replaced).await?;
        }
        self.update(&["--add", "--remove", "--replace", "-z", "--stdin"], &changed).await?;
        let mut back = Vec::new();
        for (path, entry) in &links {
            let place = self.layout.top.join(path_of(path));
            if tokio::fs::symlink_metadata(place).await.is_ok_and(|it| it.is_dir()) {
                back.extend_from_slice(entry);
                back.push(0);
            }
        }
        if !back.is_empty() {
            self.update(&["-z", "--index-info"], &back).await?;
        }
        // In a partial clone some objects are elsewhere, which is no fault.
        let tree = self.text(ACTION, &["write-tree", "--missing-ok"]).await?;
        Ok(Snapshot { tree, nested: nested.into_iter().collect(), submodules })
    }

    async fn update(&self, arguments: &[&str], input: &[u8]) -> Result<(), RepositoryError> {
        let arguments = [&["update-index"], arguments].concat();
        self.run(ACTION, &arguments, input, LIST).await?.succeeded(ACTION).map(drop)
    }

    /// The submodules in the index: their entries by their paths.
    async fn links(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, RepositoryError> {
        let listed = ["ls-files", "-z", "--stage"];
        let listed = self.run(ACTION, &listed, &[], LIST).await?.succeeded(ACTION)?;
        let links = listed.parts(ACTION)?.into_iter().filter(|entry| entry.starts_with(b"160000 "));
        let by_path = links.filter_map(|entry| {
            let tab = entry.iter().position(|byte| *byte == b'\t')?;
            Some((entry.get(tab + 1..)?.to_vec(), entry.to_vec()))
        });
        Ok(by_path.collect())
    }
}

/// The submodule that a path is below.
fn above<'a>(path: &[u8], links: &'a BTreeMap<Vec<u8>, Vec<u8>>) -> Option<&'a [u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let folders = ends.filter_map(|end| path.get(..end));
    folders.filter_map(|folder| links.get_key_value(folder)).map(|(link, _)| link.as_slice()).next()
}

fn name_of(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// A path as git writes it.
pub(super) fn path_of(path: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

        Path::new(OsStr::from_bytes(path)).to_owned()
    }
    #[cfg(not(unix))]
    {
        Path::new(&name_of(path)).to_owned()
    }
}
