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

impl SqlStore {
    pub(super) async fn read_turns(
        &self,
        name: &SessionName,
        skip: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError> {
        let read = self
            .query(
                "SELECT session, number, status, timestamp, substr(prompt, 1, CAST($4 AS integer)) AS prompt, \
                 substr(response, CAST($5 AS integer), CAST($4 AS integer)) AS response, details FROM turns \
                 WHERE tenant = $1 AND session = $3 ORDER BY number LIMIT $6 OFFSET $7",
            )
            .bind(name.as_str())
            .bind(number(excerpt.length.min(LONGEST)))
            .bind(number(excerpt.offset.min(LONGEST) + 1))
            .bind(limit)
            .bind(skip);
        let action = "read turns from";
        let rows = read.all(&self.pool).await.map_err(self.failed(action))?;
        rows.iter().map(|row| turn(row).map_err(self.failed(action))?).collect()
    }

    /// Adds a turn or replaces the one of its number. The session's row is locked, so no one else writes its turns.
    pub(super) async fn put_turn(
        &self,
        tx: &mut Tx,
        session: &SessionName,
        turn: &TurnRecord,
    ) -> sqlx::Result<()> {
        let before = self
            .query("SELECT status FROM turns WHERE tenant = $1 AND session = $3 AND number = $4")
            .bind(session.as_str())
            .bind(turn.number)
            .optional(&mut *tx)
            .await?;
        let before: Option<String> = before.map(|row| row.get("status")).transpose()?;
        let put = if before.is_some() {
            "UPDATE turns SET status = $5, timestamp = $6, prompt = $7, response = $8, details = $9 \
             WHERE tenant = $1 AND session = $3 AND number = $4"
        } else {
            "INSERT INTO turns (tenant, session, number, status, timestamp, prompt, response, details) \
             VALUES ($1, $3, $4, $5, $6, $7, $8, $9)"
        };
        self.query(put)
            .bind(session.as_str())
            .bind(turn.number)
            .bind(turn.status.as_str())
            .bind(millis(turn.timestamp))
            .bind(&*turn.prompt)
            .bind(&*turn.response)
            .bind(json(&turn.details))
            .execute(&mut *tx)
            .await?;
        let was_running = before.as_deref() == Some(SessionStatus::Running.as_str());
        if was_running && turn.status != SessionStatus::Running {
            self.count_usage(tx, millis(turn.timestamp), turn.status, &turn.details).await?;
        }
        Ok(())
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

    /// Removes all turns of a session, and what was asked in them.
    pub(super) async fn clear_turns(&self, tx: &mut Tx, name: &SessionName) -> sqlx::Result<()> {
        for clear in [
            "DELETE FROM turns WHERE tenant = $1 AND session = $3",
            "DELETE FROM approvals WHERE tenant = $1 AND session = $3",
        ] {
            self.query(clear).bind(name.as_str()).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// A turn that runs is interrupted in the copy, which has what there is of it.
    pub(super) async fn copy_turns(
        &self,
        tx: &mut Tx,
        to: &SessionName,
        copy: CopiedTurns<'_>,
    ) -> sqlx::Result<()> {
        self.query(
            "INSERT INTO turns (tenant, session, number, status, timestamp, prompt, response, details) \
             SELECT tenant, $3, number, CASE WHEN status = 'running' THEN 'interrupted' ELSE status END, timestamp, \
             prompt, response, details FROM turns WHERE tenant = $1 AND session = $4 AND number <= $5",
        )
        .bind(to.as_str())
        .bind(copy.from.as_str())
        .bind(copy.through)
        .execute(tx)
        .await
        .map(drop)
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
