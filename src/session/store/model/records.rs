//! What owners write, and what they see of it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::operation::Write;
use crate::session::{
    SessionName,
    record::{ApprovalId, SessionRecord, SessionStatus, TurnRecord, examples::turn},
    store::{Excerpt, Store},
};

/// How long sessions last. Some wall clocks differ by nearly as much.
pub(super) const TTL: std::time::Duration = std::time::Duration::from_secs(90);

/// All that can be read: sessions with their turns, and open approvals.
pub(super) type Seen = (BTreeMap<SessionName, (SessionRecord, Vec<TurnRecord>)>, Vec<ApprovalId>);

/// Reads it.
pub(super) async fn seen(store: &dyn Store, now: Timestamp) -> Seen {
    let mut seen = BTreeMap::new();
    for name in (0..4).map(named) {
        if let Some(record) = store.load(&name, now).await.unwrap() {
            let turns = store.turns(&name, 0, 99, Excerpt::ALL).await.unwrap();
            seen.insert(name, (record, turns));
        }
    }
    let open = store.open_approvals(None).await.unwrap();
    (seen, open.into_iter().map(|open| open.approval.id).collect())
}

/// The part of it that a person can compare.
pub(super) fn short((sessions, open): &Seen) -> String {
    let session = |(name, (record, turns)): (&SessionName, &(SessionRecord, Vec<TurnRecord>))| {
        let turns: Vec<_> = turns.iter().map(|turn| turn.status.as_str()).collect();
        let SessionRecord { status, revision, expires_at, .. } = record;
        format!("{name} r{revision} {} until {} {turns:?}", status.as_str(), expires_at.as_second())
    };
    format!("{:?}, open {open:?}", sessions.iter().map(session).collect::<Vec<_>>())
}

pub(super) fn named(number: usize) -> SessionName {
    format!("s{number}").parse().unwrap()
}

pub(super) fn approval_id(number: u64) -> ApprovalId {
    ApprovalId(format!("{number}"))
}

/// The session and the turn that a write leaves behind, and whether it begins anew.
pub(super) fn written(
    record: &SessionRecord,
    write: Write,
    given: u32,
    now: Timestamp,
) -> (SessionRecord, Option<TurnRecord>, bool) {
    let mut record = record.clone();
    record.touch(now, TTL);
    match write {
        Write::Touch => (record, None, false),
        Write::Begin => {
            record.last_turn = given.max(record.last_turn + 1);
            record.status = SessionStatus::Running;
            let turn = turn(record.last_turn, SessionStatus::Running);
            (record, Some(turn), false)
        }
        Write::End => {
            record.status = SessionStatus::Completed;
            let ended =
                (record.last_turn > 0).then(|| turn(record.last_turn, SessionStatus::Completed));
            (record, ended, false)
        }
        Write::Restart => {
            let mut record = record.reset();
            record.last_turn = given.max(record.last_turn + 1);
            record.status = SessionStatus::Running;
            let turn = turn(record.last_turn, SessionStatus::Running);
            (record, Some(turn), true)
        }
    }
}
