//! What is kept, as SQL.

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

use super::{eviction, open::SqliteStore};
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
        rows::{SessionRow, TurnRow, UsageRow, listing, millis, session_columns},
    },
};

/// What is live: not expired by the time `?1`, or protected at the store's clock `?2`.
macro_rules! select_live {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions WHERE (expires_at > ?1 OR (lease_busy AND ifnull(lease_until, 0) > ?2)) AND ",
            $rest
        )
    };
}

#[async_trait]
impl SessionStore for SqliteStore {
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
            let clock = self.clock.now();
            eviction::remove_expired(&mut tx, now, clock).await?;
            if !Self::insert(&mut tx, record).await? {
                return Ok(Created::Conflict);
            }
            let mut evicted = eviction::evict(&mut tx, cap, &record.name, clock).await?;
            if evicted.is_none() {
                // Those who protect the rest may be dead.
                self.free_lapsed(&mut tx).await?;
                evicted = eviction::evict(&mut tx, cap, &record.name, clock).await?;
            }
            let Some(evicted) = evicted else { return Ok(Created::Full) };
            if let Some(copy) = copy {
                Self::copy_turns(&mut tx, &record.name, copy).await?;
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
                Turns::Put(turn) => Self::put_turn(&mut tx, &record.name, turn).await,
                Turns::Restart(turn) => {
                    Self::clear_turns(&mut tx, &record.name).await?;
                    Self::put_turn(&mut tx, &record.name, turn).await
                }
            }
        };
        written.await.map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))
    }

    async fn delete(&self, lease: &Lease) -> Result<(), StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM sessions WHERE name = ? AND lease_owner = ? AND lease_epoch = ? AND lease_until > ?",
        )
        .bind(lease.session.as_str())
        .bind(self.owner.id())
        .bind(lease.epoch)
        .bind(self.clock.now())
        .execute(&self.pool)
        .await
        .map_err(self.failed("delete from"))?;
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
        let others = self.others_before(&mut *tx, &lease.session, None).await;
        let wanted = others.map_err(self.failed(action))? > 0;
        let renamed = async {
            if record.name != lease.session {
                eviction::remove_if_expired(&mut tx, &record.name, now, self.clock.now()).await?;
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
        let row: Option<SessionRow> = sqlx::query_as(select_live!("name = ?3"))
            .bind(millis(now))
            .bind(self.clock.now())
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
        let row: Option<SessionRow> =
            sqlx::query_as(select_live!("thread_id = ?3 ORDER BY last_accessed_at DESC LIMIT 1"))
                .bind(millis(now))
                .bind(self.clock.now())
                .bind(thread.to_string())
                .fetch_optional(&self.pool)
                .await
                .map_err(self.failed("search"))?;
        Ok(row.and_then(|row| row.name.parse().ok()))
    }

    async fn list(&self, page: &Page, now: Timestamp) -> Result<Listing, StoreError> {
        // SQLite ignores case for ASCII alone; other letters are compared here.
        match &page.search {
            Some(text) if !text.is_ascii() => self.list_matching(page, text, now).await,
            _ => Ok(listing(self.page(page, now).await?, page.limit as usize)),
        }
    }

    async fn count(&self, now: Timestamp) -> Result<u64, StoreError> {
        sqlx::query_scalar(
            "SELECT count(*) FROM sessions \
             WHERE expires_at > ?1 OR (lease_busy AND ifnull(lease_until, 0) > ?2)",
        )
        .bind(millis(now))
        .bind(self.clock.now())
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("count"))
    }

    async fn collect(&self, name: &SessionName, turn: u32) -> Result<bool, StoreError> {
        let collected = sqlx::query(
            "UPDATE turns SET details = json_remove(details, '$.uncollected') \
             WHERE session = ? AND number = ? AND details ->> '$.uncollected'",
        )
        .bind(name.as_str())
        .bind(turn)
        .execute(&self.pool)
        .await
        .map_err(self.failed("collect an answer from"))?;
        Ok(collected.rows_affected() == 1)
    }

    async fn turns(
        &self,
        name: &SessionName,
        skip: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError> {
        let characters = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let rows: Vec<TurnRow> = sqlx::query_as(
            "SELECT session, number, status, timestamp, substr(prompt, 1, ?1) AS prompt, \
             substr(response, ?2, ?1) AS response, details FROM turns \
             WHERE session = ?3 ORDER BY number LIMIT ?4 OFFSET ?5",
        )
        .bind(characters(excerpt.length))
        .bind(characters(excerpt.offset).saturating_add(1))
        .bind(name.as_str())
        .bind(limit)
        .bind(skip)
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
        let action = "read the usage in";
        let rows: Vec<UsageRow> =
            sqlx::query_as("SELECT * FROM usage_by_day WHERE day >= ? ORDER BY day DESC, model")
                .bind(since.to_string())
                .fetch_all(&self.pool)
                .await
                .map_err(self.failed(action))?;
        // A day that cannot be read hides no other.
        Ok(rows.into_iter().filter_map(UsageRow::into_usage).collect())
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError> {
        let action = "sweep";
        self.clear_handshakes(now).await?;
        let mut tx = self.begin(action).await?;
        let swept = async {
            let dead = self.free_lapsed(&mut tx).await?;
            self.clear_queue(&mut tx, &dead).await?;
            self.clear_messages(&mut tx).await?;
            Ok((eviction::remove_expired(&mut tx, now, self.clock.now()).await?, dead))
        };
        let (removed, dead) = swept.await.map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))?;
        for owner in &dead {
            self.owner.forget(owner);
        }
        Ok(removed)
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
        self.is_same_file()
    }
}

impl SqliteStore {
    /// The rows of a page, and one more if there is one.
    async fn page(&self, page: &Page, now: Timestamp) -> Result<Vec<SessionRow>, StoreError> {
        let (ms, name) = page.start();
        sqlx::query_as(select_live!(
            "last_accessed_at <= ?3 AND (last_accessed_at < ?3 OR name > ?4) \
             AND (?6 IS NULL OR instr(lower(name), lower(?6)) OR EXISTS (SELECT 1 FROM turns \
             WHERE session = name AND instr(lower(prompt), lower(?6))) OR name IN (SELECT session FROM turn_keys \
             WHERE id IN (SELECT rowid FROM turn_words WHERE turn_words MATCH ?8))) \
             AND (?7 IS NULL OR ?7 = CASE WHEN json_valid(settings) \
             THEN json_extract(settings, '$.workingDirectory') END) \
             AND (?9 IS NULL OR status = ?9) AND last_accessed_at >= ?10 ORDER BY last_accessed_at DESC, name LIMIT ?5"
        ))
        .bind(millis(now))
        .bind(self.clock.now())
        .bind(ms)
        .bind(name)
        .bind(i64::from(page.limit) + 1)
        .bind(&page.search)
        .bind(page.directory.as_ref().map(|path| path.to_string_lossy().into_owned()))
        .bind(question(page.search.as_deref().unwrap_or_default()))
        .bind(page.status.map(SessionStatus::as_str))
        .bind(page.since.map_or(i64::MIN, millis))
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("list"))
    }

    /// One page of the sessions whose name or prompts have `text` in them, in any case of any alphabet.
    async fn list_matching(
        &self,
        page: &Page,
        text: &str,
        now: Timestamp,
    ) -> Result<Listing, StoreError> {
        const SEARCHED_AT_ONCE: u32 = 200;
        let text = text.to_lowercase();
        let mut at = Page { search: None, limit: SEARCHED_AT_ONCE, ..page.clone() };
        let mut found = Vec::new();
        let with_words = self.with_words(&text).await?;
        loop {
            let mut rows = self.page(&at, now).await?;
            let is_last = rows.len() <= SEARCHED_AT_ONCE as usize;
            rows.truncate(SEARCHED_AT_ONCE as usize);
            let last = rows.last().and_then(SessionRow::cursor);
            for row in rows {
                if with_words.contains(&row.name) || self.mentions(&row.name, &text).await? {
                    found.push(row);
                }
            }
            if is_last || last.is_none() || found.len() > page.limit as usize {
                return Ok(listing(found, page.limit as usize));
            }
            at.after = last;
        }
    }

    async fn mentions(&self, session: &str, lowercase: &str) -> Result<bool, StoreError> {
        let prompts: Vec<(String,)> = sqlx::query_as("SELECT prompt FROM turns WHERE session = ?")
            .bind(session)
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed("search"))?;
        Ok(prompts.iter().any(|(prompt,)| prompt.to_lowercase().contains(lowercase)))
    }

    /// The sessions that have a turn with these words.
    async fn with_words(&self, text: &str) -> Result<HashSet<String>, StoreError> {
        let found: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT session FROM turn_keys WHERE id IN (SELECT rowid FROM turn_words WHERE turn_words MATCH ?)",
        )
        .bind(question(text))
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("search"))?;
        Ok(found.into_iter().collect())
    }
}

/// A search for turns that have a word beginning with each of these. One for no words finds nothing.
fn question(search: &str) -> String {
    let words: Vec<_> = wanted(search).into_iter().map(|word| format!("\"{word}\"*")).collect();
    if words.is_empty() { "\"\"".to_owned() } else { words.join(" ") }
}
