//! The verbs of the trait, as SQL.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::{
    lease::Lease,
    open::SqliteStore,
    room,
    rows::{SessionRow, TurnRow, json, millis},
};
use crate::session::{
    SessionName,
    record::{SessionRecord, ThreadId, TurnRecord},
    store::{
        Claim, Created, Cursor, Errand, ErrandId, ErrandOutcome, Excerpt, Inbox, Listing, Page,
        SessionStore, StoreError, Ticket, Turns,
    },
};

/// What is alive: not expired, or a turn runs on it.
macro_rules! select_session {
    ($rest:literal) => {
        concat!(
            "SELECT name, automatic, created_at, last_accessed_at, expires_at, thread_id, status, ",
            "turn_count, settings, usage, codex_version, revision FROM sessions WHERE ",
            "(expires_at > ?1 OR (status = 'running' AND ifnull(lease_until, 0) > ?1)) AND ",
            $rest
        )
    };
}

impl SqliteStore {
    /// A transaction that will write; waiting for another server's happens here and nowhere else.
    async fn begin(&self, action: &'static str) -> Result<Transaction<'_, Sqlite>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.failed(action))
    }

    async fn insert(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        new: &SessionRecord,
    ) -> sqlx::Result<bool> {
        let inserted = sqlx::query(
            "INSERT INTO sessions (name, automatic, created_at, last_accessed_at, expires_at, thread_id, \
             status, turn_count, settings, usage, codex_version, revision) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(new.name.as_str())
        .bind(new.automatic)
        .bind(millis(new.created_at))
        .bind(millis(new.last_accessed_at))
        .bind(millis(new.expires_at))
        .bind(new.thread_id.as_ref().map(ToString::to_string))
        .bind(new.status.as_str())
        .bind(new.turn_count)
        .bind(json(&new.settings))
        .bind(json(&new.usage))
        .bind(&new.codex_version)
        .bind(new.revision)
        .execute(&mut **tx)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn write(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        record: &SessionRecord,
    ) -> sqlx::Result<bool> {
        let written = sqlx::query(
            "UPDATE sessions SET last_accessed_at = ?, expires_at = ?, thread_id = ?, status = ?, \
             turn_count = ?, settings = ?, usage = ?, codex_version = ?, revision = revision + 1 \
             WHERE name = ? AND revision = ?",
        )
        .bind(millis(record.last_accessed_at))
        .bind(millis(record.expires_at))
        .bind(record.thread_id.as_ref().map(ToString::to_string))
        .bind(record.status.as_str())
        .bind(record.turn_count)
        .bind(json(&record.settings))
        .bind(json(&record.usage))
        .bind(&record.codex_version)
        .bind(record.name.as_str())
        .bind(record.revision)
        .execute(&mut **tx)
        .await?;
        Ok(written.rows_affected() == 1)
    }

    async fn put_turn(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        session: &SessionName,
        turn: &TurnRecord,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO turns (session, number, status, timestamp, prompt, response, details) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, number) DO UPDATE SET \
             status = excluded.status, prompt = excluded.prompt, response = excluded.response, details = excluded.details",
        )
        .bind(session.as_str())
        .bind(turn.number)
        .bind(turn.status.as_str())
        .bind(millis(turn.timestamp))
        .bind(&turn.prompt)
        .bind(&turn.response)
        .bind(json(&turn.details))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn claim(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let action = "lease a session in";
        let mut tx = self.begin(action).await?;
        let lease = self.take_lease(&mut tx, name, ticket, until, now).await;
        let lease = lease.map_err(self.failed(action))?;
        let row: Option<SessionRow> = sqlx::query_as(select_session!("name = ?2"))
            .bind(millis(now))
            .bind(name.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))?;
        match (lease, row) {
            (Lease::Ours, Some(row)) => Ok(Claim::Ours(Box::new(row.into_record()?))),
            (Lease::Theirs(ahead), Some(_)) => Ok(Claim::Held(ahead)),
            (Lease::NoSession, _) | (_, None) => Ok(Claim::Missing),
        }
    }

    async fn renew(&self, name: &SessionName, until: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE sessions SET lease_until = ? WHERE name = ? AND lease_owner = ?")
            .bind(millis(until))
            .bind(name.as_str())
            .bind(self.owner.id())
            .execute(&self.pool)
            .await
            .map_err(self.failed("renew a lease in"))?;
        sqlx::query("UPDATE queue SET until = ? WHERE session = ? AND owner = ?")
            .bind(millis(until))
            .bind(name.as_str())
            .bind(self.owner.id())
            .execute(&self.pool)
            .await
            .map_err(self.failed("renew a place in"))?;
        Ok(())
    }

    async fn enqueue(
        &self,
        name: &SessionName,
        limit: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        self.take_place(name, limit, until, now).await
    }

    async fn dequeue(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.give_up_place(ticket).await
    }

    async fn inbox(
        &self,
        name: &SessionName,
        after: ErrandId,
        now: Timestamp,
    ) -> Result<Inbox, StoreError> {
        self.look_into_inbox(name, after, now).await
    }

    async fn post(
        &self,
        name: &SessionName,
        errand: &Errand,
        now: Timestamp,
    ) -> Result<ErrandId, StoreError> {
        self.post_errand(name, errand, now).await
    }

    async fn report(&self, id: ErrandId, outcome: &ErrandOutcome) -> Result<(), StoreError> {
        self.report_errand(id, outcome).await
    }

    async fn outcome(&self, id: ErrandId) -> Result<Option<ErrandOutcome>, StoreError> {
        self.outcome_of_errand(id).await
    }

    async fn release(&self, name: &SessionName) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE sessions SET lease_owner = NULL, lease_until = NULL \
             WHERE name = ? AND lease_owner = ?",
        )
        .bind(name.as_str())
        .bind(self.owner.id())
        .execute(&self.pool)
        .await
        .map_err(self.failed("release a lease in"))?;
        Ok(())
    }

    async fn create(
        &self,
        record: &SessionRecord,
        cap: usize,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let action = "add a session to";
        let mut tx = self.begin(action).await?;
        room::remove_expired(&mut tx, now).await.map_err(self.failed(action))?;
        // Rolled back unless committed, so nothing is evicted for a session that is not added.
        let inserted = self.insert(&mut tx, record).await.map_err(self.failed(action))?;
        if !inserted {
            tx.commit().await.map_err(self.failed(action))?;
            return Ok(Created::Conflict);
        }
        let room = room::make_room(&mut tx, cap, &record.name, now).await;
        let Some(evicted) = room.map_err(self.failed(action))? else { return Ok(Created::Full) };
        tx.commit().await.map_err(self.failed(action))?;
        Ok(Created::Done { evicted })
    }

    async fn commit(&self, record: &SessionRecord, turns: Turns<'_>) -> Result<(), StoreError> {
        let action = "write a session to";
        let mut tx = self.begin(action).await?;
        if !self.write(&mut tx, record).await.map_err(self.failed(action))? {
            return Err(StoreError::Stale { name: record.name.clone() });
        }
        match turns {
            Turns::Keep => {}
            Turns::Copy { from, through } => {
                sqlx::query(
                    "INSERT INTO turns SELECT ?, number, status, timestamp, prompt, response, details \
                     FROM turns WHERE session = ? AND number <= ?",
                )
                .bind(record.name.as_str())
                .bind(from.as_str())
                .bind(through)
                .execute(&mut *tx)
                .await
                .map_err(self.failed(action))?;
            }
            Turns::Put(turn) => {
                self.put_turn(&mut tx, &record.name, turn).await.map_err(self.failed(action))?;
            }
            Turns::Clear => {
                sqlx::query("DELETE FROM turns WHERE session = ?")
                    .bind(record.name.as_str())
                    .execute(&mut *tx)
                    .await
                    .map_err(self.failed(action))?;
            }
        }
        tx.commit().await.map_err(self.failed(action))
    }

    async fn load(
        &self,
        name: &SessionName,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row: Option<SessionRow> = sqlx::query_as(select_session!("name = ?2"))
            .bind(millis(now))
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
        let row: Option<SessionRow> = sqlx::query_as(select_session!(
            "thread_id = ?2 ORDER BY last_accessed_at DESC LIMIT 1"
        ))
        .bind(millis(now))
        .bind(thread.to_string())
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("search"))?;
        Ok(row.and_then(|row| row.name.parse().ok()))
    }

    async fn list(&self, page: &Page, now: Timestamp) -> Result<Listing, StoreError> {
        let (ms, name) = match &page.after {
            Some(Cursor { accessed_ms, name }) => (*accessed_ms, name.as_str()),
            None => (i64::MAX, ""),
        };
        let rows: Vec<SessionRow> = sqlx::query_as(select_session!(
            "last_accessed_at <= ?2 AND (last_accessed_at < ?2 OR name > ?3) \
             AND (?5 IS NULL OR instr(lower(name), lower(?5)) OR EXISTS (SELECT 1 FROM turns \
             WHERE session = name AND instr(lower(prompt), lower(?5)))) ORDER BY last_accessed_at DESC, name LIMIT ?4"
        ))
        .bind(millis(now))
        .bind(ms)
        .bind(name)
        .bind(i64::from(page.limit) + 1)
        .bind(&page.search)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("list"))?;
        Ok(listing(rows, page.limit as usize))
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

    async fn delete(&self, name: &SessionName) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM sessions WHERE name = ?")
            .bind(name.as_str())
            .execute(&self.pool)
            .await
            .map_err(self.failed("delete from"))?;
        Ok(deleted.rows_affected() == 1)
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError> {
        let action = "sweep";
        let mut tx = self.begin(action).await?;
        self.free_the_dead(&mut tx).await.map_err(self.failed(action))?;
        self.clear_queue(&mut tx, now).await.map_err(self.failed(action))?;
        let removed = room::remove_expired(&mut tx, now).await.map_err(self.failed(action))?;
        tx.commit().await.map_err(self.failed(action))?;
        Ok(removed)
    }
}

/// Turns one row too many into a cursor. A damaged row is named and does not hide the others.
fn listing(mut rows: Vec<SessionRow>, limit: usize) -> Listing {
    let more = rows.len() > limit;
    rows.truncate(limit);
    // By the row, not the record: a page of damaged rows must not end the list.
    let next = rows.last().filter(|_| more).and_then(SessionRow::cursor);
    let mut listing = Listing { next, ..Listing::default() };
    for row in rows {
        let name = row.name.clone();
        match row.into_record() {
            Ok(record) => listing.sessions.push(record),
            Err(error) => {
                tracing::error!(%error, "a session is left out of the list");
                listing.damaged.push(name);
            }
        }
    }
    listing
}
