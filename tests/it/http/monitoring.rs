//! What the operator's monitoring reads.

use serde_json::json;
use testkit::{client::signal, process, wait_for};

use super::Team;

/// The value of a metric with these labels; 0 if there is none.
fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn metrics_tell_what_happened_and_nothing_that_was_said() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (a, admin) = (team.token("a", &[]).await, team.token("b", &["--scope", "admin"]).await);
    let a = server.client(Some(&a));
    let read = async |token: &str| {
        let page = testkit::http::http_client().get(server.beside("/metrics")).bearer_auth(token);
        let page = page.send().await.unwrap();
        (page.status().as_u16(), page.text().await.unwrap())
    };
    assert_eq!(testkit::http::get(&server.beside("/metrics")).await, 401);
    assert_eq!(read(&team.token("a", &[]).await).await.0, 403);
    let said = a.call("codex", json!({"prompt": "say secret-answer", "sessionId": "s"})).await.ok();
    let input = said["usage"]["inputTokens"].as_f64().unwrap();
    let failed = json!({"prompt": "say x", "sessionId": "f", "model": "missing-1"});
    a.call("codex", failed).await.failed_with("model_refused");
    let slow = json!({"prompt": "slow 60 never", "sessionId": "r", "waitSeconds": 0});
    a.call("codex", slow).await.ok();
    let queued = json!({"prompt": "say later", "sessionId": "r", "waitSeconds": 0});
    a.call("codex", queued).await.ok();
    wait_for("the turn", || (team.world.model.open_streams() == 1).then_some(())).await;
    let (status, text) = read(&admin).await;
    assert_eq!(status, 200);
    let tenant = "tenant=\"a\"";
    for (name, labels, wanted) in [
        ("codex_mcp_turns_total", &[tenant, "status=\"completed\""][..], 1.0),
        ("codex_mcp_turns_total", &[tenant, "status=\"failed\""], 1.0),
        ("codex_mcp_turn_seconds_count", &[tenant], 2.0),
        ("codex_mcp_turn_own_seconds_count", &[tenant], 2.0),
        ("codex_mcp_tokens_total", &[tenant, "model=\"gpt-mock\"", "kind=\"input\""], input),
        ("codex_mcp_running_turns", &[tenant], 1.0),
        ("codex_mcp_queued_calls", &[tenant], 1.0),
        ("codex_mcp_sessions", &[tenant], 3.0),
        ("codex_mcp_open_approvals", &[tenant], 0.0),
        ("codex_mcp_codex_starts_total", &[tenant], 1.0),
        ("codex_mcp_codex_deaths_total", &[tenant], 0.0),
        ("codex_mcp_http_requests_total", &["route=\"/mcp\"", "status=\"200\""], 4.0),
        ("codex_mcp_http_requests_total", &["route=\"/metrics\"", "status=\"401\""], 1.0),
    ] {
        assert!((value(&text, name, labels) - wanted).abs() < 0.1, "{name} {labels:?}: {text}");
    }
    // Our own share is not the time of Codex.
    let own = value(&text, "codex_mcp_turn_own_seconds_sum", &[tenant]);
    assert!(own > 0.0 && own < value(&text, "codex_mcp_turn_seconds_sum", &[tenant]), "{text}");
    assert!(value(&text, "process_resident_memory_bytes", &[]) > 1e6);
    for said in ["secret-answer", "missing-1 ", "later", "never"] {
        assert!(!text.contains(said), "{said}: {text}");
    }
    // Each says what it is.
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(text.contains(&format!("# HELP {} ", base.unwrap_or(name))), "{name}: {text}");
    }
    // A Codex that is killed is counted once another is needed.
    let codex = process::children(server.pid());
    signal(codex[0], "KILL").await;
    a.call("codex", json!({"prompt": "say again", "sessionId": "s"})).await;
    a.call("codex", json!({"prompt": "say again", "sessionId": "s"})).await.ok();
    let (_, text) = read(&admin).await;
    assert!(value(&text, "codex_mcp_codex_deaths_total", &[tenant]) > 0.5, "{text}");
}

#[tokio::test]
async fn monitoring_may_have_an_address_of_its_own() {
    let team = Team::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setting = format!("http.metrics={address}");
    let launch = team.launch().args(["serve", "--http", "127.0.0.1:0", "--set", &setting]);
    let refused = launch.command().output().await.unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&address.to_string()));
    drop(taken);
    let server = team.serve_with(&[&setting]).await;
    let text = testkit::http::page(&format!("http://{address}/metrics")).await;
    assert!(text.contains("codex_mcp_http_calls"), "{text}");
    assert_eq!(testkit::http::get(&format!("http://{address}/mcp")).await, 404);
    let admin = team.token("b", &["--scope", "admin"]).await;
    let page = testkit::http::http_client().get(server.beside("/metrics")).bearer_auth(admin);
    assert_eq!(page.send().await.unwrap().status(), 404);
}
