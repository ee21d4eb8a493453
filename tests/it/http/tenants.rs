//! Tenants do not see each other.

use std::fs;

use serde_json::{Value, json};

use super::Team;

#[tokio::test]
async fn what_is_of_one_tenant_is_unknown_to_the_other() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (a, b) = (team.token("a", &[]).await, team.token("b", &[]).await);
    let (a, b) = (server.client(Some(&a)), server.client(Some(&b)));
    let first = a.call("codex", json!({"prompt": "say secret", "sessionId": "of-a"})).await.ok();
    let thread = first["threadId"].as_str().unwrap().to_owned();
    b.call("codex", json!({"prompt": "say other", "sessionId": "of-b"})).await.ok();
    // As of a session that there never was.
    for (tool, name, more) in [
        ("getSession", "sessionId", json!({})),
        ("wait", "sessionId", json!({})),
        ("steer", "sessionId", json!({"prompt": "x"})),
        ("interrupt", "sessionId", json!({})),
        ("forkSession", "sessionId", json!({})),
        ("renameSession", "sessionId", json!({"newSessionId": "t"})),
        ("deleteSession", "sessionId", json!({})),
        ("worktree", "sessionId", json!({"action": "diff"})),
    ] {
        let of = async |id: &str| {
            let mut arguments = more.clone();
            arguments[name] = json!(id);
            let result = b.call(tool, arguments).await;
            (result.is_error, result.text.replace(id, "ID"))
        };
        assert_eq!(of("of-a").await, of("of-0").await, "{tool}");
        assert!(of("of-a").await.0, "{tool}");
    }
    let follows = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let meta = json!({"io.modelcontextprotocol/clientCapabilities": follows});
    let asked = async |method: &str, mut params: Value, key: &str| {
        let mut answers = Vec::new();
        let template = params[key].as_str().unwrap().to_owned();
        params["_meta"] = meta.clone();
        for id in ["of-a", "of-0"] {
            params[key] = json!(template.replace("ID", id));
            let answer = b.ask(method, params.clone()).await;
            answers.push(answer["error"].to_string().replace(id, "ID"));
        }
        assert_eq!(answers[0], answers[1], "{method}");
        assert!(answers[0].contains("ID"), "{method}: {}", answers[0]);
    };
    asked("resources/read", json!({"uri": "codex://sessions/ID"}), "uri").await;
    asked("tasks/get", json!({"taskId": "ID:1"}), "taskId").await;
    asked("tasks/cancel", json!({"taskId": "ID:1"}), "taskId").await;
    asked("tasks/update", json!({"taskId": "ID:1", "inputResponses": {}}), "taskId").await;
    let everything = [
        b.call("listSessions", json!({"includeThreads": true})).await.raw.to_string(),
        b.call("listSessions", json!({"search": "secret"})).await.raw.to_string(),
        b.call("usage", json!({})).await.raw.to_string(),
        b.ask("resources/list", json!({})).await.to_string(),
        b.ask(
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": "codex://sessions/{sessionId}"},
                "argument": {"name": "sessionId", "value": "of"}}),
        )
        .await
        .to_string(),
    ]
    .join("\n");
    assert!(everything.contains("of-b"), "{everything}");
    assert!(
        !everything.contains("say secret")
            && !everything.contains("of-a")
            && !everything.contains(&thread),
        "{everything}"
    );
    // Its thread is none of the other's Codex either.
    let adopted = b.call("codex", json!({"prompt": "history", "threadId": thread})).await.ok();
    assert_eq!((&adopted["continuity"], &adopted["response"]), (&json!("new"), &json!("")));
    // The same name is another session.
    let same = b.call("codex", json!({"prompt": "history", "sessionId": "of-a"})).await.ok();
    assert_eq!((&same["turn"], &same["continuity"]), (&json!(1), &json!("new")));
    let root = json!({"prompt": "say x", "workingDirectory": team.root("a")});
    b.call("codex", root).await.failed_with("directory_not_allowed");
    let still = a.call("codex", json!({"prompt": "history", "sessionId": "of-a"})).await.ok();
    assert_eq!(still["response"], "say secret");
}

#[tokio::test]
async fn a_session_of_the_transport_is_its_principals() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (a, other) = (team.token("a", &[]).await, team.token("a", &[]).await);
    let b = team.token("b", &[]).await;
    let owner = server.older_client(Some(&a)).await;
    let id = owner.mcp_session().unwrap().to_owned();
    for token in [&other, &b] {
        let thief = server.client(Some(token)).in_mcp_session(&id);
        let known = thief.ask("tools/list", json!({})).await;
        let unknown = thief.in_mcp_session("0-0").ask("tools/list", json!({})).await;
        assert_eq!((&known["status"], &known), (&json!(404), &unknown));
        let delete = thief.request(testkit::http::Method::DELETE).send().await.unwrap();
        assert_eq!(delete.status(), 404);
    }
    assert!(owner.ask("tools/list", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn a_tenants_codex_sees_nothing_of_the_servers_environment() {
    let team = Team::new().await;
    let launch = team.launch().args(["serve", "--http", "127.0.0.1:0"]);
    let server =
        testkit::HttpServer::start(&launch.env("OPENAI_API_KEY", "sk-of-the-operator")).await;
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token));
    let run = json!({"prompt": "run env > seen.txt", "sandbox": "workspace-write"});
    client.call("codex", run).await.ok();
    let seen = fs::read_to_string(team.root("a").join("seen.txt")).unwrap();
    assert!(seen.contains("PATH=") && seen.contains("tenants/a/codex"), "{seen}");
    for secret in ["sk-of-the-operator", "MOCK_KEY", "CODEX_BIN"] {
        assert!(!seen.contains(secret), "{seen}");
    }
    // What it keeps is in folders that nobody else can read.
    let folder = team.world.home.state().join("codex-mcp-server/tenants/a");
    let store = folder.join("codex-mcp-server/sessions.sqlite3");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(store).unwrap().permissions());
    assert_eq!(mode & 0o077, 0);
}

#[tokio::test]
async fn a_tenant_has_limits_of_its_own() {
    let team = Team::new().await;
    let server = team
        .serve_with(&[
            "tenants.a.sandbox_ceiling=read-only",
            "tenants.a.session_cap=1",
            "tenants.a.models=[\"gpt-mock\"]",
        ])
        .await;
    let (a, b) = (team.token("a", &[]).await, team.token("b", &[]).await);
    let (a, b) = (server.client(Some(&a)), server.client(Some(&b)));
    let writing = json!({"prompt": "say hi", "sandbox": "workspace-write"});
    a.call("codex", writing.clone()).await.failed_with("sandbox_not_allowed");
    b.call("codex", writing).await.ok();
    a.call("codex", json!({"prompt": "say hi", "model": "gpt-5"}))
        .await
        .failed_with("model_not_allowed");
    for session in ["one", "two"] {
        a.call("codex", json!({"prompt": "say hi", "sessionId": session})).await.ok();
    }
    let kept = a.call("listSessions", json!({})).await.ok();
    assert_eq!(kept["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_of_a_tenant_that_is_gone_opens_nothing() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("gone", &[]).await;
    let refused = server.client(Some(&token)).ask("tools/list", json!({})).await;
    assert_eq!(
        (&refused["status"], &refused["body"]["error"]),
        (&json!(403), &json!("unknown_tenant"))
    );
}

#[tokio::test]
async fn a_tenant_has_as_much_work_done_as_it_may() {
    let team = Team::new().await;
    let settings = [
        "tenants.a.running_turns=1",
        "tenants.a.queued_calls=1",
        "tenants.a.turns_per_day=3",
        "tenants.b.tokens_per_day=1",
    ];
    let server = team.serve_with(&settings).await;
    let (a, b) = (team.token("a", &[]).await, team.token("b", &[]).await);
    let (a, b) = (server.client(Some(&a)), server.client(Some(&b)));
    let slow = json!({"prompt": "slow 60 x", "sessionId": "s", "waitSeconds": 0});
    a.call("codex", slow).await.ok();
    let other = json!({"prompt": "say hi", "sessionId": "other"});
    let full = a.call("codex", other.clone()).await.failed_with("too_much_work");
    assert!(full.text.contains("1 turns run"), "{}", full.text);
    // The other one has room.
    b.call("codex", json!({"prompt": "say hi"})).await.ok();
    let behind = json!({"prompt": "say hi", "sessionId": "s", "waitSeconds": 0});
    a.call("codex", behind.clone()).await.ok();
    let more = json!({"prompt": "say more", "sessionId": "s", "waitSeconds": 0});
    a.call("codex", more).await.failed_with("too_much_work");
    a.call("interrupt", json!({"sessionId": "s"})).await.ok();
    a.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    a.call("codex", other.clone()).await.ok();
    let used_up = a.call("codex", other).await.failed_with("quota_exceeded");
    assert!(
        used_up.text.contains("3 turns") && used_up.text.contains("T00:00:00Z"),
        "{}",
        used_up.text
    );
    b.call("codex", json!({"prompt": "say hi"})).await.failed_with("quota_exceeded");
}
