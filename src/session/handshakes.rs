//! What clients have said when they began, kept so that any server of a store can go on with them; and what they send to one
//! server and is for another.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    SessionError,
    record::{ForwardedMessage, HandshakeRecord, after},
    store::{Hint, LazyStore, StoreConfig},
};

/// The handshakes in a store.
#[derive(Debug)]
pub struct Handshakes {
    store: LazyStore,
    /// The id of this server.
    server: String,
}

impl Handshakes {
    /// Those of this store, which is opened when it is first needed. `server` is what the others know this server by.
    pub fn new(store: StoreConfig, server: String) -> Self {
        Self { store: LazyStore::new(store), server }
    }

    /// What the others know this server by. `None` if there are no others.
    pub fn server(&self) -> Option<&str> {
        Some(&*self.server).filter(|_| matches!(self.store.config(), StoreConfig::Postgres(..)))
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

    /// Leaves what a client has sent for one server, or for all others.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn forward(
        &self,
        to: Option<&str>,
        message: &ForwardedMessage,
    ) -> Result<(), SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.forward(&self.server, to, message).await?)
    }

    /// Takes what the others have left for this server, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn take_forwarded(&self) -> Result<Vec<ForwardedMessage>, SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.take_forwarded(&self.server).await?)
    }

    /// Waits until another server has left something for this one. A hint: some are never heard of.
    pub async fn forwarded(&self) {
        loop {
            let Ok(store) = self.store.get(Timestamp::now()).await else {
                return std::future::pending().await;
            };
            if matches!(store.hint().await, Hint::Forwarded(server) if server == self.server) {
                return;
            }
        }
    }

    /// Keeps that an MCP session has subscribed to a resource or not, as long as its handshake.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn subscribe(
        &self,
        id: &str,
        uri: &str,
        subscribed: bool,
    ) -> Result<(), SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.subscribe(id, uri, subscribed).await?)
    }

    /// The resources that an MCP session has subscribed to.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn subscriptions(&self, id: &str) -> Result<Vec<String>, SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.subscriptions(id).await?)
    }
}
