//! Conversations over HTTP.

use std::time::Duration;

use serde_json::json;
use testkit::{
    http::{Method, answer},
    wait_for,
};

use super::Team;

#[tokio::test]
async fn clients_of_both_eras_go_on_with_one_conversation() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("a", &[]).await;
    let older = server.older_client(Some(&token)).await;
    let newer = server.client(Some(&token));
    let first = older.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    assert_eq!(
        (&first["response"], &first["workingDirectory"]),
        (&json!("one"), &json!(team.root("a")))
    );
    let second = newer.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(
        (&second["response"], &second["continuity"]),
        (&json!("say one"), &json!("resumed"))
    );
    let asked = json!({"prompt": "say three", "sessionId": "s"});
    let third = older.call("codex", asked).await.ok();
    assert_eq!(third["turn"], 3);
    // Another server of the same store goes on with it.
    drop(server);
    let server = team.serve().await;
    let newer = server.client(Some(&token));
    let fourth = newer.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&fourth["turn"], &fourth["continuity"]), (&json!(4), &json!("resumed")));
}

#[tokio::test]
async fn a_call_whose_stream_is_closed_is_taken_back() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token));
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "s"},
        "_meta": {"progressToken": "p"}});
    // The answer begins with the first progress.
    let (_, response) = client.send("tools/call", slow).await;
    wait_for("the model to be asked", || (team.world.model.open_streams() == 1).then_some(()))
        .await;
    drop(response);
    wait_for("the model to be left alone", || (team.world.model.open_streams() == 0).then_some(()))
        .await;
    let next = client.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["turn"]), (&json!("hi"), &json!(2)));
}

#[tokio::test]
async fn a_session_of_the_transport_that_ends_takes_its_calls_along() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("a", &[]).await;
    let client = server.older_client(Some(&token)).await;
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "s"}});
    let (_, _response) = client.send("tools/call", slow).await;
    wait_for("the model to be asked", || (team.world.model.open_streams() == 1).then_some(()))
        .await;
    let ended = client.request(Method::DELETE).send().await.unwrap();
    assert!(ended.status().is_success(), "{ended:?}");
    wait_for("the model to be left alone", || (team.world.model.open_streams() == 0).then_some(()))
        .await;
    assert_eq!(client.ask("tools/list", json!({})).await["status"], 404);
}

#[tokio::test]
async fn a_session_of_the_transport_ends_some_time_after_its_last_call() {
    let team = Team::new().await;
    let server = team.serve_with(&["http.mcp_session_idle=1s"]).await;
    let token = team.token("a", &[]).await;
    let client = server.older_client(Some(&token)).await;
    // It says nothing for longer than that, and is in flight.
    let slow = json!({"prompt": "slow 3 done", "sessionId": "s"});
    assert_eq!(client.call("codex", slow).await.ok()["response"], "done");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(client.ask("tools/list", json!({})).await["status"], 404);
}

#[tokio::test]
async fn changes_are_told_to_who_listens() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token));
    let uri = "codex://sessions/s";
    let wanted = json!({"notifications": {"resourceSubscriptions": [uri]}});
    let (id, response) = client.send("subscriptions/listen", wanted).await;
    assert!(response.status().is_success(), "{response:?}");
    client.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    // At its end the server gives it a result.
    testkit::client::signal(server.pid(), "TERM").await;
    let end = answer(response, id).await;
    assert!(end["result"].is_object(), "{end}");
}
