//! How much of the account's allowance is left, as this server last heard it, and whether that is enough for a turn.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::codex::{Codex, RateLimits, RateWindow};

/// How long an answer of the account is believed.
const FRESH: Duration = Duration::from_mins(1);

/// The allowance as it was last heard of: from the account itself, or with the answer of a turn.
#[derive(Debug, Default)]
pub(super) struct Quota {
    heard: Mutex<Heard>,
    /// Held while the account is asked: no call goes on without its answer meanwhile.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    limits: Option<RateLimits>,
    /// When the account was last asked.
    asked: Option<Instant>,
}

/// Too little is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exhausted {
    /// How much is left of the fullest window, in percent.
    pub(super) remaining: f64,
    /// When enough is left again, if Codex says.
    pub(super) until: Option<Timestamp>,
}

impl Quota {
    /// Takes in what a turn brought.
    pub(super) fn heard(&self, news: RateLimits) {
        self.lock().limits.get_or_insert_default().update(news);
    }

    /// What is known now. Asks the account if it was not asked for a minute; one that has no such limits, or cannot be
    /// asked, leaves what is known.
    pub(super) async fn now(&self, codex: &Codex) -> Option<RateLimits> {
        if self.is_stale() {
            let _asking = self.asking.lock().await;
            if self.is_stale() {
                match codex.account_limits().await {
                    Ok(account) => self.heard(account.limits),
                    Err(error) => tracing::debug!(%error, "the account does not tell its limits"),
                }
                self.lock().asked = Some(Instant::now());
            }
        }
        self.lock().limits
    }

    fn is_stale(&self) -> bool {
        self.lock().asked.is_none_or(|asked| asked.elapsed() >= FRESH)
    }

    /// What was heard last, without asking.
    pub(super) fn known(&self) -> Option<RateLimits> {
        self.lock().limits
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether less than `min_remaining` percent is left of a window that has not been reset since.
pub(super) fn exhausted(
    limits: &RateLimits,
    min_remaining: u8,
    now: Timestamp,
) -> Option<Exhausted> {
    let windows = [limits.primary, limits.secondary].into_iter().flatten();
    let low = windows.filter(|window| {
        let is_over = window.resets_at.is_some_and(|at| at <= now);
        !is_over && 100.0 - window.used_percent < f64::from(min_remaining)
    });
    let low: Vec<RateWindow> = low.collect();
    let remaining = low.iter().map(|window| 100.0 - window.used_percent).reduce(f64::min)?;
    // Unknown, if one of them does not say.
    let until = low.iter().map(|window| window.resets_at).collect::<Option<Vec<_>>>();
    let until = until.and_then(|times| times.into_iter().max());
    Some(Exhausted { remaining: remaining.max(0.0), until })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(used_percent: f64, resets_at: Option<i64>) -> RateWindow {
        let resets_at = resets_at.and_then(|at| Timestamp::from_second(at).ok());
        RateWindow { used_percent, window_minutes: None, resets_at }
    }

    #[test]
    fn the_fullest_window_that_was_not_reset_counts() {
        let now = Timestamp::from_second(100).unwrap();
        let at = |second| Timestamp::from_second(second).ok();
        let is = |primary, secondary, min| {
            let limits = RateLimits { primary: Some(primary), secondary };
            exhausted(&limits, min, now).map(|low| (low.remaining, low.until))
        };
        assert_eq!(is(window(80.0, Some(200)), None, 20), None);
        let longer = Some(window(95.0, Some(300)));
        assert_eq!(is(window(81.0, Some(200)), longer, 20), Some((5.0, at(300))));
        let longer = Some(window(81.0, Some(300)));
        assert_eq!(is(window(95.0, Some(99)), longer, 20), Some((19.0, at(300))));
        assert_eq!(is(window(95.0, Some(200)), Some(window(95.0, None)), 20), Some((5.0, None)));
        assert_eq!(is(window(101.0, Some(200)), None, 1), Some((0.0, at(200))));
        assert_eq!(is(window(100.0, Some(200)), None, 0), None);
    }
}
