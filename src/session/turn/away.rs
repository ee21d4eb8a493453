//! Waiting for a store that is away, for as long as what is to be written there is still ours to write.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::session::{SessionName, lease::LeaseGuard, store::StoreError};

/// The pause between attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// What to do while the store is away.
#[derive(Debug)]
pub(super) struct Away {
    waits: bool,
    lost: CancellationToken,
}

impl Away {
    /// Waits under this lease, which ends in time if the store stays away; or not at all.
    pub(super) fn under(lease: Option<&LeaseGuard>, waits: bool) -> Self {
        Self { waits, lost: lease.map(|guard| guard.lost().clone()).unwrap_or_default() }
    }

    /// Waits for something of the store. `None` if the lease is lost before: a connection may say nothing for long.
    pub(super) async fn unless_lost<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.waits { self.lost.run_until_cancelled(work).await } else { Some(work.await) }
    }

    /// Whether to write again after `error`; then a moment has passed.
    pub(super) async fn is_over_soon(&self, error: &StoreError) -> bool {
        let waits = self.waits && matches!(error, StoreError::Unavailable { .. });
        waits && self.lost.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some()
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
