//! Histories of threads, as SQL.

use super::open::PostgresStore;
use crate::session::{
    SessionName,
    record::{KeptRollout, RolloutRecord, ThreadId},
    store::{
        Lease, StoreError,
        rows::{RolloutRow, count, rollout},
    },
};

impl PostgresStore {
    pub(super) async fn read_rollouts(
        &self,
        name: &SessionName,
    ) -> Result<Vec<RolloutRecord>, StoreError> {
        let rows: Vec<RolloutRow> = sqlx::query_as(
            "SELECT thread, path, bytes, digest, turn, lacks FROM rollouts \
             WHERE tenant = $1 AND session = $2 ORDER BY place",
        )
        .bind(&self.tenant)
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
            "SELECT data FROM rollout_parts WHERE tenant = $1 AND session = $2 AND thread = $3 ORDER BY start",
        )
        .bind(&self.tenant)
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
            let threads: Vec<&str> =
                kept.iter().map(|kept| kept.record.thread.0.as_str()).collect();
            sqlx::query(
                "DELETE FROM rollouts WHERE tenant = $1 AND session = $2 AND thread <> ALL($3)",
            )
            .bind(&self.tenant)
            .bind(name)
            .bind(&threads)
            .execute(&mut *tx)
            .await?;
            for (place, KeptRollout { record, part }) in (0_i64..).zip(kept) {
                let thread = record.thread.0.as_str();
                let start = part.as_ref().map_or(record.bytes, |part| part.start);
                if start == 0 {
                    sqlx::query("DELETE FROM rollout_parts WHERE tenant = $1 AND session = $2 AND thread = $3")
                        .bind(&self.tenant)
                        .bind(name)
                        .bind(thread)
                        .execute(&mut *tx)
                        .await?;
                } else {
                    let known: Option<i64> = sqlx::query_scalar(
                        "SELECT bytes FROM rollouts WHERE tenant = $1 AND session = $2 AND thread = $3",
                    )
                    .bind(&self.tenant)
                    .bind(name)
                    .bind(thread)
                    .fetch_optional(&mut *tx)
                    .await?;
                    if known != Some(count(start)) {
                        return Ok(Some(false));
                    }
                }
                sqlx::query(
                    "INSERT INTO rollouts (tenant, session, thread, place, path, bytes, digest, turn, lacks) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, session, thread) DO UPDATE SET \
                     place = excluded.place, path = excluded.path, bytes = excluded.bytes, \
                     digest = excluded.digest, turn = excluded.turn, lacks = excluded.lacks",
                )
                .bind(&self.tenant)
                .bind(name)
                .bind(thread)
                .bind(place)
                .bind(&record.path)
                .bind(count(record.bytes))
                .bind(&record.digest)
                .bind(i64::from(record.turn))
                .bind(&record.lacks)
                .execute(&mut *tx)
                .await?;
                if let Some(part) = part {
                    sqlx::query("INSERT INTO rollout_parts VALUES ($1, $2, $3, $4, $5)")
                        .bind(&self.tenant)
                        .bind(name)
                        .bind(thread)
                        .bind(count(part.start))
                        .bind(&part.data)
                        .execute(&mut *tx)
                        .await?;
                }
            }
            // Last, because the lease is renewed in the same row, and what is written above may take long.
            let held: Option<i32> = sqlx::query_scalar(
                "SELECT 1 FROM sessions WHERE tenant = $1 AND name = $2 AND lease_owner = $3 \
                 AND lease_epoch = $4 AND lease_until > codex_mcp_clock($5) FOR NO KEY UPDATE",
            )
            .bind(&self.tenant)
            .bind(name)
            .bind(&self.owner)
            .bind(lease.epoch)
            .bind(self.clock())
            .fetch_optional(&mut *tx)
            .await?;
            Ok(held.map(|_| true))
        };
        match write.await {
            // The session is gone.
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                Err(Self::lost(lease))
            }
            Err(error) => Err(self.failed(action)(error)),
            Ok(None) => Err(Self::lost(lease)),
            Ok(Some(false)) => Ok(false),
            Ok(Some(true)) => tx.commit().await.map(|()| true).map_err(self.failed(action)),
        }
    }
}
