//! The statements that write sessions and turns.

use sqlx::{Sqlite, Transaction};

use super::open::SqliteStore;
use crate::session::{
    SessionName,
    record::{SessionRecord, SessionStatus, TurnRecord},
    store::{
        CopiedTurns, Lease, StoreError,
        rows::{json, millis, session_columns},
    },
};

type Tx<'a> = Transaction<'a, Sqlite>;

impl SqliteStore {
    /// A transaction that will write; waiting for another server's happens here and nowhere else.
    pub(super) async fn begin(&self, action: &'static str) -> Result<Tx<'_>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.failed(action))
    }

    /// Adds a session. Says whether there was none of its name.
    pub(super) async fn insert(tx: &mut Tx<'_>, new: &SessionRecord) -> sqlx::Result<bool> {
        let inserted = sqlx::query(concat!(
            "INSERT INTO sessions (",
            session_columns!(),
            ", lease_epoch) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, greatest FROM epochs \
             WHERE true ON CONFLICT DO NOTHING"
        ))
        .bind(new.name.as_str())
        .bind(new.automatic)
        .bind(millis(new.created_at))
        .bind(millis(new.last_accessed_at))
        .bind(millis(new.expires_at))
        .bind(new.thread_id.as_ref().map(ToString::to_string))
        .bind(new.status.as_str())
        .bind(new.turn_count)
        .bind(json(&new.settings))
        .bind(json(&new.usage))
        .bind(&new.codex_version)
        .bind(new.effective.as_ref().map(json))
        .bind(json(&new.details))
        .bind(new.revision)
        .execute(&mut **tx)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }

    /// Writes a session under its lease. Says whether the lease is in force and the revision the stored one.
    pub(super) async fn update(
        &self,
        tx: &mut Tx<'_>,
        lease: &Lease,
        record: &SessionRecord,
    ) -> sqlx::Result<bool> {
        let written = sqlx::query(
            "UPDATE sessions SET last_accessed_at = ?, expires_at = ?, thread_id = ?, status = ?, \
             turn_count = ?, settings = ?, usage = ?, codex_version = ?, effective = ?, details = ?, lease_busy = ?, \
             revision = revision + 1 WHERE name = ? AND revision = ? \
             AND lease_owner = ? AND lease_epoch = ? AND lease_until > ?",
        )
        .bind(millis(record.last_accessed_at))
        .bind(millis(record.expires_at))
        .bind(record.thread_id.as_ref().map(ToString::to_string))
        .bind(record.status.as_str())
        .bind(record.turn_count)
        .bind(json(&record.settings))
        .bind(json(&record.usage))
        .bind(&record.codex_version)
        .bind(record.effective.as_ref().map(json))
        .bind(json(&record.details))
        .bind(record.status == SessionStatus::Running)
        .bind(record.name.as_str())
        .bind(record.revision)
        .bind(self.owner.id())
        .bind(lease.epoch)
        .bind(self.clock.now())
        .execute(&mut **tx)
        .await?;
        Ok(written.rows_affected() == 1)
    }

    /// Writes a session under its lease and the name in `record`, and ends the lease. Says whether the lease is in force
    /// and the revision the stored one.
    pub(super) async fn put_renamed(
        &self,
        tx: &mut Tx<'_>,
        lease: &Lease,
        record: &SessionRecord,
    ) -> sqlx::Result<bool> {
        let under_old = SessionRecord { name: lease.session.clone(), ..record.clone() };
        if !self.update(tx, lease, &under_old).await? {
            return Ok(false);
        }
        // What refers to the session by its name follows in the same transaction.
        sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut **tx).await?;
        // An old lease on either name must never look like a new one.
        let (greatest,): (i64,) =
            sqlx::query_as("UPDATE epochs SET greatest = max(greatest, ?) RETURNING greatest")
                .bind(lease.epoch)
                .fetch_one(&mut **tx)
                .await?;
        sqlx::query(
            "UPDATE sessions SET name = ?, automatic = ?, lease_epoch = ?, lease_owner = NULL, \
             lease_until = NULL, lease_busy = 0 WHERE name = ?",
        )
        .bind(record.name.as_str())
        .bind(record.automatic)
        .bind(greatest)
        .bind(lease.session.as_str())
        .execute(&mut **tx)
        .await?;
        for follow in [
            "UPDATE turns SET session = ?1 WHERE session = ?2",
            "UPDATE approvals SET session = ?1 WHERE session = ?2",
            "DELETE FROM control_messages WHERE session = ?2 AND ?1 <> ?2",
        ] {
            let names = (record.name.as_str(), lease.session.as_str());
            sqlx::query(follow).bind(names.0).bind(names.1).execute(&mut **tx).await?;
        }
        Ok(true)
    }

    pub(super) async fn put_turn(
        tx: &mut Tx<'_>,
        session: &SessionName,
        turn: &TurnRecord,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO turns (session, number, status, timestamp, prompt, response, details) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, number) DO UPDATE SET \
             status = excluded.status, prompt = excluded.prompt, response = excluded.response, details = excluded.details",
        )
        .bind(session.as_str())
        .bind(turn.number)
        .bind(turn.status.as_str())
        .bind(millis(turn.timestamp))
        .bind(&turn.prompt)
        .bind(&turn.response)
        .bind(json(&turn.details))
        .execute(&mut **tx)
        .await
        .map(drop)
    }

    /// Removes all turns of a session, and what was asked in them.
    pub(super) async fn clear_turns(tx: &mut Tx<'_>, session: &SessionName) -> sqlx::Result<()> {
        for clear in
            ["DELETE FROM turns WHERE session = ?", "DELETE FROM approvals WHERE session = ?"]
        {
            sqlx::query(clear).bind(session.as_str()).execute(&mut **tx).await?;
        }
        Ok(())
    }

    pub(super) async fn copy_turns(
        tx: &mut Tx<'_>,
        session: &SessionName,
        copy: CopiedTurns<'_>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO turns (session, number, status, timestamp, prompt, response, details) \
             SELECT ?, number, status, timestamp, prompt, response, details \
             FROM turns WHERE session = ? AND number <= ?",
        )
        .bind(session.as_str())
        .bind(copy.from.as_str())
        .bind(copy.through)
        .execute(&mut **tx)
        .await
        .map(drop)
    }
}
