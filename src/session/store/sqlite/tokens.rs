//! Tokens, as SQL.

use sqlx::Row;

use super::open::SqliteStore;
use crate::session::{
    record::TokenRecord,
    store::{
        StoreError,
        rows::{instant, millis},
    },
};

impl SqliteStore {
    pub(super) async fn insert_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO tokens (id, tenant, scope, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&token.id)
        .bind(token.tenant.as_str())
        .bind(token.scope.as_str())
        .bind(&token.hash[..])
        .bind(millis(token.created_at))
        .bind(token.expires_at.map(millis))
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(self.failed("add a token to"))
    }

    /// The tokens with this id; all if there is none.
    pub(super) async fn read_tokens(
        &self,
        id: Option<&str>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tenant, scope, hash, created_at, expires_at FROM tokens \
             WHERE ?1 IS NULL OR id = ?1 ORDER BY created_at, id",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read tokens from"))?;
        // One that cannot be read opens nothing, and hides no other.
        Ok(rows.iter().filter_map(token).collect())
    }

    pub(super) async fn delete_token(&self, id: &str) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM tokens WHERE id = ?").bind(id).execute(&self.pool);
        let deleted = deleted.await.map_err(self.failed("revoke a token in"))?;
        Ok(deleted.rows_affected() == 1)
    }
}

fn token(row: &sqlx::sqlite::SqliteRow) -> Option<TokenRecord> {
    let hash: Vec<u8> = row.try_get("hash").ok()?;
    let expires_at: Option<i64> = row.try_get("expires_at").ok()?;
    let expires_at = match expires_at {
        Some(end) => Some(instant(end)?),
        None => None,
    };
    Some(TokenRecord {
        id: row.try_get("id").ok()?,
        tenant: row.try_get::<String, _>("tenant").ok()?.parse().ok()?,
        scope: row.try_get::<String, _>("scope").ok()?.parse().ok()?,
        hash: hash.try_into().ok()?,
        created_at: instant(row.try_get("created_at").ok()?)?,
        expires_at,
    })
}
