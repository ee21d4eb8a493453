//! Why a store could not do what was asked.

use sqlx::migrate::MigrateError;

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
    /// Its tables are not those of any version that was released.
    #[error("the session store at {place} was made by an early version of this server")]
    Older {
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

/// What SQLite answers about a file that is no database, or a damaged one.
const NO_DATABASE: [&str; 2] = ["11", "26"];

impl StoreError {
    /// Tells a file that is no readable database from one that cannot be used at the moment.
    pub(super) fn of(action: &'static str, place: String, source: sqlx::Error) -> Self {
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code {
            Some(code) if NO_DATABASE.contains(&code.as_ref()) => {
                Self::Corrupt { place, source: Box::new(source) }
            }
            _ => Self::Unavailable { action, place, source: Box::new(source) },
        }
    }

    /// Why the tables could not be brought up to date.
    pub(super) fn of_migration(place: &str, error: MigrateError) -> Self {
        let (action, place) = ("open", place.to_owned());
        match error {
            MigrateError::VersionMismatch(_) => Self::Older { place },
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                Self::Newer { place }
            }
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
                Self::of(action, place, source)
            }
            error => Self::Unavailable { action, place, source: error.into() },
        }
    }
}
