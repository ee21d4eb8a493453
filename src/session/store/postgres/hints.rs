//! What other servers have just done, by PostgreSQL's notifications, so that nobody has to wait until the store is asked again.
//! A hint and no more: one that is lost costs a moment.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

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

/// The one listener of a server.
#[derive(Debug)]
pub(super) struct Hints {
    sender: broadcast::Sender<(String, String)>,
    pool: PgPool,
    listening: OnceLock<AbortOnDropHandle<()>>,
}

impl Hints {
    /// Listens on a connection of its own once somebody wants to hear.
    pub(super) fn new(options: PgConnectOptions) -> Arc<Self> {
        // Its own, so that it takes none from others, and no pooler can be in between.
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let sender = broadcast::channel(KEPT).0;
        Arc::new(Self { sender, pool, listening: OnceLock::new() })
    }

    /// All hints from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<(String, String)> {
        self.listening.get_or_init(|| {
            let (pool, sender) = (self.pool.clone(), self.sender.clone());
            #[expect(
                clippy::disallowed_methods,
                reason = "it belongs to the connections of all tenants and ends with them"
            )]
            AbortOnDropHandle::new(tokio::spawn(listen(pool, sender)))
        });
        self.sender.subscribe()
    }
}

async fn listen(pool: PgPool, sender: broadcast::Sender<(String, String)>) {
    loop {
        if let Err(error) = hear(&pool, &sender).await {
            tracing::debug!(%error, "no notifications of the database");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(pool: &PgPool, sender: &broadcast::Sender<(String, String)>) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("codex_mcp").await?;
    loop {
        // Nothing if the connection was lost: what came meanwhile is found when the store is asked.
        if let Some(heard) = listener.try_recv().await?
            && let Some((tenant, session)) = heard.payload().split_once('\n')
        {
            // Fails if nobody listens.
            let _ = sender.send((tenant.to_owned(), session.to_owned()));
        }
    }
}
