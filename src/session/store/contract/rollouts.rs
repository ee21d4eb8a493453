//! What holds for the histories that are kept.

use super::{LEASE, Pair, at, begun, claimed, name, on_every_store, seconds};
use crate::session::{
    SessionRecord,
    record::{KeptRollout, RolloutPart, RolloutRecord, ThreadId},
    store::{Renamed, Store, StoreError},
};

on_every_store! {
    a_history_grows_by_its_parts,
    what_continues_something_else_changes_nothing,
    a_history_goes_with_its_session,
    only_who_has_the_lease_keeps_anything,
}

fn kept(thread: &str, bytes: u64, part: Option<(u64, &str)>) -> KeptRollout {
    let record = RolloutRecord {
        thread: ThreadId(thread.into()),
        path: format!("sessions/{thread}"),
        bytes,
        digest: format!("digest of {bytes}"),
        turn: 3,
        lacks: (bytes == 0).then(|| "reason".into()),
    };
    let part = part.map(|(start, data)| RolloutPart { start, data: data.into() });
    KeptRollout { record, part }
}

async fn content(store: &dyn Store, session: &str) -> Vec<(String, u64, String)> {
    let mut all = Vec::new();
    for record in store.rollouts(&name(session)).await.unwrap() {
        let parts = store.rollout_parts(&name(session), &record.thread).await.unwrap();
        all.push((record.thread.0, record.bytes, String::from_utf8(parts.concat()).unwrap()));
    }
    all
}

fn is(thread: &str, bytes: u64, content: &str) -> (String, u64, String) {
    (thread.into(), bytes, content.into())
}

async fn a_history_grows_by_its_parts(Pair { one, two, .. }: Pair) {
    let (lease, _) = begun(&*one, "s", 0).await;
    let first = [kept("t", 2, Some((0, "ab"))), kept("u", 9, Some((0, "parent")))];
    assert!(one.keep_rollouts(&lease, &first).await.unwrap());
    assert_eq!(one.rollouts(&name("s")).await.unwrap(), first.map(|kept| kept.record));
    let next = [kept("t", 4, Some((2, "cd"))), kept("u", 9, None)];
    assert!(one.keep_rollouts(&lease, &next).await.unwrap());
    assert_eq!(content(&*two, "s").await, [is("t", 4, "abcd"), is("u", 9, "parent")]);
    // A part at the beginning takes the place of all others, and what is not named goes.
    assert!(one.keep_rollouts(&lease, &[kept("t", 1, Some((0, "x")))]).await.unwrap());
    assert_eq!(content(&*two, "s").await, [is("t", 1, "x")]);
    let without = [kept("t", 0, None)];
    assert!(one.keep_rollouts(&lease, &without).await.unwrap());
    assert_eq!(content(&*two, "s").await, [is("t", 0, "")]);
    assert_eq!(two.rollouts(&name("s")).await.unwrap(), without.map(|kept| kept.record));
    assert_eq!(content(&*two, "other").await, []);
}

async fn what_continues_something_else_changes_nothing(Pair { one, .. }: Pair) {
    let (lease, _) = begun(&*one, "s", 0).await;
    assert!(!one.keep_rollouts(&lease, &[kept("t", 4, Some((2, "cd")))]).await.unwrap());
    assert!(!one.keep_rollouts(&lease, &[kept("t", 4, None)]).await.unwrap());
    assert!(one.keep_rollouts(&lease, &[kept("t", 2, Some((0, "ab")))]).await.unwrap());
    let wrong = [kept("u", 1, Some((0, "u"))), kept("t", 5, Some((3, "de")))];
    assert!(!one.keep_rollouts(&lease, &wrong).await.unwrap());
    assert_eq!(content(&*one, "s").await, [is("t", 2, "ab")]);
}

async fn a_history_goes_with_its_session(Pair { one, two, .. }: Pair) {
    let (lease, record) = begun(&*one, "s", 0).await;
    one.keep_rollouts(&lease, &[kept("t", 2, Some((0, "ab")))]).await.unwrap();
    let record = SessionRecord { name: name("new"), ..record };
    assert_eq!(one.rename(&lease, &record, at(0)).await.unwrap(), Renamed::Done);
    assert_eq!(content(&*two, "s").await, []);
    assert_eq!(content(&*two, "new").await, [is("t", 2, "ab")]);
    let (lease, _) = claimed(&*two, "new", 0).await;
    two.delete(&lease).await.unwrap();
    begun(&*one, "new", 0).await;
    assert_eq!(content(&*one, "new").await, []);
}

async fn only_who_has_the_lease_keeps_anything(Pair { one, two, clock, .. }: Pair) {
    let (lease, _) = begun(&*one, "s", 0).await;
    one.keep_rollouts(&lease, &[kept("t", 2, Some((0, "ab")))]).await.unwrap();
    clock.advance(LEASE + seconds(1));
    let late = one.keep_rollouts(&lease, &[kept("t", 3, Some((2, "c")))]).await;
    assert!(matches!(late, Err(StoreError::LeaseLost { .. })), "{late:?}");
    let (theirs, _) = claimed(&*two, "s", 0).await;
    assert!(two.keep_rollouts(&theirs, &[kept("t", 3, Some((2, "d")))]).await.unwrap());
    assert_eq!(content(&*one, "s").await, [is("t", 3, "abd")]);
}
