//! A store that is opened at its first use, and tried again if that failed.

use std::{fmt, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{MemoryStore, SessionStore, SqliteStore, StoreError};

/// Which store to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// One that is gone with the server.
    Memory,
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// A store that may not be open yet. The server starts and answers without it.
#[derive(Debug)]
pub struct LazyStore {
    config: StoreConfig,
    store: OnceCell<Arc<dyn SessionStore>>,
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "{}", path.display()),
        }
    }
}

impl LazyStore {
    /// Opens nothing yet.
    pub fn new(config: StoreConfig) -> Self {
        Self { config, store: OnceCell::new() }
    }

    /// The store. What a crash left behind is tidied when it is opened.
    ///
    /// # Errors
    /// Why it cannot be opened. The next call tries again, so a full disk or a missing right can be
    /// mended while the server runs.
    pub async fn get(&self, now: Timestamp) -> Result<&dyn SessionStore, StoreError> {
        let opened = self.store.get_or_try_init(|| self.open(now)).await?;
        Ok(opened.as_ref())
    }

    /// Which store it is.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The store if it is open.
    pub fn opened(&self) -> Option<&dyn SessionStore> {
        self.store.get().map(AsRef::as_ref)
    }

    async fn open(&self, now: Timestamp) -> Result<Arc<dyn SessionStore>, StoreError> {
        let store: Arc<dyn SessionStore> = match &self.config {
            StoreConfig::Memory => Arc::new(MemoryStore::default()),
            StoreConfig::Sqlite(path) => Arc::new(SqliteStore::open(path).await?),
        };
        store.sweep(now).await?;
        Ok(store)
    }
}
