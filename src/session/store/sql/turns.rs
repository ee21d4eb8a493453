//! The turns of a session.

use super::{SqlStore, Tx, number};
use crate::session::{
    SessionName,
    record::{SessionStatus, TurnRecord},
    store::{
        CopiedTurns, Excerpt, StoreError,
        rows::{details, json, millis, turn},
    },
};

/// The longest text that both databases can cut. No text is that long.
const LONGEST: usize = 1 << 30;

/// A turn with those of its items that were changed after `$4`.
const TURN: &str = "session, number, status, timestamp, details, (SELECT {items} FROM items WHERE \
                    items.tenant = turns.tenant AND items.session = turns.session AND items.turn = turns.number AND \
                    items.change > CAST($4 AS bigint)) AS items";

impl SqlStore {
    pub(super) async fn read_turns(
        &self,
        name: &SessionName,
        after: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError> {
        let sql = format!(
            "SELECT {TURN}, substr(prompt, 1, CAST($5 AS integer)) AS prompt, \
             substr(response, CAST($6 AS integer), CAST($5 AS integer)) AS response FROM turns \
             WHERE tenant = $1 AND session = $3 AND number > $8 ORDER BY number LIMIT $7"
        );
        let read = self
            .query(&sql)
            .bind(name.as_str())
            .bind(0_u32)
            .bind(number(excerpt.length.min(LONGEST)))
            .bind(number(excerpt.offset.min(LONGEST) + 1))
            .bind(limit)
            .bind(after);
        let action = "read turns from";
        let rows = read.all(&self.pool).await.map_err(self.failed(action))?;
        rows.iter().map(|row| turn(row).map_err(self.failed(action))?).collect()
    }

    pub(super) async fn read_turn(
        &self,
        name: &SessionName,
        turn_number: u32,
        after: u64,
    ) -> Result<Option<TurnRecord>, StoreError> {
        let sql = format!(
            "SELECT {TURN}, prompt, response FROM turns WHERE tenant = $1 AND session = $3 AND number = $5"
        );
        let read = self
            .query(&sql)
            .bind(name.as_str())
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(turn_number);
        let action = "read a turn from";
        let row = read.optional(&self.pool).await.map_err(self.failed(action))?;
        row.map(|row| turn(&row).map_err(self.failed(action))?).transpose()
    }

    /// Adds a turn or replaces the one of its number, unless it is to begin and that one may not; says which. The session's row is locked, so
    /// no one else writes its turns.
    pub(super) async fn put_turn(
        &self,
        tx: &mut Tx,
        session: &SessionName,
        turn: &TurnRecord,
    ) -> sqlx::Result<bool> {
        let before = self
            .query(
                "SELECT status, owner, (SELECT max(change) FROM items WHERE tenant = $1 AND session = $3 AND turn = $4) AS \
                 change FROM turns WHERE tenant = $1 AND session = $3 AND number = $4{lock}",
            )
            .bind(session.as_str())
            .bind(turn.number)
            .optional(&mut *tx)
            .await?;
        let (status, owner, change): (Option<String>, Option<String>, Option<i64>) = match before {
            Some(row) => (Some(row.get("status")?), row.get("owner")?, row.get("change")?),
            None => (None, None, None),
        };
        let is_ours = owner.as_deref() == Some(&*self.owner);
        let known = status.as_deref().and_then(SessionStatus::from_word);
        if known.is_some_and(|known| !turn.status.may_follow(known, is_ours)) {
            return Ok(false);
        }
        let put = if status.is_some() {
            "UPDATE turns SET status = $5, timestamp = $6, prompt = $7, response = $8, details = $9, owner = $10, \
             until = NULL, request = NULL, runner = NULL WHERE tenant = $1 AND session = $3 AND number = $4"
        } else {
            "INSERT INTO turns (tenant, session, number, status, timestamp, prompt, response, details, owner) \
             VALUES ($1, $3, $4, $5, $6, $7, $8, $9, $10)"
        };
        self.query(put)
            .bind(session.as_str())
            .bind(turn.number)
            .bind(turn.status.as_str())
            .bind(millis(turn.timestamp))
            .bind(&*turn.prompt)
            .bind(&*turn.response)
            .bind(json(&turn.details))
            .bind(&*self.owner)
            .execute(&mut *tx)
            .await?;
        for recorded in &turn.items {
            let number = i64::try_from(recorded.change).unwrap_or(i64::MAX);
            if change.is_some_and(|change| number <= change) {
                continue;
            }
            self.query(
                "INSERT INTO items (tenant, session, turn, place, change, item) VALUES ($1, $3, $4, $5, $6, $7) \
                 ON CONFLICT (tenant, session, turn, place) DO UPDATE SET change = excluded.change, item = excluded.item",
            )
            .bind(session.as_str())
            .bind(turn.number)
            .bind(recorded.place)
            .bind(number)
            .bind(json(&recorded.item))
            .execute(&mut *tx)
            .await?;
        }
        let was_running = status.as_deref() == Some(SessionStatus::Running.as_str());
        if was_running && turn.status != SessionStatus::Running {
            self.count_usage(tx, millis(turn.timestamp), turn.status, &turn.details).await?;
        }
        Ok(true)
    }

    /// Marks the turn that was left running, and counts what it used.
    pub(super) async fn interrupt_turns(&self, tx: &mut Tx, session: &str) -> sqlx::Result<()> {
        let interrupt = self
            .query(
                "UPDATE turns SET status = 'interrupted' WHERE tenant = $1 AND session = $3 AND status = 'running' \
                 RETURNING timestamp, details",
            )
            .bind(session);
        for row in interrupt.all(&mut *tx).await? {
            // One that cannot be read has used nothing that can be counted.
            let details = details(&row.get::<String>("details")?).unwrap_or_default();
            let began = row.get("timestamp")?;
            self.count_usage(tx, began, SessionStatus::Interrupted, &details).await?;
        }
        Ok(())
    }

    /// Removes the turns of a session before this one, and what was asked in them.
    pub(super) async fn clear_turns(
        &self,
        tx: &mut Tx,
        name: &SessionName,
        before: u32,
    ) -> sqlx::Result<()> {
        let clear = "DELETE FROM turns WHERE tenant = $1 AND session = $3 AND number < $4 AND status <> 'queued'";
        self.query(clear).bind(name.as_str()).bind(before).execute(&mut *tx).await?;
        let clear = "DELETE FROM approvals WHERE tenant = $1 AND session = $3";
        self.query(clear).bind(name.as_str()).execute(&mut *tx).await.map(drop)
    }

    /// A turn that runs is interrupted in the copy, which has what there is of it.
    pub(super) async fn copy_turns(
        &self,
        tx: &mut Tx,
        to: &SessionName,
        copy: CopiedTurns<'_>,
    ) -> sqlx::Result<()> {
        for insert in [
            "INSERT INTO turns (tenant, session, number, status, timestamp, prompt, response, details) \
             SELECT tenant, $3, number, CASE WHEN status = 'running' THEN 'interrupted' ELSE status END, timestamp, \
             prompt, response, details FROM turns WHERE tenant = $1 AND session = $4 AND number <= $5 \
             AND status <> 'queued'",
            "INSERT INTO items (tenant, session, turn, place, change, item) \
             SELECT tenant, $3, turn, place, change, item FROM items WHERE tenant = $1 AND session = $4 AND turn <= $5",
        ] {
            let insert = self.query(insert).bind(to.as_str()).bind(copy.from.as_str());
            insert.bind(copy.through).execute(&mut *tx).await?;
        }
        Ok(())
    }

    pub(super) async fn take_uncollected(
        &self,
        tx: &mut Tx,
        name: &SessionName,
        turn: u32,
    ) -> sqlx::Result<bool> {
        let which = "tenant = $1 AND session = $3 AND number = $4";
        let read = format!("SELECT details FROM turns WHERE {which}{{lock}}");
        let read = self.query(&read).bind(name.as_str()).bind(turn).optional(&mut *tx).await?;
        let kept: Option<String> = read.map(|row| row.get("details")).transpose()?;
        let Some(mut details) = kept.and_then(|text| details(&text).ok()) else { return Ok(false) };
        if !std::mem::take(&mut details.uncollected) {
            return Ok(false);
        }
        let write = self.query(&format!("UPDATE turns SET details = $5 WHERE {which}"));
        write.bind(name.as_str()).bind(turn).bind(json(&details)).execute(tx).await?;
        Ok(true)
    }
}
