//! Turns that another server runs: following, interrupting and steering them through the shared store; and [`changes`] that
//! other servers make.

mod changes;

pub(super) use changes::follow_changes;

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Change, Reply, SessionError, SessionName, SessionStatus, Stop, TurnDetails,
    record::ApprovalId,
    shared::Shared,
    store::{ControlMessage, ControlOutcome, Excerpt},
    turn::{Follower, LiveTurn, LogOwner, QueuePosition, Update},
};

/// The pause between two reads of the store.
const POLL: Duration = Duration::from_millis(150);

/// How often a follower checks whether the other server is dead.
const SWEEP: Duration = Duration::from_secs(2);

/// How long another server may take to act on a control message. It checks for them five times a second.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer it may take once it has taken the message.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(20);

/// How far below the last number those of waiting turns are looked for: more than can wait.
const WAITING: u32 = 64;

impl Shared {
    /// A turn that another server runs or that is over. However many follow it here, the store is asked for all of them at
    /// once; only who is attached to it follows it alone.
    pub(super) fn observed_turn(
        self: &Arc<Self>,
        name: &SessionName,
        number: u32,
        follower: Follower,
    ) -> Arc<LiveTurn> {
        let Follower { attached, looks_only, .. } = follower;
        let live = LiveTurn::new();
        if !attached
            && let Some(known) = self.observed_turns.join((name.clone(), number, looks_only), &live)
        {
            return known;
        }
        self.observe(name.clone(), Some(number), Arc::clone(&live), looks_only);
        live
    }

    /// Fills the log of a turn that another server runs with what the store shows of it. Its end collects the answer unless
    /// its follower `looks_only`.
    pub(super) fn observe(
        self: &Arc<Self>,
        name: SessionName,
        turn: Option<u32>,
        live: Arc<LiveTurn>,
        looks_only: bool,
    ) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            let owner = LogOwner(live);
            let closing = shared.closing.clone();
            let observed = shared.observed(&name, turn, &owner, looks_only);
            let ended = closing.run_until_cancelled(observed).await;
            let ended = ended.unwrap_or(Err(SessionError::ShuttingDown));
            owner.log.append(Update::Ended(ended.map(Arc::new).map_err(Arc::new)));
        });
    }

    /// Waits until a turn is over or has no followers left, and logs its beginning and its approvals.
    async fn observed(
        self: &Arc<Self>,
        name: &SessionName,
        turn: Option<u32>,
        live: &Arc<LiveTurn>,
        looks_only: bool,
    ) -> Result<Reply, SessionError> {
        let mut swept = Instant::now();
        let mut wanted = turn;
        let mut asked = HashSet::new();
        let mut told = None;
        // What is known of the turn here: the revision of its session, and the last change of its items.
        let mut known = (None, 0);
        while self.observed_turns.is_followed(live) {
            let record = self.record(name).await?;
            let count = record.last_turn;
            let is_running = record.status == SessionStatus::Running;
            let number = *wanted.get_or_insert(count);
            let no_turn = || SessionError::NoTurn { name: name.clone(), number, count };
            if number == 0 {
                return Err(SessionError::Idle { name: name.clone() });
            }
            // Only the last turn can be running; others may wait.
            let is_it = number == count && is_running;
            if !is_it {
                let reply = self.recorded(name, number, looks_only).await?.ok_or_else(no_turn)?;
                if reply.is_over() {
                    return Ok(reply);
                }
                let not_before = reply.turn.details.not_before;
                if not_before.is_some() && std::mem::replace(&mut told, not_before) != not_before {
                    let position = QueuePosition { ahead: 0, turn: Some(number), not_before };
                    live.log.append(Update::Queued(position));
                }
            }
            if is_it && live.number().is_none() {
                live.set_number(number);
                live.log.append(Update::Begun(number));
            }
            self.log_approvals(name, live, &mut asked).await?;
            if is_it && known.0 != Some(record.revision) {
                known.0 = Some(record.revision);
                let store = self.store(Timestamp::now()).await?;
                if let Some(turn) = store.turn(name, number, known.1).await? {
                    known.1 = known.1.max(turn.last_change());
                    live.log.mirror(turn);
                }
            }
            if is_it && live.cancelled.is_cancelled() {
                self.interrupt_remote(name).await?;
                return self.recorded(name, number, looks_only).await?.ok_or_else(no_turn);
            }
            let cancelled = live.cancelled.clone();
            cancelled.run_until_cancelled(tokio::time::sleep(POLL)).await;
            if swept.elapsed() > SWEEP {
                swept = Instant::now();
                // Marks the turn of a dead server as interrupted.
                let now = Timestamp::now();
                self.store(now).await?.sweep(now).await?;
                if !is_it {
                    // Its server may be gone.
                    self.adopt_turns().await?;
                }
            }
        }
        Err(SessionError::Cancelled)
    }

    /// Logs approvals that were opened or settled since the last call.
    async fn log_approvals(
        &self,
        name: &SessionName,
        live: &LiveTurn,
        asked: &mut HashSet<ApprovalId>,
    ) -> Result<(), SessionError> {
        let open = self.store(Timestamp::now()).await?.open_approvals(Some(name)).await?;
        asked.retain(|id| {
            let is_open = open.iter().any(|open| open.approval.id == *id);
            if !is_open {
                live.log.append(Update::ApprovalSettled(id.clone()));
            }
            is_open
        });
        for approval in open {
            if asked.insert(approval.approval.id.clone()) {
                live.log.append(Update::ApprovalAsked(Arc::new(approval)));
            }
        }
        Ok(())
    }

    /// A turn as it is recorded. Reading it collects its answer, unless the reader `looks_only`.
    pub(super) async fn recorded(
        &self,
        name: &SessionName,
        number: u32,
        looks_only: bool,
    ) -> Result<Option<Reply>, SessionError> {
        let store = self.store(Timestamp::now()).await?;
        let turn = store.turn(name, number, 0).await?;
        if !looks_only && turn.as_ref().is_some_and(|turn| turn.details.uncollected) {
            store.collect(name, number).await?;
        }
        Ok(turn.map(|turn| Reply { session: name.clone(), turn }))
    }

    /// Asks the other server to interrupt its turn. Returns the turn once it is over, or `None` if no turn runs.
    pub(super) async fn interrupt_remote(
        &self,
        name: &SessionName,
    ) -> Result<Option<Reply>, SessionError> {
        let started = Instant::now();
        let before = self.record(name).await?;
        if before.status != SessionStatus::Running {
            return Ok(None);
        }
        let now = Timestamp::now();
        let store = self.store(now).await?;
        store.sweep(now).await?;
        let number = before.last_turn;
        let id = store.post(name, &ControlMessage::Interrupt(number)).await?;
        loop {
            let record = self.record(name).await?;
            if record.status != SessionStatus::Running || record.last_turn != number {
                store.withdraw(id).await?;
                return self.recorded(name, number, false).await;
            }
            if started.elapsed() > CONTROL_TIMEOUT {
                // Otherwise it could still interrupt the turn after the caller was told that it failed.
                store.withdraw(id).await?;
                return Err(SessionError::Busy { name: name.clone() });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Calls the next turn off if it waits for the account's allowance. Whichever server has it sees that by itself.
    pub(super) async fn call_off_next(
        &self,
        name: &SessionName,
    ) -> Result<Option<Reply>, SessionError> {
        let store = self.store(Timestamp::now()).await?;
        // A turn that Codex began by itself can have overtaken some that wait, with a greater number.
        let last = self.record(name).await?.last_turn.saturating_sub(WAITING);
        let turns = store.turns(name, last, u32::MAX, Excerpt::first(0)).await?;
        let next = turns.into_iter().find(|turn| turn.status == SessionStatus::Queued);
        let Some(turn) = next.filter(|turn| turn.details.not_before.is_some()) else {
            return Ok(None);
        };
        let stopped = Some(Stop::Interrupted);
        let details = TurnDetails { stopped, not_before: None, ..turn.details };
        if !store.call_off(name, turn.number, &details).await? {
            return Ok(None);
        }
        self.changed(Change::Session(name.clone()));
        self.recorded(name, turn.number, false).await
    }

    /// Asks the other server to steer its turn.
    pub(super) async fn steer_remote(
        &self,
        name: &SessionName,
        prompt: String,
    ) -> Result<ControlOutcome, SessionError> {
        let started = Instant::now();
        let store = self.store(Timestamp::now()).await?;
        let record = self.record(name).await?;
        let over = || ControlOutcome::Refused("the turn is over".to_owned());
        if record.status != SessionStatus::Running {
            return Ok(over());
        }
        let turn = record.last_turn;
        let id = store.post(name, &ControlMessage::Steer { turn, prompt }).await?;
        let mut is_taken = false;
        loop {
            // The record is read first, because the outcome is written before the end of the turn.
            let now = self.record(name).await?;
            let is_running = now.status == SessionStatus::Running && now.last_turn == turn;
            if let Some(outcome) = store.outcome(id).await? {
                return Ok(outcome);
            }
            let limit = if is_taken { CONTROL_TIMEOUT + CONFIRM_TIMEOUT } else { CONTROL_TIMEOUT };
            if !is_running || started.elapsed() > limit {
                if !is_taken && store.withdraw(id).await? {
                    let silent = "the server that runs the turn does not answer";
                    return Ok(if is_running {
                        ControlOutcome::Refused(silent.to_owned())
                    } else {
                        over()
                    });
                }
                if is_taken {
                    let reason = "the server that runs the turn did not say what became of it";
                    return Ok(ControlOutcome::Unconfirmed(reason.to_owned()));
                }
                // The other server has just taken it, so its outcome will follow.
                is_taken = true;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests;
