//! What is kept of a project's gate. Several windows may write it, so it is read and written under a lock.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::system::{open_private_file, private_folder, replace_private_file};

/// How many turns that never came to an end are kept.
const MOST: usize = 64;

/// A project's gate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) is_on: bool,
    /// The turns that are under way, by the client's name for their conversation.
    #[serde(default)]
    pub(super) began: BTreeMap<String, Began>,
    /// What the last review that blocked found.
    #[serde(default)]
    pub(super) blocked: Vec<String>,
}

/// Where a turn began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Began {
    /// With the working tree in this state, as git's id of a tree.
    At(String),
    /// Nobody knows, for this reason.
    Unknown(String),
}

/// Where the state of a project is.
#[derive(Debug, Clone)]
pub(super) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// That of the project at `root`.
    pub(super) fn new(folder: &Path, root: &Path) -> Self {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let name: Vec<String> = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { path: folder.join("gates").join(format!("{}.json", name.concat())) }
    }

    /// The state. Off if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(&self) -> io::Result<State> {
        match std::fs::read(&self.path) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(error),
        }
    }

    /// Changes the state as it is now. A state that cannot be read is made anew.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            private_folder(folder)?;
        }
        let lock = open_private_file(&self.path.with_extension("lock"))?;
        lock.lock()?;
        let mut state = self.read().unwrap_or_default();
        change(&mut state);
        while state.began.len() > MOST {
            state.began.pop_first();
        }
        replace_private_file(&self.path, &serde_json::to_vec(&state)?)
    }

    /// Held while a review is under way. `None` if another one is.
    ///
    /// # Errors
    /// If the file for that cannot be made.
    pub(super) fn review(&self) -> io::Result<Option<File>> {
        let file = open_private_file(&self.path.with_extension("review"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_change_it_one_after_the_other_and_damage_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path(), Path::new("/r"));
        assert!(!file.read().unwrap().is_on);
        file.change(|state| state.is_on = true).unwrap();
        file.change(|state| drop(state.began.insert("a".into(), Began::At("t".into())))).unwrap();
        let state = file.read().unwrap();
        assert!(state.is_on && state.began.contains_key("a"));
        std::fs::write(&file.path, "{\"is_on\": tr").unwrap();
        assert!(file.read().is_err());
        file.change(|state| state.is_on = true).unwrap();
        assert!(file.read().unwrap().is_on);
        let held = file.review().unwrap();
        assert!(held.is_some() && file.review().unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_look_into_it() {
        use std::os::unix::fs::PermissionsExt;

        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("state");
        let file = StateFile::new(&folder, Path::new("/r"));
        file.change(|state| state.is_on = true).unwrap();
        drop(file.review().unwrap());
        let rights = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((rights(&folder), rights(&folder.join("gates"))), (0o700, 0o700));
        let files = std::fs::read_dir(folder.join("gates")).unwrap();
        let all: Vec<_> = files.map(|file| rights(&file.unwrap().path())).collect();
        assert_eq!(all, [0o600; 3]);
    }
}
