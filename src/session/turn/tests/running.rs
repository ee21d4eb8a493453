//! A turn that runs: how long it may, what counts as life, and what becomes of a thread that is not to be trusted.

use super::*;
use crate::session::{Continuity, SessionStatus, Span, Stop};

fn command(status: &str) -> Value {
    json!({"type": "commandExecution", "id": "c", "command": "make", "status": status})
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_turn_and_a_running_command_is_no_silence() {
    let mut world = World::with(|config| config.turn.silence = Span(30 * SECOND));
    let call = world.begin(Request::ask("build")).await;
    world.codex.item("item/started", 1, &command("inProgress"));
    tokio::time::sleep(600 * SECOND).await;
    assert!(!world.codex.heard_meanwhile().contains(&"turn/interrupt".to_owned()));
    world.codex.item("item/completed", 1, &command("completed"));
    tokio::time::sleep(29 * SECOND).await;
    // Trying again is no sign of life.
    world
        .codex
        .says("error", &json!({"turnId": "1", "willRetry": true, "error": {"message": "x"}}));
    world.codex.hears("turn/interrupt").await;
    world.codex.ends(1, "interrupted");
    let turn = call.await.unwrap().reply().turn;
    assert_eq!(turn.status, SessionStatus::Interrupted);
    assert_eq!(turn.details.stopped, Some(Stop::Silence));
    let took = Duration::from_millis(turn.details.duration_ms.unwrap());
    assert!((629..632).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_turn_holds_whatever_happens_in_it() {
    let mut world = World::with(|config| config.turn.timeout = Some(Span(60 * SECOND)));
    let call = world.begin(Request::ask("build")).await;
    world.codex.item("item/started", 1, &command("inProgress"));
    world.codex.hears("turn/interrupt").await;
    world.codex.ends(1, "interrupted");
    let turn = call.await.unwrap().reply().turn;
    assert_eq!(turn.details.stopped, Some(Stop::Timeout));
    assert_eq!(turn.details.duration_ms.unwrap() / 1000, 60);
    // A call's own limit counts more than the operator's.
    let request = Request { timeout: Some(5 * SECOND), ..Request::ask("again") };
    let call = world.begin(request).await;
    world.codex.hears("turn/interrupt").await;
    world.codex.ends(2, "interrupted");
    assert_eq!(call.await.unwrap().reply().turn.details.duration_ms.unwrap() / 1000, 5);
}

#[tokio::test(start_paused = true)]
async fn a_thread_whose_turn_does_not_end_is_thrown_away() {
    let mut world = World::with(|config| config.turn.timeout = Some(Span(10 * SECOND)));
    world.codex.is_deaf_to("turn/interrupt");
    let call = world.begin(Request::ask("stuck")).await;
    let turn = call.await.unwrap().reply().turn;
    assert_eq!(turn.status, SessionStatus::Interrupted);
    world.codex.hears("thread/archive").await;
    // What Codex confirmed to have unloaded is resumed, never used as it was.
    let call = world.begin(Request::ask("next")).await;
    world.codex.answers(2, "done");
    let turn = call.await.unwrap().reply().turn;
    assert_eq!(turn.details.continuity, Some(Continuity::Resumed));
    assert_eq!(turn.response, "done");
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_codex_does_not_give_up_is_replaced_by_what_is_recorded() {
    let mut world = World::with(|config| config.turn.timeout = Some(Span(10 * SECOND)));
    world.codex.is_deaf_to("turn/interrupt");
    world.codex.refuses("thread/archive");
    let call = world.begin(Request::ask("stuck")).await;
    call.await.unwrap().reply();
    // This Codex is replaced if nothing else runs on it; here there is no other one.
    let call = world.send(Request::ask("next")).await;
    let error = ending(call).await.outcome.unwrap_err();
    assert!(matches!(&*error, SessionError::Codex(_)), "{error:?}");
    assert!(!world.codex.heard_meanwhile().contains(&"turn/start".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_codex_refuses_is_recorded_and_its_thread_stays() {
    let mut world = World::new();
    world.codex.refuses("turn/start");
    let call = world.send(Request::ask("x")).await;
    assert!(ending(call).await.outcome.is_err());
    assert_eq!(world.sessions.record(&name()).await.unwrap().status, SessionStatus::Failed);
    world.codex.takes("turn/start");
    world.codex.heard_meanwhile();
    let call = world.begin(Request::ask("x")).await;
    world.codex.answers(2, "y");
    assert_eq!(call.await.unwrap().reply().turn.number, 2);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_codex_does_not_confirm_may_have_begun_so_its_thread_goes() {
    let mut world = World::new();
    let call = world.begin(Request::ask("first")).await;
    world.codex.answers(1, "one");
    call.await.unwrap().reply();
    world.codex.is_deaf_to("turn/start");
    let call = world.send(Request::ask("x")).await;
    assert!(ending(call).await.outcome.is_err());
    world.codex.hears("thread/archive").await;
    world.codex.takes("turn/start");
    let call = world.begin(Request::ask("x")).await;
    world.codex.answers(3, "y");
    assert_eq!(call.await.unwrap().reply().turn.details.continuity, Some(Continuity::Resumed));
}

#[tokio::test(start_paused = true)]
async fn a_codex_that_dies_fails_its_turn_with_what_there_was() {
    let mut world = World::new();
    let call = world.begin(Request::ask("x")).await;
    let piece = json!({"turnId": "1", "itemId": "m", "delta": "half"});
    world.codex.says("item/agentMessage/delta", &piece);
    tokio::time::sleep(SECOND).await;
    world.codex.ended.abort();
    let turn = call.await.unwrap().reply().turn;
    assert_eq!((turn.status, turn.response.as_str()), (SessionStatus::Failed, "half"));
    assert!(turn.details.failure.is_some());
    assert_eq!(world.sessions.record(&name()).await.unwrap().status, SessionStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_codex_refuses_changes_nothing_and_one_it_takes_forgets_all() {
    let mut world = World::new();
    let call = world.begin(Request::ask("first")).await;
    world.codex.answers(1, "one");
    call.await.unwrap().reply();
    let before = world.sessions.record(&name()).await.unwrap();
    world.codex.refuses("thread/start");
    let reset = || Request { reset: true, ..Request::ask("anew") };
    assert!(ending(world.send(reset()).await).await.outcome.is_err());
    let after = world.sessions.record(&name()).await.unwrap();
    assert_eq!((&after.thread_id, after.last_turn), (&before.thread_id, 1));
    world.codex.takes("thread/start");
    let call = world.begin(reset()).await;
    world.codex.answers(2, "two");
    let turn = call.await.unwrap().reply().turn;
    assert_eq!((turn.number, turn.details.continuity), (2, Some(Continuity::New)));
    let record = world.sessions.record(&name()).await.unwrap();
    assert_eq!((record.last_turn, record.turn_count()), (2, 1));
}
