//! The end of a server: asked for, or sudden.

use serde_json::{Value, json};
use testkit::{CODEX_VERSION, client::signal, codex_cli, http::answer, wait_for};

use super::Team;

#[tokio::test]
async fn calls_under_way_end_and_new_ones_are_sent_away() {
    let team = Team::new().await;
    let mut server = team.serve().await;
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token));
    let older = server.older_client(Some(&token)).await;
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 3 done", "sessionId": "s"},
        "_meta": {"progressToken": "p"}});
    let (id, response) = client.send("tools/call", slow).await;
    wait_for("the model to be asked", || (team.world.model.open_streams() == 1).then_some(()))
        .await;
    let probe = |path: &str| {
        let url = server.beside(path);
        async move { testkit::http::get(&url).await }
    };
    assert_eq!(probe("/readyz").await, 200);
    signal(server.pid(), "TERM").await;
    testkit::wait::wait_until("it to drain", async || probe("/readyz").await == 503).await;
    assert_eq!(probe("/healthz").await, 200);
    let (_, refused) = client.send("tools/list", json!({})).await;
    assert_eq!(
        (refused.status().as_u16(), refused.headers().contains_key("retry-after")),
        (503, true)
    );
    older.call("codex", json!({"prompt": "say no"})).await.failed_with("shutting_down");
    let done = answer(response, id).await;
    assert_eq!(done["result"]["structuredContent"]["response"], "done", "{done}");
    assert!(server.ended().await.success());
    // What was answered is in the record, and goes on.
    let server = team.serve().await;
    let next = json!({"prompt": "history", "sessionId": "s"});
    let next = server.client(Some(&token)).call("codex", next).await.ok();
    assert_eq!((&next["turn"], &next["continuity"]), (&json!(2), &json!("resumed")));
}

#[tokio::test]
async fn a_turn_that_takes_longer_is_interrupted_and_recorded() {
    let team = Team::new().await;
    let mut server = team.serve_with(&["http.drain=1s"]).await;
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token));
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 partial and more", "sessionId": "s"},
        "_meta": {"progressToken": "p"}});
    let (id, response) = client.send("tools/call", slow).await;
    wait_for("the model to be asked", || (team.world.model.open_streams() == 1).then_some(()))
        .await;
    signal(server.pid(), "TERM").await;
    let ended = answer(response, id).await;
    assert_eq!(ended["result"]["structuredContent"]["status"], "interrupted", "{ended}");
    assert!(server.ended().await.success());
    assert_eq!(team.world.model.open_streams(), 0);
    let server = team.serve().await;
    let kept = server.client(Some(&token)).call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "interrupted");
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_when_it_is_killed() {
    let team = Team::new().await;
    let mut server = team.serve().await;
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token));
    client.call("codex", json!({"prompt": "say kept", "sessionId": "s"})).await.ok();
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 x", "sessionId": "s"},
        "_meta": {"progressToken": "p"}});
    let (_, _response) = client.send("tools/call", slow).await;
    wait_for("the model to be asked", || (team.world.model.open_streams() == 1).then_some(()))
        .await;
    signal(server.pid(), "KILL").await;
    server.ended().await;
    let server = team.serve().await;
    let client = server.client(Some(&token));
    let next = client.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(next["turn"], 3);
    let kept = client.call("getSession", json!({"sessionId": "s"})).await.ok();
    let statuses: Vec<&Value> =
        kept["turns"].as_array().unwrap().iter().map(|turn| &turn["status"]).collect();
    assert_eq!(statuses, ["completed", "interrupted", "completed"]);
}

#[tokio::test]
async fn a_server_without_a_codex_is_not_ready() {
    let team = Team::new().await;
    let place = team.world.home.path().join("codex");
    let setting = format!("codex.bin={}", place.display());
    let server = team.serve_with(&[&setting]).await;
    assert_eq!(testkit::http::get(&server.beside("/healthz")).await, 200);
    assert_eq!(testkit::http::get(&server.beside("/readyz")).await, 503);
    std::os::unix::fs::symlink(codex_cli::fetch(CODEX_VERSION).unwrap(), &place).unwrap();
    assert_eq!(testkit::http::get(&server.beside("/readyz")).await, 200);
}
