//! A connection against a scripted app-server, over a pipe in memory and under paused time.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{script::Script, *};
use crate::codex::{
    app_server::AppThread,
    approval::{Answer, Decision},
    projects::Project,
    settings::{ApprovalPolicy, Sandbox, ThreadOptions, ThreadSettings, TurnRequest},
    turn::{Turn, TurnEvent, TurnItem, TurnStatus},
};

fn pair() -> (Arc<Connection>, Script) {
    Script::new(&TaskTracker::new())
}

fn settings() -> ThreadSettings {
    ThreadSettings {
        cwd: "/w".into(),
        model: None,
        effort: None,
        sandbox: Sandbox::ReadOnly,
        approval_policy: ApprovalPolicy::OnRequest,
        ephemeral: false,
        options: ThreadOptions::default(),
    }
}

fn request() -> TurnRequest {
    TurnRequest {
        text: "hi".into(),
        images: vec![],
        output_schema: None,
        cwd: "/w".into(),
        model: None,
        effort: None,
        approval_policy: ApprovalPolicy::OnRequest,
    }
}

async fn thread(connection: &Arc<Connection>, server: &mut Script, id: &str) -> AppThread {
    let settings = settings();
    let opened = json!({"thread": {"id": id}});
    let project = Project::default();
    let (thread, ()) = tokio::join!(
        AppThread::start(Arc::clone(connection), &settings, &project),
        server.answers("thread/start", &opened)
    );
    thread.unwrap()
}

async fn turn(thread: &AppThread, server: &mut Script) -> Turn {
    let started = json!({"turn": {"id": "1"}});
    let request = request();
    let (turn, ()) =
        tokio::join!(thread.start_turn(&request), server.answers("turn/start", &started));
    turn.unwrap()
}

async fn asked(turn: &mut Turn) -> crate::codex::Approval {
    loop {
        match turn.next().await {
            Some(TurnEvent::ApprovalAsked(approval)) => return approval,
            Some(TurnEvent::Item(..)) => {}
            other => panic!("no approval: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_read_costs_the_others_nothing() {
    let (connection, mut server) = pair();
    let slow = thread(&connection, &mut server, "slow").await;
    let mut unread = turn(&slow, &mut server).await;
    let quick = thread(&connection, &mut server, "quick").await;
    let delta = json!({"threadId": "slow", "turnId": "1", "delta": "x"});
    for number in 0..50 {
        let mut others = turn(&quick, &mut server).await;
        for _ in 0..200 {
            let method = "item/agentMessage/delta";
            server.says(&json!({"method": method, "params": delta})).await;
        }
        server.asks(number, "slow").await;
        server.ends("quick", "1").await;
        let ended = timeout(Duration::from_secs(30), others.next()).await;
        assert!(matches!(ended, Ok(Some(TurnEvent::Ended(_)))), "{number}: {ended:?}");
    }
    // Nothing of it was declined meanwhile, and all of it is still there.
    let mut approvals = 0;
    let mut text = String::new();
    while approvals < 50 {
        match unread.next().await {
            Some(TurnEvent::ApprovalAsked(_)) => approvals += 1,
            Some(
                TurnEvent::Item(_, TurnItem::Message { text: piece }) | TurnEvent::Text(_, piece),
            ) => {
                text += &piece;
            }
            Some(_) => {}
            None => panic!("ended"),
        }
    }
    assert_eq!(text.len(), 50 * 200);
}

#[tokio::test(start_paused = true)]
async fn garbage_and_unknown_requests_are_survived() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let mut turn = turn(&thread, &mut server).await;
    for line in ["", "garbage", "[1]", r#"{"id":99,"result":1}"#, r#"{"method":"new/thing"}"#] {
        server.line(line).await;
    }
    server.says(&json!({"id": 7, "method": "new/request", "params": {}})).await;
    assert_eq!(server.answer_to(7).await["error"]["code"], -32601);
    server.ends("t", "1").await;
    assert!(matches!(turn.next().await, Some(TurnEvent::Ended(_))));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_ends_turns_and_requests() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let mut turn = turn(&thread, &mut server).await;
    let (answer, ()) = tokio::join!(connection.call::<Value>("x", json!({})), async move {
        server.hears("x").await;
        drop(server);
    });
    assert!(matches!(answer, Err(CodexError::Exited(_))), "{answer:?}");
    let Some(TurnEvent::Ended(outcome)) = turn.next().await else { panic!("not ended") };
    assert!(matches!(outcome.status, TurnStatus::Failed(_)));
    assert!(connection.is_ending());
    let again = connection.call::<Value>("x", json!({})).await;
    assert!(matches!(again, Err(CodexError::NotReached(_))), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn approvals_are_told_apart_although_codex_counts_from_zero() {
    let (first, mut one) = pair();
    let (second, mut two) = pair();
    let threads = (thread(&first, &mut one, "t").await, thread(&second, &mut two, "t").await);
    let mut turns = (turn(&threads.0, &mut one).await, turn(&threads.1, &mut two).await);
    one.asks(0, "t").await;
    two.asks(0, "t").await;
    let (old, new) = (asked(&mut turns.0).await, asked(&mut turns.1).await);
    assert_ne!(old.id, new.id);
    assert_ne!(old.connection, new.connection);
    let yes = Answer::plain(Decision::Accept);
    assert!(!turns.1.answer(&old.id, &yes), "an answer reached another process");
    assert!(turns.1.answer(&new.id, &yes));
    assert_eq!(two.answer_to(0).await["result"]["decision"], "accept");
    assert!(!turns.1.answer(&new.id, &yes), "answered twice");
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_codex_takes_back_is_settled() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let mut turn = turn(&thread, &mut server).await;
    server.asks(3, "t").await;
    let approval = asked(&mut turn).await;
    let resolved = json!({"threadId": "t", "requestId": 3});
    server.says(&json!({"method": "serverRequest/resolved", "params": resolved})).await;
    assert_eq!(turn.next().await, Some(TurnEvent::ApprovalSettled(approval.id.clone())));
    assert!(!turn.answer(&approval.id, &Answer::plain(Decision::Accept)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_end_of_the_connection_changes_nothing() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let mut turn = turn(&thread, &mut server).await;
    server.asks(0, "t").await;
    let approval = asked(&mut turn).await;
    drop(server);
    connection.ended().await;
    assert!(!turn.answer(&approval.id, &Answer::plain(Decision::Accept)));
}

#[tokio::test(start_paused = true)]
async fn a_sub_agents_approval_reaches_the_turn_it_works_for() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let mut turn = turn(&thread, &mut server).await;
    let spawned = json!({"threadId": "t", "turnId": "1", "item": {"type": "collabAgentToolCall",
        "id": "i", "tool": "spawnAgent", "receiverThreadIds": ["child"]}});
    server.says(&json!({"method": "item/completed", "params": spawned})).await;
    server.asks(0, "child").await;
    let child = json!({"thread": {"id": "child", "agentNickname": "Euclid"}});
    server.answers("thread/read", &child).await;
    let approval = asked(&mut turn).await;
    assert_eq!(approval.agent.as_deref(), Some("Euclid"));
    turn.answer(&approval.id, &Answer::plain(Decision::Accept));
    assert_eq!(server.answer_to(0).await["result"]["decision"], "accept");

    // One that nothing was reported of is traced by its own record, step by step.
    server.asks(1, "grandchild").await;
    let head = |id: &str, parent: &str| json!({"thread": {"id": id, "parentThreadId": parent}});
    server.answers("thread/read", &head("grandchild", "hidden")).await;
    server.answers("thread/read", &head("hidden", "t")).await;
    let approval = asked(&mut turn).await;
    assert_eq!(approval.agent.as_deref(), Some(super::dispatch::UNNAMED));
    let resolved = json!({"threadId": "grandchild", "requestId": 1});
    server.says(&json!({"method": "serverRequest/resolved", "params": resolved})).await;
    assert_eq!(turn.next().await, Some(TurnEvent::ApprovalSettled(approval.id)));
}

#[tokio::test(start_paused = true)]
async fn an_approval_of_no_turn_is_declined_and_said() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let mut turn = turn(&thread, &mut server).await;
    server.asks(0, "stranger").await;
    server.answers("thread/read", &json!({"thread": {"id": "stranger"}})).await;
    assert_eq!(server.answer_to(0).await["result"]["decision"], "decline");
    let Some(TurnEvent::Item(_, TurnItem::Warning { message: warning })) = turn.next().await else {
        panic!("not said")
    };
    assert!(warning.contains("rm 0") && warning.contains("declined"), "{warning}");
}

#[tokio::test(start_paused = true)]
async fn a_thread_on_which_a_turn_may_still_run_is_never_used_again() {
    let (connection, mut server) = pair();
    // A turn that Codex does not end in time.
    let thread = thread(&connection, &mut server, "t").await;
    assert!(thread.can_run(&settings()));
    let mut turn = turn(&thread, &mut server).await;
    let ended = turn.interrupt(drop).await;
    assert_eq!((ended.confirmed, ended.outcome.status), (false, TurnStatus::Interrupted));
    assert!(!thread.can_run(&settings()));
    // It is archived, which would end the turn; as Codex does not confirm that, it is not resumed either.
    thread.release().await;
    let settings = settings();
    let id = ThreadId("t".into());
    let resumed =
        AppThread::resume(Arc::clone(&connection), &id, &settings, &Project::default()).await;
    assert!(matches!(resumed, Err(CodexError::ThreadUnavailable { .. })), "{resumed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_may_have_begun_unseen_makes_its_thread_unusable() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let started = thread.start_turn(&request()).await;
    assert!(matches!(started, Err(CodexError::Timeout { .. })), "{:?}", started.err());
    assert!(!thread.can_run(&settings()));
    // Once Codex confirms that it is unloaded, it can be resumed.
    let ((), ()) = tokio::join!(thread.discard(), async {
        server.answers("thread/archive", &json!({})).await;
        server.answers("thread/unarchive", &json!({})).await;
    });
    assert!(!connection.is_haunted(&ThreadId("t".into())));
}

#[tokio::test(start_paused = true)]
async fn models_are_asked_for_once() {
    let (connection, mut server) = pair();
    let efforts = json!([{"reasoningEffort": "low"}, {"reasoningEffort": "max"}]);
    let listed = json!({"data": [{"model": "m", "supportedReasoningEfforts": efforts}]});
    let (models, ()) = tokio::join!(connection.models(), server.answers("model/list", &listed));
    assert_eq!(models.unwrap()[0].efforts, ["low", "max"]);
    // Nothing answers any more.
    assert_eq!(connection.models().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_runs_only_on_a_thread_that_can_be_set_for_it() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    assert!(thread.can_run(&settings()));
    let elsewhere = ThreadSettings { cwd: "/x".into(), ..settings() };
    let stronger = ThreadSettings { effort: Some("high".into()), ..settings() };
    let wider = ThreadSettings { sandbox: Sandbox::WorkspaceWrite, ..settings() };
    for (wanted, can_run) in [(elsewhere, true), (stronger, true), (wider, false)] {
        assert_eq!(thread.can_run(&wanted), can_run, "{wanted:?}");
    }
    let moved = TurnRequest { cwd: "/x".into(), effort: Some("high".into()), ..request() };
    let started = json!({"turn": {"id": "1"}});
    let (turn, ()) =
        tokio::join!(thread.start_turn(&moved), server.answers("turn/start", &started));
    let mut turn = turn.unwrap();
    let effective = turn.effective().clone();
    assert_eq!(effective.working_directory, std::path::Path::new("/x"));
    assert_eq!(effective.reasoning_effort.as_deref(), Some("high"));
    server.ends("t", "1").await;
    assert!(matches!(turn.next().await, Some(TurnEvent::Ended(_))));
    let same = ThreadSettings { cwd: "/x".into(), effort: Some("high".into()), ..settings() };
    assert!(thread.can_run(&same));
    // A turn cannot go back to the effort that Codex chooses by itself.
    assert!(!thread.can_run(&settings()));
}

#[tokio::test(start_paused = true)]
async fn usage_that_is_told_again_is_counted_once_also_in_the_next_turn() {
    let (connection, mut server) = pair();
    let thread = thread(&connection, &mut server, "t").await;
    let usage = |total: u64| {
        let counts = json!({"total": {"totalTokens": total}, "last": {"totalTokens": 120}});
        json!({"method": "thread/tokenUsage/updated", "params": {"threadId": "t", "turnId": "1", "tokenUsage": counts}})
    };
    for (told, expected) in [(vec![120, 120, 240, 240], Some(240)), (vec![240], None)] {
        let mut turn = turn(&thread, &mut server).await;
        for total in told {
            server.says(&usage(total)).await;
        }
        server.ends("t", "1").await;
        let outcome = loop {
            if let Some(TurnEvent::Ended(outcome)) = turn.next().await {
                break outcome;
            }
        };
        assert_eq!(outcome.usage.map(|usage| usage.total_tokens), expected);
    }
}
