//! What is kept: sessions, and by the files beside this one all that belongs to them.

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

use super::{Others, Query, SqlStore, Tx, eviction::BATCH, number};
use crate::session::{
    SessionName,
    record::{
        HandshakeRecord, KeptRollout, RolloutRecord, SessionRecord, SessionStatus, ThreadId,
        TokenRecord, TurnRecord,
    },
    store::{
        CopiedTurns, Created, DailyUsage, Excerpt, Lease, Listing, Page, Renamed, SessionStore,
        StoreError, Turns,
        rows::{json, millis, session},
    },
};

#[async_trait]
impl SessionStore for SqlStore {
    async fn create(
        &self,
        record: &SessionRecord,
        copy: Option<CopiedTurns<'_>>,
        cap: usize,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let action = "add a session to";
        self.bury_the_dead().await?;
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
            self.commit_all(tx, action).await?;
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
        let mut called_off = false;
        let write = async {
            if !self.update(&mut tx, lease, record).await? {
                return Ok(false);
            }
            match turns {
                Turns::Keep => {}
                Turns::Put(turn) => {
                    called_off = !self.put_turn(&mut tx, &record.name, turn).await?;
                }
                Turns::Restart(turn) => {
                    self.clear_turns(&mut tx, &record.name, turn.number).await?;
                    called_off = !self.put_turn(&mut tx, &record.name, turn).await?;
                }
            }
            Ok(true)
        };
        if write.await.map_err(self.failed(action))? {
            if called_off {
                return Err(StoreError::CalledOff { name: record.name.clone() });
            }
            return self.commit_all(tx, action).await;
        }
        drop(tx);
        Err(self.refused(lease, record, action).await)
    }

    async fn delete(&self, lease: &Lease) -> Result<(), StoreError> {
        let action = "delete from";
        let mut tx = self.begin(action).await?;
        let delete = async {
            self.lock_tenant(&mut tx).await?;
            self.under(lease, "DELETE FROM sessions WHERE {ours}").execute(&mut tx).await
        };
        let deleted = delete.await.map_err(self.failed(action))?;
        self.commit_all(tx, action).await?;
        if deleted == 1 { Ok(()) } else { Err(Self::lost(lease)) }
    }

    async fn rename(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        now: Timestamp,
    ) -> Result<Renamed, StoreError> {
        let action = "rename a session in";
        self.bury_the_dead().await?;
        let mut tx = self.begin(action).await?;
        let others = async {
            self.lock_tenant(&mut tx).await?;
            self.others_before(&mut tx, &lease.session, None).await
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
                Err(self.refused(lease, record, action).await)
            }
            Ok(true) if wanted => Ok(Renamed::Wanted),
            Ok(true) => self.commit_all(tx, action).await.map(|()| Renamed::Done),
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
        let load = "SELECT {columns} FROM sessions WHERE tenant = $1 AND name = $4 AND {live}";
        let load = self.query(load).bind(millis(now)).bind(name.as_str());
        let load = async { load.optional(&self.pool).await?.as_ref().map(session).transpose() };
        load.await.map_err(self.failed("read"))?.transpose()
    }

    async fn of_thread(
        &self,
        thread: &ThreadId,
        now: Timestamp,
    ) -> Result<Option<SessionName>, StoreError> {
        let find = self
            .query(
                "SELECT name FROM sessions WHERE tenant = $1 AND thread_id = $4 AND {live} \
                 ORDER BY last_accessed_at DESC LIMIT 1",
            )
            .bind(millis(now))
            .bind(thread.to_string());
        let found = find.optional(&self.pool).await.map_err(self.failed("search"))?;
        Ok(found.and_then(|row| row.get::<String>("name").ok()?.parse().ok()))
    }

    async fn list(&self, page: &Page, now: Timestamp) -> Result<Listing, StoreError> {
        self.read_page(page, now).await.map_err(self.failed("list"))
    }

    async fn count(&self, now: Timestamp) -> Result<u64, StoreError> {
        let count = "SELECT count(*) AS live FROM sessions WHERE tenant = $1 AND {live}";
        let count = self.query(count).bind(millis(now));
        let count = async { count.one(&self.pool).await?.get::<i64>("live") };
        count.await.map(i64::unsigned_abs).map_err(self.failed("count"))
    }

    async fn turns(
        &self,
        name: &SessionName,
        after: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError> {
        self.read_turns(name, after, limit, excerpt).await
    }

    async fn turn(
        &self,
        name: &SessionName,
        number: u32,
        after: u64,
    ) -> Result<Option<TurnRecord>, StoreError> {
        self.read_turn(name, number, after).await
    }

    async fn collect(&self, name: &SessionName, turn: u32) -> Result<bool, StoreError> {
        let action = "collect an answer from";
        let mut tx = self.begin(action).await?;
        let collected = self.take_uncollected(&mut tx, name, turn).await;
        let collected = collected.map_err(self.failed(action))?;
        self.commit_all(tx, action).await?;
        Ok(collected)
    }

    async fn rollouts(&self, name: &SessionName) -> Result<Vec<RolloutRecord>, StoreError> {
        self.read_rollouts(name).await.map_err(self.failed("read rollouts from"))
    }

    async fn rollout_parts(
        &self,
        name: &SessionName,
        thread: &ThreadId,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read_rollout_parts(name, thread).await.map_err(self.failed("read a rollout from"))
    }

    async fn keep_rollouts(&self, lease: &Lease, kept: &[KeptRollout]) -> Result<bool, StoreError> {
        self.write_rollouts(lease, kept).await
    }

    async fn usage_by_day(&self, since: Date) -> Result<Vec<DailyUsage>, StoreError> {
        let rows = self.read_usage(since, false).await?;
        Ok(rows.into_iter().map(|(_, usage)| usage).collect())
    }

    async fn usage_of_tenants(&self, since: Date) -> Result<Vec<(String, DailyUsage)>, StoreError> {
        match self.others {
            Others::Anywhere(_) => self.read_usage(since, true).await,
            Others::None | Others::Here(_) => Ok(Vec::new()),
        }
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError> {
        let action = "sweep";
        self.bury_the_dead().await?;
        self.clear_what_is_old(now).await.map_err(self.failed(action))?;
        let mut removed = Vec::new();
        loop {
            // In batches, so that no other server waits for all of it.
            let mut tx = self.begin(action).await?;
            let sweep = async {
                self.lock_tenant(&mut tx).await?;
                self.free_lapsed(&mut tx).await?;
                self.cancel_abandoned(&mut tx).await?;
                self.remove_expired(&mut tx, now).await
            };
            let batch = sweep.await.map_err(self.failed(action))?;
            self.commit_all(tx, action).await?;
            let is_last = batch.len() < BATCH;
            removed.extend(batch);
            if is_last {
                return Ok(removed);
            }
        }
    }

    async fn add_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        self.insert_token(token).await.map_err(self.failed("add a token to"))
    }

    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        Ok(self.read_tokens(Some(id)).await.map_err(self.failed("read tokens from"))?.pop())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.read_tokens(None).await.map_err(self.failed("read tokens from"))
    }

    async fn remove_token(&self, id: &str) -> Result<bool, StoreError> {
        let delete = self.query("DELETE FROM tokens WHERE id = $3").bind(id);
        let deleted = delete.execute(&self.pool).await.map_err(self.failed("revoke a token in"))?;
        Ok(deleted == 1)
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.shared_secret(name, candidate).await.map_err(self.failed("read a secret from"))
    }

    async fn keep_handshake(&self, handshake: &HandshakeRecord) -> Result<(), StoreError> {
        self.insert_handshake(handshake).await.map_err(self.failed("keep a handshake in"))
    }

    async fn handshake(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<HandshakeRecord>, StoreError> {
        self.read_handshake(id, now).await.map_err(self.failed("read a handshake from"))
    }

    async fn prolong_handshake(&self, id: &str, until: Timestamp) -> Result<(), StoreError> {
        let prolong = "UPDATE handshakes SET expires_at = $4 WHERE id = $3 AND expires_at < $4";
        let prolong = self.query(prolong).bind(id).bind(millis(until)).execute(&self.pool);
        prolong.await.map(drop).map_err(self.failed("prolong a handshake in"))
    }

    async fn forget_handshake(&self, id: &str) -> Result<(), StoreError> {
        let forget = self.query("DELETE FROM handshakes WHERE id = $3").bind(id);
        forget.execute(&self.pool).await.map(drop).map_err(self.failed("forget a handshake in"))
    }

    fn is_current(&self) -> bool {
        match &self.others {
            Others::Here(registry) => registry.is_same_file(),
            Others::None | Others::Anywhere(_) => true,
        }
    }
}

impl SqlStore {
    /// Adds a session. Says whether there was none of its name.
    async fn insert(&self, tx: &mut Tx, new: &SessionRecord) -> sqlx::Result<bool> {
        let insert = self.query(
            "INSERT INTO sessions (tenant, created_at, name, automatic, last_accessed_at, expires_at, thread_id, status, \
             last_turn, settings, usage, codex_version, effective, details, directory, revision, lease_epoch) \
             SELECT $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, greatest \
             FROM tenants WHERE tenant = $1 ON CONFLICT DO NOTHING",
        );
        let insert = insert.bind(millis(new.created_at));
        let insert = insert.bind(new.name.as_str()).bind(new.automatic);
        Ok(written(insert, new).bind(new.revision).execute(tx).await? == 1)
    }

    /// Writes a session under its lease. Says whether the lease is in force and the revision the stored one.
    async fn update(
        &self,
        tx: &mut Tx,
        lease: &Lease,
        record: &SessionRecord,
    ) -> sqlx::Result<bool> {
        let update = self.under(
            lease,
            "UPDATE sessions SET last_accessed_at = $6, expires_at = $7, thread_id = $8, status = $9, last_turn = $10, \
             settings = $11, usage = $12, codex_version = $13, effective = $14, details = $15, directory = $16, \
             lease_busy = $17, revision = revision + 1 WHERE {ours} AND revision = $18",
        );
        let update = written(update, record).bind(record.status == SessionStatus::Running);
        Ok(update.bind(record.revision).execute(tx).await? == 1)
    }

    /// Writes a session under its lease and the name in `record`, and ends the lease. Says whether the lease is in force
    /// and the revision the stored one. Turns, approvals and histories follow.
    async fn put_renamed(
        &self,
        tx: &mut Tx,
        lease: &Lease,
        record: &SessionRecord,
    ) -> sqlx::Result<bool> {
        if !self.update(tx, lease, record).await? {
            return Ok(false);
        }
        // An old lease on either name must never look like a new one.
        let raise = self.query(
            "UPDATE tenants SET greatest = CASE WHEN greatest < $3 THEN $3 ELSE greatest END WHERE tenant = $1 \
             RETURNING greatest",
        );
        let greatest: i64 = raise.bind(lease.epoch).one(&mut *tx).await?.get("greatest")?;
        self.query(
            "UPDATE sessions SET name = $4, automatic = $5, lease_epoch = $6, lease_owner = NULL, \
             lease_until = NULL, lease_busy = false WHERE tenant = $1 AND name = $3",
        )
        .bind(lease.session.as_str())
        .bind(record.name.as_str())
        .bind(record.automatic)
        .bind(greatest)
        .execute(&mut *tx)
        .await?;
        self.query(
            "DELETE FROM control_messages WHERE tenant = $1 AND session = $3 AND session <> $4",
        )
        .bind(lease.session.as_str())
        .bind(record.name.as_str())
        .execute(tx)
        .await?;
        Ok(true)
    }

    /// Why a write under a lease changed nothing.
    async fn refused(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        action: &'static str,
    ) -> StoreError {
        match self.is_in_force(lease).await {
            Ok(true) => StoreError::Stale { name: record.name.clone() },
            Ok(false) => Self::lost(lease),
            Err(error) => self.failed(action)(error),
        }
    }
}

/// The columns of a session that change, in the order of both statements.
fn written(query: Query, record: &SessionRecord) -> Query {
    // Also in the settings: here it is searched for.
    let directory = record.settings.working_directory.as_ref();
    query
        .bind(millis(record.last_accessed_at))
        .bind(millis(record.expires_at))
        .bind(record.thread_id.as_ref().map(ToString::to_string))
        .bind(record.status.as_str())
        .bind(number(record.last_turn))
        .bind(json(&record.settings))
        .bind(json(&record.usage))
        .bind(record.codex_version.clone())
        .bind(record.effective.as_ref().map(json))
        .bind(json(&record.details))
        .bind(directory.map(|path| path.to_string_lossy().into_owned()))
}
