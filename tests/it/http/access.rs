//! Who may call, and what.

use serde_json::json;

use super::Team;

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_is_good() {
    let team = Team::new().await;
    let server = team.serve().await;
    let good = team.token("a", &[]).await;
    let over = team.token("a", &["--expires", "1ms"]).await;
    let revoked = team.token("a", &[]).await;
    assert!(server.client(Some(&revoked)).ask("tools/list", json!({})).await["result"].is_object());
    let id = revoked.split('_').nth(1).unwrap();
    let ended = team.launch().args(["token", "revoke", id]).command().output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let forged = good.replace("cms_", "cms_x");
    for (token, challenge) in [
        (None, "Bearer realm=\"codex-mcp-server\", scope=\"run\""),
        (Some(""), "Bearer realm=\"codex-mcp-server\", scope=\"run\""),
        (Some("cms_"), "error=\"invalid_token\""),
        (Some(&*forged), "error=\"invalid_token\""),
        (Some(&*revoked), "error=\"invalid_token\""),
        (Some(&*over), "error=\"invalid_token\""),
    ] {
        let (_, response) = server.client(token).send("tools/list", json!({})).await;
        assert_eq!(response.status(), 401, "{token:?}");
        let said = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(said.contains(challenge), "{said}");
        let body: serde_json::Value =
            serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert!(body["next"].as_str().unwrap().contains("token new"), "{body}");
    }
    // Neither the log nor the store has any of them.
    let secret = |token: &str| token.rsplit('_').next().unwrap().to_owned();
    for token in [&good, &over, &revoked] {
        assert!(!server.stderr().contains(&secret(token)));
    }
    let store = team.world.home.state().join("codex-mcp-server");
    for file in std::fs::read_dir(store).unwrap().flatten().filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        let secret = secret(&good).into_bytes();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{file:?}");
    }
}

#[tokio::test]
async fn a_token_does_what_its_scope_allows() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (run, read) = (team.token("a", &[]).await, team.token("a", &["--scope", "read"]).await);
    let (run, read) = (server.client(Some(&run)), server.client(Some(&read)));
    run.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    let sessions = read.call("listSessions", json!({})).await.ok();
    assert_eq!(sessions["sessions"][0]["id"], "s");
    read.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(read.call("wait", json!({"sessionId": "s"})).await.ok()["response"], "hi");
    // The list is the same for all.
    let names = async |client: &testkit::HttpClient| {
        let listed = client.ask("tools/list", json!({})).await;
        let tools = listed["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&read).await, names(&run).await);
    for (tool, arguments) in [
        ("codex", json!({"prompt": "say no", "sessionId": "s"})),
        ("codex-reply", json!({"prompt": "say no", "threadId": "x"})),
        ("review", json!({})),
        ("websearch", json!({"query": "x"})),
        ("steer", json!({"sessionId": "s", "prompt": "x"})),
        ("interrupt", json!({"sessionId": "s"})),
        ("forkSession", json!({"sessionId": "s"})),
        ("renameSession", json!({"sessionId": "s", "newSessionId": "t"})),
        ("deleteSession", json!({"sessionId": "s"})),
        ("worktree", json!({"sessionId": "s", "action": "discard"})),
    ] {
        let refused = read.call(tool, arguments).await.failed_with("insufficient_scope");
        assert!(refused.text.contains("--scope run"), "{tool}: {}", refused.text);
    }
    let follows = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let task = json!({"taskId": "s:1",
        "_meta": {"io.modelcontextprotocol/clientCapabilities": follows}});
    let refused = read.ask("tasks/cancel", task).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("scope `run`"), "{refused}");
    assert_eq!(team.world.model.requests().len(), 1);
}

#[tokio::test]
async fn what_would_be_open_to_all_is_not_served() {
    let team = Team::new().await;
    let roots = format!("limits.roots=[{:?}]", team.root("a").display().to_string());
    let said = async |words: &[&str]| {
        let mut launch = team.launch();
        for word in words {
            launch = launch.arg(*word);
        }
        let output = launch.command().output().await.unwrap();
        assert!(!output.status.success(), "{words:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (words, why) in [
        (&["serve", "--http", "0.0.0.0:0", "--no-auth", "--set", &roots][..], "loopback"),
        (&["serve", "--http", "127.0.0.1:0", "--no-auth"], "`limits.roots`"),
        (&["serve", "--http", "0.0.0.0:0"], "`http.hosts`"),
        (&["serve", "--http", "nowhere"], "`http.address`"),
        (&["serve", "--http", "--set", "http.path=mcp"], "`http.path`"),
        (&["serve", "--http", "--set", "http.path=/:x"], "`http.path`"),
        (&["serve", "--http", "--set", "http.path=/healthz"], "`http.path`"),
        (&["serve", "--http", "--set", "http.path=/a//b"], "`http.path`"),
        (&["serve", "--http", "--base-url", "https://x.example/mcp"], "`http.base_url`"),
        (&["serve", "--http", "--set", "tenants.c.models=[\"x\"]"], "`tenants.c.roots`"),
        (&["serve", "--http", "--set", "tenants.C.roots=[\"/\"]"], "names no tenant"),
        (&["serve", "--http", "--set", "tenants.a.launcher=[\"env\"]"], "`tenants.a.codex_home`"),
        (&["serve", "--http", "--store", "memory"], "store"),
        (&["token", "new", "--tenant", "a", "--store", "memory"], "store"),
        (&["token", "new", "--tenant", "A"], "names no tenant"),
        (&["serve", "--no-auth"], "--http"),
    ] {
        let said = said(words).await;
        assert!(said.contains(why), "{words:?}: {said}");
    }
}

#[tokio::test]
async fn without_tokens_everybody_on_this_machine_is_the_operator() {
    let team = Team::new().await;
    let roots = format!("limits.roots=[{:?}]", team.world.home.work().display().to_string());
    let launch =
        team.launch().args(["serve", "--http", "127.0.0.1:0", "--no-auth", "--set", &roots]);
    let server = testkit::HttpServer::start(&launch).await;
    let client = server.client(None);
    client.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    // The sessions are those of its terminal and of its clients over stdio.
    let stdio = team.world.server().await;
    let next = stdio.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(next["continuity"], "resumed");
    let outside = json!({"prompt": "say hi", "workingDirectory": "/"});
    client.call("codex", outside).await.failed_with("directory_not_allowed");
}

#[tokio::test]
async fn a_stream_that_listens_ends_with_its_token() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (leaver, stayer) = (team.token("a", &[]).await, team.token("a", &[]).await);
    let wanted = json!({"notifications": {"resourcesListChanged": true}});
    let listen = async |token: &str| {
        server.client(Some(token)).send("subscriptions/listen", wanted.clone()).await.1
    };
    let (leaving, staying) = (listen(&leaver).await, listen(&stayer).await);
    let id = leaver.split('_').nth(1).unwrap();
    let ended = team.launch().args(["token", "revoke", id]).command().output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let over = tokio::time::timeout(std::time::Duration::from_mins(1), leaving.bytes()).await;
    assert!(over.is_ok(), "it goes on");
    let over = tokio::time::timeout(std::time::Duration::from_secs(1), staying.bytes()).await;
    assert!(over.is_err(), "others end too");
}
