//! Why a client could not be set up.

use std::{io, path::PathBuf};

use super::edit::EditError;

/// Why a client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nobody knows where the file is.
    #[error(
        "there is no home folder to find the client's configuration in; name the file with --file"
    )]
    NoHome,
    /// The URL is none.
    #[error("`{0}` is no URL of a server, such as https://codex.example/mcp")]
    NoUrl(String),
    /// Its file takes programs alone.
    #[error(
        "this client's file takes no servers over HTTP; add the URL in its settings, under connectors"
    )]
    NoHttp,
    /// A token would have to be in the file.
    #[error(
        "this client reads no variables in its settings; leave --token-env out, and it asks you to log in"
    )]
    NoVariables,
    /// The file cannot be changed.
    #[error("{} was left as it is", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: EditError,
    },
    /// The file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Somebody else wrote it meanwhile.
    #[error("{} was changed by somebody else meanwhile; nothing was written, try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The client's own command failed.
    #[error("`{command}` failed: {reason}")]
    Own {
        /// The command.
        command: String,
        /// What it said.
        reason: String,
    },
    /// Another server has this name.
    #[error("`{name}` in {} is another server; {advice}", path.display())]
    Taken {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What to do if it is meant.
        advice: &'static str,
    },
    /// It is a device, a pipe or a folder.
    #[error("{} is not a file", path.display())]
    NotAFile {
        /// Where it is.
        path: PathBuf,
    },
}
