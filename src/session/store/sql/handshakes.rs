//! Handshakes of clients of older revisions. They are those of all tenants.

use jiff::Timestamp;

use super::SqlStore;
use crate::session::{
    record::HandshakeRecord,
    store::rows::{instant, millis},
};

/// How long a control message is kept for its sender, in milliseconds.
const KEPT: i64 = 120_000;

impl SqlStore {
    pub(super) async fn insert_handshake(&self, new: &HandshakeRecord) -> sqlx::Result<()> {
        self.query("INSERT INTO handshakes (id, owner, said, expires_at) VALUES ($3, $4, $5, $6)")
            .bind(&*new.id)
            .bind(&*new.owner)
            .bind(&*new.said)
            .bind(millis(new.expires_at))
            .execute(&self.pool)
            .await
            .map(drop)
    }

    pub(super) async fn read_handshake(
        &self,
        id: &str,
        now: Timestamp,
    ) -> sqlx::Result<Option<HandshakeRecord>> {
        let read =
            "SELECT owner, said, expires_at FROM handshakes WHERE id = $3 AND expires_at > $4";
        let read = self.query(read).bind(id).bind(millis(now));
        let Some(row) = read.optional(&self.pool).await? else { return Ok(None) };
        let Some(expires_at) = instant(row.get("expires_at")?) else { return Ok(None) };
        let (owner, said) = (row.get("owner")?, row.get("said")?);
        Ok(Some(HandshakeRecord { id: id.to_owned(), owner, said, expires_at }))
    }

    /// Removes what is over and what no one has taken: handshakes, messages between servers, and servers that fell silent.
    pub(super) async fn clear_what_is_old(&self, now: Timestamp) -> sqlx::Result<()> {
        let handshakes = self.query("DELETE FROM handshakes WHERE expires_at <= $3");
        handshakes.bind(millis(now)).execute(&self.pool).await?;
        let messages = self.query(
            "DELETE FROM control_messages WHERE tenant = $1 AND posted <= {clock_once} - $3",
        );
        messages.bind(KEPT).execute(&self.pool).await?;
        self.clear_servers().await?;
        self.clear_forwarded().await
    }
}
