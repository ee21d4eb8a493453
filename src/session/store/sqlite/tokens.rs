//! Tokens and secrets, as SQL.

use super::open::SqliteStore;
use crate::session::{
    record::TokenRecord,
    store::{
        StoreError,
        rows::{millis, token},
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

    /// The secret of this name, made of `candidate` if there was none.
    pub(super) async fn shared_secret(
        &self,
        name: &str,
        candidate: [u8; 32],
    ) -> Result<[u8; 32], StoreError> {
        let add = "INSERT INTO secrets (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING";
        let read = async {
            sqlx::query(add).bind(name).bind(&candidate[..]).execute(&self.pool).await?;
            let kept = sqlx::query_scalar("SELECT secret FROM secrets WHERE name = ?").bind(name);
            let kept: Vec<u8> = kept.fetch_one(&self.pool).await?;
            kept.try_into().map_err(|_| sqlx::Error::Decode("a secret has 32 bytes".into()))
        };
        read.await.map_err(self.failed("read a secret from"))
    }
}
