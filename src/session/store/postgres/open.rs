//! Opening the database: with TLS where it is not on this machine, brought up to date, or a clear word why not.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::{
    PgPool, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use uuid::Uuid;

use super::words::DIALECT;
use crate::session::store::{
    SqlStore, StoreClock, StoreError,
    hints::{Hearing, Hints},
    sql::{Others, Pool},
};

/// Every step from nothing to today's schema, by number. One that was released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "store", include_str!("../migrations/postgres/0001_store.sql"))];

/// How many connections one server has at most, whatever it serves.
const CONNECTIONS: u32 = 16;

/// How long a request may wait for a connection: for the database to be there, or for another request to end.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(5);

/// The connections of one server to a database. Clones share them.
#[derive(Clone)]
pub struct PostgresPool {
    pool: PgPool,
    hints: Arc<Hints>,
    place: String,
}

/// Why a URL is of no use.
#[derive(Debug, thiserror::Error)]
#[error("`store.url` is no URL of a PostgreSQL database, such as postgres://user@host/database")]
pub struct InvalidUrl(#[source] sqlx::Error);

impl PostgresPool {
    /// Connects when it is first needed. Off this machine the server's certificate is verified unless the URL says
    /// otherwise (`sslmode`). `listen_url` is another way there, for notifications: these do not come through a pooler
    /// that gives each transaction another connection.
    ///
    /// # Errors
    /// [`InvalidUrl`].
    pub fn new(url: &str, listen_url: Option<&str>) -> Result<Self, InvalidUrl> {
        let options = options(url)?;
        let hints = Hints::new(listen_url.map_or_else(|| Ok(options.clone()), self::options)?);
        let (host, port) = (options.get_host(), options.get_port());
        let database = options.get_database().unwrap_or_default();
        let place = format!("postgres://{host}:{port}/{database}");
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE)
            .connect_lazy_with(options);
        Ok(Self { pool, hints, place })
    }
}

#[cfg(test)]
impl PostgresPool {
    /// Whether all connections have been given back, and with them what was under way has ended.
    pub fn is_quiet(&self) -> bool {
        usize::try_from(self.pool.size()) == Ok(self.pool.num_idle())
    }
}

fn options(url: &str) -> Result<PgConnectOptions, InvalidUrl> {
    let mut options: PgConnectOptions = url.parse().map_err(InvalidUrl)?;
    let is_here = matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]")
        || options.get_host().starts_with('/')
        || options.get_socket().is_some();
    if !url.contains("sslmode=") && !url.contains("ssl-mode=") {
        let mode = if is_here { PgSslMode::Prefer } else { PgSslMode::VerifyFull };
        options = options.ssl_mode(mode);
    }
    // PgBouncer refuses a connection that asks for digits of floating-point numbers, of which there are none here.
    Ok(options.application_name("codex-mcp-server").extra_float_digits(None))
}

impl PartialEq for PostgresPool {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for PostgresPool {}

impl fmt::Debug for PostgresPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresPool").field(&self.place).finish()
    }
}

impl fmt::Display for PostgresPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl SqlStore {
    /// Opens the sessions of a tenant in PostgreSQL; those of the operator if it is empty. Brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database is not there, [`StoreError::Newer`] or [`StoreError::Older`] if its
    /// schema is none that this server can use.
    pub async fn in_postgres(database: &PostgresPool, tenant: &str) -> Result<Self, StoreError> {
        Self::in_postgres_with(database, tenant, StoreClock::default()).await
    }

    /// The same with another clock. All owners must agree on it.
    ///
    /// # Errors
    /// As for [`SqlStore::in_postgres`].
    pub async fn in_postgres_with(
        database: &PostgresPool,
        tenant: &str,
        clock: StoreClock,
    ) -> Result<Self, StoreError> {
        let PostgresPool { pool, hints, place } = database.clone();
        migrate(&pool).await.map_err(|error| StoreError::of_migration(&place, error))?;
        let store = Self {
            pool: Pool::Postgres(pool),
            dialect: &DIALECT,
            tenant: tenant.to_owned(),
            owner: Uuid::new_v4().to_string(),
            clock,
            place,
            others: Others::Anywhere(Hearing::of(hints)),
        };
        store.register().await?;
        Ok(store)
    }
}

/// Brings the schema up to date, one server at a time. The lock is a transaction's, so it ends with this, whatever becomes
/// of it.
async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut tx = pool.begin().await?;
    sqlx::query("SET LOCAL lock_timeout = '20s'").execute(&mut *tx).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('codex_mcp migrations', 0))")
        .execute(&mut *tx)
        .await?;
    // On the same connection: there may be no other for a while.
    migrator().run_direct(None, &mut *tx, false).await?;
    Ok(tx.commit().await?)
}

/// Without the lock of the library, which outlives a connection that is given back in the middle of it.
fn migrator() -> Migrator {
    let step = |(number, what, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*number, (*what).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().map(step).collect());
    migrator.set_locking(false);
    migrator
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use testkit::Postgres;

    use super::*;

    #[tokio::test]
    async fn who_finds_a_newer_schema_holds_nobody_up() {
        let url = Postgres::shared().database().await;
        let pool = PostgresPool::new(&url, None).unwrap();
        SqlStore::in_postgres(&pool, "").await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'from the future', TRUE, '', 0)";
        Postgres::execute(&url, newer).await;
        let refused = SqlStore::in_postgres(&pool, "").await.unwrap_err();
        assert!(matches!(refused, StoreError::Newer { .. }), "{refused:?}");
        // Its connection is still there, and has locked nothing.
        Postgres::execute(&url, "DELETE FROM _sqlx_migrations WHERE version = 9999").await;
        let other = PostgresPool::new(&url, None).unwrap();
        SqlStore::in_postgres(&other, "").await.unwrap();
        drop(pool);
    }

    #[tokio::test]
    async fn servers_that_start_at_once_bring_it_up_to_date_once() {
        let url = Postgres::shared().database().await;
        let open = async || {
            let pool = PostgresPool::new(&url, None).unwrap();
            SqlStore::in_postgres(&pool, "").await
        };
        for opened in futures_util::future::join_all((0..4).map(|_| Box::pin(open()))).await {
            opened.unwrap();
        }
    }
}
