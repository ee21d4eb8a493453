//! Clients of several servers behind a balancer that gives every call to the next one: haproxy where there is one, as in CI;
//! else the clients themselves call them in turn.

use serde_json::json;
use testkit::{Balancer, HttpClient, HttpServer, Postgres, ToolResult};

use super::Machine;
use crate::support::World;

/// Servers, and a way to them.
struct Cluster {
    world: World,
    /// Their homes must outlive the servers.
    _machines: Vec<Machine>,
    servers: Vec<HttpServer>,
    balancer: Option<Balancer>,
}

impl Cluster {
    async fn of(count: usize) -> Self {
        let world = World::new().await;
        let database = Postgres::shared().database().await;
        let (mut machines, mut servers) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let machine = Machine::new(&world, &format!("m{number}"), &database);
            servers.push(machine.serve_with(&["session.cap=1000", "session.lease=10s"]).await);
            machines.push(machine);
        }
        let ports: Vec<u16> = servers.iter().map(HttpServer::port).collect();
        let balancer = Balancer::start(&ports);
        Self { world, _machines: machines, servers, balancer }
    }

    /// The client of a conversation's nth call.
    fn client(&self, nth: usize) -> HttpClient {
        match &self.balancer {
            Some(balancer) => HttpClient::of(&balancer.url()),
            None => self.servers[nth % self.servers.len()].client(None),
        }
    }
}

async fn conversation(cluster: &Cluster, session: &str, turns: usize) -> Vec<ToolResult> {
    let mut results = Vec::new();
    for number in 1..=turns {
        let mut call = json!({"prompt": format!("say {session}-{number}"), "sessionId": session});
        if number == 1 {
            call["sandbox"] = "read-only".into();
            call["reasoningEffort"] = "low".into();
            call["workingDirectory"] = json!(cluster.world.home.work());
        }
        results.push(cluster.client(number).call("codex", call).await.ok());
    }
    results
}

#[tokio::test]
async fn conversations_whose_every_call_lands_on_another_server_are_native_and_whole() {
    for count in [2, 4] {
        let cluster = Cluster::of(count).await;
        // One after the other, so that the next server is another one each time.
        for session in ["a", "b"] {
            let results = conversation(&cluster, session, 20).await;
            let mut moved = 0;
            for (index, result) in results.iter().enumerate() {
                let continuity = if index == 0 { "new" } else { "resumed" };
                assert_eq!(result["continuity"], continuity, "{session} {index}: {result:?}");
                assert_eq!(
                    (&result["turn"], &result["sandbox"]),
                    (&json!(index + 1), &json!("read-only"))
                );
                assert_eq!(result["reasoningEffort"], "low");
                let warnings = result["warnings"].to_string();
                assert!(!warnings.contains("another continuation"), "{warnings}");
                assert_eq!(result["workingDirectory"], json!(cluster.world.home.work()));
                moved += usize::from(!result["movedFrom"].is_null());
            }
            assert!(moved >= 15, "{count} servers, moved {moved} times");
            let ask = json!({"prompt": "history", "sessionId": session});
            let all = cluster.client(0).call("codex", ask).await.ok();
            let expected: Vec<_> =
                (1..=20).map(|number| format!("say {session}-{number}")).collect();
            assert_eq!(all["response"], expected.join("\n"));
        }
    }
}

#[tokio::test]
async fn many_sessions_at_once_on_four_servers_all_complete() {
    let cluster = Cluster::of(4).await;
    let count: usize =
        std::env::var("SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(80);
    let calls = (0..count).map(async |number| {
        let session = format!("s{number}");
        let call = json!({"prompt": format!("say {session}"), "sessionId": session});
        cluster.client(number).call("codex", call).await.ok()
    });
    for (number, result) in futures_util::future::join_all(calls).await.into_iter().enumerate() {
        assert_eq!(
            (&result["response"], &result["status"]),
            (&json!(format!("s{number}")), &json!("completed"))
        );
    }
}
