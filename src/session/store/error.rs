//! Why a store could not do what was asked.

use std::path::PathBuf;

use crate::session::SessionName;

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, read or written.
    #[error("cannot {action} the session store at {}", path.display())]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// The store's file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is no SQLite database, or its pages are damaged.
    #[error("the session store at {} is not a readable database", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was written by a newer server.
    #[error("the session store at {} was made by a newer version of this server", path.display())]
    Newer {
        /// The store's file.
        path: PathBuf,
    },
    /// One session cannot be read. Others can.
    #[error("the record of session `{name}` is damaged: {reason}")]
    Damaged {
        /// The session.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The lease that a write was made under is not in force any more. Nothing was written.
    #[error("this server no longer has the lease of session `{name}`")]
    LeaseLost {
        /// The session.
        name: SessionName,
    },
    /// The session has changed since it was read. Nothing was written.
    #[error("session `{name}` has changed since it was read")]
    Stale {
        /// The session.
        name: SessionName,
    },
}
