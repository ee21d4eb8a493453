//! Bringing the user's working tree from one state to another: all of it, or nothing.
//!
//! Git says what is to be where and how it is written there; [`mod@write`] writes it. A file counts as what it was if git
//! makes of its bytes what the state has, so filters and line ends do not matter. A file that is there, and is in no state
//! because git ignores it, is in the way of a new one.

mod folder;
mod lock;
mod write;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use self::{
    folder::Found,
    write::{Change, STAGE, Stopped, Writer, below, name_of, parent_of},
};
use super::{
    changes::COMPARE, command::LIST, error::RepositoryError, files, shadow::Shadow,
    snapshot::path_of,
};

const ACTION: &str = "write the changes";

/// A file as two states have it.
struct Entry {
    name: Vec<u8>,
    /// Git's mode and id, if the state has it.
    before: Option<(String, String)>,
    after: Option<(String, String)>,
}

impl Shadow {
    /// Changes the working tree from one state to another. Returns which files. The folders that are made in it for that
    /// while are written to `journal`, for who comes after us if we are killed.
    ///
    /// # Errors
    /// [`RepositoryError::Conflicts`] names the files that are not as `ours` has them; [`RepositoryError::HalfWritten`] those
    /// that are not as they were. After any other error nothing has changed.
    pub(super) async fn become_like(
        &self,
        ours: &str,
        result: &str,
        journal: &Path,
    ) -> Result<Vec<String>, RepositoryError> {
        let entries = self.entries(ours, result).await?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let new = self.written_out(result, &entries).await?;
        let top = self.layout.top.clone();
        let looked = tokio::task::spawn_blocking({
            let paths: Vec<_> = entries.iter().map(|entry| path_of(&entry.name)).collect();
            move || paths.iter().map(|path| look(&top, path)).collect::<Result<Vec<_>, String>>()
        });
        let found = looked.await.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        self.check(&entries, &found).await?;
        let mut changes = Vec::new();
        for (entry, before) in entries.iter().zip(found) {
            let path = path_of(&entry.name);
            // A folder in the way of a new file is emptied first, or stops all of it.
            let before = before.filter(|found| *found != Found::Folder);
            if entry.before.is_none() && before.is_some() {
                // It is what it is to be: `check` has seen to that.
                continue;
            }
            let mode =
                |state: &Option<(String, String)>| state.as_ref().map(|(mode, _)| mode == "100755");
            let executes = mode(&entry.after).filter(|it| Some(*it) != mode(&entry.before));
            let after = entry.after.is_some().then(|| new.join(&path));
            changes.push(Change { path, before, after, executes });
        }
        let (top, journal) = (self.layout.top.clone(), journal.to_owned());
        // It goes on to its end, also if this call is dropped.
        let written =
            tokio::task::spawn_blocking(move || write_all(&top, &changes, &journal)).await;
        written.map_err(|error| failed(error.to_string()))?.map_err(error_of)?;
        Ok(entries.iter().map(|entry| shown(&path_of(&entry.name))).collect())
    }

    async fn entries(&self, ours: &str, result: &str) -> Result<Vec<Entry>, RepositoryError> {
        let raw = ["--raw", "--no-renames", "--no-abbrev", "-z", ours, result];
        let raw = [COMPARE.as_slice(), &raw].concat();
        let listed = self.run(ACTION, &raw, &[], LIST).await?.succeeded(ACTION)?;
        let (mut entries, mut links) = (Vec::new(), Vec::new());
        for pair in listed.parts(ACTION)?.chunks_exact(2) {
            let [meta, name] = pair else { continue };
            let meta = String::from_utf8_lossy(meta);
            let mut words = meta.trim_start_matches(':').split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_default();
            let (old_mode, new_mode, old, new) = (word(), word(), word(), word());
            if [&old_mode, &new_mode].iter().any(|mode| *mode == "160000") {
                links.push(shown(&path_of(name)));
            }
            let state = |mode: String, id| (mode != "000000").then_some((mode, id));
            let (before, after) = (state(old_mode, old), state(new_mode, new));
            entries.push(Entry { name: name.to_vec(), before, after });
        }
        if links.is_empty() { Ok(entries) } else { Err(RepositoryError::Nested { paths: links }) }
    }

    /// Writes the new files into a folder of ours, as git writes them in this repository.
    async fn written_out(
        &self,
        result: &str,
        entries: &[Entry],
    ) -> Result<PathBuf, RepositoryError> {
        let (index, folder) = (self.file("after"), self.file("new"));
        let new = entries.iter().filter(|entry| entry.after.is_some());
        let names: Vec<u8> = new.flat_map(|entry| [&entry.name, &b"\0"[..]].concat()).collect();
        let prefix = format!("--prefix={}/", folder.to_string_lossy());
        for (arguments, input) in [
            (vec!["read-tree", result], &[][..]),
            (vec!["checkout-index", "--force", &prefix, "-z", "--stdin"], &names),
        ] {
            self.run_on(&index, ACTION, &arguments, input, LIST).await?.succeeded(ACTION)?;
        }
        Ok(folder)
    }

    /// Whether each file is as its state has it.
    async fn check(
        &self,
        entries: &[Entry],
        found: &[Option<Found>],
    ) -> Result<(), RepositoryError> {
        let is_file = |found: &Option<Found>| matches!(found, Some(Found::File(_)));
        let mut paths = Vec::new();
        for (entry, _) in entries.iter().zip(found).filter(|(_, found)| is_file(found)) {
            paths.extend(quoted(&entry.name));
        }
        let hash = ["hash-object", "--stdin-paths"];
        let hashed = self.run(ACTION, &hash, &paths, LIST).await?.succeeded(ACTION)?;
        let hashed = String::from_utf8_lossy(&hashed.bytes).into_owned();
        let mut ids = hashed.lines();
        let (mut conflicts, mut missing) = (Vec::new(), Vec::new());
        for (entry, found) in entries.iter().zip(found) {
            let name = shown(&path_of(&entry.name));
            let id = match found {
                None => None,
                Some(Found::File(_)) => ids.next().map(str::to_owned),
                Some(Found::Link(place)) => Some(self.id_of_link(place).await?),
                Some(Found::Folder) if entry.before.is_none() => None,
                Some(Found::Folder | Found::Other) => Some(String::new()),
            };
            match (&entry.before, id) {
                (None, None) => {}
                (Some((_, before)), Some(id)) if *before == id => {}
                // A file that git ignores and that is the same.
                (None, Some(id)) if entry.after.as_ref().is_some_and(|(_, new)| *new == id) => {}
                (Some(_), None) => missing.push(name),
                _ => conflicts.push(name),
            }
        }
        if !conflicts.is_empty() {
            return Err(RepositoryError::Conflicts { files: conflicts });
        }
        if !missing.is_empty() {
            let reason =
                format!("not checked out here (see `git sparse-checkout`): {}", missing.join(", "));
            return Err(failed(reason));
        }
        Ok(())
    }

    async fn id_of_link(&self, place: &Path) -> Result<String, RepositoryError> {
        let place = place.as_os_str().as_encoded_bytes();
        let hash = ["hash-object", "--stdin"];
        let hashed = self.run(ACTION, &hash, place, LIST).await?.succeeded(ACTION)?;
        Ok(String::from_utf8_lossy(&hashed.bytes).trim().to_owned())
    }
}

fn write_all(top: &Path, changes: &[Change], journal: &Path) -> Result<(), Stopped> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let mut writer = Writer::new(top, changes, id.get(..12).unwrap_or(&id));
    let folders = writer.plan()?;
    let text: Vec<u8> = folders
        .iter()
        .flat_map(|folder| [folder.as_os_str().as_encoded_bytes(), b"\0"].concat())
        .collect();
    crate::system::replace_private_file(journal, &text)
        .map_err(|error| Stopped { reason: error.to_string(), ..Stopped::default() })?;
    let written = writer.write();
    drop(std::fs::remove_file(journal));
    written
}

/// Removes the folders that a killed apply has left in the user's tree. Nothing is lost with them: a file is exchanged for
/// one that has the changes of both, and only taken away if the user had not changed it (`Shadow::check_removed`).
pub(super) fn clean_up(journal: &Path) {
    let Ok(text) = std::fs::read(journal) else { return };
    for folder in text.split(|byte| *byte == 0).filter(|folder| !folder.is_empty()) {
        let folder = path_of(folder);
        if name_of(&folder).to_string_lossy().starts_with(STAGE) {
            drop(std::fs::remove_dir_all(folder));
        }
    }
    drop(std::fs::remove_file(journal));
}

/// What is at a path now. A folder above that is none, or a link, is an error.
fn look(top: &Path, path: &Path) -> Result<Option<Found>, String> {
    let failed = |error: std::io::Error| format!("`{}`: {error}", path.display());
    files::plain_below(top, parent_of(path)).map_err(failed)?;
    match below(top, parent_of(path)) {
        Ok(folder) => folder.look(name_of(path)).map_err(failed),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Whether a folder is not there, or a file is where it will be.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn error_of(stopped: Stopped) -> RepositoryError {
    let Stopped { reason, changed, left } = stopped;
    let files: Vec<String> = changed.iter().map(|path| shown(path)).collect();
    if left.is_empty() {
        return if files.is_empty() {
            failed(reason)
        } else {
            RepositoryError::Conflicts { files }
        };
    }
    let told: BTreeSet<String> = left
        .iter()
        .map(|(path, old)| match old {
            Some(old) => format!("`{}` (what it was is in `{}`)", path.display(), old.display()),
            None => format!("`{}` (it was not there)", path.display()),
        })
        .collect();
    let reason = if reason.is_empty() {
        format!("another program has changed {} meanwhile", files.join(", "))
    } else {
        reason
    };
    RepositoryError::HalfWritten { reason, files: told.into_iter().collect() }
}

fn failed(reason: String) -> RepositoryError {
    RepositoryError::Failed { action: ACTION, reason }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A path for a list of one a line, as git quotes them.
fn quoted(path: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for byte in path {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            b' '..=b'~' => quoted.push(*byte),
            _ => quoted.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    quoted.extend(b"\"\n");
    quoted
}
