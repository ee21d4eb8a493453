//! The approvals of a running turn: recorded when Codex asks, answered once from wherever the user is, declined when
//! their time is over or nobody could answer.
//!
//! The store decides which answer wins. Only then is Codex told, through the handle of the very question it
//! asked, so an answer can reach no other.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{actor::Actor, live::Update, queued::QueuedTurn};
use crate::{
    codex::{Answer, Approval, ApprovalId, Decision, Subject, Turn},
    session::{
        Stop,
        record::{AnswerRecord, ApprovalRecord, ApprovalState, after},
    },
};

/// What is said where no client that follows the turn could show it.
const NOBODY: &str = "it was declined because nobody could be asked. Use a wider `sandbox` if Codex shall do this \
                      without asking, or approve it in a client that shows such questions.";

/// The approvals of one turn.
#[derive(Debug)]
pub(super) struct Approvals {
    open: Vec<OpenApproval>,
    timeout: Duration,
    turn: u32,
    /// What the record shall say about them.
    pub(super) remarks: Vec<String>,
    /// Set once a decision ends the turn.
    pub(super) stop: Option<Stop>,
}

#[derive(Debug)]
struct OpenApproval {
    approval: Approval,
    deadline: Instant,
}

impl Approvals {
    pub(super) fn new(timeout: Duration, turn: u32) -> Self {
        Self { open: Vec::new(), timeout, turn, remarks: Vec::new(), stop: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn take(&mut self, id: &ApprovalId) -> Option<Approval> {
        let place = self.open.iter().position(|open| open.approval.id == *id)?;
        Some(self.open.remove(place).approval)
    }

    fn remark(&mut self, approval: &Approval, remark: &str) {
        let agent = approval.agent.as_ref().map(|name| format!(" (agent {name})"));
        let agent = agent.unwrap_or_default();
        self.remarks.push(format!("Codex{agent} asked {}; {remark}", approval.subject.in_short()));
    }
}

impl Actor {
    /// Records an approval and shows it to everybody who follows the turn.
    pub(super) async fn ask(
        &self,
        approval: Approval,
        approvals: &mut Approvals,
        queued: &QueuedTurn,
        turn: &mut Turn,
    ) {
        let Some(guard) = &self.lease else { return };
        // As exact as all times that are stored.
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
        let opened = guard.store().open_approval(guard.lease(), &record, approvals.timeout).await;
        if let Err(error) = opened {
            tracing::error!(session = %self.name, error = &error as &dyn std::error::Error, "cannot record an approval");
            approvals.remark(&approval, "it was declined because it could not be recorded.");
            turn.answer(&approval.id, &Answer::plain(Decision::Decline));
            return;
        }
        let deadline = Instant::now() + approvals.timeout;
        approvals.open.push(OpenApproval { approval, deadline });
        queued.log(Update::ApprovalAsked(Arc::new(record)));
        self.decline_overdue(approvals, queued, turn).await;
    }

    /// Declines what nobody will answer: its time is over, or the only calls that follow cannot show it.
    pub(super) async fn decline_overdue(
        &self,
        approvals: &mut Approvals,
        queued: &QueuedTurn,
        turn: &mut Turn,
    ) {
        let Some(guard) = &self.lease else { return };
        let now = Instant::now();
        // A detached turn waits: somebody who can answer may still come.
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
                // An answer came first; it is passed on in a moment.
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => {
                    tracing::warn!(session = %self.name, %error, "cannot record that an approval expired");
                }
            }
            let Some(approval) = approvals.take(&id) else { continue };
            let remark = if now >= deadline {
                format!("it was declined because nobody answered within {limit} s.")
            } else {
                NOBODY.to_owned()
            };
            approvals.remark(&approval, &remark);
            turn.answer(&id, &Answer::plain(Decision::Decline));
            queued.log(Update::ApprovalSettled(id));
        }
    }

    /// Gives Codex an answer that has won.
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
            Some(approval) => {
                if let Some(remark) = &given.remark {
                    approvals.remark(&approval, remark);
                }
                let ends_turn =
                    !matches!(approval.subject, Subject::Form { .. } | Subject::Link { .. });
                if given.answer.decision == Decision::Cancel && ends_turn {
                    // Codex itself ends the turn on most of them, but not on all.
                    approvals.stop = Some(Stop::Decision);
                }
                turn.answer(id, &given.answer)
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

    /// Takes an approval back that Codex needs no answer to any more.
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

    /// Takes all of them back: the turn is over.
    pub(super) async fn withdraw_all(&self, approvals: &mut Approvals, queued: &QueuedTurn) {
        let open: Vec<_> = approvals.open.iter().map(|open| open.approval.id.clone()).collect();
        for id in open {
            self.withdraw(&id, approvals, queued).await;
        }
    }
}
