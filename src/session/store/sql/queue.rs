//! The queue of calls that wait for a session.

use std::time::Duration;

use super::{On, SqlStore, Tx, number, span};
use crate::session::{
    SessionName,
    store::{StoreError, Ticket},
};

impl SqlStore {
    /// How many calls of other owners wait before this ticket; all of theirs if there is none.
    pub(super) async fn others_before(
        &self,
        on: impl Into<On<'_>>,
        name: &SessionName,
        ticket: Option<Ticket>,
    ) -> sqlx::Result<usize> {
        let count = self
            .query(
                "SELECT count(*) AS waiting FROM queue WHERE tenant = $1 AND session = $3 AND owner <> $4 \
                 AND ticket < $5 AND until > {clock}",
            )
            .bind(name.as_str())
            .bind(&*self.owner)
            .bind(ticket.map_or(i64::MAX, |ticket| ticket.0));
        let waiting: i64 = count.one(on).await?.get("waiting")?;
        Ok(usize::try_from(waiting).unwrap_or_default())
    }

    pub(super) async fn take_place(
        &self,
        name: &SessionName,
        limit: usize,
        time: Duration,
    ) -> Result<Option<Ticket>, StoreError> {
        let action = "queue in";
        self.bury_the_dead().await?;
        let mut tx = self.begin(action).await?;
        let take = async {
            // Places of one session are given one at a time, so that the last is given once and earlier ones are smaller.
            let lock = self.query("SELECT 1 FROM sessions WHERE tenant = $1 AND name = $3{lock}");
            lock.bind(name.as_str()).optional(&mut tx).await?;
            let taken = self
                .query(
                    "INSERT INTO queue (tenant, session, owner, until) SELECT $1, $3, $4, {clock} + $5 \
                     WHERE (SELECT count(*) FROM queue WHERE tenant = $1 AND session = $3 AND until > {clock}) < $6 \
                     RETURNING ticket, {tell}",
                )
                .bind(name.as_str())
                .bind(&*self.owner)
                .bind(span(time))
                .bind(number(limit));
            taken.optional(&mut tx).await?.map(|row| row.get("ticket").map(Ticket)).transpose()
        };
        let taken = take.await.map_err(self.failed(action))?;
        self.commit_all(tx, action).await?;
        Ok(taken)
    }

    /// Removes places that have run out.
    pub(super) async fn clear_queue(&self, tx: &mut Tx) -> sqlx::Result<()> {
        let clear = "DELETE FROM queue WHERE tenant = $1 AND until <= {clock_once}";
        self.query(clear).execute(tx).await.map(drop)
    }
}
