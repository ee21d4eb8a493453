//! Handshakes, as SQL. They are those of all tenants.

use jiff::Timestamp;

use super::open::PostgresStore;
use crate::session::{
    record::HandshakeRecord,
    store::{
        StoreError,
        rows::{instant, millis},
    },
};

impl PostgresStore {
    pub(super) async fn insert_handshake(&self, new: &HandshakeRecord) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO handshakes (id, owner, said, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(&new.id)
            .bind(&new.owner)
            .bind(&new.said)
            .bind(millis(new.expires_at))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(self.failed("keep a handshake in"))
    }

    pub(super) async fn read_handshake(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<HandshakeRecord>, StoreError> {
        let row: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT owner, said, expires_at FROM handshakes WHERE id = $1 AND expires_at > $2",
        )
        .bind(id)
        .bind(millis(now))
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("read a handshake from"))?;
        Ok(row.and_then(|(owner, said, end)| {
            Some(HandshakeRecord { id: id.to_owned(), owner, said, expires_at: instant(end)? })
        }))
    }

    pub(super) async fn update_handshake(
        &self,
        id: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE handshakes SET expires_at = greatest(expires_at, $2) WHERE id = $1")
            .bind(id)
            .bind(millis(until))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(self.failed("prolong a handshake in"))
    }

    pub(super) async fn delete_handshake(&self, id: &str) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM handshakes WHERE id = $1").bind(id);
        let deleted = delete.execute(&self.pool).await;
        deleted.map(drop).map_err(self.failed("forget a handshake in"))
    }

    /// Removes those that are over.
    pub(super) async fn clear_handshakes(&self, now: Timestamp) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM handshakes WHERE expires_at <= $1");
        let deleted = delete.bind(millis(now)).execute(&self.pool).await;
        deleted.map(drop).map_err(self.failed("sweep"))
    }
}
