//! What holds for servers that share a store: leases, queues, control messages.

use std::{sync::Arc, time::Duration};

use super::{
    Claim, LEASE, Pair, SessionStatus, at, begun, claimed, name, on_every_store, queued, seconds,
    session, turn,
};
use crate::session::{
    Scope, Stop, TokenRecord, TurnDetails, TurnRecord,
    record::HandshakeRecord,
    store::{
        Activity, AdoptedTurn, Ahead, ControlMessage, ControlOutcome, Created, Excerpt, MessageId,
        Promise, Store, StoreError, Turns,
    },
};

on_every_store! {
    a_lease_keeps_others_out_until_it_is_given_back,
    a_lease_that_ran_out_is_taken_over_and_fences_its_holder,
    a_lease_of_a_dead_owner_is_free_at_once,
    a_lease_is_lost_when_it_runs_out_also_if_nobody_takes_it,
    a_new_claim_of_the_same_owner_ends_its_earlier_lease,
    the_first_to_come_is_the_first_to_be_served,
    a_queued_turn_outlives_its_owner_only_if_it_was_promised,
    a_control_message_is_acted_on_once_or_never,
    only_one_of_two_gets_the_last_place,
    a_sweep_ends_what_the_dead_left,
    what_is_under_way_is_counted_for_all_owners,
    an_answer_that_nobody_had_is_taken_once,
    a_token_is_every_owners_until_one_removes_it,
    a_secret_is_the_same_for_every_owner,
    a_handshake_is_every_owners_until_it_is_over,
}

async fn an_answer_that_nobody_had_is_taken_once(Pair { one, two, .. }: Pair) {
    let (lease, record) = begun(&*one, "a", 0).await;
    let a = name("a");
    let mut left = turn(1, SessionStatus::Completed);
    left.details.uncollected = true;
    one.commit(&lease, &record, Turns::Put(&left)).await.unwrap();
    for unknown in [("a", 2), ("b", 1)] {
        assert!(!two.collect(&name(unknown.0), unknown.1).await.unwrap(), "{unknown:?}");
    }
    assert!(two.turns(&a, 0, 9, Excerpt::ALL).await.unwrap()[0].details.uncollected);
    let taken = [two.collect(&a, 1).await.unwrap(), one.collect(&a, 1).await.unwrap()];
    assert_eq!(taken, [true, false]);
    left.details.uncollected = false;
    assert_eq!(one.turns(&a, 0, 9, Excerpt::ALL).await.unwrap(), [left]);
}

async fn what_is_under_way_is_counted_for_all_owners(Pair { one, two, clock, .. }: Pair) {
    let activity = async |store: &Arc<dyn Store>| store.activity().await.unwrap();
    let is = |turns, waiting| Activity { turns, waiting };
    assert_eq!(activity(&one).await, is(0, 0));
    let (first, mut record) = begun(&*one, "a", 0).await;
    begun(&*two, "b", 0).await;
    queued(&*two, "a", 9, LEASE, None).await.unwrap();
    for store in [&one, &two] {
        assert_eq!(activity(store).await, is(2, 1));
    }
    // A turn that is over counts no more, though its owner keeps the session for a while.
    record.status = SessionStatus::Completed;
    let done = turn(1, SessionStatus::Completed);
    one.commit(&first, &record, Turns::Put(&done)).await.unwrap();
    assert_eq!(activity(&two).await, is(1, 1));
    // Nor does what nobody renews.
    clock.advance(LEASE);
    assert_eq!(activity(&one).await, is(0, 0));
}

fn held(running: bool, waiting: usize) -> Ahead {
    Ahead { running, waiting }
}

async fn a_lease_keeps_others_out_until_it_is_given_back(Pair { one, two, clock, .. }: Pair) {
    let (lease, mut record) = begun(&*one, "a", 0).await;
    let a = name("a");
    record.status = SessionStatus::Running;
    let running = turn(1, SessionStatus::Running);
    one.commit(&lease, &record, Turns::Put(&running)).await.unwrap();
    let Claim::Held(ahead) = two.claim(&a, None, LEASE, at(1)).await.unwrap() else { panic!() };
    assert_eq!(ahead, held(true, 0));
    for _ in 0..9 {
        clock.advance(LEASE.checked_sub(seconds(1)).unwrap());
        assert!(one.renew(&lease, LEASE).await.unwrap());
    }
    assert!(matches!(two.claim(&a, None, LEASE, at(1)).await.unwrap(), Claim::Held(_)));
    assert!(one.inbox(&lease, MessageId(0)).await.unwrap().held);
    one.release(&lease).await.unwrap();
    assert!(!one.inbox(&lease, MessageId(0)).await.unwrap().held);
    let (second, _) = claimed(&*two, "a", 1).await;
    assert_eq!(second.epoch, lease.epoch + 1);
    // Giving it back a second time does not touch the new one.
    one.release(&lease).await.unwrap();
    assert!(two.renew(&second, LEASE).await.unwrap());
}

async fn a_lease_that_ran_out_is_taken_over_and_fences_its_holder(
    Pair { one, two, clock, .. }: Pair,
) {
    let (lease, mut record) = begun(&*one, "a", 0).await;
    record.status = SessionStatus::Running;
    record.last_turn = 1;
    let running = turn(1, SessionStatus::Running);
    one.commit(&lease, &record, Turns::Put(&running)).await.unwrap();
    record.revision += 1;
    clock.advance(LEASE);
    let (theirs, taken) = claimed(&*two, "a", 1).await;
    assert_eq!((taken.status, theirs.epoch), (SessionStatus::Interrupted, lease.epoch + 1));
    let turns = two.turns(&name("a"), 0, 9, Excerpt::ALL).await.unwrap();
    assert_eq!(turns[0].status, SessionStatus::Interrupted);
    // Nothing the first one tries has any effect.
    assert!(!one.renew(&lease, LEASE).await.unwrap());
    let ended = turn(1, SessionStatus::Completed);
    let written = one.commit(&lease, &record, Turns::Put(&ended)).await;
    assert!(matches!(written, Err(StoreError::LeaseLost { .. })), "{written:?}");
    assert!(matches!(one.delete(&lease).await, Err(StoreError::LeaseLost { .. })));
    one.release(&lease).await.unwrap();
    assert_eq!(two.turns(&name("a"), 0, 9, Excerpt::ALL).await.unwrap(), turns);
    assert!(two.renew(&theirs, LEASE).await.unwrap());
}

async fn a_lease_of_a_dead_owner_is_free_at_once(Pair { one, two, clock, sees_death, .. }: Pair) {
    let (lease, _) = begun(&*one, "a", 0).await;
    queued(&*one, "a", 9, LEASE, None).await.unwrap();
    drop(one);
    if !sees_death {
        // Nobody knows but by the clock.
        assert!(matches!(two.claim(&name("a"), None, LEASE, at(1)).await.unwrap(), Claim::Held(_)));
        clock.advance(LEASE);
    }
    let (theirs, _) = claimed(&*two, "a", 1).await;
    assert_eq!(theirs.epoch, lease.epoch + 1);
}

async fn a_lease_is_lost_when_it_runs_out_also_if_nobody_takes_it(Pair { one, clock, .. }: Pair) {
    let (lease, record) = begun(&*one, "a", 0).await;
    clock.advance(LEASE);
    assert!(!one.renew(&lease, LEASE).await.unwrap());
    let written = one.commit(&lease, &record, Turns::Keep).await;
    assert!(matches!(written, Err(StoreError::LeaseLost { .. })), "{written:?}");
    claimed(&*one, "a", 1).await;
}

async fn a_new_claim_of_the_same_owner_ends_its_earlier_lease(Pair { one, .. }: Pair) {
    let (earlier, record) = begun(&*one, "a", 0).await;
    let (later, _) = claimed(&*one, "a", 1).await;
    assert_eq!(later.epoch, earlier.epoch + 1);
    assert!(!one.renew(&earlier, LEASE).await.unwrap());
    one.release(&earlier).await.unwrap();
    one.commit(&later, &record, Turns::Keep).await.unwrap();
}

async fn the_first_to_come_is_the_first_to_be_served(Pair { one, two, clock, .. }: Pair) {
    let (lease, _) = begun(&*one, "a", 0).await;
    let a = name("a");
    let first = queued(&*two, "a", 9, seconds(99), None).await;
    assert!(one.inbox(&lease, MessageId(0)).await.unwrap().wanted);
    let second = queued(&*one, "a", 9, seconds(99), None).await;
    assert_eq!((first, second), (Some(2), Some(3)));
    // Also before the holder of the lease, and before a turn that has not been queued.
    for turn in [second, None] {
        let claim = one.claim(&a, turn, LEASE, at(1)).await.unwrap();
        let Claim::Held(ahead) = claim else { panic!("{claim:?}") };
        assert_eq!(ahead, held(false, 1));
    }
    one.release(&lease).await.unwrap();
    let claim = two.claim(&a, first, LEASE, at(1)).await.unwrap();
    let Claim::Ours { lease, record, turn: 2 } = claim else { panic!("{claim:?}") };
    // It waits until it begins.
    let ran = TurnRecord { items: Vec::new(), ..turn(2, SessionStatus::Completed) };
    two.commit(&lease, &record.unwrap(), Turns::Put(&ran)).await.unwrap();
    two.release(&lease).await.unwrap();
    assert_eq!(two.waiting().await.unwrap(), [(a.clone(), 1)]);
    let claim = one.claim(&a, second, LEASE, at(1)).await.unwrap();
    let Claim::Ours { lease, turn: 3, .. } = claim else { panic!("{claim:?}") };
    one.release(&lease).await.unwrap();
    assert!(one.call_off(&a, 3, &TurnDetails::default()).await.unwrap());
    assert_eq!(two.turns(&a, 1, 1, Excerpt::ALL).await.unwrap(), [ran]);
    // One that is not renewed does not count.
    assert_eq!(queued(&*two, "a", 9, seconds(5), None).await, Some(4));
    assert!(matches!(one.claim(&a, None, LEASE, at(1)).await.unwrap(), Claim::Held(_)));
    clock.advance(seconds(5));
    assert!(matches!(one.claim(&a, None, LEASE, at(1)).await.unwrap(), Claim::Ours { .. }));
}

async fn a_queued_turn_outlives_its_owner_only_if_it_was_promised(
    Pair { one, two, clock, .. }: Pair,
) {
    begun(&*two, "a", 0).await;
    let a = name("a");
    let time = seconds(9);
    for runner in [None, Some("r"), Some("other"), None] {
        queued(&*one, "a", 9, time, runner).await.unwrap();
    }
    let promise = Promise { runner: "r".into(), request: "{\"late\":1}".into() };
    let details = TurnDetails { not_before: Some(at(9)), ..TurnDetails::default() };
    assert!(one.promise(&a, 5, &promise, &details).await.unwrap());
    let nothing = TurnDetails::default();
    assert!(
        !two.promise(&a, 5, &promise, &nothing).await.unwrap()
            && !one.promise(&a, 9, &promise, &nothing).await.unwrap()
    );
    assert_eq!(two.turn(&a, 5, 0).await.unwrap().unwrap().details, details);
    // While its owner is there, no other takes it.
    assert!(two.adopt("r", time).await.unwrap().is_empty());
    one.renew_places(&a, Duration::ZERO).await.unwrap();
    let adopted = |number: u32, request: &str| AdoptedTurn {
        session: a.clone(),
        number,
        request: request.into(),
    };
    let mut taken = two.adopt("r", time).await.unwrap();
    taken.sort_by_key(|turn| turn.number);
    assert_eq!(taken, [adopted(3, "{}"), adopted(5, "{\"late\":1}")]);
    assert!(two.adopt("r", time).await.unwrap().is_empty());
    // The others end with a word, or wait for one who may.
    two.sweep(at(1)).await.unwrap();
    let turns = two.turns(&a, 0, 9, Excerpt::ALL).await.unwrap();
    let states: Vec<_> = turns.iter().map(|turn| (turn.number, turn.status)).collect();
    let waiting = SessionStatus::Queued;
    assert_eq!(states, [(2, SessionStatus::Cancelled), (3, waiting), (4, waiting), (5, waiting)]);
    assert_eq!(turns[0].details.stopped, Some(Stop::Abandoned));
    // One that was called off is not run by who comes too late.
    assert!(two.call_off(&a, 3, &TurnDetails::default()).await.unwrap());
    clock.advance(LEASE);
    let (lease, record) = claimed(&*one, "a", 1).await;
    let late = one.commit(&lease, &record, Turns::Put(&turn(3, SessionStatus::Running))).await;
    assert!(matches!(late, Err(StoreError::CalledOff { .. })), "{late:?}");
}

async fn a_control_message_is_acted_on_once_or_never(Pair { one, two, .. }: Pair) {
    let (lease, _) = begun(&*one, "a", 0).await;
    let a = name("a");
    let steer = ControlMessage::Steer { turn: 1, prompt: "left".into() };
    let taken = two.post(&a, &steer).await.unwrap();
    let unread = one.inbox(&lease, MessageId(0)).await.unwrap().messages;
    assert_eq!(unread, [(taken, steer)]);
    assert!(one.take(taken).await.unwrap() && !one.take(taken).await.unwrap());
    assert!(one.inbox(&lease, MessageId(0)).await.unwrap().messages.is_empty());
    // Too late to take back; its outcome is told once.
    assert!(!two.withdraw(taken).await.unwrap());
    assert_eq!(two.outcome(taken).await.unwrap(), None);
    one.report(taken, &ControlOutcome::Done).await.unwrap();
    assert_eq!(two.outcome(taken).await.unwrap(), Some(ControlOutcome::Done));
    assert_eq!(two.outcome(taken).await.unwrap(), None);
    // One that is taken back is never acted on.
    let withdrawn = two.post(&a, &ControlMessage::Interrupt(1)).await.unwrap();
    assert!(two.withdraw(withdrawn).await.unwrap());
    assert!(!one.take(withdrawn).await.unwrap());
    // What was meant for an earlier turn is gone with the next claim.
    two.post(&a, &ControlMessage::Interrupt(1)).await.unwrap();
    one.release(&lease).await.unwrap();
    let (lease, _) = claimed(&*two, "a", 1).await;
    assert!(two.inbox(&lease, MessageId(0)).await.unwrap().messages.is_empty());
}

async fn only_one_of_two_gets_the_last_place(Pair { one, two, .. }: Pair) {
    let (x, y) = (session("x", false, 0), session("y", false, 0));
    let (first, second) =
        tokio::join!(one.create(&x, None, 2, at(0)), two.create(&x, None, 2, at(0)));
    let made = [first.unwrap(), second.unwrap()];
    assert_eq!(made.iter().filter(|made| **made == Created::Conflict).count(), 1);
    claimed(&*one, "x", 0).await;
    let z = session("z", false, 0);
    let (first, second) =
        tokio::join!(one.create(&y, None, 2, at(0)), two.create(&z, None, 2, at(0)));
    // Each may evict the other, as neither is protected; the protected one stays.
    assert!(
        [first.unwrap(), second.unwrap()].iter().all(|made| matches!(made, Created::Done { .. }))
    );
    let (x, now) = (name("x"), at(0));
    assert!(two.load(&x, now).await.unwrap().is_some());
    // A race for one lease has one winner.
    let w = session("w", false, 0);
    one.create(&w, None, 9, now).await.unwrap();
    let (first, second) =
        tokio::join!(one.claim(&w.name, None, LEASE, now), two.claim(&w.name, None, LEASE, now));
    let won = [first.unwrap(), second.unwrap()];
    assert_eq!(won.iter().filter(|claim| matches!(claim, Claim::Ours { .. })).count(), 1);
}

async fn a_sweep_ends_what_the_dead_left(Pair { one, two, clock, sees_death, .. }: Pair) {
    for (text, dies) in [("dead", true), ("slow", false)] {
        let owner = if dies { &one } else { &two };
        let (lease, mut record) = begun(&**owner, text, 0).await;
        record.status = SessionStatus::Running;
        record.last_turn = 1;
        let running = turn(1, SessionStatus::Running);
        owner.commit(&lease, &record, Turns::Put(&running)).await.unwrap();
    }
    drop(one);
    two.sweep(at(1)).await.unwrap();
    let status = |text: &'static str| {
        let two = &two;
        async move { two.load(&name(text), at(1)).await.unwrap().unwrap().status }
    };
    let seen = if sees_death { SessionStatus::Interrupted } else { SessionStatus::Running };
    assert_eq!(status("dead").await, seen);
    assert_eq!(status("slow").await, SessionStatus::Running);
    clock.advance(LEASE);
    two.sweep(at(1)).await.unwrap();
    for left in ["dead", "slow"] {
        assert_eq!(status(left).await, SessionStatus::Interrupted);
    }
}

async fn a_token_is_every_owners_until_one_removes_it(Pair { one, two, .. }: Pair) {
    let token = |id: &str, second: i64, expires_at| TokenRecord {
        id: id.to_owned(),
        tenant: "team".parse().unwrap(),
        scope: Scope::Run,
        hash: [7; 32],
        created_at: at(second),
        expires_at,
    };
    let (first, second) = (token("z", 1, None), token("a", 2, Some(at(9))));
    one.add_token(&first).await.unwrap();
    two.add_token(&second).await.unwrap();
    assert_eq!(two.token("z").await.unwrap(), Some(first.clone()));
    assert_eq!(one.token("A").await.unwrap(), None);
    assert_eq!(one.tokens().await.unwrap(), [first, second.clone()]);
    assert!(two.remove_token("z").await.unwrap() && !one.remove_token("z").await.unwrap());
    assert_eq!(two.tokens().await.unwrap(), [second]);
}

async fn a_secret_is_the_same_for_every_owner(Pair { one, two, .. }: Pair) {
    assert_eq!(one.secret("a", [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(two.secret("a", [2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(two.secret("b", [3; 32]).await.unwrap(), [3; 32]);
    assert_eq!(one.secret("b", [4; 32]).await.unwrap(), [3; 32]);
}

async fn a_handshake_is_every_owners_until_it_is_over(Pair { one, two, .. }: Pair) {
    let record = |id: &str| HandshakeRecord {
        id: id.into(),
        owner: "o".into(),
        said: "{}".into(),
        expires_at: at(10),
    };
    one.keep_handshake(&record("a")).await.unwrap();
    one.keep_handshake(&record("b")).await.unwrap();
    assert_eq!(two.handshake("a", at(9)).await.unwrap(), Some(record("a")));
    assert_eq!(two.handshake("a", at(10)).await.unwrap(), None);
    one.prolong_handshake("a", at(20)).await.unwrap();
    two.prolong_handshake("a", at(15)).await.unwrap();
    assert!(two.handshake("a", at(19)).await.unwrap().is_some());
    two.forget_handshake("a").await.unwrap();
    assert_eq!(one.handshake("a", at(9)).await.unwrap(), None);
    two.sweep(at(11)).await.unwrap();
    assert_eq!(one.handshake("b", at(9)).await.unwrap(), None);
}
