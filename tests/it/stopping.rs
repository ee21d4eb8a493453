//! Turns that are stopped: by their caller, by somebody else, by the clock. Nothing keeps working for
//! nobody, and what there was is kept.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Client, ToolResult, process, wait_for};

use crate::support::World;

/// Begins a call and waits until the model has answered in part.
async fn begin(server: &Client, world: &World, arguments: Value) -> (u64, testkit::client::Answer) {
    let streams = world.model.open_streams();
    // A token of its own: what an earlier call was told does not count.
    let token = format!("begun {}", arguments["sessionId"]);
    let begun = server.call_with_progress("codex", arguments, &token).await;
    wait_for("the answer to begin", || {
        let told = server.progress(&token);
        let writing = told.iter().any(|(_, message)| message.contains("writing the answer"));
        (writing && world.model.open_streams() > streams).then_some(())
    })
    .await;
    begun
}

fn sleepers(mark: &str) -> Vec<u32> {
    let all = process::mentioning(mark);
    all.into_iter().filter(|pid| process::command_line(*pid).contains("sleep 987")).collect()
}

async fn is_running(mark: &str) {
    wait_for("the command to run", || (!sleepers(mark).is_empty()).then_some(())).await;
}

async fn is_gone(mark: &str) {
    wait_for("the command to be gone", || sleepers(mark).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_cancelled_call_gets_no_answer_and_its_partial_answer_is_kept() {
    let world = World::new().await;
    let server = world.server().await;
    let slow = json!({"prompt": "slow 60 partial and more", "sessionId": "s"});
    let (id, call) = begin(&server, &world, slow).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_for("the model to be left alone", || (world.model.open_streams() == 0).then_some(()))
        .await;
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["turn"]), (&json!("hi"), &json!(2)));
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "interrupted");
    assert_eq!(kept["turns"][0]["response"], "partial ");
    // The protocol wants no answer to what was taken back.
    assert!(call.within(std::time::Duration::from_millis(100)).await.is_none());
}

/// For some moments Codex has acknowledged a turn and refuses to interrupt it.
#[tokio::test]
async fn a_turn_that_is_taken_back_the_moment_it_begins_does_not_go_on() {
    let world = World::new().await;
    let server = world.server().await;
    for round in 0..5 {
        let (token, slow) =
            (format!("t{round}"), json!({"prompt": "slow 60 never", "sessionId": "s"}));
        let (id, _answer) = server.call_with_progress("codex", slow, &token).await;
        wait_for("the turn to begin", || (!server.progress(&token).is_empty()).then_some(())).await;
        server.notify("notifications/cancelled", json!({"requestId": id})).await;
        let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
        assert_eq!((&next["response"], &next["turn"]), (&json!("hi"), &json!(2 * round + 2)));
        assert_eq!(world.model.open_streams(), 0, "round {round}");
    }
}

#[tokio::test]
async fn a_command_does_not_outlive_its_cancelled_turn() {
    for sandbox in ["read-only", "danger-full-access"] {
        let world = World::new().await;
        let args = ["--set", "limits.sandbox_ceiling=danger-full-access"];
        let server = world.launch().args(args).connect().await;
        let mark = world.home.path().to_string_lossy().into_owned();
        let run = json!({"prompt": "run sleep 987", "sessionId": "s", "sandbox": sandbox});
        let call = json!({"name": "codex", "arguments": run});
        let (id, _call) = server.begin("tools/call", call).await;
        is_running(&mark).await;
        server.notify("notifications/cancelled", json!({"requestId": id})).await;
        is_gone(&mark).await;
        let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
        assert_eq!(next["response"], "hi", "{sandbox}");
    }
}

#[tokio::test]
async fn a_command_does_not_outlive_a_killed_codex() {
    let world = World::new().await;
    let args = ["--set", "limits.sandbox_ceiling=danger-full-access"];
    let server = world.launch().args(args).connect().await;
    let mark = world.home.path().to_string_lossy().into_owned();
    let run = json!({"prompt": "run sleep 987", "sessionId": "s", "sandbox": "danger-full-access"});
    let (_, call) = server.begin("tools/call", json!({"name": "codex", "arguments": run})).await;
    is_running(&mark).await;
    let codex = process::children(server.server_pid());
    testkit::client::signal(codex[0], "KILL").await;
    let failed = ToolResult::from_response("codex", &call.wait("codex").await);
    failed.failed_with("codex_exited");
    is_gone(&mark).await;
}

#[tokio::test]
async fn a_turn_is_interrupted_from_another_call_and_from_another_server() {
    let world = World::new().await;
    let (first, second) = (world.server().await, world.server().await);
    for (number, other) in [&first, &second].into_iter().enumerate() {
        let session = format!("s{number}");
        let slow = json!({"prompt": "slow 60 partial and more", "sessionId": session});
        let (_, call) = begin(&first, &world, slow).await;
        let stopped = other.call("interrupt", json!({"sessionId": session})).await.ok();
        assert_eq!(stopped["interrupted"], true, "{}", stopped.raw);
        assert_eq!((&stopped["turn"], &stopped["response"]), (&json!(1), &json!("partial ")));
        let call = ToolResult::from_response("codex", &call.wait("codex").await);
        let call = call.failed_with("interrupted");
        assert_eq!(call["response"], "partial ");
        let again = other.call("interrupt", json!({"sessionId": session})).await.ok();
        assert_eq!(again["interrupted"], false);
        let next =
            other.call("codex", json!({"prompt": "history", "sessionId": session})).await.ok();
        assert_eq!((&next["continuity"], &next["turn"]), (&json!("resumed"), &json!(2)));
    }
    first.call("interrupt", json!({"sessionId": "nobody"})).await.failed_with("unknown_session");
}

#[tokio::test]
async fn a_turn_that_takes_too_long_is_interrupted() {
    let world = World::new().await;
    let server = world.server().await;
    let slow = json!({"prompt": "slow 60 partial and more", "sessionId": "s", "timeoutSeconds": 1});
    let late = server.call("codex", slow).await.failed_with("turn_timeout");
    assert_eq!((&late["status"], &late["response"]), (&json!("interrupted"), &json!("partial ")));
    assert_eq!(world.model.open_streams(), 0);
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "hi");
    for odd in [json!(0), json!(-1), json!(90_000), json!("soon")] {
        let call = json!({"prompt": "say x", "timeoutSeconds": odd});
        let refused = server.call("codex", call).await.failed_with("invalid_argument");
        assert!(refused.text.contains("timeoutSeconds"), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_codex_that_says_nothing_for_too_long_is_interrupted() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "turn.silence=1s"]).connect().await;
    // A command that runs is a sign of life, however long it says nothing.
    let busy = server.call("codex", json!({"prompt": "run sleep 3", "sessionId": "s"})).await;
    busy.ok();
    let silent = server.call("codex", json!({"prompt": "slow 60 never", "sessionId": "s"})).await;
    silent.failed_with("turn_silent");
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "hi");
}

#[tokio::test]
async fn a_provider_that_is_gone_is_silence_too() {
    // 0.151 on waits for ever for a network that refuses the connection.
    let world = World::new().await;
    let nobody = testkit::Home::new("http://127.0.0.1:9/v1");
    let codex = testkit::codex_cli::fetch(testkit::CODEX_VERSION).unwrap();
    let launch =
        testkit::Launch::new(Path::new(env!("CARGO_BIN_EXE_codex-mcp-server")), &nobody, &codex);
    let server = launch.args(["--set", "turn.silence=2s"]).connect().await;
    let silent = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await;
    let silent = silent.failed_with("turn_silent");
    assert!(silent.text.contains("network"), "{}", silent.text);
    drop(world);
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let world = World::new().await;
    let server = world.launch().alone().connect().await;
    let mark = world.home.path().to_string_lossy().into_owned();
    let run = json!({"name": "codex", "arguments": {"prompt": "run sleep 987", "sessionId": "s"}});
    let (_, _call) = server.begin("tools/call", run).await;
    is_running(&mark).await;
    // A Codex that does not listen: only the second signal gets us past it.
    let codex = process::children(server.server_pid());
    testkit::client::signal(codex[0], "STOP").await;
    server.signal("TERM").await;
    wait_for("the server to be ending", || {
        server.stderr().contains("interrupting a turn").then_some(())
    })
    .await;
    server.signal("TERM").await;
    let status = server.exited().await;
    assert!(!status.success(), "{status}");
    process::all_gone(&mark, "after the second signal").await;
}
