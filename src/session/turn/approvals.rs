//! The approvals of a running turn: recorded when Codex asks, answered once from any client or server, and declined
//! after their deadline or if no client can answer.
//!
//! The store decides which answer wins. Codex is then answered on the handle of that one request, so no answer can
//! reach another approval.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{actor::Actor, live::Update, queued::QueuedTurn};
use crate::{
    codex::{Answer, Approval, ApprovalId, Decision, Subject, Turn, TurnItem},
    session::{
        Notice, Stop,
        record::{AnswerRecord, ApprovalRecord, ApprovalState, after},
    },
};

/// The remark if no attached client can answer approvals.
const NOBODY: &str = "it was declined because nobody could be asked. Use a wider `sandbox` if Codex shall do this \
                      without asking, or approve it in a client that shows such questions.";

/// The approvals of one turn.
#[derive(Debug)]
pub(super) struct Approvals {
    open: Vec<OpenApproval>,
    timeout: Duration,
    turn: u32,
    /// Remarks for the record of the turn.
    pub(super) remarks: Vec<String>,
    /// Set once a decision ends the turn.
    pub(super) stop: Option<Stop>,
}

#[derive(Debug)]
struct OpenApproval {
    approval: Approval,
    deadline: Instant,
    /// The place of its item in the turn.
    place: Option<usize>,
}

impl Approvals {
    pub(super) fn new(timeout: Duration, turn: u32) -> Self {
        Self { open: Vec::new(), timeout, turn, remarks: Vec::new(), stop: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn take(&mut self, id: &ApprovalId) -> Option<OpenApproval> {
        let place = self.open.iter().position(|open| open.approval.id == *id)?;
        Some(self.open.remove(place))
    }

    fn remark(&mut self, approval: &Approval, remark: &str) {
        let agent = approval.agent.as_ref().map(|name| format!(" (agent {name})"));
        let agent = agent.unwrap_or_default();
        self.remarks.push(format!("Codex{agent} asked {}; {remark}", approval.subject.in_short()));
    }
}

impl OpenApproval {
    /// Shows in the turn what Codex was told.
    fn decided(&self, queued: &QueuedTurn, decision: Decision, by: Option<String>) {
        let Some(place) = self.place else { return };
        queued.live.log.set(place, item(&self.approval, Some((decision, by)), Timestamp::now()));
    }
}

/// What Codex asks, as an item of its turn, with what it was told and by whom.
fn item(approval: &Approval, told: Option<(Decision, Option<String>)>, at: Timestamp) -> TurnItem {
    let (decision, by) = told.unzip();
    TurnItem::Approval {
        asked: approval.subject.in_short(),
        agent: approval.agent.clone(),
        decision: decision.map(|decision| decision.as_str().to_owned()),
        by: by.flatten(),
        at,
    }
}

impl Actor {
    /// Records an approval and logs it for all followers of the turn.
    pub(super) async fn ask(
        &self,
        approval: Approval,
        approvals: &mut Approvals,
        queued: &QueuedTurn,
        turn: &mut Turn,
    ) {
        let Some(guard) = &self.lease else { return };
        // The store keeps milliseconds.
        let now =
            Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or_default();
        let record = ApprovalRecord {
            session: self.name.clone(),
            turn: approvals.turn,
            approval: approval.clone(),
            asked_at: now,
            deadline: after(now, approvals.timeout),
            state: ApprovalState::Open,
            answer: None,
        };
        let place = queued.live.log.add(item(&approval, None, now));
        let deadline = Instant::now() + approvals.timeout;
        let open = OpenApproval { approval, deadline, place };
        let opened = guard.store().open_approval(guard.lease(), &record, approvals.timeout).await;
        if let Err(error) = opened {
            tracing::error!(session = %self.name, error = &error as &dyn std::error::Error, "cannot record an approval");
            let remark = "it was declined because it could not be recorded.";
            approvals.remark(&open.approval, remark);
            open.decided(queued, Decision::Decline, None);
            turn.answer(&open.approval.id, &Answer::plain(Decision::Decline));
            return;
        }
        approvals.open.push(open);
        let record = Arc::new(record);
        if queued.live.is_detached() {
            self.shared.notify(Notice::ApprovalOpened(Arc::clone(&record)));
        }
        queued.log(Update::ApprovalAsked(record));
        self.decline_overdue(approvals, queued, turn).await;
    }

    /// Declines approvals past their deadline, and all of them if the turn is attached and no client can answer.
    pub(super) async fn decline_overdue(
        &self,
        approvals: &mut Approvals,
        queued: &QueuedTurn,
        turn: &mut Turn,
    ) {
        let Some(guard) = &self.lease else { return };
        let now = Instant::now();
        // A detached turn waits, because a client that can answer may still follow it.
        let nobody = !queued.live.is_detached() && !queued.live.can_ask();
        let limit = approvals.timeout.as_secs();
        let is_over = |open: &OpenApproval| nobody || now >= open.deadline;
        let overdue = approvals.open.iter().filter(|open| is_over(open));
        let overdue: Vec<_> =
            overdue.map(|open| (open.approval.id.clone(), open.deadline)).collect();
        for (id, deadline) in overdue {
            let expired =
                guard.store().settle_approval(guard.lease(), &id, ApprovalState::Expired).await;
            match expired {
                // An answer came first; the next look at the inbox delivers it.
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => {
                    tracing::warn!(session = %self.name, %error, "cannot record that an approval expired");
                }
            }
            let Some(open) = approvals.take(&id) else { continue };
            let remark = if now >= deadline {
                format!("it was declined because nobody answered within {limit} s.")
            } else {
                NOBODY.to_owned()
            };
            approvals.remark(&open.approval, &remark);
            open.decided(queued, Decision::Decline, None);
            turn.answer(&id, &Answer::plain(Decision::Decline));
            queued.log(Update::ApprovalSettled(id));
        }
    }

    /// Gives Codex the answer that won.
    pub(super) async fn deliver(
        &self,
        id: &ApprovalId,
        given: AnswerRecord,
        approvals: &mut Approvals,
        queued: &QueuedTurn,
        turn: &mut Turn,
    ) {
        let Some(guard) = &self.lease else { return };
        let delivered = match approvals.take(id) {
            Some(open) => {
                let approval = &open.approval;
                if let Some(remark) = &given.remark {
                    approvals.remark(approval, remark);
                }
                let ends_turn =
                    !matches!(approval.subject, Subject::Form { .. } | Subject::Link { .. });
                if given.answer.decision == Decision::Cancel && ends_turn {
                    // Codex ends the turn by itself for most kinds of approval, but not for all.
                    approvals.stop = Some(Stop::Decision);
                }
                let is_given = turn.answer(id, &given.answer);
                if is_given {
                    open.decided(queued, given.answer.decision, Some(given.by.clone()));
                }
                is_given
            }
            None => false,
        };
        tracing::info!(session = %self.name, by = given.by, delivered, "an approval was answered");
        queued.log(Update::ApprovalSettled(id.clone()));
        let state = if delivered { ApprovalState::Settled } else { ApprovalState::Withdrawn };
        if let Err(error) = guard.store().settle_approval(guard.lease(), id, state).await {
            tracing::warn!(session = %self.name, %error, "cannot record that an approval is settled");
        }
    }

    /// Withdraws an approval that Codex no longer waits for.
    pub(super) async fn withdraw(
        &self,
        id: &ApprovalId,
        approvals: &mut Approvals,
        queued: &QueuedTurn,
    ) {
        if approvals.take(id).is_none() {
            return;
        }
        queued.log(Update::ApprovalSettled(id.clone()));
        let Some(guard) = &self.lease else { return };
        let state = ApprovalState::Withdrawn;
        if let Err(error) = guard.store().settle_approval(guard.lease(), id, state).await {
            tracing::debug!(session = %self.name, %error, "cannot record that an approval is withdrawn");
        }
    }

    /// Withdraws all open approvals when the turn is over.
    pub(super) async fn withdraw_all(&self, approvals: &mut Approvals, queued: &QueuedTurn) {
        let open: Vec<_> = approvals.open.iter().map(|open| open.approval.id.clone()).collect();
        for id in open {
            self.withdraw(&id, approvals, queued).await;
        }
    }
}
