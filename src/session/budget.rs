//! How much the operator lets callers have Codex work: turns at once, and turns and tokens a day (UTC).

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::{
    SessionError, SessionName, Sessions,
    store::{DailyUsage, Store},
};

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

    /// Fails if a turn whose lease is ours by now is one too many, among those of all servers. Whoever claims last sees all
    /// the others, so that no more run than may.
    pub(super) async fn check_claimed(
        self,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        if self.running_turns.is_none() && self.turns_per_day.is_none() {
            return Ok(());
        }
        let others = store.activity().await?.turns.saturating_sub(1);
        self.check_load(usize::try_from(others).unwrap_or(usize::MAX), 0, false)?;
        self.check_day_in(store, others, now).await
    }

    /// Fails if one more call that waits is one too many, among those of all servers. `is_counted` if it is there by now.
    pub(super) async fn check_queued(
        self,
        store: &dyn Store,
        is_counted: bool,
    ) -> Result<(), SessionError> {
        if self.queued_calls.is_none() {
            return Ok(());
        }
        let others = store.activity().await?.waiting.saturating_sub(u64::from(is_counted));
        self.check_load(0, usize::try_from(others).unwrap_or(usize::MAX), true)
    }

    /// Fails if the day's budget is used up, `running` turns of today included that are not over yet.
    async fn check_day_in(
        self,
        store: &dyn Store,
        running: u64,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        if self.turns_per_day.is_none() && self.tokens_per_day.is_none() {
            return Ok(());
        }
        let today = now.to_zoned(TimeZone::UTC).date();
        let tomorrow = today.saturating_add(1.day()).to_zoned(TimeZone::UTC);
        let until = tomorrow.map_or(now, |midnight| midnight.timestamp());
        self.check_day(&store.usage_by_day(today).await?, running, until)
    }

    fn check_day(
        self,
        used: &[DailyUsage],
        running: u64,
        until: Timestamp,
    ) -> Result<(), SessionError> {
        let turns = used.iter().map(|row| row.turns).sum::<u64>() + running;
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
    /// Fails if the day's budget is used up, before the call waits for anything.
    ///
    /// # Errors
    /// [`SessionError::DayUsedUp`], or if the store cannot be read.
    pub(super) async fn check_day(&self) -> Result<(), SessionError> {
        self.check_budget(self.shared().config.limits.budget()).await
    }

    /// Fails if the tokens of the day are used up, for a call that begins no turn of its own.
    ///
    /// # Errors
    /// As for [`Sessions::check_day`].
    pub(super) async fn check_tokens(&self) -> Result<(), SessionError> {
        let budget = self.shared().config.limits.budget();
        self.check_budget(Budget { turns_per_day: None, ..budget }).await
    }

    async fn check_budget(&self, budget: Budget) -> Result<(), SessionError> {
        if budget.turns_per_day.is_none() && budget.tokens_per_day.is_none() {
            return Ok(());
        }
        let now = Timestamp::now();
        let store = self.shared().store(now).await?;
        budget.check_day_in(&*store, self.running() as u64, now).await
    }

    /// Fails if there is too much to do for another call to this session.
    ///
    /// # Errors
    /// [`SessionError::TooMuchWork`].
    pub(super) fn check_load(&self, name: &SessionName) -> Result<(), SessionError> {
        let (running, waiting) = self.shared().load();
        let queues = self.shared().queues(name);
        self.shared().config.limits.budget().check_load(running, waiting, queues)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codex::Usage, session::store::Outcomes};

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
            [DailyUsage { day, model, turns, usage, outcomes: Outcomes::default() }]
        };
        let check =
            |turns, tokens| budget.check_day(&used(turns, tokens), 0, Timestamp::UNIX_EPOCH);
        assert!(check(2, 99).is_ok() && budget.check_day(&[], 2, Timestamp::UNIX_EPOCH).is_ok());
        let running = budget.check_day(&[], 3, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(running.to_string().contains("3 turns"));
        assert!(check(3, 0).unwrap_err().to_string().contains("3 turns"));
        assert!(check(0, 100).unwrap_err().to_string().contains("100 tokens"));
        assert!(Budget::default().check_day(&used(99, 999), 9, Timestamp::UNIX_EPOCH).is_ok());
    }
}
