//! Bad input names the argument and what is allowed.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn a_bad_argument_is_named_with_what_is_allowed() {
    let world = World::new().await;
    let server = world.server().await;
    let file = world.home.path().join("file");
    fs::write(&file, "").unwrap();
    let with = |name: &str, value: Value| {
        let mut arguments = json!({"prompt": "say hi"});
        arguments[name] = value;
        arguments
    };
    for (arguments, code, words) in [
        (json!({}), "invalid_argument", "`prompt`: it is required"),
        (with("prompt", json!(null)), "invalid_argument", "`prompt`: it is required"),
        (with("prompt", json!(7)), "invalid_argument", "expected a string"),
        (with("prompt", json!("  \n")), "invalid_argument", "`prompt`: it is empty"),
        (with("prompt", json!("x".repeat(1_000_001))), "invalid_argument", "1000000 are allowed"),
        (with("sessionId", json!("a b")), "invalid_argument", "`A-Z a-z 0-9 _ -`"),
        (with("sessionId", json!("")), "invalid_argument", "it is empty"),
        (with("sessionId", json!("x".repeat(257))), "invalid_argument", "it has 257"),
        (with("resetSession", json!("yes")), "invalid_argument", "expected a boolean"),
        (
            with("waitSeconds", json!(1.5)),
            "invalid_argument",
            "expected a whole number of 0 or more",
        ),
        (
            with("waitSeconds", json!(-1)),
            "invalid_argument",
            "expected a whole number of 0 or more",
        ),
        (with("images", json!("a.png")), "invalid_argument", "expected an array, got the string"),
        (with("images", json!(vec!["a.png"; 11])), "invalid_argument", "there are 11 of them"),
        (
            json!({"prompt": "p", "cwd": "/", "workingDirectory": "/"}),
            "invalid_argument",
            "`workingDirectory`: pass it or `cwd`, not both",
        ),
        (with("model", json!(" ")), "invalid_argument", "`model`: it is empty"),
        (with("sandbox", json!("open")), "invalid_argument", "`workspace-write`"),
        (with("approvalPolicy", json!("ask")), "invalid_argument", "`on-request`"),
        (with("reasoningEffort", json!(" ")), "invalid_argument", "`reasoningEffort`: it is empty"),
        (
            json!({"prompt": "p", "model": "gpt-6.1-sol", "reasoningEffort": "huge"}),
            "invalid_argument",
            "ultra",
        ),
        (with("sandbox", json!("danger-full-access")), "sandbox_not_allowed", "widest allowed"),
        (with("workingDirectory", json!("/no/such")), "directory_unusable", "it does not exist"),
        (with("workingDirectory", json!(file)), "directory_unusable", "it is not a directory"),
    ] {
        let failed = server.call("codex", arguments).await.failed_with(code);
        assert!(failed.text.contains(words), "wanted {words:?}: {}", failed.text);
        assert_eq!(
            failed["message"].as_str().map(|message| failed.text.contains(message)),
            Some(true)
        );
    }
    assert!(world.model.requests().is_empty(), "nothing reached the model");
    for (tool, arguments, words) in [
        ("listSessions", json!({"limit": 0}), "from 1 to 200"),
        ("listSessions", json!({"cursor": "x"}), "`nextCursor`"),
        ("getSession", json!({}), "`sessionId`: it is required"),
        ("getSession", json!({"sessionId": "s", "limit": 101}), "from 1 to 100"),
        ("deleteSession", json!({"sessionId": 1}), "expected a string"),
        ("ping", json!({"message": []}), "`message`"),
    ] {
        let failed = server.call(tool, arguments).await.failed_with("invalid_argument");
        assert!(failed.text.contains(words), "wanted {words:?}: {}", failed.text);
    }
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_fraction() {
    let world = World::new().await;
    let server = world.server().await;
    let call =
        json!({"prompt": "say hi", "sessionId": "s", "waitSeconds": 60.0, "timeoutSeconds": 1e2});
    assert_eq!(server.call("codex", call).await.ok()["response"], "hi");
    let page = json!({"sessionId": "s", "limit": 1.0, "offset": 0.0});
    assert_eq!(server.call("getSession", page).await.ok()["turns"][0]["number"], 1);
    let found = json!({"query": "x", "numResults": 3.0});
    server.call("websearch", found).await.ok();
}

#[tokio::test]
async fn unknown_arguments_pass_with_a_warning_and_null_is_absent() {
    let world = World::new().await;
    let server = world.server().await;
    let call =
        json!({"prompt": "say hi", "wait_for_previous": true, "sessionId": null, "sandbox": null});
    let reply = server.call("codex", call).await.ok();
    assert_eq!(reply["response"], "hi");
    assert!(
        reply["warnings"].to_string().contains("`wait_for_previous` was ignored"),
        "{}",
        reply.raw
    );
    let pong = server.call("ping", json!({"odd": 1})).await.ok();
    assert!(pong.text.contains("`odd` was ignored"), "{}", pong.text);
}

#[tokio::test]
async fn a_directory_that_goes_away_is_noticed_on_the_next_turn() {
    let world = World::new().await;
    let server = world.server().await;
    let place = world.home.path().join("place");
    fs::create_dir(&place).unwrap();
    let begin = json!({"prompt": "say hi", "sessionId": "s", "workingDirectory": place});
    server.call("codex", begin).await.ok();
    fs::remove_dir(&place).unwrap();
    let next = json!({"prompt": "say hi", "sessionId": "s"});
    server.call("codex", next).await.failed_with("directory_unusable");
    let moved =
        json!({"prompt": "history", "sessionId": "s", "workingDirectory": world.home.work()});
    assert_eq!(server.call("codex", moved).await.ok()["response"], "say hi");
}

#[tokio::test]
async fn a_prompt_of_any_text_arrives_as_it_is() {
    let world = World::new().await;
    let server = world.server().await;
    let text = "-x --help \u{1F980} \"quoted\" \\n $(boom) `tick` \u{202e} ünï 'end'";
    let reply = server.call("codex", json!({"prompt": format!("say {text}")})).await.ok();
    assert_eq!(reply["response"], text);
    let long = format!("{}\nsay long", "x".repeat(900_000));
    let reply = server.call("codex", json!({"prompt": long})).await.ok();
    assert_eq!(reply["response"], "long");
}

/// Opening a pipe that nobody writes to would stop the server for ever.
#[cfg(unix)]
#[tokio::test]
async fn an_image_that_is_no_file_is_refused_at_once() {
    let world = World::new().await;
    let server = world.server().await;
    let pipe = world.home.path().join("pipe.png");
    let made = tokio::process::Command::new("mkfifo").arg(&pipe).status().await.unwrap();
    assert!(made.success());
    let call = json!({"prompt": "say hi", "images": [pipe]});
    let refused = server.call("codex", call).await.failed_with("invalid_argument");
    assert!(refused.text.contains("pipe.png"), "{}", refused.text);
    server.call("ping", json!({})).await.ok();
}

/// One process of Codex has threads in many directories; it says with each call in which the thread works that makes it.
#[tokio::test]
async fn a_session_begins_where_the_thread_of_a_codex_that_asks_works() {
    let world = World::new().await;
    let server = world.server().await;
    let other = world.home.path().join("else where");
    fs::create_dir_all(other.join("below")).unwrap();
    let began = |session: &str, arguments: Value, told: Value| {
        let mut all = json!({"prompt": "say hi", "sessionId": session});
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        let meta = json!({"codex/sandbox-state-meta": told});
        server.request("tools/call", json!({"name": "codex", "arguments": all, "_meta": meta}))
    };
    let told = json!({"sandboxCwd": format!("file://{}", other.display()).replace(' ', "%20")});
    let (here, below) = (world.home.work().clone(), json!({"workingDirectory": "below"}));
    for (session, arguments, told, wanted) in [
        ("a", json!({}), told.clone(), other.clone()),
        ("b", below, told.clone(), other.join("below")),
        ("c", json!({}), json!({"sandboxCwd": "http://a.example/"}), here.clone()),
        ("d", json!({}), json!("odd"), here),
        // A session stays where it began.
        ("a", json!({}), json!({"sandboxCwd": "/"}), other),
    ] {
        let result = began(session, arguments, told).await;
        let result = &result["result"]["structuredContent"];
        assert_eq!(result["workingDirectory"], json!(wanted), "{session}: {result}");
    }
}
