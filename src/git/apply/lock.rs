//! Keeps another apply, and the user's own git, from the working tree while it is written.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    git::{error::RepositoryError, files::small_text, shadow::Shadow},
    system::{open_private_file, private_folder},
};

const ACTION: &str = "write the changes";

/// How long another apply, or a git of the user's, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often is looked whether it is over.
const PAUSE: Duration = Duration::from_millis(50);

/// While this lives, no other apply writes and git changes nothing.
///
/// Ours is a lock on a file, which ends with its process. Git's is a file, `index.lock`: ours says whose it is, so that
/// the next apply removes what a killed one has left.
#[derive(Debug)]
pub(in crate::git) struct Held {
    _ours: File,
    gits: Option<PathBuf>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(path) = &self.gits {
            drop(fs::remove_file(path));
        }
    }
}

impl Shadow {
    /// Waits until no other apply and no git changes this working tree, and keeps it so.
    ///
    /// # Errors
    /// [`RepositoryError::InUse`] if that takes too long, [`RepositoryError::Failed`] if the files cannot be made.
    pub(in crate::git) async fn hold(&self) -> Result<Held, RepositoryError> {
        let place = self.git().lock_of(&self.layout.top)?;
        let ours = patiently(|| lock_ours(&place)).await?;
        let gits = self.layout.git_dir.join("index.lock");
        let gits = patiently(|| lock_gits(&gits, &place)).await?;
        Ok(Held { _ours: ours, gits })
    }
}

/// Tries until it works or takes too long; then what is in the way is the error.
async fn patiently<T>(
    mut attempt: impl FnMut() -> io::Result<Result<T, String>>,
) -> Result<T, RepositoryError> {
    let failed = |reason| RepositoryError::Failed { action: ACTION, reason };
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let in_the_way = match attempt().map_err(|error| failed(error.to_string()))? {
            Ok(done) => return Ok(done),
            Err(in_the_way) => in_the_way,
        };
        if tokio::time::Instant::now() >= end {
            return Err(RepositoryError::InUse { reason: in_the_way });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn lock_ours(place: &Path) -> io::Result<Result<File, String>> {
    if let Some(folder) = place.parent() {
        private_folder(folder)?;
    }
    let file = open_private_file(place)?;
    match file.try_lock() {
        Ok(()) => Ok(Ok(file)),
        Err(fs::TryLockError::WouldBlock) => {
            Ok(Err("other changes are being applied there".to_owned()))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Makes git's lock, under ours. `None` where nothing can be written, by the user's git neither.
fn lock_gits(gits: &Path, ours: &Path) -> io::Result<Result<Option<PathBuf>, String>> {
    let mark = format!("codex-mcp-server applies changes, under {}\n", ours.display());
    match File::create_new(gits) {
        Ok(mut made) => {
            made.write_all(mark.as_bytes()).inspect_err(|_| drop(fs::remove_file(gits)))?;
            return Ok(Ok(Some(gits.to_owned())));
        }
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => return Ok(Ok(None)),
            ErrorKind::AlreadyExists => {}
            _ => return Err(error),
        },
    }
    if small_text(gits).is_some_and(|text| text == mark) {
        // We hold our own lock, so the process that wrote this is dead.
        fs::remove_file(gits)?;
        return lock_gits(gits, ours);
    }
    Ok(Err(format!(
        "a git command is at work there, or one has left its lock, `{}`",
        gits.display()
    )))
}
