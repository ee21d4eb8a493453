//! Tokens of ours: made, checked, listed and revoked. A token is `cms_`, its id, `_` and a secret; the store has a
//! hash of the secret, which is long enough that nobody can find it from that.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{
    Principal, Scope, SessionError, Tenant,
    record::{TokenRecord, after},
    store::{LazyStore, StoreConfig},
};

/// What every token begins with, so that scanners of published code can tell it.
const PREFIX: &str = "cms_";

/// The tokens in a store.
#[derive(Debug)]
pub struct Tokens {
    store: LazyStore,
}

/// A new token, shown once.
pub struct NewToken {
    pub secret: String,
    /// What is kept of it.
    pub record: TokenRecord,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of this store, which is opened when it is first needed.
    pub fn new(store: StoreConfig) -> Self {
        Self { store: LazyStore::new(store) }
    }

    /// Makes a token.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn issue(
        &self,
        tenant: Tenant,
        scope: Scope,
        lasts: Option<Duration>,
    ) -> Result<NewToken, SessionError> {
        let now = Timestamp::now();
        let random = || Uuid::new_v4().simple().to_string();
        let id: String = random().chars().take(12).collect();
        let secret = random() + &random();
        let record = TokenRecord {
            id: id.clone(),
            tenant,
            scope,
            hash: hash(&secret),
            created_at: now,
            expires_at: lasts.map(|lasts| after(now, lasts)),
        };
        self.store.get(now).await?.add_token(&record).await?;
        Ok(NewToken { secret: format!("{PREFIX}{id}_{secret}"), record })
    }

    /// Who has this token. `None` if nobody: it is malformed, unknown, revoked or over.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn check(&self, token: &str) -> Result<Option<Principal>, SessionError> {
        let Some((id, secret)) = token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'))
        else {
            return Ok(None);
        };
        let now = Timestamp::now();
        let Some(record) = self.store.get(now).await?.token(id).await? else { return Ok(None) };
        let is_it = bool::from(record.hash.ct_eq(&hash(secret)));
        let is_over = record.expires_at.is_some_and(|end| end <= now);
        Ok((is_it && !is_over).then_some(Principal {
            tenant: Some(record.tenant),
            subject: record.id,
            scope: record.scope,
        }))
    }

    /// All tokens, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self) -> Result<Vec<TokenRecord>, SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.tokens().await?)
    }

    /// Ends a token. Says whether there was one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn revoke(&self, id: &str) -> Result<bool, SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.remove_token(id).await?)
    }

    /// Whether the store can be read.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_store(&self) -> Result<(), SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.token("").await.map(drop)?)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_good_until_it_is_over_or_revoked() {
        let tokens = Tokens::new(StoreConfig::Memory);
        let tenant: Tenant = "team".parse().unwrap();
        let new = tokens.issue(tenant.clone(), Scope::Run, None).await.unwrap();
        let principal = tokens.check(&new.secret).await.unwrap().unwrap();
        assert_eq!((principal.tenant, principal.scope), (Some(tenant.clone()), Scope::Run));
        assert!(!format!("{new:?}").contains(new.secret.rsplit('_').next().unwrap()));
        let other = tokens.issue(tenant.clone(), Scope::Read, None).await.unwrap();
        let (id, secret) = new.secret.rsplit_once('_').unwrap();
        let (_, foreign) = other.secret.rsplit_once('_').unwrap();
        for wrong in [
            String::new(),
            "cms_".to_owned(),
            "cms__".to_owned(),
            secret.to_owned(),
            format!("{id}_"),
            format!("{id}_{foreign}"),
            format!("{}x", new.secret),
            new.secret.to_uppercase(),
        ] {
            assert_eq!(tokens.check(&wrong).await.unwrap(), None, "{wrong}");
        }
        let over = tokens.issue(tenant, Scope::Run, Some(Duration::ZERO)).await.unwrap();
        assert_eq!(tokens.check(&over.secret).await.unwrap(), None);
        assert!(tokens.revoke(&new.record.id).await.unwrap());
        assert!(!tokens.revoke(&new.record.id).await.unwrap());
        assert_eq!(tokens.check(&new.secret).await.unwrap(), None);
        assert_eq!(tokens.list().await.unwrap().len(), 2);
    }
}
