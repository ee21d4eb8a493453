//! Why a subcommand could not do its work.

use std::{io, path::PathBuf};

use super::{client::ClientError, setup::SetupError};
use crate::app::ServerError;

/// Why a subcommand could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The server in this process cannot start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server in this process did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Input(#[source] io::Error),
    /// The answer cannot be written.
    #[error("cannot write {what}")]
    Output {
        /// The text or file that was to be written.
        what: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file is in the way.
    #[error("{} exists; pass --force to replace it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A client could not be set up.
    #[error(transparent)]
    Setup(Box<SetupError>),
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        Self::Setup(Box::new(error))
    }
}
