//! Waiting for a store that is away, for as long as what is to be written there is still ours to write.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::session::{SessionName, lease::LeaseGuard, store::StoreError};

/// The pause between the first two attempts. Each further one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a store of this machine alone is waited for, and one that is shared, while the lease is renewed: what is wrong
/// there, such as a full disk, need not pass.
const LOCAL_LIMIT: Duration = Duration::from_secs(15);
const SHARED_LIMIT: Duration = Duration::from_mins(1);

/// The wait for a store that is away.
#[derive(Debug)]
pub(super) struct Away {
    lost: CancellationToken,
    limit: Duration,
    /// When the first attempt failed.
    since: Option<Instant>,
    pause: Duration,
}

impl Away {
    /// A wait under this lease, which ends in time if the store stays away.
    pub(super) fn under(lease: Option<&LeaseGuard>, is_shared: bool) -> Self {
        Self {
            lost: lease.map(|guard| guard.lost().clone()).unwrap_or_default(),
            limit: if is_shared { SHARED_LIMIT } else { LOCAL_LIMIT },
            since: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits for something of the store. `None` if the lease is lost before: a connection may say nothing for long.
    pub(super) async fn unless_lost<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.lost.run_until_cancelled(work).await
    }

    /// Whether to write again after `error`; then a moment has passed.
    pub(super) async fn is_over_soon(&mut self, error: &StoreError) -> bool {
        if !error.is_passing() {
            return false;
        }
        let since = *self.since.get_or_insert_with(|| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the store is away; it is tried again"
            );
            Instant::now()
        });
        if since.elapsed() >= self.limit {
            return false;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.lost.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
    }

    pub(super) fn lost(name: &SessionName) -> Result<(), StoreError> {
        Err(StoreError::LeaseLost { name: name.clone() })
    }

    /// What has become of a write: one that could not be made in time is not ours any more.
    pub(super) fn outcome(
        &self,
        written: Result<(), StoreError>,
        name: &SessionName,
    ) -> Result<(), StoreError> {
        match written {
            Err(StoreError::Unavailable { .. }) if self.lost.is_cancelled() => Self::lost(name),
            other => other,
        }
    }
}
