//! How many Codex processes may run at once, where several slots share that number.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, futures::Notified},
    time::timeout,
};

/// The places that running processes take. Clones share them.
#[derive(Debug, Clone)]
pub struct Processes {
    places: Arc<Semaphore>,
    wanted: Arc<Notify>,
}

impl Processes {
    /// So many places.
    pub fn new(count: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(count)), wanted: Arc::default() }
    }

    /// Takes a place. If there is none, those who have one and do nothing are asked for it. `None` if none of them gives
    /// it back in time.
    pub(in crate::codex) async fn take(&self, limit: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let asking = async {
            loop {
                self.wanted.notify_waiters();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let place = async {
            tokio::select! {
                place = Arc::clone(&self.places).acquire_owned() => place.ok(),
                () = asking => None,
            }
        };
        timeout(limit, place).await.ok().flatten()
    }

    /// Resolves when somebody needs a place and there is none.
    pub(in crate::codex) fn wanted(&self) -> Notified<'_> {
        self.wanted.notified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_place_is_asked_for_and_waited_for() {
        let processes = Processes::new(1);
        let limit = Duration::from_secs(9);
        let held = processes.take(limit).await.unwrap();
        assert!(processes.take(limit).await.is_none());
        let giver = processes.clone();
        let (taken, ()) = tokio::join!(processes.take(limit), async move {
            giver.wanted().await;
            drop(held);
        });
        assert!(taken.is_some());
    }
}
