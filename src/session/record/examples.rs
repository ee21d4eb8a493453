//! Records for tests that need any record.

use jiff::Timestamp;

use super::{
    ApprovalId, ApprovalRecord, ApprovalState, RecordedItem, SessionStatus, TurnDetails, TurnRecord,
};
use crate::codex::{Approval, Decision, Subject, TurnItem};

fn at(second: u32) -> Timestamp {
    Timestamp::from_second(second.into()).unwrap()
}

/// A turn with a prompt, a response and items: one more once it is over.
pub(in crate::session) fn turn(number: u32, status: SessionStatus) -> TurnRecord {
    let warning = TurnItem::Warning { message: format!("warning {number}") };
    let items = [item(0, 1, TurnItem::Answer {}), item(1, 2, warning)];
    TurnRecord {
        number,
        prompt: format!("question {number}"),
        response: format!("answer {number}"),
        timestamp: at(number),
        status,
        items: items[..if status == SessionStatus::Running { 1 } else { 2 }].to_vec(),
        details: TurnDetails::default(),
    }
}

/// An item in its place, with the number of its last change.
pub(in crate::session) fn item(place: u32, change: u64, item: TurnItem) -> RecordedItem {
    RecordedItem { place, change, item }
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
