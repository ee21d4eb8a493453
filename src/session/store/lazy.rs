//! A store that is opened at its first use, tried again if that failed, and opened anew if its file was replaced.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{PostgresPool, SqlStore, Store, StoreError};

/// Which store to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// One that is gone with the server.
    Memory,
    /// A SQLite file.
    Sqlite(PathBuf),
    /// The sessions of a tenant in a PostgreSQL database; those of the operator if it is empty.
    Postgres(PostgresPool, String),
}

/// A store that may not be open yet. The server starts and answers without it.
#[derive(Debug)]
pub struct LazyStore {
    config: StoreConfig,
    opened: RwLock<Option<Arc<dyn Store>>>,
    opening: Mutex<()>,
    replaced: AtomicBool,
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(database, _) => database.fmt(f),
        }
    }
}

impl LazyStore {
    /// Opens nothing yet.
    pub fn new(config: StoreConfig) -> Self {
        Self {
            config,
            opened: RwLock::default(),
            opening: Mutex::default(),
            replaced: AtomicBool::new(false),
        }
    }

    /// A store that is open already.
    #[cfg(test)]
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self { opened: RwLock::new(Some(store)), ..Self::new(StoreConfig::Memory) }
    }

    /// The store. What a crash left behind is tidied when it is opened.
    ///
    /// # Errors
    /// Why it cannot be opened. The next call tries again, so a full disk or a missing right can be
    /// mended while the server runs.
    pub async fn get(&self, now: Timestamp) -> Result<Arc<dyn Store>, StoreError> {
        if let Some(store) = self.current() {
            return Ok(store);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(store) = self.current() {
            return Ok(store);
        }
        let is_first = self.opened().is_none();
        let store: Arc<dyn Store> = match &self.config {
            StoreConfig::Memory => Arc::new(SqlStore::in_memory().await?),
            StoreConfig::Sqlite(path) => Arc::new(SqlStore::in_file(path).await?),
            StoreConfig::Postgres(database, tenant) => {
                Arc::new(SqlStore::in_postgres(database, tenant).await?)
            }
        };
        match store.sweep(now).await {
            // It can be read, and is swept again.
            Err(error) if error.is_passing() => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the session store is not tidied yet"
                );
            }
            swept => drop(swept?),
        }
        if !is_first {
            tracing::error!(store = %self.config, "the session store was removed or replaced; it was opened anew");
            self.replaced.store(true, Ordering::Relaxed);
        }
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Whether the store had to be opened anew since this was last asked.
    pub fn take_replaced(&self) -> bool {
        self.replaced.swap(false, Ordering::Relaxed)
    }

    /// Which store it is.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The store if it is open, whether or not its file is still there.
    pub fn opened(&self) -> Option<Arc<dyn Store>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn current(&self) -> Option<Arc<dyn Store>> {
        self.opened().filter(|store| store.is_current())
    }
}
