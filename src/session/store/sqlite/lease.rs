//! Taking leases, and freeing what the dead have left.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::{open::SqliteStore, rows::millis};
use crate::session::{
    SessionName,
    store::{Ahead, Lease, StoreError, Ticket},
};

type Tx<'a> = Transaction<'a, Sqlite>;

/// What a claim meets.
pub(super) enum Met {
    Ours(Lease),
    Held(Ahead),
    NoSession,
}

/// The lease of a session as it stands: its owner, its end, and the status of the session.
type Standing = (Option<String>, Option<i64>, String);

const STANDING: &str = "SELECT lease_owner, lease_until, status FROM sessions WHERE name = ?1 AND \
    (expires_at > ?2 OR (lease_busy AND ifnull(lease_until, 0) > ?3))";

impl SqliteStore {
    /// Whether another owner has the lease of a session, read without blocking anybody: a call that waits asks
    /// many times.
    pub(super) async fn held_by_another(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        now: Timestamp,
    ) -> sqlx::Result<Option<Ahead>> {
        let standing: Option<Standing> = sqlx::query_as(STANDING)
            .bind(name.as_str())
            .bind(millis(now))
            .bind(self.clock.now())
            .fetch_optional(&self.pool)
            .await?;
        let Some(standing) = standing.filter(|standing| self.is_held_by_another(standing)) else {
            return Ok(None);
        };
        let waiting = self.others_before(&self.pool, name, ticket).await?;
        Ok(Some(Ahead { running: standing.2 == "running", waiting }))
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
    ) -> sqlx::Result<Met> {
        let standing: Option<Standing> = sqlx::query_as(STANDING)
            .bind(name.as_str())
            .bind(millis(now))
            .bind(self.clock.now())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(standing) = standing else { return Ok(Met::NoSession) };
        let waiting = self.others_before(&mut **tx, name, ticket).await?;
        if self.is_held_by_another(&standing) {
            return Ok(Met::Held(Ahead { running: standing.2 == "running", waiting }));
        }
        if waiting > 0 {
            return Ok(Met::Held(Ahead { running: false, waiting }));
        }
        end_turns(tx, name.as_str()).await?;
        self.start_turn(tx, name, ticket).await?;
        let (epoch,): (i64,) = sqlx::query_as(
            "UPDATE sessions SET lease_owner = ?, lease_until = ?, lease_busy = 1, \
             lease_epoch = lease_epoch + 1 WHERE name = ? RETURNING lease_epoch",
        )
        .bind(self.owner.id())
        .bind(self.clock.after(time))
        .bind(name.as_str())
        .fetch_one(&mut **tx)
        .await?;
        Ok(Met::Ours(Lease { session: name.clone(), epoch }))
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

    /// Says which lease was lost.
    pub(super) fn lost(lease: &Lease) -> StoreError {
        StoreError::LeaseLost { name: lease.session.clone() }
    }

    fn is_held_by_another(&self, standing: &Standing) -> bool {
        let (Some(owner), Some(until), _) = standing else { return false };
        owner != self.owner.id() && *until > self.clock.now() && !self.owner.is_dead(owner)
    }
}

/// Ends what an earlier holder left: its running turn and the approvals that were open.
async fn end_turns(tx: &mut Tx<'_>, name: &str) -> sqlx::Result<()> {
    for end in [
        "UPDATE turns SET status = 'interrupted' WHERE session = ? AND status = 'running'",
        "UPDATE sessions SET status = 'interrupted' WHERE name = ? AND status = 'running'",
        "UPDATE approvals SET state = 'expired' WHERE session = ? AND state IN ('open', 'answered')",
    ] {
        sqlx::query(end).bind(name).execute(&mut **tx).await?;
    }
    Ok(())
}
