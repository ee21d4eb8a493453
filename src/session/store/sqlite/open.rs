//! Opening the file: private to its user, brought up to date, or a clear word why not.

use std::{
    error::Error,
    fs, io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use sqlx::{
    Connection, SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::words::DIALECT;
use crate::{
    session::store::{
        SqlStore, StoreClock, StoreError,
        registry::Registry,
        sql::{Others, Pool, span},
    },
    system::{create_private_file, missing_folders, open_private_file},
};

/// Every step from nothing to today's schema, by number. One that was released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "store", include_str!("../migrations/sqlite/0001_store.sql"))];

/// How long to wait for another server's write to finish.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// No lease and no place in a queue is given for longer.
const LONGEST_LEASE: Duration = Duration::from_hours(1);

/// How often to check whether another server still opens it.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

impl SqlStore {
    /// Opens a file, creating it and its folder if need be, readable for its user alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be opened, [`StoreError::Corrupt`] if it is no database or a
    /// damaged one, [`StoreError::Newer`] or [`StoreError::Older`] if its schema is none that this server can use.
    pub async fn in_file(path: &Path) -> Result<Self, StoreError> {
        Self::in_file_with(path, StoreClock::default()).await
    }

    /// The same with another clock. All owners of a file must agree on it.
    ///
    /// # Errors
    /// As for [`SqlStore::in_file`].
    pub async fn in_file_with(path: &Path, clock: StoreClock) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        let failed = |source: Box<dyn Error + Send + Sync>| StoreError::Unavailable {
            action: "open",
            place: place.clone(),
            source,
        };
        let prepared = path.to_owned();
        let prepared = tokio::task::spawn_blocking(move || prepare(&prepared)).await;
        let prepared = prepared.map_err(|error| failed(error.into()))?;
        // The lock ends with the file.
        let (registry, _locked) = prepared.map_err(|error| failed(error.into()))?;
        let options = SqliteConnectOptions::new().filename(path);
        let pool = connect(options.journal_mode(SqliteJournalMode::Wal), &place).await?;
        let registry = registry.of_file(path);
        let owner = registry.id().to_owned();
        Self::of(pool, owner, clock, place, Others::Here(registry)).await
    }

    /// Opens one in memory, which is gone with the process.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is no room for it.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let place = "memory".to_owned();
        let pool = connect(SqliteConnectOptions::new().in_memory(true), &place).await?;
        let owner = uuid::Uuid::new_v4().to_string();
        Self::of(pool, owner, StoreClock::default(), place, Others::None).await
    }

    async fn of(
        pool: SqlitePool,
        owner: String,
        clock: StoreClock,
        place: String,
        others: Others,
    ) -> Result<Self, StoreError> {
        let migrated = migrator().run(&pool).await;
        migrated.map_err(|error| StoreError::of_migration(&place, error))?;
        // Each tenant has a file of its own.
        let (pool, tenant) = (Pool::Sqlite(pool), String::new());
        let dialect = &DIALECT;
        let store = Self { pool, dialect, tenant, owner, clock, place, others };
        store.register().await?;
        store.end_leases_of_another_boot().await?;
        Ok(store)
    }

    /// The clock begins anew with each boot, and is another one on another machine: a lease that would last longer than
    /// any does was not given by this one, and a message of later was not left now.
    async fn end_leases_of_another_boot(&self) -> Result<(), StoreError> {
        let end = async {
            for (table, of_another, end) in [
                ("sessions", "lease_until > {clock} + $3", "UPDATE sessions SET lease_until = 0"),
                (
                    "turns",
                    "status = 'queued' AND until > {clock} + $3",
                    "UPDATE turns SET until = 0",
                ),
                ("control_messages", "posted > {clock}", "DELETE FROM control_messages"),
            ] {
                let any =
                    format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {of_another}) AS there");
                let any = self.query(&any).bind(span(LONGEST_LEASE)).one(&self.pool).await?;
                if any.get("there")? {
                    let end = self.query(&format!("{end} WHERE {of_another}"));
                    end.bind(span(LONGEST_LEASE)).execute(&self.pool).await?;
                }
            }
            Ok(())
        };
        end.await.map_err(self.failed("open"))
    }
}

/// One connection, which others of the same process wait for.
async fn connect(options: SqliteConnectOptions, place: &str) -> Result<SqlitePool, StoreError> {
    let options = options
        // With WAL this survives a kill of any process; only a power cut may cost the last writes.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("cache_size", "-512")
        .statement_cache_capacity(64);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        // A store in memory is gone with its connection.
        .idle_timeout(None)
        .max_lifetime(None)
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
    pool.map_err(|source| StoreError::of("open", place.to_owned(), source))
}

/// Makes the file and its folder, and registers an owner, one server at a time: servers that start at once would
/// turn a new file to WAL at the same time, which one of them cannot, and migrate it twice.
fn prepare(path: &Path) -> io::Result<(Registry, fs::File)> {
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
    Ok((Registry::register(&path.with_extension("owners"))?, locked))
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
    use jiff::Timestamp;

    use super::*;
    use crate::session::{
        SessionRecord, SessionStatus,
        record::examples,
        store::{Claim, Coordination, SessionStore},
    };

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_the_store() {
        use std::os::unix::fs::PermissionsExt;

        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/folder/sessions.sqlite3");
        let _store = SqlStore::in_file(&path).await.unwrap();
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
            let open = || SqlStore::in_file(&path);
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
        let store = SqlStore::in_file(&path).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', TRUE, x'00', 0)",
        )
        .execute(store.sqlite())
        .await
        .unwrap();
        drop(store);
        let error = SqlStore::in_file(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Newer { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_store_of_before_the_first_release_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sessions.sqlite3");
        let store = SqlStore::in_file(&path).await.unwrap();
        let other = "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1";
        sqlx::query(other).execute(store.sqlite()).await.unwrap();
        drop(store);
        let error = SqlStore::in_file(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Older { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_lease_of_another_boot_is_over() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sessions.sqlite3");
        let (name, now) = ("s".parse().unwrap(), Timestamp::now());
        let opened = async |uptime: Duration| {
            let clock = StoreClock::manual();
            clock.advance(uptime);
            SqlStore::in_file_with(&path, clock).await.unwrap()
        };
        let before = opened(Duration::from_hours(100)).await;
        let record = SessionRecord::new(name, false, now, Duration::from_hours(200));
        before.create(&record, None, 9, now).await.unwrap();
        let lease = Duration::from_secs(30);
        let claimed = before.claim(&record.name, None, lease, now).await.unwrap();
        assert!(matches!(claimed, Claim::Ours { .. }), "{claimed:?}");
        let waiting = examples::turn(0, SessionStatus::Queued);
        before.enqueue(&record.name, &waiting, None, 9, lease).await.unwrap();
        // Its server lives, as far as anyone can see.
        let after = opened(Duration::from_mins(1)).await;
        let claimed = after.claim(&record.name, None, lease, now).await.unwrap();
        assert!(matches!(claimed, Claim::Ours { .. }), "{claimed:?}");
    }

    #[tokio::test]
    async fn a_store_in_memory_is_its_own() {
        let (one, two) =
            (SqlStore::in_memory().await.unwrap(), SqlStore::in_memory().await.unwrap());
        let now = Timestamp::now();
        let record = SessionRecord::new("s".parse().unwrap(), false, now, Duration::from_hours(1));
        one.create(&record, None, 9, now).await.unwrap();
        assert_eq!(one.count(now).await.unwrap(), 1);
        assert_eq!(two.count(now).await.unwrap(), 0);
        assert!(one.is_current());
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sessions.sqlite3");
        fs::write(&path, "this is not a database, and it is long enough to be sure of it").unwrap();
        let error = SqlStore::in_file(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("sessions.sqlite3"));
    }
}
