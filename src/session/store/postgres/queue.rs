//! The queue of calls that wait for a session.

use std::time::Duration;

use sqlx::PgExecutor;

use super::{
    hints::notify,
    lease::span,
    open::{PostgresStore, Tx},
};
use crate::session::{
    SessionName,
    store::{StoreError, Ticket},
};

impl PostgresStore {
    /// How many calls of other owners wait before this ticket; all of theirs if there is none.
    pub(super) async fn others_before(
        &self,
        executor: impl PgExecutor<'_>,
        name: &SessionName,
        ticket: Option<Ticket>,
    ) -> sqlx::Result<usize> {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM queue WHERE tenant = $1 AND session = $2 AND owner <> $3 \
             AND ticket < $4 AND until > codex_mcp_clock($5)",
        )
        .bind(&self.tenant)
        .bind(name.as_str())
        .bind(&self.owner)
        .bind(ticket.map_or(i64::MAX, |ticket| ticket.0))
        .bind(self.clock())
        .fetch_one(executor)
        .await?;
        Ok(usize::try_from(waiting).unwrap_or_default())
    }

    pub(super) async fn take_place(
        &self,
        name: &SessionName,
        limit: usize,
        time: Duration,
    ) -> Result<Option<Ticket>, StoreError> {
        let action = "queue in";
        let mut tx = self.begin(action).await?;
        let take = async {
            // Places of one session are given one at a time, so that the last is given once and earlier ones are smaller.
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))")
                .bind(&self.tenant)
                .bind(name.as_str())
                .execute(&mut *tx)
                .await?;
            sqlx::query_scalar(concat!(
                "INSERT INTO queue (tenant, session, owner, until) SELECT $1, $2, $3, codex_mcp_clock($4) + $5 \
                 WHERE (SELECT count(*) FROM queue WHERE tenant = $1 AND session = $2 \
                 AND until > codex_mcp_clock($4)) < $6 RETURNING ticket, ",
                notify!("$1", "$2")
            ))
            .bind(&self.tenant)
            .bind(name.as_str())
            .bind(&self.owner)
            .bind(self.clock())
            .bind(span(time))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_optional(&mut *tx)
            .await
        };
        let taken: Option<i64> = take.await.map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))?;
        Ok(taken.map(Ticket))
    }

    pub(super) async fn prolong_places(
        &self,
        name: &SessionName,
        time: Duration,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE queue SET until = codex_mcp_clock($4) + $5 WHERE tenant = $1 AND session = $2 \
             AND owner = $3 AND until > codex_mcp_clock($4)",
        )
        .bind(&self.tenant)
        .bind(name.as_str())
        .bind(&self.owner)
        .bind(self.clock())
        .bind(span(time))
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(self.failed("renew a place in"))
    }

    pub(super) async fn give_up_place(&self, Ticket(ticket): Ticket) -> Result<(), StoreError> {
        let leave = sqlx::query("DELETE FROM queue WHERE tenant = $1 AND ticket = $2");
        let left = leave.bind(&self.tenant).bind(ticket).execute(&self.pool).await;
        left.map(drop).map_err(self.failed("leave the queue in"))
    }

    /// Removes places whose owner has let them run out.
    pub(super) async fn clear_queue(&self, tx: &mut Tx<'_>) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM queue WHERE tenant = $1 AND until <= (SELECT codex_mcp_clock($2))")
            .bind(&self.tenant)
            .bind(self.clock())
            .execute(&mut **tx)
            .await
            .map(drop)
    }
}
