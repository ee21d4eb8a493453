//! Who waits for a session, and what servers ask of each other.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::{
    open::SqliteStore,
    rows::{json, millis},
};
use crate::session::{
    SessionName,
    store::{Errand, ErrandId, ErrandOutcome, Inbox, StoreError, Ticket},
};

type Tx<'a> = Transaction<'a, Sqlite>;

/// How long an errand is kept for whoever posted it.
const ERRAND_KEPT: i64 = 60_000;

impl SqliteStore {
    /// How many other servers' calls come before this ticket; all of them if there is none.
    pub(super) async fn others_before(
        &self,
        tx: &mut Tx<'_>,
        name: &SessionName,
        ticket: Option<Ticket>,
        now: Timestamp,
    ) -> sqlx::Result<usize> {
        let waiting: Vec<(String,)> = sqlx::query_as(
            "SELECT owner FROM queue WHERE session = ? AND owner <> ? AND ticket < ? AND until > ?",
        )
        .bind(name.as_str())
        .bind(self.owner.id())
        .bind(ticket.map_or(i64::MAX, |ticket| ticket.0))
        .bind(millis(now))
        .fetch_all(&mut **tx)
        .await?;
        Ok(waiting.iter().filter(|(owner,)| !self.owner.is_dead(owner)).count())
    }

    /// What a new turn begins with: without its ticket, without errands for earlier turns.
    pub(super) async fn begin_anew(
        &self,
        tx: &mut Tx<'_>,
        name: &SessionName,
        ticket: Option<Ticket>,
    ) -> sqlx::Result<()> {
        if let Some(Ticket(ticket)) = ticket {
            let used = "DELETE FROM queue WHERE ticket = ?";
            sqlx::query(used).bind(ticket).execute(&mut **tx).await?;
        }
        let old = "DELETE FROM errands WHERE session = ?";
        sqlx::query(old).bind(name.as_str()).execute(&mut **tx).await?;
        Ok(())
    }

    pub(super) async fn take_place(
        &self,
        name: &SessionName,
        limit: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let taken: Option<(i64,)> = sqlx::query_as(
            "INSERT INTO queue (session, owner, until) SELECT ?1, ?2, ?3 \
             WHERE (SELECT count(*) FROM queue WHERE session = ?1 AND until > ?4) < ?5 RETURNING ticket",
        )
        .bind(name.as_str())
        .bind(self.owner.id())
        .bind(millis(until))
        .bind(millis(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("queue in"))?;
        Ok(taken.map(|(ticket,)| Ticket(ticket)))
    }

    pub(super) async fn give_up_place(&self, Ticket(ticket): Ticket) -> Result<(), StoreError> {
        let leave = sqlx::query("DELETE FROM queue WHERE ticket = ?").bind(ticket);
        leave.execute(&self.pool).await.map(drop).map_err(self.failed("leave the queue in"))
    }

    pub(super) async fn look_into_inbox(
        &self,
        name: &SessionName,
        ErrandId(after): ErrandId,
        now: Timestamp,
    ) -> Result<Inbox, StoreError> {
        let failed = "read the inbox in";
        let wanted: Option<(i64,)> = sqlx::query_as(
            "SELECT 1 FROM queue WHERE session = ? AND owner <> ? AND until > ? LIMIT 1",
        )
        .bind(name.as_str())
        .bind(self.owner.id())
        .bind(millis(now))
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed(failed))?;
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, errand FROM errands WHERE session = ? AND id > ? AND outcome IS NULL ORDER BY id",
        )
        .bind(name.as_str())
        .bind(after)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed(failed))?;
        // An errand of a newer server is not ours to guess at.
        let read = |(id, text): (i64, String)| {
            Some((ErrandId(id), serde_json::from_str::<Errand>(&text).ok()?))
        };
        Ok(Inbox { wanted: wanted.is_some(), errands: rows.into_iter().filter_map(read).collect() })
    }

    pub(super) async fn post_errand(
        &self,
        name: &SessionName,
        errand: &Errand,
        now: Timestamp,
    ) -> Result<ErrandId, StoreError> {
        let posted: (i64,) = sqlx::query_as(
            "INSERT INTO errands (session, posted, errand) VALUES (?, ?, ?) RETURNING id",
        )
        .bind(name.as_str())
        .bind(millis(now))
        .bind(json(errand))
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("post an errand in"))?;
        Ok(ErrandId(posted.0))
    }

    pub(super) async fn report_errand(
        &self,
        ErrandId(id): ErrandId,
        outcome: &ErrandOutcome,
    ) -> Result<(), StoreError> {
        let report = sqlx::query("UPDATE errands SET outcome = ? WHERE id = ?");
        let report = report.bind(json(outcome)).bind(id).execute(&self.pool).await;
        report.map(drop).map_err(self.failed("report an errand in"))
    }

    pub(super) async fn outcome_of_errand(
        &self,
        ErrandId(id): ErrandId,
    ) -> Result<Option<ErrandOutcome>, StoreError> {
        let known: Option<(String,)> = sqlx::query_as(
            "DELETE FROM errands WHERE id = ? AND outcome IS NOT NULL RETURNING outcome",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("read an errand in"))?;
        Ok(known.and_then(|(outcome,)| serde_json::from_str(&outcome).ok()))
    }

    /// Clears away places and errands that nobody will come back for.
    pub(super) async fn clear_queue(&self, tx: &mut Tx<'_>, now: Timestamp) -> sqlx::Result<()> {
        let owners: Vec<(String,)> =
            sqlx::query_as("SELECT DISTINCT owner FROM queue").fetch_all(&mut **tx).await?;
        for (owner,) in owners.into_iter().filter(|(owner,)| self.owner.is_dead(owner)) {
            let leave = "DELETE FROM queue WHERE owner = ?";
            sqlx::query(leave).bind(owner).execute(&mut **tx).await?;
        }
        let old = "DELETE FROM queue WHERE until <= ?";
        sqlx::query(old).bind(millis(now)).execute(&mut **tx).await?;
        let old = "DELETE FROM errands WHERE posted <= ?";
        sqlx::query(old).bind(millis(now) - ERRAND_KEPT).execute(&mut **tx).await?;
        Ok(())
    }
}
