//! Where a text is written: standard output or a file.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{error::CliError, run::written, screen};
use crate::system::{create_private_file, replace_private_file};

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
        return replace_private_file(&path, text.as_bytes());
    }
    create_private_file(path)?.write_all(text.as_bytes())
}
