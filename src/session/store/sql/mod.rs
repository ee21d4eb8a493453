//! The store, written once for SQLite and PostgreSQL: every verb's SQL and its Rust.
//!
//! What differs is in `sqlite/` and `postgres/`: how a database is opened, its clock and its locks as words
//! of the statements, who of the other owners is dead, and how they are heard of. The tenant is part of every key and of
//! every statement. Every statement has the tenant as `$1` and the clock as `$2`; one made under a lease has the session
//! as `$3`, the owner as `$4` and the epoch as `$5`.
//!
//! A verb of several steps is one transaction. SQLite has one writer at a time. In PostgreSQL, who adds or removes sessions
//! of a tenant locks the tenant's row first, and everyone else locks the session's alone, so no two wait for each other.

mod approvals;
mod coordination;
mod eviction;
mod handshakes;
mod histories;
mod lease;
mod list;
mod query;
mod queue;
mod sessions;
mod tokens;
mod turns;
mod usage;

use std::time::Duration;

pub(super) use self::query::{Either, Pool, Row, Tx, Words};
use self::query::{On, Query};
use super::{Lease, StoreClock, StoreError, hints::Hearing, registry::Registry};

/// The sessions of one tenant in a database.
#[derive(Debug)]
pub struct SqlStore {
    pub(super) pool: Pool,
    pub(super) dialect: &'static Dialect,
    /// Empty for the operator's own.
    pub(super) tenant: String,
    /// Tells this opened store from every other.
    pub(super) owner: String,
    pub(super) clock: StoreClock,
    /// Where it is. Never a secret.
    pub(super) place: String,
    pub(super) others: Others,
}

/// What one of the databases says in its own words.
#[derive(Debug)]
pub(super) struct Dialect {
    pub(super) words: Words,
    /// What texts are compared with for a search, and the question for those that have its words, if it has any.
    pub(super) search: fn(&str) -> (String, Option<String>),
}

/// How the other owners of the database are known.
#[derive(Debug)]
pub(super) enum Others {
    /// There are none.
    None,
    /// They are on this machine, where the end of a process is seen at once.
    Here(Registry),
    /// They may be anywhere, and are heard of.
    Anywhere(Hearing),
}

/// The words that both databases have in common.
const WORDS: Words = &[
    (
        "columns",
        "name, automatic, created_at, last_accessed_at, expires_at, thread_id, status, last_turn, settings, usage, \
         codex_version, effective, details, revision",
    ),
    // Not expired by the wall clock, or protected.
    ("live", "(expires_at > $3 OR {protected})"),
    ("protected", "(lease_busy AND coalesce(lease_until, 0) > {clock})"),
    (
        "ours",
        "tenant = $1 AND name = $3 AND lease_owner = $4 AND lease_epoch = $5 AND lease_until > {clock}",
    ),
    // Owners that were found dead have no name any more.
    ("held", "(lease_owner IS NOT NULL AND lease_owner <> '' AND lease_until > {clock})"),
];

impl SqlStore {
    /// Makes the tenant known to the database. Writes only what is not there: a server that hangs in the middle of a write
    /// keeps no other from opening the store.
    pub(super) async fn register(&self) -> Result<(), StoreError> {
        let register = async {
            let known = self.query("SELECT tenant FROM tenants WHERE tenant = $1");
            if known.optional(&self.pool).await?.is_none() {
                let add = "INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING";
                self.query(add).execute(&self.pool).await?;
            }
            Ok(())
        };
        register.await.map_err(self.failed("open"))
    }

    /// A statement, with the tenant and the clock as its first arguments.
    pub(super) fn query(&self, sql: &str) -> Query {
        let clock = match &self.pool {
            Either::Sqlite(_) => Some(self.clock.now()),
            // The database has a clock of its own.
            Either::Postgres(_) => self.clock.manual_now(),
        };
        Query::new(sql, &[self.dialect.words, WORDS]).bind(&*self.tenant).bind(clock)
    }

    /// A statement that is made under a lease.
    fn under(&self, lease: &Lease, sql: &str) -> Query {
        self.query(sql).bind(lease.session.as_str()).bind(&*self.owner).bind(lease.epoch)
    }

    /// A transaction that will write. Waiting for another server's happens here in SQLite.
    async fn begin(&self, action: &'static str) -> Result<Tx, StoreError> {
        let begun = match &self.pool {
            Either::Sqlite(pool) => pool.begin_with("BEGIN IMMEDIATE").await.map(Either::Sqlite),
            Either::Postgres(pool) => pool.begin().await.map(Either::Postgres),
        };
        begun.map_err(self.failed(action))
    }

    async fn commit_all(&self, tx: Tx, action: &'static str) -> Result<(), StoreError> {
        let committed = match tx {
            Either::Sqlite(tx) => tx.commit().await,
            Either::Postgres(tx) => tx.commit().await,
        };
        committed.map_err(self.failed(action))
    }

    /// Keeps others from adding and removing sessions of this tenant until the transaction ends.
    async fn lock_tenant(&self, tx: &mut Tx) -> sqlx::Result<()> {
        let lock = self.query("SELECT sessions FROM tenants WHERE tenant = $1{lock}");
        lock.optional(tx).await.map(drop)
    }

    /// Names the operation that failed.
    pub(super) fn failed(&self, action: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        let place = self.place.clone();
        move |source| StoreError::of(action, place, source)
    }

    /// Says which lease was lost.
    fn lost(lease: &Lease) -> StoreError {
        StoreError::LeaseLost { name: lease.session.clone() }
    }

    /// Takes the name from the leases that dead owners have left, so that they are no one's, and lets their queued
    /// turns run out. Where their death cannot be seen, what they hold runs out by the clock.
    async fn bury_the_dead(&self) -> Result<(), StoreError> {
        let Others::Here(registry) = &self.others else { return Ok(()) };
        for owner in registry.dead() {
            for bury in [
                "UPDATE sessions SET lease_owner = '' WHERE lease_owner = $3",
                "UPDATE turns SET until = 0 WHERE owner = $3 AND status = 'queued'",
            ] {
                let buried = self.query(bury).bind(&*owner).execute(&self.pool).await;
                buried.map_err(self.failed("end the leases of a dead server in"))?;
            }
            registry.forget(&owner);
        }
        Ok(())
    }
}

/// A span in milliseconds.
pub(super) fn span(time: Duration) -> i64 {
    // Far enough, and no overflow when it is added to a moment.
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(1 << 52)
}

/// A number as databases have it.
fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
impl SqlStore {
    /// The file's own connection, for what a test does behind the store's back.
    pub(super) fn sqlite(&self) -> &sqlx::SqlitePool {
        match &self.pool {
            Either::Sqlite(pool) => pool,
            Either::Postgres(_) => panic!("this store is not in a file"),
        }
    }
}
