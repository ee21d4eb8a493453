//! What other servers have just done, by PostgreSQL's notifications, so that nobody has to wait until the store is asked again.
//! A hint and no more: one that is lost costs a moment.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::{Mutex, broadcast};

/// The channel. Its messages are a tenant and a session on two lines.
macro_rules! notify {
    ($tenant:literal, $session:literal) => {
        concat!("pg_notify('codex_mcp', ", $tenant, " || E'\\n' || ", $session, ")")
    };
}
pub(super) use notify;

/// How many hints are kept for whoever lags behind.
const KEPT: usize = 256;

/// The pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// The one listener of a server. Whoever waits for a hint listens for all who do.
#[derive(Debug)]
pub(super) struct Hints {
    sender: broadcast::Sender<(String, String)>,
    pool: PgPool,
    listener: Mutex<Option<PgListener>>,
}

impl Hints {
    /// Listens on a connection of its own once somebody wants to hear.
    pub(super) fn new(options: PgConnectOptions) -> Arc<Self> {
        // Its own, so that it takes none from others, and no pooler can be in between.
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let sender = broadcast::channel(KEPT).0;
        Arc::new(Self { sender, pool, listener: Mutex::default() })
    }

    /// All hints from now on, as long as somebody listens.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<(String, String)> {
        self.sender.subscribe()
    }

    /// Listens until it is dropped, unless somebody else does.
    pub(super) async fn listen(&self) {
        let mut listener = self.listener.lock().await;
        loop {
            if let Err(error) = self.hear(&mut listener).await {
                tracing::debug!(%error, "no notifications of the database");
                *listener = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn hear(&self, listener: &mut Option<PgListener>) -> sqlx::Result<()> {
        let listener = if let Some(listener) = listener {
            listener
        } else {
            let mut new = PgListener::connect_with(&self.pool).await?;
            new.listen("codex_mcp").await?;
            listener.insert(new)
        };
        // Nothing if the connection was lost: what came meanwhile is found when the store is asked.
        if let Some(heard) = listener.try_recv().await?
            && let Some((tenant, session)) = heard.payload().split_once('\n')
        {
            // Fails if nobody wants to hear.
            let _ = self.sender.send((tenant.to_owned(), session.to_owned()));
        }
        Ok(())
    }
}
