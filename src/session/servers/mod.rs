//! The servers that share a store: each says that it is there, and anybody can list them.

mod known;
mod presence;

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    SessionError,
    record::{SeenServer, ServerRecord},
    store::{LazyStore, StoreConfig},
};

pub use known::KnownServers;
pub use presence::{Presence, Served};

/// The servers of a store.
#[derive(Debug)]
pub struct Servers {
    store: LazyStore,
}

impl Servers {
    /// Those of this store, which is opened when it is first needed.
    pub fn new(store: StoreConfig) -> Self {
        Self { store: LazyStore::new(store) }
    }

    /// Says how a server is. It counts as silent if it does not say so again for `time`.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn announce(
        &self,
        server: &ServerRecord,
        time: Duration,
    ) -> Result<(), SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.announce(server, time).await?)
    }

    /// Says that a server has ended.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn leave(&self, id: &str) -> Result<(), SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.leave(id).await?)
    }

    /// All there are, and those that have been silent for less than a day, by machine. None where one machine has the
    /// store by itself.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self) -> Result<Vec<SeenServer>, SessionError> {
        Ok(self.store.get(Timestamp::now()).await?.servers().await?)
    }
}

impl ServerRecord {
    /// What a server of this kind says of itself that stays as it is.
    pub fn of_this_process(kind: &str, machine: String) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            machine,
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind: kind.to_owned(),
            started_at: Timestamp::now(),
            ..Self::default()
        }
    }
}
