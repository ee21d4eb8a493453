//! Where a text is written: standard output or a file.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{error::CliError, run::written, screen};

/// Where a text goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Standard output.
    Screen,
    /// A file that only this user can read, as the store is.
    File {
        /// Which.
        path: PathBuf,
        /// Whether one that is there is replaced.
        force: bool,
    },
}

impl Target {
    /// Writes the whole text.
    ///
    /// # Errors
    /// [`CliError::Output`]. Fails with [`CliError::Exists`] if the file is there and not to be replaced.
    pub(super) fn write(&self, text: &str) -> Result<(), CliError> {
        let Self::File { path, force } = self else {
            return written(screen::stdout().write_all(text.as_bytes()), "to stdout");
        };
        match write_file(path, *force, text) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !force => {
                Err(CliError::Exists { path: path.clone() })
            }
            result => result
                .map_err(|source| CliError::Output { what: path.display().to_string(), source }),
        }
    }
}

fn write_file(path: &Path, force: bool, text: &str) -> io::Result<()> {
    let is_there = fs::metadata(path);
    if force && is_there.as_ref().is_ok_and(|there| !there.is_file()) {
        // A pipe or a device is written to, not replaced.
        return OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    if force {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.persist(&path)?;
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
