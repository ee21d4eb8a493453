//! Why a store could not do what was asked.

use crate::session::SessionName;

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, read or written.
    #[error("cannot {action} the session store at {place}")]
    Unavailable {
        action: &'static str,
        /// Where the store is. Never a secret.
        place: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is no SQLite database, or its pages are damaged.
    #[error("the session store at {place} is not a readable database")]
    Corrupt {
        /// Where the store is. Never a secret.
        place: String,
        /// What SQLite says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was written by a newer server.
    #[error("the session store at {place} was made by a newer version of this server")]
    Newer {
        /// Where the store is. Never a secret.
        place: String,
    },
    /// One session cannot be read. Others can.
    #[error("the record of session `{name}` is damaged: {reason}")]
    Damaged {
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The lease that a write was made under is not in force any more. Nothing was written.
    #[error("this server no longer has the lease of session `{name}`")]
    LeaseLost { name: SessionName },
    /// The session has changed since it was read. Nothing was written.
    #[error("session `{name}` has changed since it was read")]
    Stale { name: SessionName },
}
