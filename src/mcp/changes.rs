//! Notifies clients when sessions are made, changed and deleted, in both eras of MCP, on whichever server.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    RoleServer,
    model::ResourceUpdatedNotificationParam,
    service::{Peer, SubscriptionContext},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::resources;
use crate::session::Change;

/// The resources that a client of the older era has subscribed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscriptions(Arc<Mutex<HashSet<String>>>);

impl Subscriptions {
    pub(super) fn add(&self, uri: String) {
        self.lock().insert(uri);
    }

    pub(super) fn remove(&self, uri: &str) {
        self.lock().remove(uri);
    }

    fn concerned(&self, change: &Change) -> Vec<String> {
        self.lock().iter().filter(|uri| concerns(uri, change)).cloned().collect()
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notifies a client of the older era until it is gone.
pub(super) async fn relay(
    mut changes: Receiver<Change>,
    peer: Peer<RoleServer>,
    subscriptions: Subscriptions,
) {
    while let Some(change) = next(&mut changes).await {
        let told = match &change {
            Change::List => peer.notify_resource_list_changed().await,
            Change::Session(_) => {
                let mut told = Ok(());
                for uri in subscriptions.concerned(&change) {
                    let params = ResourceUpdatedNotificationParam::new(uri);
                    told = peer.notify_resource_updated(params).await;
                }
                told
            }
        };
        if told.is_err() {
            return;
        }
    }
}

/// Serves one subscription of the newer era, until it is cancelled.
pub(super) async fn listen(mut changes: Receiver<Change>, context: SubscriptionContext) {
    loop {
        let change = tokio::select! {
            () = context.cancelled() => return,
            change = next(&mut changes) => change,
        };
        let sink = context.sink();
        let wanted = context.accepted();
        let told = match change {
            None => return,
            Some(Change::List) if wanted.resources_list_changed == Some(true) => {
                sink.notify_resource_list_changed().await
            }
            Some(Change::List) => Ok(()),
            Some(change) => {
                let mut told = Ok(());
                let uris = wanted.resource_subscriptions.iter().flatten();
                for uri in uris.filter(|uri| concerns(uri, &change)) {
                    told = sink.notify_resource_updated(uri).await;
                }
                told
            }
        };
        if told.is_err() {
            return;
        }
    }
}

/// The next change. `None` at the end. A slow client misses old changes, never the newest.
async fn next(changes: &mut Receiver<Change>) -> Option<Change> {
    loop {
        match changes.recv().await {
            Ok(change) => return Some(change),
            Err(RecvError::Lagged(count)) => tracing::debug!(count, "changes were missed"),
            Err(RecvError::Closed) => return None,
        }
    }
}

fn concerns(uri: &str, change: &Change) -> bool {
    match change {
        Change::List => false,
        Change::Session(name) => resources::session_of(uri).as_ref() == Some(name),
    }
}
