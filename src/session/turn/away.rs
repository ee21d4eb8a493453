//! Waiting for a store that is away, for as long as what is to be written there is still ours to write.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::session::{lease::LeaseGuard, store::StoreError};

/// The pause between attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a store may be away before what it does not have is only told.
#[derive(Debug)]
pub(super) struct Away {
    until: Instant,
    lost: CancellationToken,
}

impl Away {
    /// Waits for `patience` from now on, under this lease.
    pub(super) fn since_now(patience: Duration, lease: Option<&LeaseGuard>) -> Self {
        let lost = lease.map(|guard| guard.lost().clone()).unwrap_or_default();
        Self { until: Instant::now() + patience, lost }
    }

    /// Whether to write again after `error`; then a moment has passed.
    pub(super) async fn is_over_soon(&self, error: &StoreError) -> bool {
        let waits = matches!(error, StoreError::Unavailable { .. }) && Instant::now() < self.until;
        waits && self.lost.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some()
    }
}
