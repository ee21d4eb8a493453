//! When a child that keeps dying may be started again. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A child that lived this long counts as having worked.
const HEALTHY: Duration = Duration::from_secs(30);

/// The pause before the second try after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Counts the failures in a row, and says when to try again.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
}

impl Backoff {
    /// When the next start may happen. `None` if it may happen now.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before.filter(|at| *at > Instant::now())
    }

    /// A child could not be started.
    pub(super) fn failed(&mut self) {
        self.failures += 1;
        let pause = pause(self.failures);
        self.not_before = (pause > Duration::ZERO).then(|| Instant::now() + pause);
    }

    /// A child has ended that was started then.
    pub(super) fn ended(&mut self, started: Instant) {
        if started.elapsed() < HEALTHY { self.failed() } else { self.reset() }
    }

    /// A child was ended on purpose.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The first failure costs nothing: most deaths are one-off.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(10)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let millis: Vec<_> = [0, 1, 2, 3, 5, 9, 99].map(|n| pause(n).as_millis()).into();
        assert_eq!(millis, [0, 0, 100, 200, 800, 10_000, 10_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_has_worked_starts_again_at_once() {
        let mut backoff = Backoff::default();
        backoff.failed();
        backoff.failed();
        assert!(backoff.not_before().is_some());
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(backoff.not_before().is_none());
        let started = Instant::now();
        tokio::time::advance(HEALTHY).await;
        backoff.ended(started);
        backoff.ended(Instant::now());
        assert!(backoff.not_before().is_none());
        backoff.ended(Instant::now());
        assert!(backoff.not_before().is_some());
    }
}
