//! Tokens and secrets. They are those of all tenants.

use super::SqlStore;
use crate::session::{
    record::TokenRecord,
    store::rows::{millis, token},
};

impl SqlStore {
    pub(super) async fn insert_token(&self, token: &TokenRecord) -> sqlx::Result<()> {
        self.query(
            "INSERT INTO tokens (id, tenant, scope, hash, created_at, expires_at) VALUES ($3, $4, $5, $6, $7, $8)",
        )
        .bind(&*token.id)
        .bind(token.tenant.as_str())
        .bind(token.scope.as_str())
        .bind(&token.hash[..])
        .bind(millis(token.created_at))
        .bind(token.expires_at.map(millis))
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// The tokens with this id; all if there is none.
    pub(super) async fn read_tokens(&self, id: Option<&str>) -> sqlx::Result<Vec<TokenRecord>> {
        let read = self.query(
            "SELECT id, tenant, scope, hash, created_at, expires_at FROM tokens \
             WHERE $3 IS NULL OR id = $3 ORDER BY created_at, id",
        );
        // One that cannot be read opens nothing, and hides no other.
        Ok(read.bind(id).all(&self.pool).await?.iter().filter_map(token).collect())
    }

    /// The secret of this name, made of `candidate` if there was none.
    pub(super) async fn shared_secret(
        &self,
        name: &str,
        candidate: [u8; 32],
    ) -> sqlx::Result<[u8; 32]> {
        self.query("INSERT INTO secrets (name, secret) VALUES ($3, $4) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(&candidate[..])
            .execute(&self.pool)
            .await?;
        let read = self.query("SELECT secret FROM secrets WHERE name = $3").bind(name);
        let kept: Vec<u8> = read.one(&self.pool).await?.get("secret")?;
        kept.try_into().map_err(|_| sqlx::Error::Decode("a secret has 32 bytes".into()))
    }
}
