//! How many calls are in flight: of each principal, and of all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::mcp::Tenant;

/// Whose a call is.
pub(super) type Owner = (Option<Tenant>, String);

/// Counts calls in flight.
#[derive(Debug)]
pub(super) struct Calls {
    limit: usize,
    of: Mutex<HashMap<Owner, usize>>,
    all: watch::Sender<usize>,
}

/// A call in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    calls: Arc<Calls>,
    owner: Owner,
    ends: bool,
}

impl Calls {
    /// At most `limit` for each owner.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, of: Mutex::default(), all: watch::channel(0).0 })
    }

    /// Counts a call in. `None` if its owner has too many.
    pub(super) fn begin(self: &Arc<Self>, owner: &Owner) -> Option<InFlight> {
        let mut of = self.lock();
        let count = of.entry(owner.clone()).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        self.all.send_modify(|all| *all += 1);
        Some(InFlight { calls: Arc::clone(self), owner: owner.clone(), ends: true })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().values().sum()
    }

    /// Waits until there is none but those that listen.
    pub(super) async fn none(&self) {
        // It ends only with this value.
        let _ = self.all.subscribe().wait_for(|all| *all == 0).await;
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, usize>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// It only listens, and so does not end by itself.
    pub(super) fn listens(&mut self) {
        if std::mem::take(&mut self.ends) {
            self.calls.all.send_modify(|all| *all -= 1);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut of = self.calls.lock();
        if let Some(count) = of.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                of.remove(&self.owner);
            }
        }
        self.calls.all.send_modify(|all| *all -= usize::from(self.ends));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_owner_has_its_own_limit() {
        let calls = Calls::new(2);
        let (a, b) = ((None, "a".to_owned()), (None, "b".to_owned()));
        let held = [calls.begin(&a).unwrap(), calls.begin(&a).unwrap()];
        assert!(calls.begin(&a).is_none());
        let other = calls.begin(&b).unwrap();
        let mut listens = calls.begin(&b).unwrap();
        listens.listens();
        drop(held);
        assert!(calls.begin(&a).is_some());
        drop(other);
        calls.none().await;
        drop(listens);
        assert!(calls.lock().is_empty());
    }
}
