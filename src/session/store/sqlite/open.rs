//! Opening the file: private to its user, brought up to date, or a clear word why not.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use sqlx::{
    Connection, SqlSafeStr, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::owner::Owner;
use crate::{
    session::store::{StoreClock, StoreError},
    system::{create_private_file, missing_folders, open_private_file},
};

/// Every step from nothing to today's schema, by number. One that was released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "sessions", include_str!("../migrations/sqlite/0001_sessions.sql")),
    (2, "queue", include_str!("../migrations/sqlite/0002_queue.sql")),
    (3, "leases", include_str!("../migrations/sqlite/0003_leases.sql")),
    (4, "details", include_str!("../migrations/sqlite/0004_details.sql")),
    (5, "tokens", include_str!("../migrations/sqlite/0005_tokens.sql")),
    (6, "rollouts", include_str!("../migrations/sqlite/0006_rollouts.sql")),
    (7, "handshakes", include_str!("../migrations/sqlite/0007_handshakes.sql")),
    (8, "words", include_str!("../migrations/sqlite/0008_words.sql")),
    (9, "outcomes", include_str!("../migrations/sqlite/0009_outcomes.sql")),
    (10, "secrets", include_str!("../migrations/sqlite/0010_secrets.sql")),
];

/// How long to wait for another server's write to finish.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to check whether another server still opens it.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// What SQLite answers about a file that is no database, or a damaged one.
const NO_DATABASE: [&str; 2] = ["11", "26"];

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) pool: SqlitePool,
    pub(super) owner: Owner,
    pub(super) clock: StoreClock,
    path: PathBuf,
    /// Which file it was when it was opened.
    file: Option<FileId>,
}

/// Tells a file from another one at the same path.
type FileId = (u64, u64);

impl SqliteStore {
    /// Opens the file, creating it and its folder if need be, readable for its user alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be opened, [`StoreError::Corrupt`] if it is no database or a
    /// damaged one, [`StoreError::Newer`] if a newer server made it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, StoreClock::default()).await
    }

    /// The same with another clock. All owners of a file must agree on it.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`].
    pub async fn open_with(path: &Path, clock: StoreClock) -> Result<Self, StoreError> {
        let failed = |source: Box<dyn Error + Send + Sync>| StoreError::Unavailable {
            action: "open",
            place: path.display().to_string(),
            source,
        };
        let prepared = path.to_owned();
        let prepared = tokio::task::spawn_blocking(move || prepare(&prepared)).await;
        let prepared = prepared.map_err(|error| failed(error.into()))?;
        // The lock ends with the file.
        let (owner, _locked) = prepared.map_err(|error| failed(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // With WAL this survives a kill of any process; only a power cut may cost the last writes.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("cache_size", "-512")
            .statement_cache_capacity(64);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            // Nothing can cut it off, and what was left in it is looked at when it is given back.
            .test_before_acquire(false)
            .after_release(|connection, _| {
                Box::pin(async move {
                    // A full disk makes SQLite roll back by itself, which the driver does not notice: it would
                    // take this connection to be in a transaction for ever. The ping waits for its rollback.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options)
            .await;
        let pool = pool.map_err(|source| sorted("open", path, source))?;
        match migrator().run(&pool).await {
            Ok(()) => {
                let file = file_id(path);
                Ok(Self { pool, owner, clock, path: path.to_owned(), file })
            }
            Err(MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..)) => {
                Err(StoreError::Newer { place: path.display().to_string() })
            }
            Err(MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) => {
                Err(sorted("open", path, source))
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Names the operation that failed.
    pub(super) fn failed(&self, action: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        let path = self.path.clone();
        move |source| sorted(action, &path, source)
    }

    /// Whether the file at its path is still the one that was opened. Where files cannot be told apart it is.
    pub(super) fn is_same_file(&self) -> bool {
        self.file.is_none() || file_id(&self.path) == self.file
    }
}

/// Tells a file that is no readable database from one that cannot be used at the moment.
fn sorted(action: &'static str, path: &Path, source: sqlx::Error) -> StoreError {
    let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let place = path.display().to_string();
    match code {
        Some(code) if NO_DATABASE.contains(&code.as_ref()) => {
            StoreError::Corrupt { place, source: Box::new(source) }
        }
        _ => StoreError::Unavailable { action, place, source: Box::new(source) },
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;

    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn file_id(_path: &Path) -> Option<FileId> {
    None
}

/// Makes the file and its folder, and registers an owner, one server at a time: servers that start at once would
/// turn a new file to WAL at the same time, which one of them cannot, and migrate it twice.
fn prepare(path: &Path) -> io::Result<(Owner, fs::File)> {
    make_private_folder(path)?;
    let locked = lock_file(&path.with_extension("lock"))?;
    if !path.try_exists()? {
        // A file that was removed while it was in use leaves them behind, and the new one would be read with them.
        // Who still has them open keeps what is in them.
        remove_beside(path, "-wal")?;
        remove_beside(path, "-shm")?;
    }
    // SQLite gives the files beside it the same rights. It may be a link, if the operator keeps it elsewhere.
    if !path.try_exists()? {
        create_private_file(path)?;
    }
    Ok((Owner::register(&path.with_extension("owners"))?, locked))
}

/// Waits until no other server has it, which takes one that hangs or is suspended into account.
fn lock_file(path: &Path) -> io::Result<fs::File> {
    let file = open_private_file(path)?;
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_PAUSE),
            Err(fs::TryLockError::WouldBlock) => {
                let reason = "another server has been opening it for too long; it may be suspended";
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
        }
    }
}

fn migrator() -> Migrator {
    let step = |(number, what, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*number, (*what).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(step).collect())
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    missing_folders(folder)
}

fn remove_beside(path: &Path, suffix: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    match fs::remove_file(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_the_store() {
        use std::os::unix::fs::PermissionsExt;

        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/folder/sessions.sqlite3");
        let _store = SqliteStore::open(&path).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for file in fs::read_dir(path.parent().unwrap()).unwrap().flatten() {
            assert_eq!(mode(&file.path()) & 0o077, 0, "{}", file.path().display());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn servers_that_start_at_once_bring_it_up_to_date_once() {
        for _ in 0..10 {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("sessions.sqlite3");
            let open = || SqliteStore::open(&path);
            let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
            for opened in [a, b, c, d] {
                opened.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_newer_store_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sessions.sqlite3");
        let store = SqliteStore::open(&path).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', TRUE, x'00', 0)",
        )
        .execute(&store.pool)
        .await
        .unwrap();
        drop(store);
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Newer { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sessions.sqlite3");
        fs::write(&path, "this is not a database, and it is long enough to be sure of it").unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("sessions.sqlite3"));
    }
}
