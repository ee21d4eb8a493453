//! Control messages: what servers ask of the one that runs a session's turn.

use super::{
    hints::notify,
    open::{PostgresStore, Tx},
};
use crate::session::{
    SessionName,
    store::{ControlMessage, ControlOutcome, MessageId, StoreError, rows::json},
};

/// How long a message is kept for its sender, in milliseconds.
const KEPT: i64 = 120_000;

impl PostgresStore {
    /// The messages of a session that nobody has taken, after this one.
    pub(super) async fn unread(
        &self,
        name: &SessionName,
        MessageId(after): MessageId,
    ) -> sqlx::Result<Vec<(MessageId, ControlMessage)>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, message FROM control_messages WHERE tenant = $1 AND session = $2 AND id > $3 \
             AND NOT taken ORDER BY id",
        )
        .bind(&self.tenant)
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
        sqlx::query_scalar(concat!(
            "INSERT INTO control_messages (tenant, session, posted, message) \
             VALUES ($1, $2, codex_mcp_clock($3), $4) RETURNING id, ",
            notify!("$1", "$2")
        ))
        .bind(&self.tenant)
        .bind(name.as_str())
        .bind(self.clock())
        .bind(json(message))
        .fetch_one(&self.pool)
        .await
        .map(MessageId)
        .map_err(self.failed("post a message in"))
    }

    pub(super) async fn take_message(&self, MessageId(id): MessageId) -> Result<bool, StoreError> {
        let take =
            "UPDATE control_messages SET taken = true WHERE tenant = $1 AND id = $2 AND NOT taken";
        let taken = sqlx::query(take).bind(&self.tenant).bind(id).execute(&self.pool).await;
        Ok(taken.map_err(self.failed("take a message in"))?.rows_affected() == 1)
    }

    pub(super) async fn withdraw_message(
        &self,
        MessageId(id): MessageId,
    ) -> Result<bool, StoreError> {
        let withdraw = "DELETE FROM control_messages WHERE tenant = $1 AND id = $2 AND NOT taken";
        let withdrawn = sqlx::query(withdraw).bind(&self.tenant).bind(id).execute(&self.pool).await;
        Ok(withdrawn.map_err(self.failed("withdraw a message in"))?.rows_affected() == 1)
    }

    pub(super) async fn report_outcome(
        &self,
        MessageId(id): MessageId,
        outcome: &ControlOutcome,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE control_messages SET outcome = $3 WHERE tenant = $1 AND id = $2")
            .bind(&self.tenant)
            .bind(id)
            .bind(json(outcome))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(self.failed("report an outcome in"))
    }

    pub(super) async fn read_outcome(
        &self,
        MessageId(id): MessageId,
    ) -> Result<Option<ControlOutcome>, StoreError> {
        let known: Option<String> = sqlx::query_scalar(
            "DELETE FROM control_messages WHERE tenant = $1 AND id = $2 AND outcome IS NOT NULL RETURNING outcome",
        )
        .bind(&self.tenant)
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("read an outcome in"))?;
        Ok(known.and_then(|outcome| serde_json::from_str(&outcome).ok()))
    }

    /// Removes messages whose sender has given up.
    pub(super) async fn clear_messages(&self, tx: &mut Tx<'_>) -> sqlx::Result<()> {
        sqlx::query(
            "DELETE FROM control_messages WHERE tenant = $1 AND posted <= (SELECT codex_mcp_clock($2)) - $3",
        )
        .bind(&self.tenant)
        .bind(self.clock())
        .bind(KEPT)
        .execute(&mut **tx)
        .await
        .map(drop)
    }
}
