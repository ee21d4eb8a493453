//! What is kept, as SQL.

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, Row, postgres::PgRow};

use super::{eviction::BATCH, open::PostgresStore, write::storable};
use crate::session::{
    SessionName,
    record::{
        HandshakeRecord, KeptRollout, RolloutRecord, SessionRecord, SessionStatus, ThreadId,
        TokenRecord, TurnRecord,
    },
    store::{
        CopiedTurns, Created, DailyUsage, Excerpt, Lease, Listing, Page, Renamed, SessionStore,
        StoreError, Turns,
        page::wanted,
        rows::{SessionRow, TurnRow, UsageRow, details, json, listing, millis, session_columns},
    },
};

/// What is live: not expired by the time `$2`, or protected at the clock `$3`. `$1` is the tenant.
macro_rules! live {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM sessions WHERE tenant = $1 AND \
             (expires_at > $2 OR (lease_busy AND coalesce(lease_until, 0) > codex_mcp_clock($3)))",
            $rest
        )
    };
}

/// The records of those.
macro_rules! select_live {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions WHERE tenant = $1 AND \
             (expires_at > $2 OR (lease_busy AND coalesce(lease_until, 0) > codex_mcp_clock($3))) AND ",
            $rest
        )
    };
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn create(
        &self,
        record: &SessionRecord,
        copy: Option<CopiedTurns<'_>>,
        cap: usize,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let action = "add a session to";
        // Rolled back unless committed, so nothing is evicted for a session that is not added.
        let mut tx = self.begin(action).await?;
        let add = async {
            self.lock_tenant(&mut tx).await?;
            self.remove_expired(&mut tx, now).await?;
            // One of this name that has expired is in the way, whether it was among the first to go or not.
            self.remove_if_expired(&mut tx, &record.name, now).await?;
            if !self.insert(&mut tx, record).await? {
                return Ok(Created::Conflict);
            }
            let mut evicted = self.evict(&mut tx, cap, &record.name).await?;
            if evicted.is_none() {
                // Those who protect the rest may be dead.
                self.free_lapsed(&mut tx).await?;
                evicted = self.evict(&mut tx, cap, &record.name).await?;
            }
            let Some(evicted) = evicted else { return Ok(Created::Full) };
            if let Some(copy) = copy {
                self.copy_turns(&mut tx, &record.name, copy).await?;
            }
            Ok(Created::Done { evicted })
        };
        let created = add.await.map_err(self.failed(action))?;
        if matches!(created, Created::Done { .. }) {
            tx.commit().await.map_err(self.failed(action))?;
        }
        Ok(created)
    }

    async fn commit(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        turns: Turns<'_>,
    ) -> Result<(), StoreError> {
        let action = "write a session to";
        let mut tx = self.begin(action).await?;
        if !self.update(&mut tx, lease, record).await.map_err(self.failed(action))? {
            drop(tx);
            let held = self.is_in_force(lease).await.map_err(self.failed(action))?;
            let stale = StoreError::Stale { name: record.name.clone() };
            return Err(if held { stale } else { Self::lost(lease) });
        }
        let written = async {
            match turns {
                Turns::Keep => Ok(()),
                Turns::Put(turn) => self.put_turn(&mut tx, &record.name, turn).await,
                Turns::Restart(turn) => {
                    self.clear_turns(&mut tx, &record.name).await?;
                    self.put_turn(&mut tx, &record.name, turn).await
                }
            }
        };
        written.await.map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))
    }

    async fn delete(&self, lease: &Lease) -> Result<(), StoreError> {
        let action = "delete from";
        let mut tx = self.begin(action).await?;
        let delete = async {
            self.lock_tenant(&mut tx).await?;
            sqlx::query(
                "DELETE FROM sessions WHERE tenant = $1 AND name = $2 AND lease_owner = $3 AND lease_epoch = $4 \
                 AND lease_until > codex_mcp_clock($5)",
            )
            .bind(&self.tenant)
            .bind(lease.session.as_str())
            .bind(&self.owner)
            .bind(lease.epoch)
            .bind(self.clock())
            .execute(&mut *tx)
            .await
        };
        let deleted = delete.await.map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))?;
        if deleted.rows_affected() == 1 { Ok(()) } else { Err(Self::lost(lease)) }
    }

    async fn rename(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        now: Timestamp,
    ) -> Result<Renamed, StoreError> {
        let action = "rename a session in";
        let mut tx = self.begin(action).await?;
        let others = async {
            self.lock_tenant(&mut tx).await?;
            self.others_before(&mut *tx, &lease.session, None).await
        };
        let wanted = others.await.map_err(self.failed(action))? > 0;
        let renamed = async {
            if record.name != lease.session {
                self.remove_if_expired(&mut tx, &record.name, now).await?;
            }
            self.put_renamed(&mut tx, lease, record).await
        };
        match renamed.await {
            Ok(false) => {
                drop(tx);
                let held = self.is_in_force(lease).await.map_err(self.failed(action))?;
                let stale = StoreError::Stale { name: record.name.clone() };
                Err(if held { stale } else { Self::lost(lease) })
            }
            Ok(true) if wanted => Ok(Renamed::Wanted),
            Ok(true) => {
                tx.commit().await.map_err(self.failed(action))?;
                Ok(Renamed::Done)
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Ok(if wanted { Renamed::Wanted } else { Renamed::Taken })
            }
            Err(error) => Err(self.failed(action)(error)),
        }
    }

    async fn load(
        &self,
        name: &SessionName,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row: Option<SessionRow> = sqlx::query_as(select_live!("name = $4"))
            .bind(&self.tenant)
            .bind(millis(now))
            .bind(self.clock())
            .bind(name.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(self.failed("read"))?;
        row.map(SessionRow::into_record).transpose()
    }

    async fn of_thread(
        &self,
        thread: &ThreadId,
        now: Timestamp,
    ) -> Result<Option<SessionName>, StoreError> {
        let name: Option<String> = sqlx::query_scalar(live!(
            "name",
            " AND thread_id = $4 ORDER BY last_accessed_at DESC LIMIT 1"
        ))
        .bind(&self.tenant)
        .bind(millis(now))
        .bind(self.clock())
        .bind(thread.to_string())
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("search"))?;
        Ok(name.and_then(|name| name.parse().ok()))
    }

    async fn list(&self, page: &Page, now: Timestamp) -> Result<Listing, StoreError> {
        let (ms, name) = page.start();
        let rows: Vec<SessionRow> = sqlx::query_as(select_live!(
            "last_accessed_at <= $4 AND (last_accessed_at < $4 OR name > $5) \
             AND ($7::text IS NULL OR position(lower($7) IN lower(name COLLATE \"default\")) > 0 OR EXISTS \
             (SELECT 1 FROM turns WHERE turns.tenant = $1 AND session = name AND position(lower($7) IN lower(prompt)) > 0) OR \
             name IN (SELECT session FROM turns WHERE tenant = $1 AND status <> 'running' \
             AND codex_mcp_words(prompt, response) @@ to_tsquery('pg_catalog.simple'::regconfig, $9))) \
             AND ($8::text IS NULL OR directory = $8) AND ($10::text IS NULL OR status = $10) \
             AND last_accessed_at >= $11 ORDER BY last_accessed_at DESC, name LIMIT $6"
        ))
        .bind(&self.tenant)
        .bind(millis(now))
        .bind(self.clock())
        .bind(ms)
        .bind(name)
        .bind(i64::from(page.limit) + 1)
        .bind(page.search.as_deref().map(storable))
        .bind(page.directory.as_ref().map(|path| path.to_string_lossy().into_owned()))
        .bind(page.search.as_ref().and_then(|search| question(search)))
        .bind(page.status.map(SessionStatus::as_str))
        .bind(page.since.map_or(i64::MIN, millis))
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("list"))?;
        Ok(listing(rows, page.limit as usize))
    }

    async fn count(&self, now: Timestamp) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(live!("count(*)", ""))
            .bind(&self.tenant)
            .bind(millis(now))
            .bind(self.clock())
            .fetch_one(&self.pool)
            .await
            .map_err(self.failed("count"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn collect(&self, name: &SessionName, turn: u32) -> Result<bool, StoreError> {
        let action = "collect an answer from";
        let mut tx = self.begin(action).await?;
        let collect = async {
            let kept: Option<String> = sqlx::query_scalar(
                "SELECT details FROM turns WHERE tenant = $1 AND session = $2 AND number = $3 FOR UPDATE",
            )
            .bind(&self.tenant)
            .bind(name.as_str())
            .bind(i64::from(turn))
            .fetch_optional(&mut *tx)
            .await?;
            let Some(mut details) = kept.and_then(|text| details(&text).ok()) else {
                return Ok(false);
            };
            if !std::mem::take(&mut details.uncollected) {
                return Ok(false);
            }
            sqlx::query(
                "UPDATE turns SET details = $4 WHERE tenant = $1 AND session = $2 AND number = $3",
            )
            .bind(&self.tenant)
            .bind(name.as_str())
            .bind(i64::from(turn))
            .bind(json(&details))
            .execute(&mut *tx)
            .await?;
            Ok(true)
        };
        let collected = collect.await.map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))?;
        Ok(collected)
    }

    async fn turns(
        &self,
        name: &SessionName,
        skip: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError> {
        // More than a text can have.
        let characters = |count: usize| i32::try_from(count).unwrap_or(i32::MAX - 1);
        let rows: Vec<TurnRow> = sqlx::query_as(
            "SELECT session, number, status, timestamp, left(prompt, $3) AS prompt, \
             left(substr(response, $4), $3) AS response, details FROM turns \
             WHERE tenant = $1 AND session = $2 ORDER BY number LIMIT $5 OFFSET $6",
        )
        .bind(&self.tenant)
        .bind(name.as_str())
        .bind(characters(excerpt.length))
        .bind(characters(excerpt.offset) + 1)
        .bind(i64::from(limit))
        .bind(i64::from(skip))
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read turns from"))?;
        rows.into_iter().map(TurnRow::into_record).collect()
    }

    async fn rollouts(&self, name: &SessionName) -> Result<Vec<RolloutRecord>, StoreError> {
        self.read_rollouts(name).await
    }

    async fn rollout_parts(
        &self,
        name: &SessionName,
        thread: &ThreadId,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read_rollout_parts(name, thread).await
    }

    async fn keep_rollouts(&self, lease: &Lease, kept: &[KeptRollout]) -> Result<bool, StoreError> {
        self.write_rollouts(lease, kept).await
    }

    async fn usage_by_day(&self, since: Date) -> Result<Vec<DailyUsage>, StoreError> {
        let rows: Vec<UsageRow> = sqlx::query_as(
            "SELECT * FROM usage_by_day WHERE tenant = $1 AND day >= $2 ORDER BY day DESC, model",
        )
        .bind(&self.tenant)
        .bind(since.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read the usage in"))?;
        // A day that cannot be read hides no other.
        Ok(rows.into_iter().filter_map(UsageRow::into_usage).collect())
    }

    async fn usage_of_tenants(&self, since: Date) -> Result<Vec<(String, DailyUsage)>, StoreError> {
        let all = "SELECT * FROM usage_by_day WHERE day >= $1 ORDER BY day DESC, tenant, model";
        let rows = sqlx::query(all).bind(since.to_string()).fetch_all(&self.pool).await;
        let rows = rows.map_err(self.failed("read the usage in"))?;
        let usage = |row: &PgRow| {
            let usage = UsageRow::from_row(row).ok()?.into_usage()?;
            Some((row.try_get("tenant").ok()?, usage))
        };
        Ok(rows.iter().filter_map(usage).collect())
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError> {
        let action = "sweep";
        self.clear_handshakes(now).await?;
        self.clear_servers().await?;
        self.clear_forwarded().await?;
        let mut removed = Vec::new();
        loop {
            // In batches, so that nobody waits for all of it.
            let mut tx = self.begin(action).await?;
            let swept = async {
                self.lock_tenant(&mut tx).await?;
                self.free_lapsed(&mut tx).await?;
                self.clear_queue(&mut tx).await?;
                self.clear_messages(&mut tx).await?;
                self.remove_expired(&mut tx, now).await
            };
            let batch = swept.await.map_err(self.failed(action))?;
            tx.commit().await.map_err(self.failed(action))?;
            let is_last = i64::try_from(batch.len()).unwrap_or(i64::MAX) < BATCH;
            removed.extend(batch);
            if is_last {
                return Ok(removed);
            }
        }
    }

    async fn add_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        self.insert_token(token).await
    }

    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        Ok(self.read_tokens(Some(id)).await?.pop())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.read_tokens(None).await
    }

    async fn remove_token(&self, id: &str) -> Result<bool, StoreError> {
        self.delete_token(id).await
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.shared_secret(name, candidate).await
    }

    async fn keep_handshake(&self, handshake: &HandshakeRecord) -> Result<(), StoreError> {
        self.insert_handshake(handshake).await
    }

    async fn handshake(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<HandshakeRecord>, StoreError> {
        self.read_handshake(id, now).await
    }

    async fn prolong_handshake(&self, id: &str, until: Timestamp) -> Result<(), StoreError> {
        self.update_handshake(id, until).await
    }

    async fn forget_handshake(&self, id: &str) -> Result<(), StoreError> {
        self.delete_handshake(id).await
    }

    fn is_current(&self) -> bool {
        true
    }
}

/// A search for turns that have a word beginning with each of these. `None` if there are none.
fn question(search: &str) -> Option<String> {
    let words: Vec<_> = wanted(search).into_iter().map(|word| format!("{word}:*")).collect();
    (!words.is_empty()).then(|| words.join(" & "))
}
