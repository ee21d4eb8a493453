//! Files that are read or copied out of folders in which others can write: bounded, and never a link or a pipe that
//! stands in for a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// Opens a plain file for reading. A link at the end of the path, a pipe or a device is an error, at once.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        // Without `NONBLOCK` opening a pipe waits for a writer.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// The text of a small plain file. `None` if there is none, or it is not small: over 65,536 bytes.
pub(super) fn small_text(path: &Path) -> Option<String> {
    const MOST: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    open(path).ok()?.take(MOST + 1).read_to_end(&mut bytes).ok()?;
    let is_small = bytes.len() as u64 <= MOST;
    is_small.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Copies a plain file of at most `limit` bytes, with its time.
///
/// By its time git knows which entries of an index it cannot trust: those of files that were written in the instant in
/// which the index was. With a later time it would take such a file to be unchanged.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none.
pub(super) fn copy(from: &Path, to: &Path, limit: u64) -> io::Result<()> {
    let file = open(from)?;
    let metadata = file.metadata()?;
    if metadata.len() > limit {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).open(to)?;
    io::copy(&mut file.take(limit), &mut copy)?;
    copy.set_modified(metadata.modified()?)
}

/// Writes a file in a folder in which others can write: what is there is replaced at once, a link is not followed.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// A place below a folder, in which no part is a link, so that what Codex writes there cannot lead us elsewhere.
///
/// # Errors
/// If one is. What is missing is none.
pub(super) fn plain_below(folder: &Path, place: &Path) -> io::Result<PathBuf> {
    let mut path = folder.to_owned();
    for part in place.components() {
        path.push(part);
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let reason = format!("`{}` is a link", path.display());
                return Err(io::Error::new(ErrorKind::InvalidInput, reason));
            }
            Err(error)
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(path)
}

/// Looks at a folder and all that is below it.
///
/// # Errors
/// If one of them is a link. What is missing is none.
pub(super) fn all_plain(folder: &Path) -> io::Result<()> {
    let is_missing =
        |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    let mut waiting = vec![plain_below(folder, Path::new(""))?];
    while let Some(folder) = waiting.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if is_missing(&error) => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                let reason = format!("`{}` is a link", entry.path().display());
                return Err(io::Error::new(ErrorKind::InvalidInput, reason));
            }
            if kind.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Moves a small folder of ours, also to another file system.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if there is something at the new place.
pub(super) fn move_folder(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            move_folder(&from, &to)?;
        } else {
            std::fs::copy(&from, &to)?;
        }
    }
    std::fs::remove_dir_all(from)
}

/// Gives a folder of objects all that another one has. Objects never change, so both can have the same files.
pub(super) fn link_objects(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    std::fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link_objects(&from, &to)?;
        } else if std::fs::hard_link(&from, &to).is_err() && !to.exists() {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
