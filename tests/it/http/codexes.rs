//! The Codex of each tenant: its login, its configuration, and how many run.

use std::fs;

use serde_json::json;
use testkit::{HttpServer, process, wait_for};

use super::{Team, keyless};

/// The folder of a tenant's Codex.
fn codex_home(team: &Team, tenant: &str) -> std::path::PathBuf {
    team.world.home.state().join("codex-mcp-server/tenants").join(tenant).join("codex")
}

#[tokio::test]
async fn a_key_from_a_file_is_used_and_nowhere_else_on_disk() {
    let team = Team::new().await;
    let key = team.world.home.path().join("key-of-a");
    let setting = format!("tenants.a.api_key_file={}", key.display());
    let provider = keyless(&team.world.model) + "requires_openai_auth = true\n";
    for tenant in ["a", "b"] {
        fs::write(codex_home(&team, tenant).join("config.toml"), &provider).unwrap();
    }
    let server = team.serve_with(&[&setting]).await;
    let a = server.client(Some(&team.token("a", &[]).await));
    let refused = a.call("codex", json!({"prompt": "say hi"})).await.failed_with("not_logged_in");
    assert!(refused.text.contains("key-of-a"), "{}", refused.text);
    fs::write(&key, "\n").unwrap();
    a.call("codex", json!({"prompt": "say hi"})).await.failed_with("not_logged_in");
    fs::write(&key, "sk-the-key-of-a\n").unwrap();
    assert_eq!(a.call("codex", json!({"prompt": "say hi"})).await.ok()["response"], "hi");
    let asked = team.world.model.requests().pop().unwrap();
    assert_eq!(asked.authorization.as_deref(), Some("Bearer sk-the-key-of-a"));
    // The other tenant has none of it.
    let b = server.client(Some(&team.token("b", &[]).await));
    b.call("codex", json!({"prompt": "say hi"})).await.failed_with("not_logged_in");
    for file in files(&team.world.home.state()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let found = bytes.windows(15).any(|part| part == b"sk-the-key-of-a");
        assert!(!found, "{}", file.display());
    }
    assert!(!server.stderr().contains("sk-the-key-of-a"));
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_mistake_in_a_tenants_configuration_is_an_error_not_a_default() {
    let team = Team::new().await;
    // Without being strict, Codex takes no notice of it.
    let wrong = format!("nonsense = 7\n{}", keyless(&team.world.model));
    fs::write(codex_home(&team, "a").join("config.toml"), wrong).unwrap();
    let server = team.serve().await;
    let a = server.client(Some(&team.token("a", &[]).await));
    let refused = a.call("codex", json!({"prompt": "say hi"})).await;
    assert!(refused.is_error && refused.text.contains("nonsense"), "{}", refused.text);
    let b = server.client(Some(&team.token("b", &[]).await));
    b.call("codex", json!({"prompt": "say hi"})).await.ok();
}

/// How many Codex processes a server has.
fn running(server: &HttpServer) -> usize {
    process::children(server.pid()).len()
}

#[tokio::test]
async fn only_so_many_run_at_once_and_an_idle_one_makes_room() {
    let team = Team::new().await;
    let server = team.serve_with(&["codex.processes=1", "codex.timeout=10s"]).await;
    let a = server.client(Some(&team.token("a", &[]).await));
    let b = server.client(Some(&team.token("b", &[]).await));
    for round in ["one", "two"] {
        for client in [&a, &b] {
            let prompt = json!({"prompt": format!("say {round}"), "sessionId": "s"});
            assert_eq!(client.call("codex", prompt).await.ok()["response"], round);
            assert_eq!(running(&server), 1);
        }
    }
    // One that works keeps its place.
    a.call("codex", json!({"prompt": "slow 60 never", "sessionId": "l", "waitSeconds": 0}))
        .await
        .ok();
    wait_for("its turn", || (team.world.model.open_streams() == 1).then_some(())).await;
    b.call("codex", json!({"prompt": "say three", "sessionId": "s"}))
        .await
        .failed_with("too_much_work");
    a.call("interrupt", json!({"sessionId": "l"})).await.ok();
    let last = b.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&last["response"], &last["turn"]), (&json!("say one\nsay two"), &json!(3)));
}
