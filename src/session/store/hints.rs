//! What other servers have just done, by PostgreSQL's notifications, so that no call has to wait until the store is asked
//! again. A hint and no more: one that is lost costs a moment.
//!
//! A notification has four lines: what is hinted at, a tenant, a session or a server, and the owner who says so.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::{
    Mutex,
    broadcast::{self, error::RecvError},
};

use super::{Change, Hint};

/// How many hints are kept for those who lag behind.
const KEPT: usize = 256;

/// The pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// What was heard.
#[derive(Debug, Clone)]
struct Heard {
    kind: String,
    tenant: String,
    subject: String,
    owner: String,
}

/// What one owner hears.
#[derive(Debug)]
pub(super) struct Hearing {
    hints: Arc<Hints>,
    heard: Mutex<broadcast::Receiver<Heard>>,
}

impl Hearing {
    pub(super) fn of(hints: Arc<Hints>) -> Self {
        let heard = Mutex::new(hints.sender.subscribe());
        Self { hints, heard }
    }

    /// Waits for the next hint that is for this owner.
    pub(super) async fn hint(&self, tenant: &str, owner: &str) -> Hint {
        let mut heard = self.heard.lock().await;
        loop {
            let hint = tokio::select! {
                hint = heard.recv() => hint,
                () = self.hints.listen() => continue,
            };
            match hint {
                Ok(heard) => {
                    if let Some(hint) = heard.hint_for(tenant, owner) {
                        return hint;
                    }
                }
                // Who lags behind finds out when the store is asked.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Heard {
    fn hint_for(self, tenant: &str, owner: &str) -> Option<Hint> {
        match &*self.kind {
            "forwarded" => Some(Hint::Forwarded(self.subject)),
            _ if self.tenant != tenant => None,
            "inbox" => Some(Hint::Inbox(self.subject.parse().ok()?)),
            // It knows what it has done itself.
            _ if self.owner == owner => None,
            "list" => Some(Hint::Changed(Change::List)),
            "session" => Some(Hint::Changed(Change::Session(self.subject.parse().ok()?))),
            _ => None,
        }
    }
}

/// The one listener of a server. The call that waits for a hint listens for all that do.
#[derive(Debug)]
pub(super) struct Hints {
    sender: broadcast::Sender<Heard>,
    pool: PgPool,
    listener: Mutex<Option<PgListener>>,
}

impl Hints {
    /// Listens on a connection of its own once it is asked for a hint.
    pub(super) fn new(options: PgConnectOptions) -> Arc<Self> {
        // Its own, so that it takes none from others, and no pooler can be in between.
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let sender = broadcast::channel(KEPT).0;
        Arc::new(Self { sender, pool, listener: Mutex::default() })
    }

    /// Listens until it is dropped, unless another call does.
    async fn listen(&self) {
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
