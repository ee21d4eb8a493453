//! What Codex asks the user, in both eras of MCP.

use serde_json::{Value, json};
use testkit::{Client, ToolResult, process, wait_for};

use crate::support::World;

const ESCALATE: &str = "escalate touch asked-for";

fn call(prompt: &str) -> Value {
    json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": "s"}})
}

/// Waits for the question of this number, from 1.
async fn question(server: &Client, number: usize) -> Value {
    let asked = || server.asked("elicitation/create").get(number - 1).cloned();
    wait_for("a question", asked).await
}

fn decide(decision: &str) -> Value {
    json!({"action": "accept", "content": {"decision": decision}})
}

fn file_is_there(world: &World) -> bool {
    world.home.work().join("asked-for").exists()
}

/// A person takes a moment.
async fn think() {
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
}

#[tokio::test]
async fn a_person_is_asked_and_their_decision_is_done() {
    for (decision, done) in [("accept", true), ("acceptForSession", true), ("decline", false)] {
        let world = World::new().await;
        let server = world.launch().connect_with_user().await;
        let (_, answer) = server.begin("tools/call", call(ESCALATE)).await;
        let asked = question(&server, 1).await;
        let message = asked["params"]["message"].as_str().unwrap();
        assert!(message.contains("touch asked-for"), "{message}");
        assert!(message.contains("the script asks for it"), "{message}");
        let choices = asked["params"]["requestedSchema"]["properties"]["decision"]["enum"].clone();
        let choices: Vec<_> =
            choices.as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        assert!(choices.contains(&"accept") && choices.contains(&decision), "{choices:?}");
        think().await;
        server.respond(&asked, decide(decision)).await;
        let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
        assert_eq!(file_is_there(&world), done, "{decision}: {}", result.raw);
        assert_eq!(result["approvalPolicy"], "on-request");
        let said_no = result["warnings"].to_string().contains("it was declined.");
        assert_eq!(said_no, !done, "{}", result.raw);
    }
}

#[tokio::test]
async fn accepted_for_the_session_is_not_asked_again() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    let (_, answer) = server.begin("tools/call", call(ESCALATE)).await;
    let asked = question(&server, 1).await;
    server.respond(&asked, decide("acceptForSession")).await;
    ToolResult::from_response("codex", &answer.wait("codex").await).ok();
    assert!(file_is_there(&world));
    std::fs::remove_file(world.home.work().join("asked-for")).unwrap();
    let again = server.call("codex", json!({"prompt": ESCALATE, "sessionId": "s"})).await.ok();
    assert!(file_is_there(&world), "{}", again.raw);
    assert_eq!(server.asked("elicitation/create").len(), 1);
}

#[tokio::test]
async fn a_person_can_stop_the_turn() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    let (_, answer) = server.begin("tools/call", call(ESCALATE)).await;
    let asked = question(&server, 1).await;
    server.respond(&asked, decide("cancel")).await;
    let stopped = ToolResult::from_response("codex", &answer.wait("codex").await);
    let stopped = stopped.failed_with("interrupted");
    assert!(stopped.text.contains("answer to what Codex asked"), "{}", stopped.text);
    assert!(!file_is_there(&world));
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "hi");
}

#[tokio::test]
async fn a_client_that_declines_by_itself_is_told_what_to_do() {
    for answer in [json!({"action": "cancel"}), json!({"action": "decline"}), json!({"odd": 1})] {
        let world = World::new().await;
        let server = world.launch().connect_with_user().await;
        let (_, called) = server.begin("tools/call", call(ESCALATE)).await;
        let asked = question(&server, 1).await;
        server.respond(&asked, answer).await;
        let result = ToolResult::from_response("codex", &called.wait("codex").await).ok();
        let warnings = result["warnings"].to_string();
        assert!(warnings.contains("touch asked-for"), "{warnings}");
        assert!(!file_is_there(&world));
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_declines_and_says_how_to_allow_it() {
    let world = World::new().await;
    let server = world.server().await;
    // Nothing is asked by default; with this policy it is, and somebody must say no.
    for (policy, warned) in [("never", false), ("on-request", true)] {
        let arguments = json!({"prompt": ESCALATE, "approvalPolicy": policy});
        let result = server.call("codex", arguments).await.ok();
        let warnings = result["warnings"].to_string();
        assert_eq!(warnings.contains("Use a wider `sandbox`"), warned, "{warnings}");
        assert!(!file_is_there(&world));
    }
}

#[tokio::test]
async fn a_question_nobody_answers_is_declined_in_the_end() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "turn.question=1s"]).connect_with_user().await;
    let (_, answer) = server.begin("tools/call", call(ESCALATE)).await;
    let asked = question(&server, 1).await;
    let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
    assert!(
        result["warnings"].to_string().contains("nobody answered within 1 s"),
        "{}",
        result.raw
    );
    let withdrawn = server.notifications("notifications/cancelled");
    assert_eq!(withdrawn[0]["params"]["requestId"], asked["id"]);
    // A late answer changes nothing.
    server.respond(&asked, decide("accept")).await;
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "hi");
    assert!(!file_is_there(&world));
}

#[tokio::test]
async fn changes_to_files_are_asked_for_too() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    let arguments =
        json!({"prompt": "patch asked-for", "approvalPolicy": "untrusted", "sessionId": "s"});
    let patch = json!({"name": "codex", "arguments": arguments});
    let (_, answer) = server.begin("tools/call", patch).await;
    let asked = question(&server, 1).await;
    let message = asked["params"]["message"].as_str().unwrap();
    assert!(message.contains("change files") && message.contains("asked-for"), "{message}");
    server.respond(&asked, decide("accept")).await;
    let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
    assert!(file_is_there(&world), "{}", result.raw);
}

#[tokio::test]
async fn a_handed_back_question_waits_for_whoever_waits() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    let arguments = json!({"prompt": ESCALATE, "sessionId": "s", "waitSeconds": 0});
    server.call("codex", arguments).await.ok();
    wait_for("the model to have asked", || (!world.model.requests().is_empty()).then_some(()))
        .await;
    let wait = json!({"name": "wait", "arguments": {"sessionId": "s"}});
    let (_, answer) = server.begin("tools/call", wait).await;
    let asked = wait_for("the question", || server.asked("elicitation/create").pop()).await;
    server.respond(&asked, decide("accept")).await;
    let result = ToolResult::from_response("wait", &answer.wait("wait").await).ok();
    assert!(file_is_there(&world), "{}", result.raw);
}

#[tokio::test]
async fn a_question_is_withdrawn_when_its_turn_is_stopped_and_nothing_hangs() {
    for end in ["cancelled", "interrupt", "codex killed"] {
        let world = World::new().await;
        let server = world.launch().connect_with_user().await;
        let (id, answer) = server.begin("tools/call", call(ESCALATE)).await;
        question(&server, 1).await;
        match end {
            "cancelled" => {
                server.notify("notifications/cancelled", json!({"requestId": id})).await;
            }
            "interrupt" => {
                server.call("interrupt", json!({"sessionId": "s"})).await.ok();
                let result = ToolResult::from_response("codex", &answer.wait("codex").await);
                result.failed_with("interrupted");
            }
            _ => {
                testkit::client::signal(process::children(server.server_pid())[0], "KILL").await;
                let result = ToolResult::from_response("codex", &answer.wait("codex").await);
                result.failed_with("codex_exited");
            }
        }
        let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
        assert_eq!((&next["response"], &next["turn"]), (&json!("hi"), &json!(2)), "{end}");
        assert!(!file_is_there(&world), "{end}");
    }
}

#[tokio::test]
async fn what_the_model_asks_the_user_is_asked() {
    let world = World::new().await;
    world.home.add_codex_config("[features]\ndefault_mode_request_user_input = true\n");
    let server = world.launch().connect_with_user().await;
    let questions = json!({"questions": [{"id": "colour", "header": "Colour", "question": "Which one?",
        "options": [{"label": "red", "description": "r"}, {"label": "blue", "description": "b"}]}]});
    let (_, answer) =
        server.begin("tools/call", call(&format!("call request_user_input {questions}"))).await;
    let asked = question(&server, 1).await;
    let field = &asked["params"]["requestedSchema"]["properties"]["colour"];
    assert_eq!(field["title"], "Which one?", "{asked}");
    server.respond(&asked, json!({"action": "accept", "content": {"colour": "blue"}})).await;
    let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
    assert!(result["response"].as_str().unwrap().contains("blue"), "{}", result.raw);
}

#[tokio::test]
async fn more_permissions_are_asked_for() {
    for (decision, granted) in [("accept", true), ("decline", false)] {
        let world = World::new().await;
        world.home.add_codex_config("[features]\nrequest_permissions_tool = true\n");
        let server = world.launch().connect_with_user().await;
        let wanted =
            json!({"permissions": {"file_system": {"write": ["/opt/else"]}}, "reason": "to build"});
        let (_, answer) =
            server.begin("tools/call", call(&format!("call request_permissions {wanted}"))).await;
        let asked = question(&server, 1).await;
        let message = asked["params"]["message"].as_str().unwrap();
        assert!(message.contains("write") && message.contains("/opt/else"), "{message}");
        assert!(message.contains("to build"), "{message}");
        server.respond(&asked, decide(decision)).await;
        let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
        let told = result["response"].as_str().unwrap();
        assert_eq!(told.contains("/opt/else"), granted, "{decision}: {told}");
    }
}

#[tokio::test]
async fn what_an_mcp_server_of_codex_asks_is_asked() {
    let world = World::new().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/asker.mjs");
    world.home.add_codex_config(&format!(
        "[mcp_servers.asker]\ncommand = \"node\"\nargs = [\"{script}\"]\n"
    ));
    let server = world.launch().connect_with_user().await;
    let (_, answer) = server.begin("tools/call", call("call mcp__asker.ask {}")).await;
    let asked = question(&server, 1).await;
    assert!(asked["params"]["message"].as_str().unwrap().contains("Who are you?"), "{asked}");
    assert_eq!(asked["params"]["requestedSchema"]["required"], json!(["name"]));
    server.respond(&asked, json!({"action": "accept", "content": {"name": "Ada"}})).await;
    let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
    assert!(result["response"].as_str().unwrap().contains("Ada"), "{}", result.raw);

    // This client shows no links.
    let result =
        server.call("codex", json!({"prompt": "call mcp__asker.ask {\"link\":true}"})).await.ok();
    assert!(!result["response"].as_str().unwrap().contains("accept"), "{}", result.raw);
    assert_eq!(server.asked("elicitation/create").len(), 1);
}

#[tokio::test]
async fn a_link_is_shown_by_a_client_that_shows_links() {
    let world = World::new().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/asker.mjs");
    world.home.add_codex_config(&format!(
        "[mcp_servers.asker]\ncommand = \"node\"\nargs = [\"{script}\"]\n"
    ));
    let server = world.launch().spawn();
    let can = json!({"elicitation": {"form": {}, "url": {}}});
    server.initialize_with("2025-11-25", can).await;
    let (_, answer) = server.begin("tools/call", call("call mcp__asker.ask {\"link\":true}")).await;
    let asked = question(&server, 1).await;
    assert_eq!(
        (&asked["params"]["mode"], &asked["params"]["url"]),
        (&json!("url"), &json!("https://example.com/x"))
    );
    server.respond(&asked, json!({"action": "accept"})).await;
    let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
    assert!(result["response"].as_str().unwrap().contains("accept"), "{}", result.raw);
}

/// A call of the era in which a server asks by its result.
fn modern(arguments: &Value, answer: Option<(&Value, Value)>) -> Value {
    let mut call = json!({"name": "codex", "arguments": arguments, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "testkit", "version": "1"},
    }});
    if let Some((asked, answer)) = answer {
        let key = asked["inputRequests"].as_object().unwrap().keys().next().unwrap();
        call["requestState"] = asked["requestState"].clone();
        call["inputResponses"] = json!({key: answer});
    }
    call
}

#[tokio::test]
async fn in_the_newer_era_the_call_comes_back_with_the_answer() {
    let world = World::new().await;
    let server = world.launch().spawn();
    let arguments = json!({"prompt": ESCALATE, "sessionId": "s"});
    let asked = server.request("tools/call", modern(&arguments, None)).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let request = asked["inputRequests"].as_object().unwrap().values().next().unwrap();
    assert_eq!(request["method"], "elicitation/create");
    assert!(request["params"]["message"].as_str().unwrap().contains("touch asked-for"));
    let listed = server.request("tools/call", modern(&json!({}), None)).await;
    assert_eq!(listed["result"]["structuredContent"]["code"], "invalid_argument");

    // Not for another call, not with another state.
    let other = json!({"prompt": "say other", "sessionId": "s"});
    let forged = json!({"requestState": "forged", "inputRequests": asked["inputRequests"]});
    for (arguments, state) in [(&other, &asked), (&arguments, &forged)] {
        let call = modern(arguments, Some((state, decide("accept"))));
        let refused = server.request("tools/call", call).await;
        assert_eq!(refused["result"]["structuredContent"]["code"], "question_expired", "{refused}");
    }
    assert!(!file_is_there(&world));

    think().await;
    let call = modern(&arguments, Some((&asked, decide("accept"))));
    let result = server.request("tools/call", call.clone()).await["result"].clone();
    assert_eq!(result["structuredContent"]["status"], "completed", "{result}");
    assert!(file_is_there(&world));
    // The same answer twice changes nothing, and says so.
    let again = server.request("tools/call", call).await;
    assert_eq!(again["result"]["structuredContent"]["code"], "question_expired", "{again}");
    let turns =
        server.request("tools/call", modern(&json!({"prompt": "history", "sessionId": "s"}), None));
    assert_eq!(turns.await["result"]["structuredContent"]["response"], ESCALATE);
}

#[tokio::test]
async fn a_wait_that_was_asked_and_is_cancelled_leaves_the_turn_alone() {
    let world = World::new().await;
    let server = world.launch().spawn();
    let prompt = "escalate sleep 1; touch asked-for";
    let begin = modern(&json!({"prompt": prompt, "sessionId": "s", "waitSeconds": 0}), None);
    server.request("tools/call", begin).await;
    let waiting = |answer| {
        let mut call = modern(&json!({"sessionId": "s"}), answer);
        call["name"] = json!("wait");
        call
    };
    let asked = server.request("tools/call", waiting(None)).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    think().await;
    let (id, _answer) = server.begin("tools/call", waiting(Some((&asked, decide("accept"))))).await;
    wait_for("the command to run", || {
        let mut running = process::descendants(server.server_pid()).into_iter();
        running.any(|pid| process::command_line(pid).contains("sleep 1")).then_some(())
    })
    .await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_for("the turn to go on", || file_is_there(&world).then_some(())).await;
    let done = server.request("tools/call", waiting(None)).await;
    assert_eq!(done["result"]["structuredContent"]["status"], "completed", "{done}");
}

#[tokio::test]
async fn in_the_newer_era_a_question_nobody_comes_back_for_is_declined() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "turn.question=1s"]).spawn();
    let arguments = json!({"prompt": ESCALATE, "sessionId": "s"});
    let asked = server.request("tools/call", modern(&arguments, None)).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let mut wait = modern(&json!({"sessionId": "s"}), None);
    wait["name"] = json!("wait");
    wait["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let waited = ToolResult::from_response("wait", &server.request("tools/call", wait).await).ok();
    assert!(waited["warnings"].to_string().contains("nobody answered"), "{}", waited.raw);
    assert!(!file_is_there(&world));
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_is_asked_leaves_nothing_behind() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    let (_, _answer) = server.begin("tools/call", call(ESCALATE)).await;
    question(&server, 1).await;
    assert!(server.close().await.success());
    process::all_gone(&world.home.path().to_string_lossy(), "after the client").await;
    assert!(!file_is_there(&world));
    let server = world.server().await;
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "interrupted");
}
