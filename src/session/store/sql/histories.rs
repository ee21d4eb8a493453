//! Histories of threads, for other machines to go on with.

use super::{Row, SqlStore, Tx, number};
use crate::session::{
    SessionName,
    record::{KeptRollout, RolloutRecord, ThreadId},
    store::{Lease, StoreError, rows::rollout},
};

impl SqlStore {
    pub(super) async fn read_rollouts(
        &self,
        name: &SessionName,
    ) -> sqlx::Result<Vec<RolloutRecord>> {
        let read = self.query(
            "SELECT thread, path, bytes, digest, turn, lacks FROM rollouts \
             WHERE tenant = $1 AND session = $3 ORDER BY place",
        );
        read.bind(name.as_str()).all(&self.pool).await?.iter().map(rollout).collect()
    }

    pub(super) async fn read_rollout_parts(
        &self,
        name: &SessionName,
        thread: &ThreadId,
    ) -> sqlx::Result<Vec<Vec<u8>>> {
        let read = self.query(
            "SELECT data FROM rollout_parts WHERE tenant = $1 AND session = $3 AND thread = $4 ORDER BY start",
        );
        let rows = read.bind(name.as_str()).bind(&*thread.0).all(&self.pool).await?;
        rows.iter().map(|row| row.get("data")).collect()
    }

    pub(super) async fn write_rollouts(
        &self,
        lease: &Lease,
        kept: &[KeptRollout],
    ) -> Result<bool, StoreError> {
        let action = "write a rollout to";
        let mut tx = self.begin(action).await?;
        match self.put_rollouts(&mut tx, lease, kept).await {
            // The session is gone.
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                Err(Self::lost(lease))
            }
            Err(error) => Err(self.failed(action)(error)),
            Ok(None) => Err(Self::lost(lease)),
            Ok(Some(false)) => Ok(false),
            Ok(Some(true)) => self.commit_all(tx, action).await.map(|()| true),
        }
    }

    /// Says whether each part continues what is kept. `None` if the lease is not in force.
    async fn put_rollouts(
        &self,
        tx: &mut Tx,
        lease: &Lease,
        kept: &[KeptRollout],
    ) -> sqlx::Result<Option<bool>> {
        let of_session = "tenant = $1 AND session = $3";
        let of_thread = "tenant = $1 AND session = $3 AND thread = $4";
        let name = lease.session.as_str();
        let before = format!("SELECT thread, bytes FROM rollouts WHERE {of_session}");
        let before = self.query(&before).bind(name).all(&mut *tx).await?;
        let read = |row: &Row| Ok((row.get("thread")?, row.get("bytes")?));
        let before: Vec<(String, i64)> = before.iter().map(read).collect::<sqlx::Result<_>>()?;
        for (thread, _) in &before {
            if kept.iter().all(|kept| kept.record.thread.0 != *thread) {
                let delete = self.query(&format!("DELETE FROM rollouts WHERE {of_thread}"));
                delete.bind(name).bind(&**thread).execute(&mut *tx).await?;
            }
        }
        for (place, KeptRollout { record, part }) in (0_i64..).zip(kept) {
            let thread = record.thread.0.as_str();
            let start = part.as_ref().map_or(record.bytes, |part| part.start);
            if start == 0 {
                let delete = self.query(&format!("DELETE FROM rollout_parts WHERE {of_thread}"));
                delete.bind(name).bind(thread).execute(&mut *tx).await?;
            } else if !before.contains(&(thread.to_owned(), number(start))) {
                return Ok(Some(false));
            }
            self.query(
                "INSERT INTO rollouts (tenant, session, thread, place, path, bytes, digest, turn, lacks) \
                 VALUES ($1, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (tenant, session, thread) DO UPDATE SET \
                 place = excluded.place, path = excluded.path, bytes = excluded.bytes, \
                 digest = excluded.digest, turn = excluded.turn, lacks = excluded.lacks",
            )
            .bind(name)
            .bind(thread)
            .bind(place)
            .bind(&*record.path)
            .bind(number(record.bytes))
            .bind(&*record.digest)
            .bind(record.turn)
            .bind(record.lacks.as_deref())
            .execute(&mut *tx)
            .await?;
            if let Some(part) = part {
                self.query(
                    "INSERT INTO rollout_parts (tenant, session, thread, start, data) VALUES ($1, $3, $4, $5, $6)",
                )
                .bind(name)
                .bind(thread)
                .bind(number(part.start))
                .bind(&*part.data)
                .execute(&mut *tx)
                .await?;
            }
        }
        // Last, because the lease is renewed in the same row, and what is written above may take long.
        let held = self.under(lease, "SELECT name FROM sessions WHERE {ours}{lock_but_key}");
        Ok(held.optional(tx).await?.map(|_| true))
    }
}
