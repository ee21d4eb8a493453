//! What other servers have just done, by PostgreSQL's notifications, so that nobody has to wait until the store is asked again.
//! A hint and no more: one that is lost costs a moment.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::{Mutex, broadcast};

/// The channel. Its messages have four lines: what is hinted at, a tenant, a session or a server, and who says so.
macro_rules! notify {
    ($kind:literal, $tenant:literal, $subject:literal, $owner:literal) => {
        concat!(
            "pg_notify('codex_mcp', concat_ws(E'\\n', ",
            $kind,
            ", ",
            $tenant,
            ", ",
            $subject,
            ", ",
            $owner,
            "))"
        )
    };
    // Of what concerns whoever holds or waits for a session. Also those who say it want to know: they may be both.
    ($tenant:literal, $session:literal) => {
        notify!("'inbox'", $tenant, $session, "''")
    };
}
pub(super) use notify;

/// How many hints are kept for whoever lags behind.
const KEPT: usize = 256;

/// The pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// What was heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) kind: String,
    pub(super) tenant: String,
    pub(super) subject: String,
    pub(super) owner: String,
}

/// The one listener of a server. Whoever waits for a hint listens for all who do.
#[derive(Debug)]
pub(super) struct Hints {
    sender: broadcast::Sender<Heard>,
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
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Heard> {
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
            && let Some(heard) = parse(heard.payload())
        {
            // Fails if nobody wants to hear.
            let _ = self.sender.send(heard);
        }
        Ok(())
    }
}

/// What an older server says has two lines, and is not heard: the store is asked soon enough.
fn parse(payload: &str) -> Option<Heard> {
    let mut lines = payload.split('\n').map(str::to_owned);
    let (kind, tenant) = (lines.next()?, lines.next()?);
    Some(Heard { kind, tenant, subject: lines.next()?, owner: lines.next()? })
}
