//! Records for tests that need any record.

use jiff::Timestamp;

use super::{ApprovalId, ApprovalRecord, ApprovalState, SessionStatus, TurnDetails, TurnRecord};
use crate::codex::{Approval, Decision, Subject};

fn at(second: u32) -> Timestamp {
    Timestamp::from_second(second.into()).unwrap()
}

/// A turn with a prompt and a response.
pub(in crate::session) fn turn(number: u32, status: SessionStatus) -> TurnRecord {
    TurnRecord {
        number,
        prompt: format!("question {number}"),
        response: format!("answer {number}"),
        timestamp: at(number),
        status,
        details: TurnDetails::default(),
    }
}

/// An open approval of a command in the first turn of a session.
pub(in crate::session) fn approval(id: &str, session: &str) -> ApprovalRecord {
    ApprovalRecord {
        session: session.parse().unwrap(),
        turn: 1,
        approval: Approval {
            id: ApprovalId(id.into()),
            connection: "c".into(),
            agent: None,
            subject: Subject::Command { command: Some("ls".into()), cwd: None, reason: None },
            choices: vec![Decision::Accept, Decision::Decline],
        },
        asked_at: Timestamp::UNIX_EPOCH,
        deadline: at(60),
        state: ApprovalState::Open,
        answer: None,
    }
}
