//! Ways round the operator's limits, each as an attacker would try it on the real program.

use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};
use testkit::wait_for;

use crate::support::{World, in_a_terminal_with};

fn with(mut call: Value, more: &Value) -> Value {
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

#[tokio::test]
async fn no_path_of_a_call_leads_out_of_what_is_allowed() {
    let world = World::new().await;
    let root = world.home.path().canonicalize().unwrap();
    for folder in ["allowed/inner", "victim", "work/inside"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    symlink(root.join("victim"), root.join("allowed/link")).unwrap();
    symlink("../victim", root.join("allowed/relative")).unwrap();
    fs::write(root.join("victim/a.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let allowed = root.join("allowed").display().to_string();
    let server = world.launch().args(["--set", &format!("limits.writable_roots={allowed}")]);
    let server =
        server.args(["--set", &format!("limits.roots={allowed}, {}", root.join("work").display())]);
    let server = server.connect().await;
    let call = json!({"prompt": "say out", "sandbox": "workspace-write"});
    for way in [
        "nope/../../victim",
        "inner/nope/../../../victim",
        "link",
        "relative",
        "../victim",
        "link/../victim",
        "/nope/../..",
    ] {
        let path = format!("{allowed}/{way}");
        for argument in [
            json!({"writableRoots": [path]}),
            json!({"writableRoots": [format!("{allowed}/inner"), path]}),
            json!({"workingDirectory": path}),
            json!({"cwd": path}),
            json!({"images": [format!("{path}/a.png")]}),
        ] {
            let refused = server.call("codex", with(call.clone(), &argument)).await;
            refused.failed_with("directory_not_allowed");
        }
        let review = json!({"workingDirectory": path, "prompt": "look"});
        server.call("review", review).await.failed_with("directory_not_allowed");
    }
    let missing = json!({"writableRoots": [format!("{allowed}/mistyped")]});
    server.call("codex", with(call.clone(), &missing)).await.failed_with("directory_unusable");
    let file = json!({"writableRoots": [root.join("work/f")]});
    fs::write(root.join("work/f"), "").unwrap();
    server.call("codex", with(call.clone(), &file)).await.failed_with("directory_not_allowed");
    assert!(world.model.request_for("say out").is_none());
    // What is allowed reaches Codex by its canonical path alone.
    let roots =
        json!({"prompt": "say in", "writableRoots": [format!("{allowed}/../allowed/./inner")]});
    let done = server.call("codex", with(call, &roots)).await.ok();
    assert_eq!(done["writableRoots"], json!([root.join("allowed/inner")]), "{}", done.raw);
    server.close().await;
}

#[tokio::test]
async fn a_directory_that_was_replaced_by_a_link_is_not_worked_in() {
    let world = World::new().await;
    let root = world.home.path().canonicalize().unwrap();
    for folder in ["a/inner", "b/inner"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let server = world.server().await;
    let first =
        json!({"prompt": "say one", "sessionId": "s", "workingDirectory": root.join("a/inner")});
    server.call("codex", first).await.ok();
    let next = json!({"prompt": "say two", "sessionId": "s"});
    // The directory itself, then one above it.
    for (place, target) in [("a/inner", "b/inner"), ("a", "b")] {
        fs::rename(root.join(place), root.join("aside")).unwrap();
        symlink(root.join(target), root.join(place)).unwrap();
        let refused = server.call("codex", next.clone()).await.failed_with("directory_moved");
        assert!(refused.text.contains("workingDirectory"), "{}", refused.text);
        let fork = json!({"sessionId": "s", "newSessionId": "t"});
        server.call("forkSession", fork).await.failed_with("directory_moved");
        fs::remove_file(root.join(place)).unwrap();
        fs::rename(root.join("aside"), root.join(place)).unwrap();
    }
    assert!(world.model.request_for("say two").is_none());
    server.call("codex", next).await.ok();
    // A new directory at the same place is what the user made of it.
    fs::remove_dir(root.join("a/inner")).unwrap();
    fs::create_dir(root.join("a/inner")).unwrap();
    server.call("codex", json!({"prompt": "say three", "sessionId": "s"})).await.ok();
    server.close().await;
}

#[tokio::test]
async fn all_text_counts_by_whichever_way_it_comes() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "limits.prompt_characters=200"]).connect().await;
    let long = "x".repeat(190);
    for (tool, call) in [
        ("codex", json!({"prompt": format!("say {long} and more")})),
        ("codex", json!({"prompt": "say something", "developerInstructions": long})),
        ("codex", json!({"prompt": "say something", "base-instructions": long})),
        ("codex", json!({"prompt": "say something", "outputSchema": {"title": long}})),
        ("codex", json!({"prompt": "say something", "worktree": true, "worktreeBase": long})),
        ("review", json!({"paths": [long, "yyyyyyyyyyyyyyyyy"]})),
        ("review", json!({"prompt": long})),
        ("websearch", json!({"query": long.repeat(2)})),
        (
            "codex-reply",
            json!({"threadId": "0199a213-81c0-7800-8aa1-bbab2a035a53", "prompt": long.repeat(2)}),
        ),
    ] {
        let refused = server.call(tool, call).await;
        assert!(
            refused.is_error && refused.text.contains("200 are allowed"),
            "{tool}: {}",
            refused.text
        );
    }
    // A running turn is given no more than a call, however often it is steered.
    let running =
        json!({"name": "codex", "arguments": {"prompt": "slow 3600 x", "sessionId": "s"}});
    let (_, _running) = server.begin("tools/call", running).await;
    wait_for("the turn to run", || (world.model.open_streams() > 0).then_some(())).await;
    for prompt in [long.repeat(2), " ".to_owned()] {
        let refused = server.call("steer", json!({"sessionId": "s", "prompt": prompt})).await;
        assert!(refused.is_error, "{}", refused.text);
    }
    // Codex may ask the model anew with it, which then is as slow.
    let half = format!("slow 3600 {}", "y".repeat(90));
    let half = json!({"sessionId": "s", "prompt": half});
    let mut steered = 0;
    let refused = loop {
        let said = server.call("steer", half.clone()).await;
        if said.is_error {
            break said;
        }
        steered += 1;
        assert!(steered < 3, "it is given more and more");
    };
    assert!(refused.text.contains("200 are allowed"), "{}", refused.text);
    let joined = json!({"prompt": "y".repeat(195), "sessionId": "s", "onBusy": "steer"});
    let refused = server.call("codex", joined).await;
    assert!(refused.is_error && refused.text.contains("200 are allowed"), "{}", refused.text);
    server.close().await;
}

#[tokio::test]
async fn a_hostile_schema_is_refused_or_given_up() {
    let world = World::new().await;
    let server = world.server().await;
    let patterns: serde_json::Map<String, Value> =
        (0..3000).map(|number| (format!("^.*a{{{number}}}.*$"), json!({}))).collect();
    for schema in [
        json!({"type": "object", "patternProperties": patterns}),
        json!({"type": "object", "properties": {"a": {"pattern": "(((.{999}){999}){999}){999}"}}}),
        json!({"type": "object", "allOf": vec![json!({"$ref": "#"}); 600]}),
        json!({"type": "object", "$ref": "file:///etc/passwd"}),
    ] {
        let refused =
            server.call("codex", json!({"prompt": "say {}", "outputSchema": schema})).await;
        assert!(refused.is_error && refused.text.contains("outputSchema"), "{}", refused.text);
    }
    let parts = (0..40).map(|number| {
        let next = json!({"$ref": format!("#/$defs/{}", number + 1)});
        (number.to_string(), json!({"allOf": [next.clone(), next]}))
    });
    let mut parts: serde_json::Map<String, Value> = parts.collect();
    parts.insert("40".into(), json!(true));
    let schema = json!({"type": "object", "$ref": "#/$defs/0", "$defs": parts});
    let done = server.call("codex", json!({"prompt": "say {}", "outputSchema": schema})).await.ok();
    assert!(done["warnings"].to_string().contains("too many steps"), "{}", done.raw);
    server.close().await;
}

#[tokio::test]
async fn threads_outside_the_roots_are_not_listed() {
    let world = World::new().await;
    let root = world.home.path().canonicalize().unwrap();
    for folder in ["allowed/inner", "other", "allowed-too"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let mut threads = Vec::new();
    for folder in ["allowed/inner", "other", "allowed-too", "allowed"] {
        threads.push(in_a_terminal_with(&world, &[], &root.join(folder), "say hi").await);
    }
    let roots = format!("limits.roots={}", root.join("allowed").display());
    let server = world.launch().args(["--set", &roots]).connect().await;
    let here = json!({"workingDirectory": root.join("allowed")});
    for more in
        [json!({}), json!({"search": "hi"}), json!({"workingDirectory": root.join("other")}), here]
    {
        let call = with(json!({"includeThreads": true}), &more);
        let listed = server.call("listSessions", call).await.ok();
        for hidden in [&threads[1], &threads[2]] {
            assert!(!listed.raw.to_string().contains(hidden.as_str()), "{more}: {}", listed.raw);
        }
    }
    let listed = server.call("listSessions", json!({"includeThreads": true})).await.ok();
    assert_eq!(listed["threads"].as_array().unwrap().len(), 2, "{}", listed.raw);
    server.close().await;
}

#[tokio::test]
async fn a_setting_that_is_a_list_is_one_wherever_it_comes_from() {
    let world = World::new().await;
    let root = world.home.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("one")).unwrap();
    let both = format!("{}, {}", root.join("one").display(), root.join("two").display());
    let call = json!({"prompt": "say in", "sandbox": "workspace-write", "writableRoots": [root.join("one")]});
    let by_variable = world.launch().env("CODEX_MCP_SERVER_LIMITS_WRITABLE_ROOTS", &both);
    let by_flag = world.launch().args(["--set", &format!("limits.writable_roots={both}")]);
    for launch in [by_variable, by_flag] {
        let server = launch.connect().await;
        server.call("codex", call.clone()).await.ok();
        server.close().await;
    }
}

/// A call waits for its turn; what is there when the turn begins is what counts, and Codex gets a copy.
#[cfg(unix)]
#[tokio::test]
async fn an_image_that_was_replaced_by_a_link_is_not_shown() {
    use crate::extras::PNG;

    let world = World::new().await;
    let root = world.home.path().canonicalize().unwrap();
    let work = root.join("work");
    fs::write(work.join("a.png"), PNG).unwrap();
    fs::write(root.join("secret.png"), PNG).unwrap();
    let server = world.launch().args(["--set", &format!("limits.roots={}", work.display())]);
    let server = server.connect().await;
    let shown = json!({"prompt": "say seen", "sessionId": "s", "images": [work.join("a.png")]});
    server.call("codex", shown.clone()).await.ok();
    let said = world.model.request_for("say seen").unwrap();
    assert_eq!(said.images().len(), 1, "{}", said.body);
    let images = world.home.state().join("codex-mcp-server/images");
    assert!(fs::read_dir(images).unwrap().next().is_none());
    let link = format!("run sleep 1; ln -sf {}/secret.png a.png", root.display());
    let busy = json!({"prompt": link, "sessionId": "s", "sandbox": "workspace-write"});
    let (busy, queued) = tokio::join!(server.call("codex", busy), async {
        testkit::wait_for("the turn", || world.model.request_for("run sleep 1").map(drop)).await;
        server.call("codex", shown).await
    });
    busy.ok();
    queued.failed_with("directory_not_allowed");
    server.close().await;
}
