//! What clients have said when they began, kept so that any server of a store can go on with them.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    SessionError,
    record::{HandshakeRecord, after},
    store::{LazyStore, StoreConfig},
};

/// The handshakes in a store.
#[derive(Debug)]
pub struct Handshakes {
    store: LazyStore,
}

impl Handshakes {
    /// Those of this store, which is opened when it is first needed.
    pub fn new(store: StoreConfig) -> Self {
        Self { store: LazyStore::new(store) }
    }

    /// Keeps one for a while.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn keep(
        &self,
        id: String,
        owner: String,
        said: String,
        lasts: Duration,
    ) -> Result<(), SessionError> {
        let now = Timestamp::now();
        let record = HandshakeRecord { id, owner, said, expires_at: after(now, lasts) };
        Ok(self.store.get(now).await?.keep_handshake(&record).await?)
    }

    /// The one of this id, unless it is forgotten.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<HandshakeRecord>, SessionError> {
        let now = Timestamp::now();
        Ok(self.store.get(now).await?.handshake(id, now).await?)
    }

    /// Keeps one for a while from now on, if it is not forgotten.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn prolong(&self, id: &str, lasts: Duration) -> Result<(), SessionError> {
        let now = Timestamp::now();
        Ok(self.store.get(now).await?.prolong_handshake(id, after(now, lasts)).await?)
    }

    /// Forgets one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn forget(&self, id: &str) -> Result<(), SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.forget_handshake(id).await?)
    }
}
