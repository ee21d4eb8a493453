//! Taking leases, and freeing those that have run out.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{FromRow, PgExecutor, Row};

use super::open::{PostgresStore, Tx};
use crate::session::{
    SessionName,
    record::SessionStatus,
    store::{
        Activity, Ahead, Claim, Lease, StoreError, Ticket,
        rows::{SessionRow, details, millis, session_columns},
    },
};

/// The lease of a session as it stands.
struct Standing {
    is_running: bool,
    /// Whether another owner's lease is in force.
    held: bool,
}

/// How a session's lease stands, asked with or without locking its row.
macro_rules! standing {
    ($lock:literal) => {
        concat!(
            "SELECT status, coalesce(lease_owner <> $3 AND lease_until > codex_mcp_clock($5), false) FROM sessions \
             WHERE tenant = $1 AND name = $2 AND \
             (expires_at > $4 OR (lease_busy AND coalesce(lease_until, 0) > codex_mcp_clock($5)))",
            $lock
        )
    };
}

impl PostgresStore {
    /// Whether another owner has the lease of a session, read without blocking anybody: a call that waits asks
    /// many times.
    pub(super) async fn held_by_another(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        now: Timestamp,
    ) -> sqlx::Result<Option<Ahead>> {
        let standing = self.standing(standing!(""), &self.pool, name, now).await?;
        let Some(standing) = standing.filter(|standing| standing.held) else { return Ok(None) };
        let waiting = self.others_before(&self.pool, name, ticket).await?;
        Ok(Some(Ahead { running: standing.is_running, waiting }))
    }

    /// Acquires the lease if it is free, has run out, or is ours, and no earlier queue entry of another owner is
    /// waiting.
    pub(super) async fn acquire(
        &self,
        tx: &mut Tx<'_>,
        name: &SessionName,
        ticket: Option<Ticket>,
        time: Duration,
        now: Timestamp,
    ) -> sqlx::Result<Claim> {
        let standing = self.standing(standing!(" FOR UPDATE"), &mut **tx, name, now).await?;
        let Some(standing) = standing else { return Ok(Claim::Missing) };
        let waiting = self.others_before(&mut **tx, name, ticket).await?;
        if standing.held {
            return Ok(Claim::Held(Ahead { running: standing.is_running, waiting }));
        }
        if waiting > 0 {
            return Ok(Claim::Held(Ahead { running: false, waiting }));
        }
        self.end_turns(tx, name.as_str()).await?;
        // What belonged to the last turn: the call's place in the queue, and messages for that turn.
        sqlx::query("DELETE FROM queue WHERE ticket = $1")
            .bind(ticket.map(|ticket| ticket.0))
            .execute(&mut **tx)
            .await?;
        sqlx::query("DELETE FROM control_messages WHERE tenant = $1 AND session = $2")
            .bind(&self.tenant)
            .bind(name.as_str())
            .execute(&mut **tx)
            .await?;
        let row = sqlx::query(concat!(
            "UPDATE sessions SET lease_owner = $3, lease_until = codex_mcp_clock($4) + $5, lease_busy = true, \
             lease_epoch = lease_epoch + 1 WHERE tenant = $1 AND name = $2 RETURNING lease_epoch, ",
            session_columns!()
        ))
        .bind(&self.tenant)
        .bind(name.as_str())
        .bind(&self.owner)
        .bind(self.clock())
        .bind(span(time))
        .fetch_one(&mut **tx)
        .await?;
        let lease = Lease { session: name.clone(), epoch: row.try_get("lease_epoch")? };
        let record = SessionRow::from_row(&row)?.into_record().map(Box::new);
        Ok(Claim::Ours { lease, record })
    }

    /// Ends the leases that have run out. The tenant is locked.
    pub(super) async fn free_lapsed(&self, tx: &mut Tx<'_>) -> sqlx::Result<()> {
        let lapsed: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sessions WHERE tenant = $1 AND lease_owner IS NOT NULL \
             AND lease_until <= (SELECT codex_mcp_clock($2)) FOR UPDATE SKIP LOCKED",
        )
        .bind(&self.tenant)
        .bind(self.clock())
        .fetch_all(&mut **tx)
        .await?;
        for name in lapsed {
            tracing::info!(session = name, "ending a lease whose server is gone");
            self.end_turns(tx, &name).await?;
            sqlx::query(
                "UPDATE sessions SET lease_owner = NULL, lease_until = NULL, lease_busy = false \
                 WHERE tenant = $1 AND name = $2",
            )
            .bind(&self.tenant)
            .bind(name)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    pub(super) async fn count_activity(&self) -> sqlx::Result<Activity> {
        let (turns, waiting): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM sessions WHERE tenant = $1 AND lease_owner IS NOT NULL AND lease_busy \
             AND lease_until > (SELECT codex_mcp_clock($2))), \
             (SELECT count(*) FROM queue WHERE tenant = $1 AND until > (SELECT codex_mcp_clock($2)))",
        )
        .bind(&self.tenant)
        .bind(self.clock())
        .fetch_one(&self.pool)
        .await?;
        Ok(Activity { turns: turns.unsigned_abs(), waiting: waiting.unsigned_abs() })
    }

    /// Says which lease was lost.
    pub(super) fn lost(lease: &Lease) -> StoreError {
        StoreError::LeaseLost { name: lease.session.clone() }
    }

    /// Whether a lease of ours is in force.
    pub(super) async fn is_in_force(&self, lease: &Lease) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE tenant = $1 AND name = $2 AND lease_owner = $3 \
             AND lease_epoch = $4 AND lease_until > codex_mcp_clock($5))",
        )
        .bind(&self.tenant)
        .bind(lease.session.as_str())
        .bind(&self.owner)
        .bind(lease.epoch)
        .bind(self.clock())
        .fetch_one(&self.pool)
        .await
    }

    async fn standing(
        &self,
        question: &'static str,
        executor: impl PgExecutor<'_>,
        name: &SessionName,
        now: Timestamp,
    ) -> sqlx::Result<Option<Standing>> {
        let row: Option<(String, bool)> = sqlx::query_as(question)
            .bind(&self.tenant)
            .bind(name.as_str())
            .bind(&self.owner)
            .bind(millis(now))
            .bind(self.clock())
            .fetch_optional(executor)
            .await?;
        let running = SessionStatus::Running.as_str();
        Ok(row.map(|(status, held)| Standing { is_running: status == running, held }))
    }

    /// Ends what an earlier holder left: its running turn and the approvals that were open. The session is locked.
    async fn end_turns(&self, tx: &mut Tx<'_>, name: &str) -> sqlx::Result<()> {
        let ended: Vec<(i64, String)> = sqlx::query_as(
            "UPDATE turns SET status = 'interrupted' WHERE tenant = $1 AND session = $2 AND status = 'running' \
             RETURNING timestamp, details",
        )
        .bind(&self.tenant)
        .bind(name)
        .fetch_all(&mut **tx)
        .await?;
        for (began, text) in ended {
            // One that cannot be read has used nothing that anybody knows of.
            let details = details(&text).unwrap_or_default();
            self.count_usage(tx, began, SessionStatus::Interrupted, &details).await?;
        }
        for end in [
            "UPDATE sessions SET status = 'interrupted' WHERE tenant = $1 AND name = $2 AND status = 'running'",
            "UPDATE approvals SET state = 'expired' WHERE tenant = $1 AND session = $2 AND state IN ('open', 'answered')",
        ] {
            sqlx::query(end).bind(&self.tenant).bind(name).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

/// A span in milliseconds.
pub(super) fn span(time: Duration) -> i64 {
    // Far enough, and no overflow when it is added to a moment.
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(1 << 52)
}
