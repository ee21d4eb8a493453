//! A database that is away: nothing answered is lost, nothing runs twice, nothing needs a restart.

use serde_json::json;
use testkit::{HttpServer, Link, Postgres, Proxy, wait_for};

use super::Machine;
use crate::support::World;

/// A machine whose database can be cut off, and one whose database cannot.
async fn cut_off(lease: &str) -> (World, Proxy, (Machine, HttpServer), (Machine, HttpServer)) {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let (start, name) = database.rsplit_once('/').unwrap();
    let (host, port) = start.rsplit_once(':').unwrap();
    let proxy = Proxy::to(port.parse().unwrap()).await;
    let through = format!("{host}:{}/{name}", proxy.port());
    let (one, two) =
        (Machine::new(&world, "one", &through), Machine::new(&world, "two", &database));
    let servers = (one.serve_with(&[lease]).await, two.serve().await);
    (world, proxy, (one, servers.0), (two, servers.1))
}

#[tokio::test]
async fn a_turn_that_ends_meanwhile_is_recorded_when_it_is_back() {
    for link in [Link::Cut, Link::Silent] {
        let (world, proxy, (_one, here), (_two, there)) = cut_off("session.lease=10s").await;
        let (client, there) = (here.client(None), there.client(None));
        client.call("codex", json!({"prompt": "say first", "sessionId": "s"})).await.ok();
        let slow = client.clone();
        let slow = tokio::spawn(async move {
            slow.call("codex", json!({"prompt": "slow 1 late", "sessionId": "s"})).await.ok()
        });
        wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
        proxy.set(link);
        let refused = client.call("codex", json!({"prompt": "say other"})).await;
        let refused = refused.failed_with("store_unavailable");
        assert!(refused.text.contains("Call again in some 5 seconds"), "{}", refused.text);
        proxy.set(Link::Up);
        let slow = slow.await.unwrap();
        assert_eq!((&slow["response"], &slow["status"]), (&json!("late"), &json!("completed")));
        // And is everybody's.
        let next = there.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
        assert_eq!((&next["continuity"], &next["turn"]), (&json!("resumed"), &json!(3)));
        assert_eq!(next["response"], "say first\nslow 1 late");
        let turns = there.call("getSession", json!({"sessionId": "s"})).await.ok();
        assert_eq!(turns["turns"][1]["response"], "late");
    }
}

#[tokio::test]
async fn a_turn_whose_lease_runs_out_meanwhile_is_stopped_and_others_go_on() {
    for link in [Link::Cut, Link::Silent] {
        let (world, proxy, (_one, here), (_two, there)) = cut_off("session.lease=3s").await;
        let (client, there) = (here.client(None), there.client(None));
        client.call("codex", json!({"prompt": "say first", "sessionId": "s"})).await.ok();
        let slow = client.clone();
        let slow = tokio::spawn(async move {
            slow.call("codex", json!({"prompt": "slow 60 never", "sessionId": "s"})).await
        });
        wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
        proxy.set(link);
        wait_for("it to be stopped", || (world.model.open_streams() == 0).then_some(())).await;
        let next = there.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
        assert_eq!((&next["response"], &next["turn"]), (&json!("say first"), &json!(3)));
        slow.await.unwrap().failed_with("lease_lost");
        // Once it is back, so is the session.
        proxy.set(Link::Up);
        testkit::wait::wait_until("the database to be back", async || {
            !client.call("listSessions", json!({})).await.is_error
        })
        .await;
        let back = client.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
        assert_eq!((&back["continuity"], &back["turn"]), (&json!("resumed"), &json!(4)));
    }
}
