//! What holds for approvals: each is answered once, and none stays open when its turn or its server is gone.

use super::{LEASE, Lease, Pair, Store, begun, claimed, name, on_every_store, seconds};
use crate::{
    codex::{Answer, ApprovalId, Decision},
    session::{
        record::{AnswerRecord, ApprovalState, examples::approval},
        store::{MessageId, StoreError},
    },
};

on_every_store! {
    only_the_first_answer_wins_and_its_lease_hears_it,
    an_approval_is_not_open_after_its_deadline,
    an_approval_ends_with_its_lease,
    an_approval_ends_with_its_owner,
    an_approval_is_settled_once,
}

fn answer(decision: Decision) -> AnswerRecord {
    AnswerRecord { answer: Answer::plain(decision), by: "somebody".into(), remark: None }
}

fn id(text: &str) -> ApprovalId {
    ApprovalId(text.into())
}

async fn asked(store: &dyn Store, text: &str) -> Lease {
    let (lease, _) = begun(store, "a", 0).await;
    store.open_approval(&lease, &approval(text, "a"), seconds(20)).await.unwrap();
    lease
}

async fn is_open(store: &dyn Store, text: &str) -> bool {
    let open = store.open_approvals(None).await.unwrap();
    open.iter().any(|open| open.approval.id.0 == text)
}

async fn only_the_first_answer_wins_and_its_lease_hears_it(Pair { one, two, .. }: Pair) {
    let lease = asked(&*one, "q").await;
    let open = two.open_approvals(Some(&name("a"))).await.unwrap();
    assert_eq!(open, [approval("q", "a")]);
    assert!(two.open_approvals(Some(&name("b"))).await.unwrap().is_empty());
    let (yes, no) = (answer(Decision::Accept), answer(Decision::Decline));
    assert_eq!(two.answer_approval(&id("q"), &yes).await.unwrap(), Some(name("a")));
    assert_eq!(one.answer_approval(&id("q"), &no).await.unwrap(), None);
    assert_eq!(two.answer_approval(&id("other"), &yes).await.unwrap(), None);
    assert!(!is_open(&*one, "q").await);
    let heard = one.inbox(&lease, MessageId(0)).await.unwrap().answers;
    assert_eq!(heard, [(id("q"), yes)]);
    assert!(one.settle_approval(&lease, &id("q"), ApprovalState::Settled).await.unwrap());
    assert!(one.inbox(&lease, MessageId(0)).await.unwrap().answers.is_empty());
}

async fn an_approval_is_not_open_after_its_deadline(Pair { one, two, clock, .. }: Pair) {
    asked(&*one, "q").await;
    clock.advance(seconds(20));
    assert!(!is_open(&*two, "q").await);
    let late = two.answer_approval(&id("q"), &answer(Decision::Accept)).await.unwrap();
    assert_eq!(late, None);
}

async fn an_approval_ends_with_its_lease(Pair { one, two, clock, .. }: Pair) {
    let lease = asked(&*one, "q").await;
    clock.advance(LEASE);
    let (theirs, _) = claimed(&*two, "a", 1).await;
    assert!(!is_open(&*two, "q").await);
    let yes = answer(Decision::Accept);
    assert_eq!(two.answer_approval(&id("q"), &yes).await.unwrap(), None);
    let lost = one.open_approval(&lease, &approval("late", "a"), seconds(20)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    let lost = one.settle_approval(&lease, &id("q"), ApprovalState::Settled).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    assert!(two.inbox(&theirs, MessageId(0)).await.unwrap().answers.is_empty());
}

async fn an_approval_ends_with_its_owner(Pair { one, two, clock, sees_death, .. }: Pair) {
    asked(&*one, "q").await;
    assert!(is_open(&*two, "q").await);
    drop(one);
    if !sees_death {
        clock.advance(LEASE);
    }
    assert!(!is_open(&*two, "q").await);
    let yes = answer(Decision::Accept);
    assert_eq!(two.answer_approval(&id("q"), &yes).await.unwrap(), None);
}

async fn an_approval_is_settled_once(Pair { one, two, .. }: Pair) {
    let lease = asked(&*one, "q").await;
    let yes = answer(Decision::Accept);
    let q = id("q");
    let settle = |state| one.settle_approval(&lease, &q, state);
    // An answer that was given cannot expire any more.
    two.answer_approval(&id("q"), &yes).await.unwrap();
    assert!(!settle(ApprovalState::Expired).await.unwrap());
    assert!(settle(ApprovalState::Settled).await.unwrap());
    assert!(!settle(ApprovalState::Withdrawn).await.unwrap());
    // One that has expired cannot be answered.
    one.open_approval(&lease, &approval("r", "a"), seconds(20)).await.unwrap();
    assert!(one.settle_approval(&lease, &id("r"), ApprovalState::Expired).await.unwrap());
    assert_eq!(two.answer_approval(&id("r"), &yes).await.unwrap(), None);
}
