//! Owners of leases, and whether they are still alive.
//!
//! An owner is alive while its file in the owners' folder is locked, which the operating system undoes when the
//! process ends, however it ends. A file appears in the folder only once it is locked, so an owner never looks dead
//! while it lives. A missing file says nothing: leases of such an owner run out by the clock.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::system::{create_private_file, private_folder};

/// What the names of files end with that are not registered yet.
const PENDING: &str = ".pending";

/// Tells a file from another one at the same path.
type FileId = (u64, u64);

/// One opened store among the others of a file. What it is registered by stays behind, unlocked, until another owner has
/// freed what it held.
#[derive(Debug)]
pub(super) struct Registry {
    id: String,
    folder: PathBuf,
    _locked: File,
    /// The store, and which file it was when it was opened.
    store: PathBuf,
    file: Option<FileId>,
}

impl Registry {
    /// Registers a new owner in the folder.
    pub(super) fn register(folder: &Path) -> io::Result<Self> {
        private_folder(folder)?;
        let id = uuid::Uuid::new_v4().to_string();
        let pending = folder.join(format!("{id}{PENDING}"));
        let file = create_private_file(&pending)?;
        file.lock()?;
        fs::rename(&pending, folder.join(&id))?;
        let (folder, store) = (folder.to_owned(), PathBuf::new());
        Ok(Self { id, folder, _locked: file, store, file: None })
    }

    /// With the file of the store, which is there by now.
    pub(super) fn of_file(self, store: &Path) -> Self {
        Self { file: file_id(store), store: store.to_owned(), ..self }
    }

    /// Whether the file at its path is still the one that was opened. Where files cannot be told apart it is.
    pub(super) fn is_same_file(&self) -> bool {
        self.file.is_none() || file_id(&self.store) == self.file
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether an owner's process is known to have ended.
    fn is_dead(&self, owner: &str) -> bool {
        owner != self.id && File::open(self.folder.join(owner)).is_ok_and(|file| is_unlocked(&file))
    }

    /// The owners that are dead and still have a file.
    pub(super) fn dead(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.ends_with(PENDING) && self.is_dead(name)).collect()
    }

    /// Removes the file of an owner that is dead and holds nothing any more.
    pub(super) fn forget(&self, owner: &str) {
        // Another server may do so at the same time.
        let _ = fs::remove_file(self.folder.join(owner));
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;

    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn file_id(_path: &Path) -> Option<FileId> {
    None
}

fn is_unlocked(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn an_owner_is_alive_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let watcher = Registry::register(folder.path()).unwrap();
        let other = Registry::register(folder.path()).unwrap();
        let id = other.id().to_owned();
        assert!(!watcher.is_dead(&id) && !watcher.is_dead("never there"));
        drop(other);
        assert!(watcher.is_dead(&id));
        assert_eq!(watcher.dead(), std::slice::from_ref(&id));
        watcher.forget(&id);
        assert!(watcher.dead().is_empty() && !watcher.is_dead(watcher.id()));
    }

    #[test]
    fn an_owner_that_is_just_registering_never_looks_dead() {
        let folder = tempfile::tempdir().unwrap();
        let watcher = Arc::new(Registry::register(folder.path()).unwrap());
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let sweeper = {
            let (watcher, stop) = (Arc::clone(&watcher), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    for id in watcher.dead() {
                        watcher.forget(&id);
                    }
                }
            })
        };
        let owners: Vec<_> = (0..300).map(|_| Registry::register(folder.path()).unwrap()).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        sweeper.join().unwrap();
        for owner in owners {
            assert!(folder.path().join(owner.id()).exists(), "a living owner was removed");
        }
    }
}
