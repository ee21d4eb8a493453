//! Approvals of a running turn: answered from anywhere, declined in time.

use super::*;
use crate::session::{
    Answer, Decision, Span,
    record::{AnswerRecord, ApprovalState},
    store::Coordination,
};

fn asking() -> Request {
    Request { can_ask: true, ..Request::ask("x") }
}

fn accept() -> AnswerRecord {
    AnswerRecord { answer: Answer::plain(Decision::Accept), by: "other".to_owned(), remark: None }
}

#[tokio::test(start_paused = true)]
async fn an_answer_given_on_another_server_reaches_codex_and_only_the_first_does() {
    let mut world = World::new();
    let call = world.begin(asking()).await;
    world.codex.asks(0, 1);
    tokio::time::sleep(SECOND).await;
    let open = world.other.open_approvals(None).await.unwrap();
    let [approval] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!((approval.turn, approval.state), (1, ApprovalState::Open));
    let id = &approval.approval.id;
    assert_eq!(world.other.answer_approval(id, &accept()).await.unwrap(), Some(name()));
    assert_eq!(world.codex.decision(0).await, "accept");
    let late = world.sessions.answer(id, accept()).await.unwrap_err();
    assert!(matches!(late, SessionError::ApprovalExpired { .. }), "{late:?}");
    world.codex.answers(1, "done");
    let turn = call.await.unwrap().reply().turn;
    assert_eq!(turn.details.warnings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_is_declined_in_time_and_the_turn_says_so() {
    let mut world = World::with(|config| {
        config.turn.question = Span(120 * SECOND);
        config.turn.silence = Span(10 * SECOND);
    });
    let call = world.begin(asking()).await;
    world.codex.asks(0, 1);
    // Codex is silent for as long as it waits for an answer.
    tokio::time::sleep(119 * SECOND).await;
    assert_eq!(world.other.open_approvals(None).await.unwrap().len(), 1);
    assert_eq!(world.codex.decision(0).await, "decline");
    world.codex.answers(1, "done");
    let turn = call.await.unwrap().reply().turn;
    let [remark] = turn.details.warnings.as_slice() else { panic!("{:?}", turn.details) };
    assert!(remark.contains("rm x") && remark.contains("within 120 s"), "{remark}");
    assert_eq!(world.other.open_approvals(None).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_be_asked_it_is_declined_at_once_and_a_detached_turn_waits() {
    let mut world = World::new();
    let call = world.send(Request::ask("x")).await;
    world.codex.hears("turn/start").await;
    world.codex.asks(0, 1);
    assert_eq!(world.codex.decision(0).await, "decline");
    call.detach().await.unwrap();
    world.codex.asks(1, 1);
    tokio::time::sleep(SECOND).await;
    let open = world.other.open_approvals(None).await.unwrap();
    assert_eq!(open.len(), 1);
    world.sessions.answer(&open[0].approval.id, accept()).await.unwrap();
    assert_eq!(world.codex.decision(1).await, "accept");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_turn_leaves_no_approval_open() {
    let mut world = World::new();
    let call = world.begin(asking()).await;
    world.codex.asks(0, 1);
    tokio::time::sleep(SECOND).await;
    let id = world.other.open_approvals(None).await.unwrap().remove(0).approval.id;
    world.codex.answers(1, "went on without");
    call.await.unwrap().reply();
    assert_eq!(world.other.open_approvals(None).await.unwrap(), []);
    let late = world.sessions.answer(&id, accept()).await.unwrap_err();
    assert!(matches!(late, SessionError::ApprovalExpired { .. }), "{late:?}");
}
