//! `doctor --url`: a server as a client elsewhere sees it.

use serde_json::Value;

use super::Team;

/// What `doctor` finds, check by check, and whether it is content.
async fn doctor(
    team: &Team,
    url: &str,
    token: Option<&str>,
) -> (bool, Vec<(String, String, String)>) {
    let mut launch = team.world.launch().args(["doctor", "--json", "--url", url]);
    if let Some(token) = token {
        launch = launch.args(["--token-env", "TEAM_TOKEN"]).env("TEAM_TOKEN", token);
    }
    let output = launch.command().output().await.unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks = found["checks"].as_array().unwrap().iter();
    let checks = checks
        .map(|it| (text(it, "name"), text(it, "status"), text(it, "detail") + &text(it, "fix")));
    (output.status.success(), checks.collect())
}

#[tokio::test]
async fn a_server_is_checked_from_outside() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("a", &[]).await;
    let (well, found) = doctor(&team, server.url(), Some(&token)).await;
    let statuses: Vec<_> = found.iter().map(|(name, status, _)| (&**name, &**status)).collect();
    let all = ["url", "server", "readiness", "authentication", "token", "call"];
    assert_eq!(statuses, all.map(|name| (name, "ok")), "{found:?}");
    assert!(well && found.iter().any(|(_, _, detail)| detail.contains("0.171.0")), "{found:?}");
    // What is wrong is named, with what to do about it.
    let beside = server.beside("/other");
    for (url, token, check, why) in [
        (server.url(), Some("cms_x_y"), "token", "not known"),
        (&beside, Some(&*token), "authentication", "no endpoint at /other"),
        ("http://127.0.0.1:9/mcp", None, "server", "is it running"),
        ("codex.example", None, "url", "https://codex.example/mcp"),
    ] {
        let (well, found) = doctor(&team, url, token).await;
        let named = found.iter().find(|(name, _, _)| name == check);
        let (_, status, said) = named.unwrap_or_else(|| panic!("{url}: {found:?}"));
        assert!(!well && status == "trouble" && said.contains(why), "{url}: {found:?}");
    }
    let named = team.serve_with(&["http.hosts=codex.example"]).await;
    let (well, found) = doctor(&team, named.url(), Some(&token)).await;
    assert!(!well && found.iter().any(|(_, _, said)| said.contains("http.hosts")), "{found:?}");
    let (_, found) = doctor(&team, server.url(), None).await;
    assert!(found.iter().any(|(name, status, _)| name == "token" && status == "warning"));
}

#[tokio::test]
async fn doctor_says_what_separates_tenants() {
    let team = Team::new().await;
    let launch = team.launch().args(["doctor", "--json"]);
    let output = launch.command().output().await.unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tenants = found["checks"].as_array().unwrap().iter().find(|it| it["name"] == "tenants");
    let tenants = tenants.unwrap();
    assert_eq!(tenants["status"], "warning");
    assert!(tenants["detail"].as_str().unwrap().contains("a, b can read"), "{tenants}");
    assert!(tenants["fix"].as_str().unwrap().contains("launcher"), "{tenants}");
}
