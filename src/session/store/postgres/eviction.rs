//! Making room: what has expired goes, then what is worth least. Protected sessions stay, and those that somebody else has
//! locked at this moment: they are about to be protected.

use jiff::Timestamp;

use super::open::{PostgresStore, Tx};
use crate::session::{SessionName, store::rows::millis};

/// How many expired sessions go in one transaction.
pub(super) const BATCH: i64 = 500;

impl PostgresStore {
    /// Removes sessions whose time is over, as many as may go at once.
    pub(super) async fn remove_expired(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> sqlx::Result<Vec<SessionName>> {
        let removed: Vec<String> = sqlx::query_scalar(
            "DELETE FROM sessions WHERE tenant = $1 AND name IN (SELECT name FROM sessions \
             WHERE tenant = $1 AND expires_at <= $2 \
             AND NOT (lease_busy AND coalesce(lease_until, 0) > codex_mcp_clock($3)) \
             LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING name",
        )
        .bind(&self.tenant)
        .bind(millis(now))
        .bind(self.clock())
        .bind(BATCH)
        .fetch_all(&mut **tx)
        .await?;
        Ok(removed.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Removes one session if its time is over.
    pub(super) async fn remove_if_expired(
        &self,
        tx: &mut Tx<'_>,
        name: &SessionName,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "DELETE FROM sessions WHERE tenant = $1 AND name = $2 AND expires_at <= $3 \
             AND NOT (lease_busy AND coalesce(lease_until, 0) > codex_mcp_clock($4))",
        )
        .bind(&self.tenant)
        .bind(name.as_str())
        .bind(millis(now))
        .bind(self.clock())
        .execute(&mut **tx)
        .await
        .map(drop)
    }

    /// Removes sessions until there are no more than `cap`, but not the new one. `None` if that cannot be done.
    pub(super) async fn evict(
        &self,
        tx: &mut Tx<'_>,
        cap: usize,
        new: &SessionName,
    ) -> sqlx::Result<Option<Vec<SessionName>>> {
        let cap = i64::try_from(cap).unwrap_or(i64::MAX);
        let mut evicted = Vec::new();
        while self.is_over(tx, cap).await? {
            let removed: Option<String> = sqlx::query_scalar(
                "DELETE FROM sessions WHERE tenant = $1 AND name = (SELECT name FROM sessions \
                 WHERE tenant = $1 AND name <> $2 \
                 AND NOT (lease_busy AND coalesce(lease_until, 0) > codex_mcp_clock($3)) \
                 ORDER BY automatic DESC, last_accessed_at, name LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING name",
            )
            .bind(&self.tenant)
            .bind(new.as_str())
            .bind(self.clock())
            .fetch_optional(&mut **tx)
            .await?;
            let Some(name) = removed else { return Ok(None) };
            evicted.extend(name.parse());
        }
        Ok(Some(evicted))
    }

    async fn is_over(&self, tx: &mut Tx<'_>, cap: i64) -> sqlx::Result<bool> {
        sqlx::query_scalar("SELECT sessions > $2 FROM tenants WHERE tenant = $1")
            .bind(&self.tenant)
            .bind(cap)
            .fetch_one(&mut **tx)
            .await
    }
}
