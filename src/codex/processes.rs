//! How many Codex processes may run at once, where several slots share that number.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, futures::Notified},
    time::timeout,
};

/// The places that running processes take. Clones share them.
#[derive(Debug, Clone)]
pub struct Processes {
    places: Arc<Semaphore>,
    wanted: Arc<Notify>,
    waiting: Arc<AtomicUsize>,
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Processes {
    /// So many places.
    pub fn new(count: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(count)),
            wanted: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// Takes a place. If there is none, those who have one and do nothing are asked for it. `None` if none of them gives
    /// it back in time.
    pub(in crate::codex) async fn take(&self, limit: Duration) -> Option<OwnedSemaphorePermit> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
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

    /// Takes a place if there is one.
    pub(in crate::codex) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Whether somebody waits for a place.
    pub(in crate::codex) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
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
        let held = processes.try_take().unwrap();
        assert!(processes.try_take().is_none() && !processes.are_wanted());
        assert!(processes.take(limit).await.is_none());
        let giver = processes.clone();
        let (taken, ()) = tokio::join!(processes.take(limit), async move {
            giver.wanted().await;
            drop(held);
        });
        assert!(taken.is_some());
    }
}
