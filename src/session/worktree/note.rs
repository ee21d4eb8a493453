//! The note beside a worktree: whose it is. It is written before the worktree is made and removed after it.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{
    session::{SessionName, record::WorktreeRecord},
    system::replace_private_file,
};

/// How old a note must be before its worktree can be left over: until then it may be one that is being made.
const SETTLED: Duration = Duration::from_mins(10);

/// Whose a worktree is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The session it was made for.
    pub(super) session: SessionName,
    /// The store that has the session.
    pub(super) store: String,
    pub(super) worktree: WorktreeRecord,
}

impl Note {
    pub(super) fn write(&self) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        replace_private_file(&file_of(&self.worktree.path), &text)
    }
}

/// Removes the note of a worktree, if there is one.
pub(super) fn remove(worktree: &Path) -> io::Result<()> {
    match std::fs::remove_file(file_of(worktree)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The notes of this store in a folder, and whether each is old enough. One that cannot be read is left alone.
pub(super) fn all(folder: &Path, store: &str) -> Vec<(Note, bool)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let notes = entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "json"));
    let read = notes.filter_map(|entry| {
        let text = std::fs::read(entry.path()).ok()?;
        let note = serde_json::from_slice::<Note>(&text).ok()?;
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        Some((note, written.is_ok_and(is_settled)))
    });
    read.filter(|(note, _)| note.store == store).collect()
}

#[expect(clippy::disallowed_methods, reason = "files have times of the wall clock")]
fn is_settled(written: SystemTime) -> bool {
    SystemTime::now().duration_since(written).is_ok_and(|age| age >= SETTLED)
}

fn file_of(worktree: &Path) -> PathBuf {
    worktree.with_extension("json")
}
