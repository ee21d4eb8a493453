//! Waiting for a condition instead of sleeping for a guess.

use std::time::{Duration, Instant};

/// How long a condition may take to come true before the test fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls `condition` until it yields a value.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was waited for.
pub async fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The same for a condition that takes a question to find out.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was waited for.
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
