//! How much the operator lets callers have Codex work: turns at once, and turns and tokens a day (UTC).

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::{SessionError, SessionName, Sessions, store::DailyUsage};

/// What may be used. `None` is as much as anybody likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// How many sessions may have a turn under way at once.
    pub running_turns: Option<usize>,
    /// How many calls may wait for a turn of their session to end, in all sessions together.
    pub queued_calls: Option<usize>,
    /// How many turns may begin a day.
    pub turns_per_day: Option<u64>,
    /// After how many tokens no new turn begins that day.
    pub tokens_per_day: Option<u64>,
}

impl Budget {
    /// Fails if as many turns are under way, or calls waiting, as may be. `queues` says whether the new one would wait.
    fn check_load(self, running: usize, waiting: usize, queues: bool) -> Result<(), SessionError> {
        let (limit, have, what) = if queues {
            (self.queued_calls, waiting, "calls wait")
        } else {
            (self.running_turns, running, "turns run")
        };
        match limit {
            Some(limit) if have >= limit => Err(SessionError::TooMuchWork { limit, what }),
            _ => Ok(()),
        }
    }

    fn check_day(self, used: &[DailyUsage], until: Timestamp) -> Result<(), SessionError> {
        let turns = used.iter().map(|row| row.turns).sum::<u64>();
        let tokens = used.iter().map(|row| row.usage.total_tokens).sum::<u64>();
        for (limit, have, what) in
            [(self.turns_per_day, turns, "turns"), (self.tokens_per_day, tokens, "tokens")]
        {
            if let Some(limit) = limit.filter(|limit| have >= *limit) {
                return Err(SessionError::DayUsedUp { limit, what, until });
            }
        }
        Ok(())
    }
}

impl Sessions {
    /// Fails if the day's budget is used up. What other servers run at this moment is not counted, because it is not over.
    ///
    /// # Errors
    /// [`SessionError::DayUsedUp`], or if the store cannot be read.
    pub(super) async fn check_day(&self) -> Result<(), SessionError> {
        let budget = self.shared().config.limits.budget;
        if budget.turns_per_day.is_none() && budget.tokens_per_day.is_none() {
            return Ok(());
        }
        let now = Timestamp::now();
        let today = now.to_zoned(TimeZone::UTC).date();
        let tomorrow = today.saturating_add(1.day()).to_zoned(TimeZone::UTC);
        let until = tomorrow.map_or(now, |midnight| midnight.timestamp());
        let mut used = self.shared().store(now).await?.usage_by_day(today).await?;
        if let Some(row) = used.first_mut() {
            row.turns += self.running() as u64;
        }
        budget.check_day(&used, until)
    }

    /// Fails if there is too much to do for another call to this session.
    ///
    /// # Errors
    /// [`SessionError::TooMuchWork`].
    pub(super) fn check_load(&self, name: &SessionName) -> Result<(), SessionError> {
        let (running, waiting) = self.shared().load();
        let queues = self.shared().queues(name);
        self.shared().config.limits.budget.check_load(running, waiting, queues)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::Usage;

    #[test]
    fn what_is_used_up_is_named() {
        let budget = Budget {
            running_turns: Some(2),
            queued_calls: Some(1),
            turns_per_day: Some(3),
            tokens_per_day: Some(100),
        };
        assert!(budget.check_load(1, 9, false).is_ok() && budget.check_load(9, 0, true).is_ok());
        for (running, waiting, queues, words) in
            [(2, 0, false, "2 turns run"), (0, 1, true, "1 calls wait")]
        {
            let error = budget.check_load(running, waiting, queues).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let used = |turns, total_tokens| {
            let usage = Usage { total_tokens, ..Usage::default() };
            let (day, model) = (jiff::civil::date(2026, 1, 1), String::new());
            [DailyUsage { day, model, turns, usage }]
        };
        let check = |turns, tokens| budget.check_day(&used(turns, tokens), Timestamp::UNIX_EPOCH);
        assert!(check(2, 99).is_ok() && budget.check_day(&[], Timestamp::UNIX_EPOCH).is_ok());
        assert!(check(3, 0).unwrap_err().to_string().contains("3 turns"));
        assert!(check(0, 100).unwrap_err().to_string().contains("100 tokens"));
        assert!(Budget::default().check_day(&used(99, 999), Timestamp::UNIX_EPOCH).is_ok());
    }
}
