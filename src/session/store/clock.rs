//! The clock that leases are judged by.
//!
//! Leases are compared between processes, whose wall clocks may differ, be set back or stand still. What all
//! processes on a machine share is the time since it booted, which also counts while it is suspended. This is
//! the only place that reads it; nothing here knows the time of day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A clock that all processes with access to one store agree on. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StoreClock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    /// The time since this machine booted.
    #[default]
    Machine,
    /// A time that a test moves.
    Manual(Arc<AtomicI64>),
}

impl StoreClock {
    /// A clock that only [`StoreClock::advance`] moves.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    /// Moves a manual clock on; the machine's own moves by itself.
    pub fn advance(&self, time: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(millis(time), Ordering::SeqCst);
        }
    }

    /// The time of a clock that a test moves. `None` for the machine's own, which means nothing on another machine.
    pub(super) fn manual_now(&self) -> Option<i64> {
        match &self.0 {
            Source::Machine => None,
            Source::Manual(now) => Some(now.load(Ordering::SeqCst)),
        }
    }

    /// Milliseconds since the machine booted.
    pub(super) fn now(&self) -> i64 {
        match &self.0 {
            Source::Machine => since_boot(),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// When something ends that lasts for `time` from now.
    #[cfg(test)]
    pub(super) fn after(&self, time: Duration) -> i64 {
        self.now().saturating_add(millis(time))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(unix)]
fn since_boot() -> i64 {
    use rustix::time::{ClockId, clock_gettime};

    // On macOS the monotonic clock counts while the machine is asleep; Linux has another one that does.
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Other systems' monotonic clocks begin anew in each process; their wall clock has to do.
#[cfg(not(unix))]
fn since_boot() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    millis(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_moves_and_a_manual_one_only_when_told() {
        let machine = StoreClock::default();
        assert!(machine.now() > 0 && machine.after(Duration::from_secs(5)) >= 5000);
        let manual = StoreClock::manual();
        let same = manual.clone();
        manual.advance(Duration::from_millis(7));
        assert_eq!((manual.now(), same.now()), (7, 7));
        assert_eq!(manual.after(Duration::MAX), i64::MAX);
    }
}
