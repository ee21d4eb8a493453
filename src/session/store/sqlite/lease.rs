//! Taking leases, and freeing what the dead have left.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{FromRow, Row, Sqlite, SqliteExecutor, Transaction};

use super::open::SqliteStore;
use crate::session::{
    SessionName,
    store::{
        Activity, Ahead, Claim, Lease, StoreError, Ticket,
        rows::{SessionRow, millis, session_columns},
    },
};

type Tx<'a> = Transaction<'a, Sqlite>;

/// The lease of a session as it stands.
struct Standing {
    owner: Option<String>,
    until: Option<i64>,
    status: String,
    /// Whether calls of other owners wait.
    wanted: bool,
}

impl SqliteStore {
    /// Whether another owner has the lease of a session, read without blocking anybody: a call that waits asks
    /// many times.
    pub(super) async fn held_by_another(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        now: Timestamp,
    ) -> sqlx::Result<Option<Ahead>> {
        let Some(standing) = self.standing(&self.pool, name, now).await? else { return Ok(None) };
        if !self.is_held_by_another(&standing) {
            return Ok(None);
        }
        let waiting = self.others_before(&self.pool, name, ticket).await?;
        Ok(Some(Ahead { running: standing.status == "running", waiting }))
    }

    /// Acquires the lease if it is free, has run out, is ours, or belongs to a dead owner, and no earlier queue
    /// entry of another owner is waiting.
    pub(super) async fn acquire(
        &self,
        tx: &mut Tx<'_>,
        name: &SessionName,
        ticket: Option<Ticket>,
        time: Duration,
        now: Timestamp,
    ) -> sqlx::Result<Claim> {
        let Some(standing) = self.standing(&mut **tx, name, now).await? else {
            return Ok(Claim::Missing);
        };
        let waiting =
            if standing.wanted { self.others_before(&mut **tx, name, ticket).await? } else { 0 };
        if self.is_held_by_another(&standing) {
            return Ok(Claim::Held(Ahead { running: standing.status == "running", waiting }));
        }
        if waiting > 0 {
            return Ok(Claim::Held(Ahead { running: false, waiting }));
        }
        end_turns(tx, name.as_str()).await?;
        // What belonged to the last turn: the call's place in the queue, and messages for that turn.
        let clear =
            "DELETE FROM queue WHERE ticket = ?2; DELETE FROM control_messages WHERE session = ?1";
        sqlx::query(clear)
            .bind(name.as_str())
            .bind(ticket.map(|ticket| ticket.0))
            .execute(&mut **tx)
            .await?;
        let row = sqlx::query(concat!(
            "UPDATE sessions SET lease_owner = ?, lease_until = ?, lease_busy = 1, \
             lease_epoch = lease_epoch + 1 WHERE name = ? RETURNING lease_epoch, ",
            session_columns!()
        ))
        .bind(self.owner.id())
        .bind(self.clock.after(time))
        .bind(name.as_str())
        .fetch_one(&mut **tx)
        .await?;
        let lease = Lease { session: name.clone(), epoch: row.try_get("lease_epoch")? };
        let record = SessionRow::from_row(&row)?.into_record().map(Box::new);
        Ok(Claim::Ours { lease, record })
    }

    /// Ends the leases of owners that are dead or have let them run out. Returns the dead, to be forgotten once
    /// this is committed.
    pub(super) async fn free_lapsed(&self, tx: &mut Tx<'_>) -> sqlx::Result<Vec<String>> {
        let dead = self.owner.dead();
        let held: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT name, lease_owner, ifnull(lease_until, 0) FROM sessions WHERE lease_owner IS NOT NULL",
        )
        .fetch_all(&mut **tx)
        .await?;
        let clock = self.clock.now();
        for (name, owner, until) in held {
            if until > clock && !dead.contains(&owner) {
                continue;
            }
            tracing::info!(session = name, "ending a lease whose server is gone");
            end_turns(tx, &name).await?;
            let free = "UPDATE sessions SET lease_owner = NULL, lease_until = NULL, lease_busy = 0 WHERE name = ?";
            sqlx::query(free).bind(name).execute(&mut **tx).await?;
        }
        Ok(dead)
    }

    pub(super) async fn count_activity(&self) -> sqlx::Result<Activity> {
        let owners: Vec<(String, bool)> = sqlx::query_as(
            "SELECT lease_owner, 1 FROM sessions WHERE lease_owner IS NOT NULL AND lease_busy AND lease_until > ?1 \
             UNION ALL SELECT owner, 0 FROM queue WHERE until > ?1",
        )
        .bind(self.clock.now())
        .fetch_all(&self.pool)
        .await?;
        let mut activity = Activity::default();
        for (owner, runs) in owners {
            // What the dead have left is nobody's work.
            if self.owner.is_dead(&owner) {
                continue;
            }
            if runs {
                activity.turns += 1;
            } else {
                activity.waiting += 1;
            }
        }
        Ok(activity)
    }

    /// Says which lease was lost.
    pub(super) fn lost(lease: &Lease) -> StoreError {
        StoreError::LeaseLost { name: lease.session.clone() }
    }

    async fn standing(
        &self,
        executor: impl SqliteExecutor<'_>,
        name: &SessionName,
        now: Timestamp,
    ) -> sqlx::Result<Option<Standing>> {
        let row: Option<(Option<String>, Option<i64>, String, bool)> = sqlx::query_as(
            "SELECT lease_owner, lease_until, status, EXISTS (SELECT 1 FROM queue WHERE session = ?1 \
             AND owner <> ?4 AND until > ?3) FROM sessions WHERE name = ?1 AND \
             (expires_at > ?2 OR (lease_busy AND ifnull(lease_until, 0) > ?3))",
        )
        .bind(name.as_str())
        .bind(millis(now))
        .bind(self.clock.now())
        .bind(self.owner.id())
        .fetch_optional(executor)
        .await?;
        Ok(row.map(|(owner, until, status, wanted)| Standing { owner, until, status, wanted }))
    }

    fn is_held_by_another(&self, standing: &Standing) -> bool {
        let (Some(owner), Some(until)) = (&standing.owner, standing.until) else {
            return false;
        };
        owner != self.owner.id() && until > self.clock.now() && !self.owner.is_dead(owner)
    }
}

/// Ends what an earlier holder left: its running turn and the approvals that were open.
async fn end_turns(tx: &mut Tx<'_>, name: &str) -> sqlx::Result<()> {
    // One request of three statements: each costs a way to the connection's thread and back.
    let end = "UPDATE turns SET status = 'interrupted' WHERE session = ?1 AND status = 'running'; \
        UPDATE sessions SET status = 'interrupted' WHERE name = ?1 AND status = 'running'; \
        UPDATE approvals SET state = 'expired' WHERE session = ?1 AND state IN ('open', 'answered')";
    sqlx::query(end).bind(name).execute(&mut **tx).await.map(drop)
}
