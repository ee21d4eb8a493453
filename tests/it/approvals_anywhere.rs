//! Approvals are answered once, each answer reaches its own question, and from wherever the user is.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{Client, ToolResult, process, wait_for};

use crate::support::World;
#[cfg(target_os = "linux")]
use crate::support::on_a_terminal;

fn call(prompt: &str, wait: Option<u64>) -> Value {
    json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": "s", "waitSeconds": wait}})
}

async fn run<const N: usize>(world: &World, words: [&str; N]) -> (i32, String, String) {
    let mut command = world.launch().args(words).command();
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn approvals(world: &World) -> Vec<Value> {
    let (code, out, err) = run(world, ["approvals", "--json"]).await;
    assert_eq!(code, 0, "{err}");
    let listed: Value = serde_json::from_str(&out).unwrap();
    listed["approvals"].as_array().unwrap().clone()
}

/// Waits for the approval that is open.
async fn open_approval(world: &World) -> Value {
    for _ in 0..100 {
        if let Some(open) = approvals(world).await.pop() {
            return open;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing is asked")
}

fn made(world: &World, name: &str) -> bool {
    world.home.work().join(name).exists()
}

fn decide(decision: &str) -> Value {
    json!({"action": "accept", "content": {"decision": decision}})
}

async fn asked(server: &Client, number: usize) -> Value {
    let asked = || server.asked("elicitation/create").get(number - 1).cloned();
    wait_for("a question", asked).await
}

async fn kill_codex(server: &Client) {
    let codex = process::children(server.server_pid())[0];
    testkit::client::signal(codex, "KILL").await;
    wait_for("Codex to be gone", || process::is_gone(codex).then_some(())).await;
}

/// Codex counts its requests from zero in every process: after a restart of Codex the second question has
/// the number of the first.
#[tokio::test]
async fn a_late_yes_does_not_approve_another_turns_command() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    let (_, first) = server.begin("tools/call", call("escalate touch first", None)).await;
    let early = asked(&server, 1).await;
    kill_codex(&server).await;
    ToolResult::from_response("codex", &first.wait("codex").await).failed_with("codex_exited");
    let (_, second) = server.begin("tools/call", call("escalate touch second", None)).await;
    let late = asked(&server, 2).await;
    server.respond(&early, decide("accept")).await;
    server.respond(&late, decide("decline")).await;
    let second = ToolResult::from_response("codex", &second.wait("codex").await).ok();
    assert!(second["warnings"].to_string().contains("declined"), "{}", second.raw);
    assert!(!made(&world, "first") && !made(&world, "second"));
}

fn modern(name: &str, arguments: &Value, answer: Option<(&Value, &str)>) -> Value {
    let mut call = json!({"name": name, "arguments": arguments, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "testkit", "version": "1"},
    }});
    if let Some((asked, decision)) = answer {
        let key = asked["inputRequests"].as_object().unwrap().keys().next().unwrap();
        call["requestState"] = asked["requestState"].clone();
        call["inputResponses"] = json!({key: decide(decision)});
    }
    call
}

#[tokio::test]
async fn in_the_newer_era_a_late_yes_says_that_it_is_late() {
    let world = World::new().await;
    let server = world.launch().spawn();
    let first = json!({"prompt": "escalate touch first", "sessionId": "s"});
    let early = server.request("tools/call", modern("codex", &first, None)).await["result"].clone();
    assert_eq!(early["resultType"], "input_required", "{early}");
    kill_codex(&server).await;
    // One that is not asked anything, in case the turn has yet to end.
    let mut ended = modern("wait", &json!({"sessionId": "s"}), None);
    ended["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let ended = server.request("tools/call", ended).await;
    assert_eq!(ended["result"]["structuredContent"]["code"], "codex_exited", "{ended}");
    let second = json!({"prompt": "escalate touch second", "sessionId": "s"});
    let asked =
        server.request("tools/call", modern("codex", &second, None)).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    // The first question's number is the second's, its session too; its answer is for neither.
    let late = modern("codex", &first, Some((&early, "accept")));
    let late = server.request("tools/call", late).await;
    assert_eq!(late["result"]["structuredContent"]["code"], "question_expired", "{late}");
    assert!(!made(&world, "second"));
    let declined = modern("codex", &second, Some((&asked, "decline")));
    let declined = server.request("tools/call", declined).await["result"].clone();
    assert_eq!(declined["structuredContent"]["status"], "completed", "{declined}");
    assert!(!made(&world, "first") && !made(&world, "second"));
}

#[tokio::test]
async fn what_one_server_of_a_store_asks_another_can_be_answered() {
    let world = World::new().await;
    let launch = world.launch().alone();
    let (one, other) = (launch.spawn(), launch.spawn());
    let arguments = json!({"prompt": "escalate touch made", "sessionId": "s"});
    let asked =
        one.request("tools/call", modern("codex", &arguments, None)).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let answer = modern("codex", &arguments, Some((&asked, "accept")));
    let done = other.request("tools/call", answer.clone()).await["result"].clone();
    assert_eq!(done["structuredContent"]["status"], "completed", "{done}");
    assert!(made(&world, "made"));
    // It is good once, wherever it is brought.
    for server in [&one, &other] {
        let late = server.request("tools/call", answer.clone()).await;
        assert_eq!(late["result"]["structuredContent"]["code"], "question_expired", "{late}");
    }
}

#[tokio::test]
async fn the_terminal_lists_and_answers_what_codex_asks_elsewhere() {
    let world = World::new().await;
    assert!(approvals(&world).await.is_empty());
    let server = world.launch().connect_with_user().await;
    server.request("tools/call", call("escalate touch made", Some(0))).await;
    let open = open_approval(&world).await;
    assert_eq!((&open["sessionId"], &open["turn"]), (&json!("s"), &json!(1)));
    assert!(open["command"].as_str().unwrap().contains("touch made"), "{open}");
    assert!(open["deadline"].as_str().unwrap() > open["since"].as_str().unwrap(), "{open}");
    let id = open["id"].as_str().unwrap();
    let (_, table, _) = run(&world, ["approvals"]).await;
    assert!(table.contains(id) && table.contains("to run"), "{table}");

    let (code, _, err) = run(&world, ["approvals", "answer", id, "perhaps"]).await;
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = run(&world, ["approvals", "answer", "no-such-id", "accept"]).await;
    assert!(code == 1 && err.contains("question_expired"), "{err}");
    assert!(!made(&world, "made"));

    let (code, _, err) = run(&world, ["approvals", "answer", id, "accept"]).await;
    assert_eq!(code, 0, "{err}");
    server.call("wait", json!({"sessionId": "s"})).await.ok();
    assert!(made(&world, "made"));
    let (code, _, err) = run(&world, ["approvals", "answer", id, "decline"]).await;
    assert!(code == 1 && err.contains("question_expired"), "{err}");
    assert!(approvals(&world).await.is_empty());
}

#[tokio::test]
async fn another_server_asks_its_own_user() {
    let world = World::new().await;
    let (first, second) =
        (world.launch().connect_with_user().await, world.launch().connect_with_user().await);
    first.request("tools/call", call("escalate touch made", Some(0))).await;
    let wait = json!({"name": "wait", "arguments": {"sessionId": "s"}});
    let (_, waited) = second.begin("tools/call", wait).await;
    let asked = asked(&second, 1).await;
    assert!(asked["params"]["message"].as_str().unwrap().contains("touch made"), "{asked}");
    second.respond(&asked, decide("accept")).await;
    let result = ToolResult::from_response("wait", &waited.wait("wait").await).ok();
    assert_eq!(result["status"], "completed", "{}", result.raw);
    assert!(made(&world, "made"));
}

#[tokio::test]
async fn of_two_who_are_asked_the_first_answer_wins_and_the_other_is_taken_back() {
    let world = World::new().await;
    let (first, second) =
        (world.launch().connect_with_user().await, world.launch().connect_with_user().await);
    let (_, called) = first.begin("tools/call", call("escalate touch made", None)).await;
    let here = asked(&first, 1).await;
    let wait = json!({"name": "wait", "arguments": {"sessionId": "s"}});
    let (_, waited) = second.begin("tools/call", wait).await;
    let there = asked(&second, 1).await;
    second.respond(&there, decide("accept")).await;
    wait_for("the question to be taken back", || {
        let cancelled = first.notifications("notifications/cancelled");
        cancelled.iter().any(|told| told["params"]["requestId"] == here["id"]).then_some(())
    })
    .await;
    first.respond(&here, decide("cancel")).await;
    let result = ToolResult::from_response("codex", &called.wait("codex").await).ok();
    assert_eq!(result["status"], "completed", "{}", result.raw);
    ToolResult::from_response("wait", &waited.wait("wait").await).ok();
    assert!(made(&world, "made"));
}

#[tokio::test]
async fn none_stays_open_when_its_process_is_gone() {
    for victim in ["codex", "server"] {
        let world = World::new().await;
        let server = world.launch().connect_with_user().await;
        server.request("tools/call", call("escalate touch made", Some(0))).await;
        let open = open_approval(&world).await;
        if victim == "codex" {
            kill_codex(&server).await;
            server.call("wait", json!({"sessionId": "s"})).await.failed_with("codex_exited");
        } else {
            let serving = server.server_pid();
            testkit::client::signal(serving, "KILL").await;
            wait_for("its end", || process::is_gone(serving).then_some(())).await;
        }
        assert!(approvals(&world).await.is_empty(), "{victim}");
        let id = open["id"].as_str().unwrap();
        let (code, _, err) = run(&world, ["approvals", "answer", id, "accept"]).await;
        assert!(code == 1 && err.contains("question_expired"), "{victim}: {err}");
        assert!(!made(&world, "made"), "{victim}");
    }
}

#[tokio::test]
async fn a_client_without_a_user_can_start_what_the_terminal_approves() {
    let world = World::new().await;
    let server = world.server().await;
    let mut detached = call("escalate touch made", Some(0));
    detached["arguments"]["approvalPolicy"] = json!("on-request");
    server.request("tools/call", detached).await;
    let open = open_approval(&world).await;
    let id = open["id"].as_str().unwrap();
    assert_eq!(run(&world, ["approvals", "answer", id, "accept"]).await.0, 0);
    server.call("wait", json!({"sessionId": "s"})).await.ok();
    assert!(made(&world, "made"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn in_a_terminal_they_are_gone_through_one_by_one() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    server.request("tools/call", call("escalate touch made", Some(0))).await;
    open_approval(&world).await;
    let (shown, code) = on_a_terminal(&world, "approvals", &[("Decision", "1\n")]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("touch made") && shown.contains("accept"), "{shown}");
    server.call("wait", json!({"sessionId": "s"})).await.ok();
    assert!(made(&world, "made"));
}
