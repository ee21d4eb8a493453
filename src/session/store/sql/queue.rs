//! Turns that wait for their session: rows of `turns` in the state `queued`.

use std::time::Duration;

use super::{On, SqlStore, Tx, number, span};
use crate::session::{
    SessionName,
    record::{SessionStatus, Stop, TurnDetails, TurnRecord},
    store::{
        Promise, StoreError,
        rows::{details, json, millis},
    },
};

impl SqlStore {
    /// How many turns of other owners wait before this one; all of theirs if there is none.
    pub(super) async fn others_before(
        &self,
        on: impl Into<On<'_>>,
        name: &SessionName,
        turn: Option<u32>,
    ) -> sqlx::Result<usize> {
        let count = self
            .query(
                "SELECT count(*) AS waiting FROM turns WHERE tenant = $1 AND session = $3 AND status = 'queued' \
                 AND owner <> $4 AND number < $5 AND until > {clock}",
            )
            .bind(name.as_str())
            .bind(&*self.owner)
            .bind(turn.map_or(i64::MAX, i64::from));
        let waiting: i64 = count.one(on).await?.get("waiting")?;
        Ok(usize::try_from(waiting).unwrap_or_default())
    }

    pub(super) async fn insert_queued(
        &self,
        name: &SessionName,
        turn: &TurnRecord,
        promise: Option<&Promise>,
        limit: usize,
        time: Duration,
    ) -> Result<Option<u32>, StoreError> {
        let action = "queue in";
        self.bury_the_dead().await?;
        let mut tx = self.begin(action).await?;
        let insert = async {
            // Numbers of one session are given one at a time.
            let lock = self.query(
                "SELECT last_turn, CASE WHEN lease_busy THEN coalesce(lease_turn, 0) ELSE 0 END AS given \
                 FROM sessions WHERE tenant = $1 AND name = $3{lock}",
            );
            let Some(row) = lock.bind(name.as_str()).optional(&mut tx).await? else {
                return Ok(None);
            };
            let (last, given): (i64, i64) = (row.get("last_turn")?, row.get("given")?);
            let next = self.after_all(&mut tx, name, last).await?.max(given + 1);
            let queued = self
                .query(
                    "INSERT INTO turns (tenant, session, number, status, timestamp, prompt, response, details, owner, \
                     until, request, runner) SELECT $1, $3, $4, 'queued', $5, $6, '', $7, $8, {clock} + $9, $10, $11 \
                     WHERE (SELECT count(*) FROM turns WHERE tenant = $1 AND session = $3 AND status = 'queued' \
                     AND until > {clock}) < $12 RETURNING number, {tell}",
                )
                .bind(name.as_str())
                .bind(next)
                .bind(millis(turn.timestamp))
                .bind(&*turn.prompt)
                .bind(json(&turn.details))
                .bind(&*self.owner)
                .bind(span(time))
                .bind(promise.map(|promise| &*promise.request))
                .bind(promise.map(|promise| &*promise.runner))
                .bind(number(limit));
            let row = queued.optional(&mut tx).await?;
            row.map(|row| row.get::<i64>("number")).transpose()
        };
        let queued = insert.await.map_err(self.failed(action))?;
        self.commit_all(tx, action).await?;
        Ok(queued.and_then(|number| u32::try_from(number).ok()))
    }

    /// The number after all that turns of a session have, and after `last`.
    pub(super) async fn after_all(
        &self,
        tx: &mut Tx,
        name: &SessionName,
        last: i64,
    ) -> sqlx::Result<i64> {
        let greatest =
            self.query("SELECT max(number) AS last FROM turns WHERE tenant = $1 AND session = $3");
        let row = greatest.bind(name.as_str()).one(tx).await?;
        Ok(row.get::<Option<i64>>("last")?.unwrap_or_default().max(last) + 1)
    }

    pub(super) async fn promise_queued(
        &self,
        name: &SessionName,
        turn: u32,
        promise: &Promise,
        details: &TurnDetails,
    ) -> sqlx::Result<bool> {
        let promise = self
            .query(
                "UPDATE turns SET request = $6, runner = $7, details = $8 WHERE tenant = $1 AND session = $3 \
                 AND owner = $4 AND number = $5 AND status = 'queued'",
            )
            .bind(name.as_str())
            .bind(&*self.owner)
            .bind(turn)
            .bind(&*promise.request)
            .bind(&*promise.runner)
            .bind(json(details));
        Ok(promise.execute(&self.pool).await? == 1)
    }

    pub(super) async fn cancel_queued(
        &self,
        name: &SessionName,
        turn: u32,
        told: &TurnDetails,
    ) -> sqlx::Result<bool> {
        let cancel = self
            .query(
                "UPDATE turns SET status = 'cancelled', details = $5, owner = NULL, until = NULL, request = NULL, \
                 runner = NULL WHERE tenant = $1 AND session = $3 AND number = $4 AND status = 'queued'",
            )
            .bind(name.as_str())
            .bind(turn)
            .bind(json(told));
        Ok(cancel.execute(&self.pool).await? == 1)
    }

    pub(super) async fn adopt_queued(
        &self,
        runner: &str,
        time: Duration,
    ) -> sqlx::Result<Vec<(String, i64, String)>> {
        let adopt = self
            .query(
                "UPDATE turns SET owner = $3, until = {clock} + $5 WHERE tenant = $1 AND status = 'queued' \
                 AND runner = $4 AND request IS NOT NULL AND owner <> $3 AND until <= {clock} \
                 RETURNING session, number, request",
            )
            .bind(&*self.owner)
            .bind(runner)
            .bind(span(time));
        let rows = adopt.all(&self.pool).await?;
        let adopted = rows
            .iter()
            .map(|row| Ok((row.get("session")?, row.get("number")?, row.get("request")?)));
        adopted.collect()
    }

    /// Cancels the queued turns of owners that are gone, but for those that another one is to run.
    pub(super) async fn cancel_abandoned(&self, tx: &mut Tx) -> sqlx::Result<()> {
        let abandoned = self.query(
            "SELECT session, number, details FROM turns WHERE tenant = $1 AND status = 'queued' AND request IS NULL \
             AND until <= {clock_once}{skip_locked}",
        );
        for row in abandoned.all(&mut *tx).await? {
            let mut details = details(&row.get::<String>("details")?).unwrap_or_default();
            details.stopped = Some(Stop::Abandoned);
            self.query(
                "UPDATE turns SET status = $5, details = $6, owner = NULL, until = NULL \
                 WHERE tenant = $1 AND session = $3 AND number = $4",
            )
            .bind(row.get::<String>("session")?)
            .bind(row.get::<i64>("number")?)
            .bind(SessionStatus::Cancelled.as_str())
            .bind(json(&details))
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}
