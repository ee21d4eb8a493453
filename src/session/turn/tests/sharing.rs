//! Several calls, and several servers, want the same session.

use jiff::Timestamp;

use super::*;
use crate::session::{
    OnBusy, SessionStatus, Stop,
    record::examples,
    store::{Claim, Coordination, Promise, SessionStore},
};

#[tokio::test(start_paused = true)]
async fn calls_wait_in_their_order_and_one_that_is_dropped_never_begins() {
    let mut world = World::new();
    let first = world.begin(Request::ask("1")).await;
    let second = world.send(Request::ask("2")).await;
    let third = world.shared.tasks.spawn(ending(world.send(Request::ask("3")).await));
    tokio::time::sleep(SECOND).await;
    drop(second);
    world.codex.answers(1, "one");
    first.await.unwrap().reply();
    let params = world.codex.hears("turn/start").await;
    assert_eq!(params["input"][0]["text"], "3");
    world.codex.answers(2, "three");
    let third = third.await.unwrap();
    let queued = third.updates.iter().filter_map(|update| match update {
        Update::Queued(position) => Some(position.ahead),
        _ => None,
    });
    assert_eq!(queued.collect::<Vec<_>>(), [2, 1]);
    // The second has had its number, and no other gets it.
    assert_eq!(third.reply().turn.number, 3);
}

#[tokio::test(start_paused = true)]
async fn a_steering_call_joins_the_turn_and_one_that_comes_too_late_has_its_own() {
    let mut world = World::new();
    let first = world.begin(Request::ask("1")).await;
    let steer = |prompt: &str| Request { on_busy: OnBusy::Steer, ..Request::ask(prompt) };
    let joined = world.shared.tasks.spawn(ending(world.send(steer("2")).await));
    world.codex.hears("turn/steer").await;
    world.codex.refuses("turn/steer");
    let late = world.shared.tasks.spawn(ending(world.send(steer("3")).await));
    world.codex.hears("turn/steer").await;
    tokio::time::sleep(SECOND).await;
    world.codex.answers(1, "both");
    let turn = first.await.unwrap().reply().turn;
    assert_eq!((turn.prompt.as_str(), turn.told().as_str()), ("1", "1\n\n2"));
    assert_eq!(joined.await.unwrap().reply().turn, turn);
    world.codex.hears("turn/start").await;
    world.codex.answers(2, "its own");
    assert_eq!(late.await.unwrap().reply().turn.prompt, "3");
}

#[tokio::test(start_paused = true)]
async fn what_was_steered_and_never_confirmed_is_said_once() {
    let mut world = World::new();
    let first = world.begin(Request::ask("1")).await;
    world.codex.is_deaf_to("turn/steer");
    let steer = Request { on_busy: OnBusy::Steer, ..Request::ask("2") };
    let steered = world.shared.tasks.spawn(ending(world.send(steer).await));
    world.codex.hears("turn/steer").await;
    world.codex.answers(1, "one");
    first.await.unwrap().reply();
    let error = steered.await.unwrap().outcome.unwrap_err();
    assert!(matches!(&*error, SessionError::SteerUnconfirmed { .. }), "{error:?}");
    tokio::time::sleep(60 * SECOND).await;
    assert!(!world.codex.heard_meanwhile().contains(&"turn/start".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_interrupts_the_turn_and_nothing_more_is_written() {
    let mut world = World::new();
    let call = world.begin(Request::ask("1")).await;
    tokio::time::sleep(SECOND).await;
    // Suspended for longer than the lease, in which another server has taken the session over.
    world.clock.advance(31 * SECOND);
    let now = Timestamp::now();
    let claimed = world.other.claim(&name(), None, 30 * SECOND, now).await.unwrap();
    let Claim::Ours { record, .. } = claimed else { panic!("{claimed:?}") };
    let theirs = record.unwrap();
    world.codex.hears("turn/interrupt").await;
    world.codex.answers(1, "too late");
    let turn = call.await.unwrap().reply().turn;
    assert_eq!(turn.status, SessionStatus::Interrupted);
    assert_eq!(turn.details.stopped, Some(Stop::LeaseLost));
    assert_eq!(world.other.load(&name(), now).await.unwrap(), Some(*theirs));
}

#[tokio::test(start_paused = true)]
async fn a_session_at_rest_is_released_in_time_and_at_once_when_it_is_wanted() {
    let mut world = World::with(|config| config.release_after = 10 * SECOND);
    let claim = |world: &World| {
        let (other, now) = (world.other.another(), Timestamp::now());
        async move { other.claim(&name(), None, 30 * SECOND, now).await.unwrap() }
    };
    let call = world.begin(Request::ask("1")).await;
    world.codex.answers(1, "one");
    call.await.unwrap().reply();
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(world.codex.heard_meanwhile(), ["thread/name/set"]);
    assert!(matches!(claim(&world).await, Claim::Held(_)));
    // Another server waits for it: it has it within a tick, not at the end of the ten seconds.
    let waiting = examples::turn(0, SessionStatus::Queued);
    let place = world.other.enqueue(&name(), &waiting, None, 9, 30 * SECOND).await.unwrap();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(
        world.codex.heard_meanwhile(),
        ["thread/queue/list", "thread/archive", "thread/unarchive"]
    );
    let now = Timestamp::now();
    let theirs = world.other.claim(&name(), place, 30 * SECOND, now).await.unwrap();
    let Claim::Ours { lease, .. } = theirs else { panic!("{theirs:?}") };
    world.other.release(&lease).await.unwrap();
    world.other.call_off(&name(), place.unwrap(), &waiting.details).await.unwrap();

    let call = world.begin(Request::ask("2")).await;
    world.codex.answers(2, "two");
    call.await.unwrap().reply();
    world.codex.hears("thread/archive").await;
    tokio::time::sleep(SECOND).await;
    assert!(matches!(claim(&world).await, Claim::Ours { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_promise_that_cannot_be_read_ends_with_a_word() {
    let mut world = World::new();
    let call = world.begin(Request::ask("1")).await;
    world.codex.answers(1, "one");
    call.await.unwrap().reply();
    let gone = world.other.another();
    let promise = Promise { runner: "any".into(), request: "of a later version".into() };
    let waiting = examples::turn(0, SessionStatus::Queued);
    let number = gone.enqueue(&name(), &waiting, Some(&promise), 9, 30 * SECOND).await.unwrap();
    drop(gone);
    world.shared.adopt_turns().await.unwrap();
    let turn = world.other.turn(&name(), number.unwrap(), 0).await.unwrap().unwrap();
    assert_eq!(turn.status, SessionStatus::Cancelled);
    let failure = turn.details.failure.unwrap();
    assert!(failure.message.contains("cannot be read"), "{}", failure.message);
}
