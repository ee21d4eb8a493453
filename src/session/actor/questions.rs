//! What Codex asks while a turn runs: who is asked, and what if nobody answers.
//!
//! One follower is asked at a time. If it goes away, the next one is asked; if nobody is left who could
//! answer, the question is declined, at once or, after the caller has handed the turn back, when its
//! time is over. Dropping the turn declines whatever is still open.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

use super::order::Order;
use crate::{
    codex::{Answer, Decision, Question, QuestionId, Subject, Turn},
    session::{
        Stop,
        call::{Follower, Update},
    },
};

/// The questions of one turn.
#[derive(Debug)]
pub(super) struct Questions {
    open: Vec<Open>,
    patience: Duration,
    /// What the record shall say about them.
    pub(super) remarks: Vec<String>,
    /// Set once an answer ends the turn.
    pub(super) stop: Option<Stop>,
}

#[derive(Debug)]
struct Open {
    question: Question,
    deadline: Instant,
    /// Who is asked.
    asked: Option<mpsc::Sender<Update>>,
}

impl Questions {
    pub(super) fn new(patience: Duration) -> Self {
        Self { open: Vec::new(), patience, remarks: Vec::new(), stop: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn ask(&mut self, question: Question, order: &Order, turn: &mut Turn) {
        let deadline = Instant::now() + self.patience;
        self.open.push(Open { question, deadline, asked: None });
        self.offer(order, turn);
    }

    /// Asks whoever can answer what nobody is being asked, and declines what nobody ever will be.
    pub(super) fn offer(&mut self, order: &Order, turn: &mut Turn) {
        let now = Instant::now();
        let mut declined = Vec::new();
        for open in &mut self.open {
            let is_asked = |line: &mpsc::Sender<Update>| {
                !line.is_closed() && order.followers.iter().any(|follower| follower.is(line))
            };
            if open.asked.as_ref().is_some_and(is_asked) {
                if now >= open.deadline {
                    let limit = self.patience.as_secs();
                    declined.push((open.question.id.clone(), unanswered(limit)));
                }
                continue;
            }
            let can_ask = order.followers.iter().filter(|follower| follower.can_ask);
            let mut asked =
                can_ask.filter(|follower| follower.tell(Update::Asked(open.question.clone())));
            open.asked = asked.next().map(Follower::line);
            if open.asked.is_some() {
                continue;
            }
            // Somebody who can answer may still come for a turn that was handed back.
            if !order.request.can_ask || !order.is_kept() {
                declined.push((open.question.id.clone(), NOBODY.to_owned()));
            } else if now >= open.deadline {
                declined.push((open.question.id.clone(), unanswered(self.patience.as_secs())));
            }
        }
        for (id, remark) in declined {
            self.answer(&id, &Answer::plain(Decision::Decline), Some(remark), order, turn);
        }
    }

    /// Gives Codex the answer. Says whether the question was open.
    pub(super) fn answer(
        &mut self,
        id: &QuestionId,
        answer: &Answer,
        remark: Option<String>,
        order: &Order,
        turn: &mut Turn,
    ) -> bool {
        let Some(open) = self.take(id, order) else { return false };
        let subject = &open.question.subject;
        if let Some(remark) = remark {
            self.remarks.push(format!("Codex asked {}; {remark}", subject.in_short()));
        }
        let ends_turn = !matches!(subject, Subject::Form { .. } | Subject::Link { .. });
        if answer.decision == Decision::Cancel && ends_turn {
            self.stop = Some(Stop::Decision);
        }
        turn.answer(id, answer)
    }

    /// Forgets a question that needs no answer any more.
    pub(super) fn settle(&mut self, id: &QuestionId, order: &Order) {
        self.take(id, order);
    }

    /// Takes a question off the list, and tells whoever was asked.
    fn take(&mut self, id: &QuestionId, order: &Order) -> Option<Open> {
        let place = self.open.iter().position(|open| open.question.id == *id)?;
        let open = self.open.remove(place);
        for follower in order.followers.iter().filter(|follower| follower.can_ask) {
            follower.tell(Update::Settled(id.clone()));
        }
        Some(open)
    }
}

const NOBODY: &str = "it was declined because approvals cannot be shown to this client. Use a wider \
                      `sandbox` if Codex shall do this without asking.";

fn unanswered(seconds: u64) -> String {
    format!("it was declined because nobody answered within {seconds} s.")
}
