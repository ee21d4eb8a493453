//! The queue of calls that wait for a session.

use std::time::Duration;

use sqlx::{Executor, Sqlite, Transaction};

use super::open::SqliteStore;
use crate::session::{
    SessionName,
    store::{StoreError, Ticket},
};

type Tx<'a> = Transaction<'a, Sqlite>;

impl SqliteStore {
    /// How many calls of other owners wait before this ticket; all of theirs if there is none.
    pub(super) async fn others_before(
        &self,
        executor: impl Executor<'_, Database = Sqlite>,
        name: &SessionName,
        ticket: Option<Ticket>,
    ) -> sqlx::Result<usize> {
        let waiting: Vec<(String,)> = sqlx::query_as(
            "SELECT owner FROM queue WHERE session = ? AND owner <> ? AND ticket < ? AND until > ?",
        )
        .bind(name.as_str())
        .bind(self.owner.id())
        .bind(ticket.map_or(i64::MAX, |ticket| ticket.0))
        .bind(self.clock.now())
        .fetch_all(executor)
        .await?;
        Ok(waiting.iter().filter(|(owner,)| !self.owner.is_dead(owner)).count())
    }

    pub(super) async fn take_place(
        &self,
        name: &SessionName,
        limit: usize,
        time: Duration,
    ) -> Result<Option<Ticket>, StoreError> {
        let taken: Option<(i64,)> = sqlx::query_as(
            "INSERT INTO queue (session, owner, until) SELECT ?1, ?2, ?3 \
             WHERE (SELECT count(*) FROM queue WHERE session = ?1 AND until > ?4) < ?5 RETURNING ticket",
        )
        .bind(name.as_str())
        .bind(self.owner.id())
        .bind(self.clock.after(time))
        .bind(self.clock.now())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("queue in"))?;
        Ok(taken.map(|(ticket,)| Ticket(ticket)))
    }

    pub(super) async fn prolong_places(
        &self,
        name: &SessionName,
        time: Duration,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE queue SET until = ? WHERE session = ? AND owner = ? AND until > ?")
            .bind(self.clock.after(time))
            .bind(name.as_str())
            .bind(self.owner.id())
            .bind(self.clock.now())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(self.failed("renew a place in"))
    }

    pub(super) async fn give_up_place(&self, Ticket(ticket): Ticket) -> Result<(), StoreError> {
        let leave = sqlx::query("DELETE FROM queue WHERE ticket = ?").bind(ticket);
        leave.execute(&self.pool).await.map(drop).map_err(self.failed("leave the queue in"))
    }

    /// Removes places whose owner is dead or has let them run out.
    pub(super) async fn clear_queue(&self, tx: &mut Tx<'_>, dead: &[String]) -> sqlx::Result<()> {
        for owner in dead {
            let leave = "DELETE FROM queue WHERE owner = ?";
            sqlx::query(leave).bind(owner).execute(&mut **tx).await?;
        }
        let old = "DELETE FROM queue WHERE until <= ?";
        sqlx::query(old).bind(self.clock.now()).execute(&mut **tx).await.map(drop)
    }
}
