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
    /// The turn was cancelled, or taken over, while it was queued. Nothing was written.
    #[error("a queued turn of session `{name}` was cancelled, or another server runs it")]
    CalledOff { name: SessionName },
    /// The session has changed since it was read. Nothing was written.
    #[error("session `{name}` has changed since it was read")]
    Stale { name: SessionName },
}

/// What PostgreSQL's codes begin with where the same may work in a moment: it is away, restarts, is full or busy, or only read
/// for now.
const PASSING_STATES: [&str; 7] = ["08", "25006", "40", "53", "55", "57", "58"];

/// SQLite's codes of that kind: busy, locked, out of memory, only read, failing input and output, full, not to be opened,
/// locked in another way.
const PASSING_CODES: [u32; 8] = [5, 6, 7, 8, 10, 13, 14, 15];

/// What SQLite answers about a file that is no database, or a damaged one.
const NO_DATABASE: [&str; 2] = ["11", "26"];

impl StoreError {
    /// Whether the same may work in a moment, because the database is away, busy or full. What it refuses for any other
    /// reason it will always refuse.
    pub fn is_passing(&self) -> bool {
        let Self::Unavailable { source, .. } = self else { return false };
        match source.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or_default();
                // PostgreSQL's codes have five letters. SQLite's are shorter and say more in their higher bits.
                match code.parse::<u32>() {
                    Ok(number) if code.len() < 5 => PASSING_CODES.contains(&(number & 0xff)),
                    _ => PASSING_STATES.iter().any(|state| code.starts_with(state)),
                }
            }
            Some(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
            ),
            None => true,
        }
    }

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
