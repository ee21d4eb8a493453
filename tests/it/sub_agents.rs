//! Threads that Codex itself starts for a turn: what they ask is asked of the turn's own user.

use serde_json::{Value, json};
use testkit::{Client, Launch, ToolResult, codex_cli, wait::wait_until, wait_for};

use crate::support::World;

/// Two in which a model can start sub-agents without any setting; the newest puts the tools elsewhere.
const VERSIONS: [&str; 2] = ["0.125.0", "0.171.0"];

fn launch(world: &World, version: &str) -> Launch {
    let codex = codex_cli::fetch(version).unwrap_or_else(|reason| panic!("{version}: {reason}"));
    world.launch().env("CODEX_BIN", codex.to_string_lossy())
}

async fn asked(server: &Client) -> Value {
    wait_for("a question", || server.asked("elicitation/create").pop()).await
}

#[tokio::test]
async fn what_a_sub_agent_uses_its_turn_uses() {
    for version in VERSIONS {
        let world = World::new().await;
        let server = launch(&world, version).connect().await;
        let call = json!({"prompt": "spawn say done", "sessionId": "s"});
        let done = server.call("codex", call).await.ok();
        // Each answer of the model uses 120 tokens.
        let requests = world.model.requests();
        let asked: Vec<_> = requests.iter().filter_map(|it| it.prompts().pop()).collect();
        assert!(asked.iter().any(|prompt| prompt == "say done"), "{version}: {asked:?}");
        assert_eq!(done["usage"]["totalTokens"], 120 * requests.len(), "{version}: {}", done.raw);
        let agents = server.call("getSession", json!({"sessionId": "s"})).await.ok();
        let items = agents["turns"][0]["items"].as_array().unwrap();
        assert!(items.iter().any(|item| item["type"] == "agent"), "{version}: {}", agents.raw);
    }
}

#[tokio::test]
async fn a_sub_agent_that_works_longer_than_its_turn_is_not_cut_off() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=0s"]).connect().await;
    let call = json!({"prompt": "leave slow 4 found it", "sessionId": "s"});
    let left = server.call("codex", call).await.ok();
    assert_eq!(left["response"], "an agent works on it", "{}", left.raw);
    // The model is told of it with the next turn.
    wait_until("the agent's end", async || {
        let answer = server.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await;
        assert_eq!(answer.ok()["response"], "on");
        let asked = world.model.requests().pop().unwrap().body.to_string();
        asked.contains("subagent_notification") && asked.matches("found it").count() > 1
    })
    .await;
}

#[tokio::test]
async fn what_a_sub_agent_asks_is_asked_of_the_user() {
    for version in VERSIONS {
        for (decision, done) in [("accept", true), ("decline", false)] {
            let world = World::new().await;
            let server = launch(&world, version).connect_with_user().await;
            let call = json!({"prompt": "spawn run touch asked-for", "sessionId": "s",
                "approvalPolicy": "untrusted", "sandbox": "workspace-write"});
            let call = json!({"name": "codex", "arguments": call});
            let (_, answer) = server.begin("tools/call", call).await;
            let asked = asked(&server).await;
            let message = asked["params"]["message"].as_str().unwrap();
            assert!(message.contains("touch asked-for"), "{version}: {message}");
            let decided = json!({"action": "accept", "content": {"decision": decision}});
            server.respond(&asked, decided).await;
            let result = ToolResult::from_response("codex", &answer.wait("codex").await).ok();
            assert_eq!(result["status"], "completed", "{version}: {}", result.raw);
            let is_there = world.home.work().join("asked-for").exists();
            assert_eq!(is_there, done, "{version}, {decision}: {}", result.raw);
            assert_eq!(server.asked("elicitation/create").len(), 1, "{version}");
            assert!(server.close().await.success());
        }
    }
}
