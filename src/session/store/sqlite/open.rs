//! Opening the file: private to its user, brought up to date, or a clear word why not.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Connection, SqlSafeStr, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::owner::Owner;
use crate::session::store::StoreError;

/// Every step from nothing to today's schema, by number. One that was released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "sessions", include_str!("../migrations/sqlite/0001_sessions.sql")),
    (2, "queue", include_str!("../migrations/sqlite/0002_queue.sql")),
];

/// How long to wait for another server's write to finish.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) pool: SqlitePool,
    pub(super) owner: Owner,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file, making it and its folder if need be, readable for its user alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be opened or is no database, [`StoreError::Newer`] if a
    /// newer server made it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |source: Box<dyn Error + Send + Sync>| StoreError::Unavailable {
            action: "open",
            path: path.to_owned(),
            source,
        };
        make_private(path).map_err(|error| failed(error.into()))?;
        let owner = Owner::register(&path.with_extension("owners"));
        let owner = owner.map_err(|error| failed(error.into()))?;
        owner.clear_dead();
        // Servers that start at once would turn the new file to WAL at the same time, which one of them
        // cannot, and take the same step twice. The lock ends with the file.
        let lock = path.with_extension("lock");
        let locked = tokio::task::spawn_blocking(move || lock_file(&lock)).await;
        let locked = locked.map_err(|error| failed(error.into()))?;
        let _locked = locked.map_err(|error| failed(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // With WAL this survives a kill of any process; only a power cut may cost the last writes.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("cache_size", "-1024")
            .statement_cache_capacity(32);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
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
        let pool = pool.map_err(|error| failed(error.into()))?;
        match migrator().run(&pool).await {
            Ok(()) => Ok(Self { pool, owner, path: path.to_owned() }),
            Err(MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..)) => {
                Err(StoreError::Newer { path: path.to_owned() })
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Names the operation that failed.
    pub(super) fn failed(&self, action: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        let path = self.path.clone();
        move |source| StoreError::Unavailable { action, path, source: Box::new(source) }
    }
}

/// Waits until nobody else has it.
fn lock_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

fn migrator() -> Migrator {
    let step = |(number, what, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*number, (*what).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(step).collect())
}

fn make_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    // SQLite gives its side files the mode of the main one.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
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
        assert!(matches!(error, StoreError::Unavailable { action: "open", .. }), "{error:?}");
        assert!(error.to_string().contains("sessions.sqlite3"));
    }
}
