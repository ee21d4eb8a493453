//! Keeping a lease: a task renews it from claim to release, whatever the session's actor is doing.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    measures::Measures,
    store::{Lease, Store},
};

/// How many renewals are due before a lease would run out.
const RENEWALS: u32 = 3;

/// How much more often a renewal is tried after the store could not be written.
const RETRIES: u32 = 10;

/// A lease that is being renewed. Dropping the guard releases the lease in the background.
#[derive(Debug)]
pub(super) struct LeaseGuard {
    lease: Lease,
    store: Arc<dyn Store>,
    lost: CancellationToken,
    tasks: TaskTracker,
    /// Ends the renewal when dropped. `None` once the lease is released.
    renewal: Option<DropGuard>,
}

impl LeaseGuard {
    /// Starts to renew a lease that was just claimed for `time`.
    pub(super) fn keep(
        lease: Lease,
        store: Arc<dyn Store>,
        time: Duration,
        tasks: &TaskTracker,
        measures: Measures,
    ) -> Self {
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        let renewing = renew(lease.clone(), Arc::clone(&store), time, lost.clone(), measures);
        let until_stopped = stop.clone();
        tasks.spawn(async move { until_stopped.run_until_cancelled_owned(renewing).await });
        Self { lease, store, lost, tasks: tasks.clone(), renewal: Some(stop.drop_guard()) }
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The store that granted the lease.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Cancelled when another server may have taken the session over.
    pub(super) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Stops to renew a lease that a later claim of ours has ended.
    pub(super) fn end(mut self) {
        self.renewal = None;
    }

    /// Releases the lease, so that any other server can claim the session.
    pub(super) async fn release(mut self) {
        self.renewal = None;
        release(&self.lease, &*self.store).await;
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if self.renewal.take().is_some() && !self.lost.is_cancelled() {
            let (lease, store) = (self.lease.clone(), Arc::clone(&self.store));
            self.tasks.spawn(async move { release(&lease, &*store).await });
        }
    }
}

async fn release(lease: &Lease, store: &dyn Store) {
    if let Err(error) = store.release(lease).await {
        // Not fatal: the lease will run out.
        tracing::warn!(session = %lease.session, %error, "cannot release a lease");
    }
}

async fn renew(
    lease: Lease,
    store: Arc<dyn Store>,
    time: Duration,
    lost: CancellationToken,
    measures: Measures,
) {
    let mut renewed = Instant::now();
    let mut pause = time / RENEWALS;
    loop {
        tokio::time::sleep(pause).await;
        pause = time / RENEWALS;
        // It counts from before it is sent, and a store that does not answer has not granted it.
        let sent = Instant::now();
        let answer = timeout_at(renewed + time, store.renew(&lease, time)).await;
        match answer {
            Ok(Ok(true)) => renewed = sent,
            Ok(Ok(false)) | Err(_) => {
                tracing::warn!(session = %lease.session, epoch = lease.epoch, "a lease is lost");
                measures.lease_lost();
                return lost.cancel();
            }
            Ok(Err(error)) => {
                tracing::warn!(session = %lease.session, %error, "cannot renew a lease");
                pause = time / RENEWALS / RETRIES;
                continue;
            }
        }
        let places = timeout_at(renewed + time, store.renew_places(&lease.session, time)).await;
        if let Ok(Err(error)) = places {
            tracing::warn!(session = %lease.session, %error, "cannot renew places in a queue");
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::session::{
        SessionName, SessionRecord,
        store::{Claim, Coordination, ReferenceStore, SessionStore, StoreClock},
    };

    const LEASE: Duration = Duration::from_secs(30);

    async fn claimed(store: &dyn Store, name: &SessionName) -> Lease {
        match store.claim(name, None, LEASE, Timestamp::UNIX_EPOCH).await.unwrap() {
            Claim::Ours { lease, .. } => lease,
            other => panic!("not ours: {other:?}"),
        }
    }

    async fn stores() -> (StoreClock, Arc<ReferenceStore>, ReferenceStore, SessionName) {
        let clock = StoreClock::manual();
        let one = ReferenceStore::new(clock.clone());
        let two = one.another();
        let name: SessionName = "s".parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let record = SessionRecord::new(name.clone(), false, now, Duration::from_hours(24));
        one.create(&record, None, 9, now).await.unwrap();
        (clock, Arc::new(one), two, name)
    }

    /// Advances both clocks, in steps small enough for every renewal to run on time.
    async fn pass(clock: &StoreClock, seconds: u64) {
        for _ in 0..seconds {
            clock.advance(Duration::from_secs(1));
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_kept_for_as_long_as_it_is_held_and_no_longer() {
        let (clock, one, two, name) = stores().await;
        let tasks = TaskTracker::new();
        let lease = claimed(&*one, &name).await;
        let guard = LeaseGuard::keep(
            lease,
            Arc::clone(&one) as Arc<dyn Store>,
            LEASE,
            &tasks,
            Measures::default(),
        );
        pass(&clock, 300).await;
        let now = Timestamp::UNIX_EPOCH;
        assert!(matches!(two.claim(&name, None, LEASE, now).await.unwrap(), Claim::Held(_)));
        assert!(!guard.lost().is_cancelled());
        guard.release().await;
        claimed(&two, &name).await;
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_suspension_it_is_known_to_be_lost() {
        let (clock, one, two, name) = stores().await;
        let lease = claimed(&*one, &name).await;
        let guard = LeaseGuard::keep(
            lease,
            Arc::clone(&one) as Arc<dyn Store>,
            LEASE,
            &TaskTracker::new(),
            Measures::default(),
        );
        // The machine sleeps: the store's clock goes on, our timers do not.
        clock.advance(LEASE * 2);
        let theirs = claimed(&two, &name).await;
        assert!(!guard.lost().is_cancelled());
        pass(&clock, LEASE.as_secs() / 3 + 1).await;
        assert!(guard.lost().is_cancelled());
        // Dropping our guard does not release their lease.
        drop(guard);
        pass(&clock, 1).await;
        assert!(two.renew(&theirs, LEASE).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_guard_that_is_dropped_gives_its_lease_back() {
        let (clock, one, two, name) = stores().await;
        let lease = claimed(&*one, &name).await;
        drop(LeaseGuard::keep(
            lease,
            Arc::clone(&one) as Arc<dyn Store>,
            LEASE,
            &TaskTracker::new(),
            Measures::default(),
        ));
        pass(&clock, 1).await;
        claimed(&two, &name).await;
    }
}
