//! Making room: what has expired goes, then what is worth least. Protected sessions stay, and those that another server has
//! locked at this moment: they are about to be protected.

use jiff::Timestamp;

use super::{Row, SqlStore, Tx, number};
use crate::session::{SessionName, store::rows::millis};

/// How many expired sessions go in one transaction.
pub(super) const BATCH: usize = 500;

impl SqlStore {
    /// Removes sessions whose time is over, as many as may go at once.
    pub(super) async fn remove_expired(
        &self,
        tx: &mut Tx,
        now: Timestamp,
    ) -> sqlx::Result<Vec<SessionName>> {
        let remove = self
            .query(
                "DELETE FROM sessions WHERE tenant = $1 AND name IN (SELECT name FROM sessions \
                 WHERE tenant = $1 AND expires_at <= $3 AND NOT {protected} LIMIT $4{skip_locked}) RETURNING name",
            )
            .bind(millis(now))
            .bind(number(BATCH));
        let removed = remove.all(tx).await?;
        Ok(removed.iter().filter_map(name).collect())
    }

    /// Removes one session if its time is over.
    pub(super) async fn remove_if_expired(
        &self,
        tx: &mut Tx,
        name: &SessionName,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let remove = "DELETE FROM sessions WHERE tenant = $1 AND name = $4 AND NOT {live}";
        let remove = self.query(remove).bind(millis(now)).bind(name.as_str());
        remove.execute(tx).await.map(drop)
    }

    /// Removes sessions until there are no more than `cap`, but not the new one. `None` if that cannot be done.
    pub(super) async fn evict(
        &self,
        tx: &mut Tx,
        cap: usize,
        new: &SessionName,
    ) -> sqlx::Result<Option<Vec<SessionName>>> {
        let mut evicted = Vec::new();
        while self.is_over(tx, cap).await? {
            let remove = self
                .query(
                    "DELETE FROM sessions WHERE tenant = $1 AND name = (SELECT name FROM sessions \
                     WHERE tenant = $1 AND name <> $3 AND NOT {protected} \
                     ORDER BY automatic DESC, last_accessed_at, name LIMIT 1{skip_locked}) RETURNING name",
                )
                .bind(new.as_str());
            let Some(removed) = remove.optional(&mut *tx).await? else { return Ok(None) };
            evicted.extend(name(&removed));
        }
        Ok(Some(evicted))
    }

    async fn is_over(&self, tx: &mut Tx, cap: usize) -> sqlx::Result<bool> {
        let over = self.query("SELECT sessions > $3 AS over FROM tenants WHERE tenant = $1");
        over.bind(number(cap)).one(tx).await?.get("over")
    }
}

fn name(row: &Row) -> Option<SessionName> {
    row.get::<String>("name").ok()?.parse().ok()
}
