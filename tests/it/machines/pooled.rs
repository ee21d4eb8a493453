//! Servers whose way to the database is a pooler that gives each transaction another connection.

use serde_json::json;
use testkit::{Pooler, Postgres, wait_for};

use super::Machine;
use crate::support::World;

#[tokio::test]
async fn conversations_go_on_and_are_steered_through_a_pooler() {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let Some(pooler) = Pooler::start(&database) else { return };
    let machines = ["one", "two"].map(|name| Machine::new(&world, name, &pooler.url()));
    let listen = format!("store.listen_url={database}");
    let [one, two] = &machines;
    let (one, two) = (one.serve_with(&[&listen]).await, two.serve_with(&[&listen]).await);
    let (one, two) = (one.client(None), two.client(None));
    let conversations = (0..6).map(|number| {
        let (one, two) = (&one, &two);
        async move {
            let session = format!("s{number}");
            for (turn, client) in [one, two, one].into_iter().enumerate() {
                let call = json!({"prompt": format!("say {turn}"), "sessionId": session});
                client.call("codex", call).await.ok();
            }
            let history = json!({"prompt": "history", "sessionId": session});
            let result = two.call("codex", history).await.ok();
            assert_eq!(result["response"], "say 0\nsay 1\nsay 2", "{}", result.raw);
        }
    });
    futures_util::future::join_all(conversations).await;
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s0", "waitSeconds": 0});
    one.call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let stopped = two.call("interrupt", json!({"sessionId": "s0"})).await.ok();
    assert_eq!(stopped["status"], "interrupted", "{stopped:?}");
}
