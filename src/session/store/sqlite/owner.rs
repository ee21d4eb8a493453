//! Who holds leases, and whether they are still alive.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// One opened store. Others see it as alive until the process ends, however it ends: the operating
/// system gives up the lock.
#[derive(Debug)]
pub(super) struct Owner {
    id: String,
    folder: PathBuf,
    _locked: File,
}

impl Owner {
    /// Registers a new owner in the folder.
    pub(super) fn register(folder: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        let id = uuid::Uuid::new_v4().to_string();
        let file = File::create(folder.join(&id))?;
        file.lock()?;
        Ok(Self { id, folder: folder.to_owned(), _locked: file })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether an owner's process is known to be gone. Clears its file away if so.
    pub(super) fn is_dead(&self, owner: &str) -> bool {
        if owner == self.id {
            return false;
        }
        let path = self.folder.join(owner);
        match File::open(&path) {
            Ok(file) => match file.try_lock() {
                Ok(()) => {
                    // Another server may clear it away at the same time.
                    let _ = fs::remove_file(&path);
                    true
                }
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
            },
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Clears away the files of owners that are gone and hold nothing.
    pub(super) fn clear_dead(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            self.is_dead(&entry.file_name().to_string_lossy());
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Nobody needs to try the lock of an owner that left in order.
        let _ = fs::remove_file(self.folder.join(&self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_alive_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let watcher = Owner::register(folder.path()).unwrap();
        let other = Owner::register(folder.path()).unwrap();
        let id = other.id().to_owned();
        assert!(!watcher.is_dead(&id));
        drop(other);
        assert!(watcher.is_dead(&id));
    }

    #[test]
    fn a_file_nobody_locks_is_a_dead_owner() {
        let folder = tempfile::tempdir().unwrap();
        let watcher = Owner::register(folder.path()).unwrap();
        fs::write(folder.path().join("crashed"), "").unwrap();
        watcher.clear_dead();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(!watcher.is_dead(watcher.id()));
    }
}
