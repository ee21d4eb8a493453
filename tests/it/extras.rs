//! What a call of `codex` can ask for besides: images, a shape for the answer, nothing kept.

use std::fs;

use serde_json::{Value, json};
use testkit::{process, wait_for};

use crate::support::World;

/// The smallest PNG there is: one white pixel.
pub(crate) const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0xd, 0xa, 0x1a, 0xa, 0x0, 0x0, 0x0, 0xd, 0x49, 0x48, 0x44, 0x52, 0x0,
    0x0, 0x0, 0x1, 0x0, 0x0, 0x0, 0x1, 0x8, 0x2, 0x0, 0x0, 0x0, 0x90, 0x77, 0x53, 0xde, 0x0, 0x0,
    0x0, 0xc, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8, 0xff, 0xff, 0x3f, 0x0, 0x5, 0xfe,
    0x2, 0xfe, 0xd, 0xef, 0x46, 0xb8, 0x0, 0x0, 0x0, 0x0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60,
    0x82,
];

#[tokio::test]
async fn images_reach_the_model() {
    let world = World::new().await;
    for name in ["one.png", "two.png"] {
        fs::write(world.home.work().join(name), PNG).unwrap();
    }
    let server = world.server().await;
    let call =
        json!({"prompt": "say seen", "images": ["one.png", world.home.work().join("two.png")]});
    server.call("codex", call).await.ok();
    let request = world.model.request_for("say seen").unwrap();
    let images = request.images();
    assert_eq!(images.len(), 2, "{:?}", request.messages("user"));
    assert!(images.iter().all(|image| image.starts_with("data:image/png;base64,")), "{images:?}");
}

#[tokio::test]
async fn an_image_that_cannot_be_used_is_named() {
    let world = World::new().await;
    let work = world.home.work();
    fs::write(work.join("text.png"), "not an image").unwrap();
    fs::write(work.join("one.png"), PNG).unwrap();
    let args = ["--set", "limits.image_bytes=60", "--set", "limits.images=2"];
    let server = world.launch().args(args).connect().await;
    for (images, reason) in [
        (json!(["none.png"]), "does not exist"),
        (json!(["text.png"]), "none of PNG"),
        (json!(["one.png"]), "bytes"),
        (json!(["."]), "not a file"),
        (json!(["a", "b", "c"]), "2 are allowed"),
    ] {
        let refused = server.call("codex", json!({"prompt": "say x", "images": images})).await;
        let refused = refused.failed_with("invalid_argument");
        assert!(refused.text.contains(reason), "{}", refused.text);
    }
    assert!(world.model.requests().is_empty());
}

#[tokio::test]
async fn an_answer_can_have_a_shape() {
    let world = World::new().await;
    let server = world.server().await;
    let schema = json!({"type": "object", "required": ["n"], "additionalProperties": false,
        "properties": {"n": {"type": "integer"}}});
    let ask = async |prompt: &str, schema: &Value| {
        server.call("codex", json!({"prompt": prompt, "outputSchema": schema})).await
    };
    let fits = ask("say {\"n\": 3}", &schema).await.ok();
    assert_eq!(fits["output"], json!({"n": 3}));
    let asked = &world.model.request_for("say {").unwrap().body["text"]["format"];
    assert_eq!(asked["schema"]["required"], json!(["n"]), "{asked}");
    for (prompt, wrong) in [("say {\"n\": \"x\"}", "`/n`"), ("say three", "not JSON")] {
        let odd = ask(prompt, &schema).await.ok();
        assert!(odd["warnings"].to_string().contains(wrong), "{}", odd.raw);
    }
    for schema in [json!({"type": "thing"}), json!("object")] {
        let refused = ask("say x", &schema).await.failed_with("invalid_argument");
        assert!(refused.text.contains("outputSchema"), "{}", refused.text);
    }
}

#[tokio::test]
async fn of_an_ephemeral_call_nothing_is_kept() {
    let world = World::new().await;
    let server = world.server().await;
    let result = server.call("codex", json!({"prompt": "say gone", "ephemeral": true})).await.ok();
    assert_eq!((&result["response"], &result["sessionId"]), (&json!("gone"), &Value::Null));
    assert!(!result.text.contains("[session"), "{}", result.text);
    let listed = server.call("listSessions", json!({"includeThreads": true})).await.ok();
    assert_eq!(
        (&listed["sessions"], &listed["threads"]),
        (&json!([]), &json!([])),
        "{}",
        listed.raw
    );
    let both = json!({"prompt": "say x", "ephemeral": true, "sessionId": "s"});
    server.call("codex", both).await.failed_with("invalid_argument");
    // Detached, it can still be waited for.
    // Nor of one that is cancelled.
    let call =
        json!({"name": "codex", "arguments": {"prompt": "slow 60 secret", "ephemeral": true}});
    let (id, _cancelled) = server.begin("tools/call", call).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_for("its end", || (world.model.open_streams() == 0).then_some(())).await;
    let mut listed = server.call("listSessions", json!({})).await.ok();
    for _ in 0..100 {
        if listed["sessions"] == json!([]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        listed = server.call("listSessions", json!({})).await.ok();
    }
    assert_eq!(listed["sessions"], json!([]), "{}", listed.raw);
    let call = json!({"prompt": "slow 1 later", "ephemeral": true, "waitSeconds": 0});
    let running = server.call("codex", call).await.ok();
    let wait = json!({"sessionId": running["sessionId"]});
    assert_eq!(server.call("wait", wait).await.ok()["response"], "later");
}

#[tokio::test]
async fn full_auto_is_what_codex_calls_it_today() {
    let world = World::new().await;
    let server = world.server().await;
    let result =
        server.call("codex", json!({"prompt": "run touch made", "fullAuto": true})).await.ok();
    assert_eq!(result["sandbox"], "workspace-write");
    assert!(world.home.work().join("made").exists());
}

#[tokio::test]
async fn codexs_own_mcp_servers_are_on_off_or_some() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/asker.mjs");
    for (set, offered) in
        [("", true), ("codex.mcp_servers=", false), ("codex.mcp_servers=asker", true)]
    {
        let world = World::new().await;
        world.home.add_codex_config(&format!(
            "[mcp_servers.asker]\ncommand = \"node\"\nargs = [\"{script}\"]\n"
        ));
        let mut launch = world.launch();
        if !set.is_empty() {
            launch = launch.arg("--set").arg(set);
        }
        let server = launch.connect().await;
        server.call("codex", json!({"prompt": "say hi"})).await.ok();
        let request = world.model.request_for("say hi").unwrap();
        let tools = request.body["tools"].to_string();
        assert_eq!(tools.contains("mcp__asker"), offered, "{set}");
        let running = process::descendants(server.server_pid()).into_iter();
        let asker = running.filter(|pid| process::command_line(*pid).contains("asker.mjs"));
        assert_eq!(asker.count() > 0, offered, "{set}");
    }
}

#[tokio::test]
async fn codex_does_not_ask_itself_through_us() {
    let world = World::new().await;
    let own = env!("CARGO_BIN_EXE_codex-mcp-server");
    world.home.add_codex_config(&format!("[mcp_servers.again]\ncommand = \"{own}\"\n"));
    let server = world.launch().connect_with_user().await;
    let prompt = "call mcp__again.codex {\"prompt\":\"say inner\"}";
    let call = json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": "s"}});
    let (_, answer) = server.begin("tools/call", call).await;
    // Codex may want an approval for the call first.
    let mut tries = 0;
    let result = loop {
        tries += 1;
        assert!(tries < 1500, "neither a question nor the tool's answer");
        if let Some(asked) = server.asked("elicitation/create").pop() {
            server
                .respond(&asked, json!({"action": "accept", "content": {"decision": "accept"}}))
                .await;
            break answer.wait("codex").await;
        }
        if let Some(request) = world.model.requests().last()
            && request.tool_output().is_some()
        {
            break answer.wait("codex").await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let told = result["result"]["structuredContent"]["response"].as_str().unwrap();
    assert!(told.contains("recursion"), "{told}");
    let inner = |request: &testkit::ModelRequest| {
        request.prompts().last().is_some_and(|p| p == "say inner")
    };
    assert!(!world.model.requests().iter().any(inner));
}
