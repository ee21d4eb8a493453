//! Notifies clients when sessions are made, changed and deleted, in both eras of MCP, on whichever server.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    ErrorData, RoleServer,
    model::{ResourceUpdatedNotificationParam, SubscriptionFilter},
    service::{Peer, SubscriptionContext},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{cut::cut, resources};
use crate::session::Change;

/// The resources that a client of the older era has subscribed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscriptions(Arc<Mutex<HashSet<String>>>);

/// How many resources one client may be subscribed to.
const MOST: usize = 1000;

/// The longest URI of one, in bytes.
const LONGEST: usize = 1024;

impl Subscriptions {
    /// Fails if it names nothing that changes, or there are too many.
    pub(super) fn add(&self, uri: String) -> Result<(), ErrorData> {
        if !is_resource(&uri) {
            return Err(resources::unknown(cut(&uri, LONGEST).0));
        }
        let mut all = self.lock();
        if all.len() >= MOST && !all.contains(&uri) {
            let words = format!("this client is subscribed to {MOST} resources already");
            return Err(ErrorData::invalid_request(words, None));
        }
        all.insert(uri);
        Ok(())
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

/// Whether a URI names something that can be subscribed to.
pub fn is_resource(uri: &str) -> bool {
    #[cfg(debug_assertions)]
    if super::fixtures::is_watched(uri) {
        return true;
    }
    uri.len() <= LONGEST && resources::session_of(uri).is_some()
}

/// What of a subscription of the newer era is accepted.
pub(super) fn accepted(wanted: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = wanted.clone();
    if let Some(uris) = &mut accepted.resource_subscriptions {
        uris.retain(|uri| is_resource(uri));
        uris.truncate(MOST);
    }
    accepted
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_bounded_in_number_and_length() {
        let all = Subscriptions::default();
        for odd in ["", "file:///etc/passwd", "codex://sessions/a b", &"x".repeat(1 << 20)] {
            assert!(all.add(odd.to_owned()).is_err(), "{}", odd.len());
        }
        let padded = format!("codex://sessions/a/turns/1?x={}", "x".repeat(LONGEST));
        assert!(all.add(padded.clone()).is_err());
        for number in 0..MOST {
            all.add(format!("codex://sessions/s{number}")).unwrap();
        }
        assert!(all.add("codex://sessions/more".to_owned()).is_err());
        all.add("codex://sessions/s1".to_owned()).unwrap();
        all.remove("codex://sessions/s1");
        all.add("codex://sessions/more".to_owned()).unwrap();
        assert_eq!(all.lock().len(), MOST);
        let mut wanted = SubscriptionFilter::default();
        let many = (0..2 * MOST).map(|number| format!("codex://sessions/s{number}"));
        wanted.resource_subscriptions = Some([padded].into_iter().chain(many).collect());
        assert_eq!(accepted(&wanted).resource_subscriptions.unwrap().len(), MOST);
    }
}
