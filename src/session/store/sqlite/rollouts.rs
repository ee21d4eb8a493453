//! Histories of threads, as SQL.

use super::open::SqliteStore;
use crate::session::{
    SessionName,
    record::{KeptRollout, RolloutRecord, ThreadId},
    store::{
        Lease, StoreError,
        rows::{RolloutRow, count, rollout},
    },
};

impl SqliteStore {
    pub(super) async fn read_rollouts(
        &self,
        name: &SessionName,
    ) -> Result<Vec<RolloutRecord>, StoreError> {
        let rows: Vec<RolloutRow> = sqlx::query_as(
            "SELECT thread, path, bytes, digest, turn, lacks FROM rollouts WHERE session = ? ORDER BY place",
        )
        .bind(name.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read rollouts from"))?;
        Ok(rows.into_iter().map(rollout).collect())
    }

    pub(super) async fn read_rollout_parts(
        &self,
        name: &SessionName,
        thread: &ThreadId,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        sqlx::query_scalar(
            "SELECT data FROM rollout_parts WHERE session = ? AND thread = ? ORDER BY start",
        )
        .bind(name.as_str())
        .bind(&thread.0)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read a rollout from"))
    }

    pub(super) async fn write_rollouts(
        &self,
        lease: &Lease,
        kept: &[KeptRollout],
    ) -> Result<bool, StoreError> {
        let action = "write a rollout to";
        let mut tx = self.begin(action).await?;
        let name = lease.session.as_str();
        let write = async {
            let held: Option<i32> = sqlx::query_scalar(
                "SELECT 1 FROM sessions WHERE name = ? AND lease_owner = ? AND lease_epoch = ? AND lease_until > ?",
            )
            .bind(name)
            .bind(self.owner.id())
            .bind(lease.epoch)
            .bind(self.clock.now())
            .fetch_optional(&mut *tx)
            .await?;
            if held.is_none() {
                return Ok(None);
            }
            let before: Vec<(String, i64)> =
                sqlx::query_as("SELECT thread, bytes FROM rollouts WHERE session = ?")
                    .bind(name)
                    .fetch_all(&mut *tx)
                    .await?;
            for (thread, _) in &before {
                if kept.iter().all(|kept| kept.record.thread.0 != *thread) {
                    sqlx::query("DELETE FROM rollouts WHERE session = ? AND thread = ?")
                        .bind(name)
                        .bind(thread)
                        .execute(&mut *tx)
                        .await?;
                }
            }
            for (place, KeptRollout { record, part }) in (0_i64..).zip(kept) {
                let thread = record.thread.0.as_str();
                let start = part.as_ref().map_or(record.bytes, |part| part.start);
                if start == 0 {
                    sqlx::query("DELETE FROM rollout_parts WHERE session = ? AND thread = ?")
                        .bind(name)
                        .bind(thread)
                        .execute(&mut *tx)
                        .await?;
                } else if !before.contains(&(thread.to_owned(), count(start))) {
                    return Ok(Some(false));
                }
                sqlx::query(
                    "INSERT INTO rollouts (session, thread, place, path, bytes, digest, turn, lacks) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, thread) DO UPDATE SET \
                     place = excluded.place, path = excluded.path, bytes = excluded.bytes, \
                     digest = excluded.digest, turn = excluded.turn, lacks = excluded.lacks",
                )
                .bind(name)
                .bind(thread)
                .bind(place)
                .bind(&record.path)
                .bind(count(record.bytes))
                .bind(&record.digest)
                .bind(record.turn)
                .bind(&record.lacks)
                .execute(&mut *tx)
                .await?;
                if let Some(part) = part {
                    sqlx::query("INSERT INTO rollout_parts VALUES (?, ?, ?, ?)")
                        .bind(name)
                        .bind(thread)
                        .bind(count(part.start))
                        .bind(&part.data)
                        .execute(&mut *tx)
                        .await?;
                }
            }
            Ok(Some(true))
        };
        match write.await.map_err(self.failed(action))? {
            None => Err(Self::lost(lease)),
            Some(false) => Ok(false),
            Some(true) => tx.commit().await.map(|()| true).map_err(self.failed(action)),
        }
    }
}
