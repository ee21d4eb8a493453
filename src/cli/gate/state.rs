//! What is kept of a project's gate.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A project's gate.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) is_on: bool,
    /// The turn that is under way.
    #[serde(default)]
    pub(super) began: Option<Began>,
    /// What the last review that blocked found.
    #[serde(default)]
    pub(super) blocked: Vec<String>,
    #[serde(skip)]
    file: PathBuf,
}

/// Where a turn began.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Began {
    /// The state of the working tree, as git's id of a tree.
    pub(super) tree: String,
}

impl State {
    /// The gate of the project at `root`. Off if there is none, or if it cannot be read.
    pub(super) fn read(folder: &Path, root: &Path) -> Self {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let name: Vec<String> = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let file = folder.join("gates").join(format!("{}.json", name.concat()));
        let text = std::fs::read(&file).unwrap_or_default();
        let state: Self = serde_json::from_slice(&text).unwrap_or_default();
        Self { file, ..state }
    }

    pub(super) fn write(&self) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.file, serde_json::to_vec(self)?)
    }

    /// Held while a review is under way. `None` if another one is.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let file = File::create(self.file.with_extension("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
