//! Control messages: what servers ask of the one that runs a session's turn.

use sqlx::{Sqlite, Transaction};

use super::open::SqliteStore;
use crate::session::{
    SessionName,
    store::{ControlMessage, ControlOutcome, MessageId, StoreError, rows::json},
};

type Tx<'a> = Transaction<'a, Sqlite>;

/// How long a message is kept for its sender, in milliseconds.
const KEPT: i64 = 120_000;

impl SqliteStore {
    /// The messages of a session that nobody has taken, after this one.
    pub(super) async fn unread(
        &self,
        name: &SessionName,
        MessageId(after): MessageId,
    ) -> sqlx::Result<Vec<(MessageId, ControlMessage)>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, message FROM control_messages WHERE session = ? AND id > ? AND taken = 0 ORDER BY id",
        )
        .bind(name.as_str())
        .bind(after)
        .fetch_all(&self.pool)
        .await?;
        // A newer server's message of a kind we do not know is not ours to guess at.
        let read = |(id, text): (i64, String)| {
            Some((MessageId(id), serde_json::from_str::<ControlMessage>(&text).ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    pub(super) async fn post_message(
        &self,
        name: &SessionName,
        message: &ControlMessage,
    ) -> Result<MessageId, StoreError> {
        let posted: (i64,) = sqlx::query_as(
            "INSERT INTO control_messages (session, posted, message) VALUES (?, ?, ?) RETURNING id",
        )
        .bind(name.as_str())
        .bind(self.clock.now())
        .bind(json(message))
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("post a message in"))?;
        Ok(MessageId(posted.0))
    }

    pub(super) async fn take_message(&self, MessageId(id): MessageId) -> Result<bool, StoreError> {
        let take = "UPDATE control_messages SET taken = 1 WHERE id = ? AND taken = 0";
        let taken = sqlx::query(take).bind(id).execute(&self.pool).await;
        Ok(taken.map_err(self.failed("take a message in"))?.rows_affected() == 1)
    }

    pub(super) async fn withdraw_message(
        &self,
        MessageId(id): MessageId,
    ) -> Result<bool, StoreError> {
        let withdraw = "DELETE FROM control_messages WHERE id = ? AND taken = 0";
        let withdrawn = sqlx::query(withdraw).bind(id).execute(&self.pool).await;
        Ok(withdrawn.map_err(self.failed("withdraw a message in"))?.rows_affected() == 1)
    }

    pub(super) async fn report_outcome(
        &self,
        MessageId(id): MessageId,
        outcome: &ControlOutcome,
    ) -> Result<(), StoreError> {
        let report = sqlx::query("UPDATE control_messages SET outcome = ? WHERE id = ?");
        let report = report.bind(json(outcome)).bind(id).execute(&self.pool).await;
        report.map(drop).map_err(self.failed("report an outcome in"))
    }

    pub(super) async fn read_outcome(
        &self,
        MessageId(id): MessageId,
    ) -> Result<Option<ControlOutcome>, StoreError> {
        let known: Option<(String,)> = sqlx::query_as(
            "DELETE FROM control_messages WHERE id = ? AND outcome IS NOT NULL RETURNING outcome",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("read an outcome in"))?;
        Ok(known.and_then(|(outcome,)| serde_json::from_str(&outcome).ok()))
    }

    /// Removes messages whose sender has given up, also those of before the machine was started again.
    pub(super) async fn clear_messages(&self, tx: &mut Tx<'_>) -> sqlx::Result<()> {
        let clock = self.clock.now();
        sqlx::query("DELETE FROM control_messages WHERE posted <= ? OR posted > ?")
            .bind(clock - KEPT)
            .bind(clock)
            .execute(&mut **tx)
            .await
            .map(drop)
    }
}
