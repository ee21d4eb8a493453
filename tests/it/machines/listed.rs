//! Who is there, and what runs where.

use serde_json::{Value, json};
use testkit::{client::signal, wait_for};

use super::{Machine, two};
use crate::support::World;

/// What `servers` says, and with which exit code.
async fn listed(machine: &Machine) -> (Vec<Value>, i32) {
    let said = machine.launch.clone().args(["servers", "--json"]).command().output().await.unwrap();
    let all: Value = serde_json::from_slice(&said.stdout).unwrap();
    (all["servers"].as_array().unwrap().clone(), said.status.code().unwrap())
}

#[tokio::test]
async fn every_server_is_listed_with_what_runs_on_it_until_it_ends() {
    let (world, one, two) = two().await;
    let (mut here, mut there) = (one.serve().await, two.serve().await);
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    here.client(None).call("codex", slow).await.ok();
    there.client(None).call("codex", json!({"prompt": "say on", "sessionId": "t"})).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let both = wait_until(&two, |all| {
        let [a, b] = all else { return false };
        !a["codex"].is_null() && !b["codex"].is_null() && a["turns"][0]["number"] == 1
    });
    let (all, code) = both.await;
    assert_eq!(code, 0);
    let names: Vec<_> = all.iter().map(|server| server["machine"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    let first = &all[0];
    assert_eq!(first["turns"], json!([{"tenant": "", "session": "s", "number": 1}]));
    assert_eq!((&first["state"], &first["kind"]), (&json!("serving"), &json!("http")));
    assert_eq!((&first["process"], &first["url"]), (&json!(here.pid()), &json!(here.url())));
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["codex"], testkit::CODEX_VERSION);
    let metrics = testkit::http::http_client().get(there.beside("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for machine in ["one", "two"] {
        let is_up = |line: &str| {
            line.starts_with("codex_mcp_server_up{")
                && line.ends_with("} 1")
                && line.contains(&format!("machine=\"{machine}\""))
        };
        assert!(metrics.lines().any(is_up), "{metrics}");
    }
    // One that is killed is silent, and its turn is anybody's; one that ends in order has left.
    signal(here.pid(), "KILL").await;
    here.ended().await;
    let (all, code) = wait_until(&two, |all| all[0]["state"] == "silent").await;
    assert_eq!((code, &all[1]["state"]), (1, &json!("serving")), "{all:?}");
    let shown = two.launch.clone().arg("servers").command().output().await.unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("silent") && shown.contains("s: turn 1 ran; whoever comes"), "{shown}");
    signal(there.pid(), "TERM").await;
    there.ended().await;
    let (all, _) = wait_until(&two, |all| all.len() == 1).await;
    assert_eq!(all[0]["machine"], "one");
}

/// Asks until it is so, for at most twenty seconds.
async fn wait_until(machine: &Machine, is_so: impl Fn(&[Value]) -> bool) -> (Vec<Value>, i32) {
    for _ in 0..200 {
        let (all, code) = listed(machine).await;
        if !all.is_empty() && is_so(&all) {
            return (all, code);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never was so: {:?}", listed(machine).await);
}

#[tokio::test]
async fn who_shares_no_database_is_told_what_to_look_at() {
    let world = World::new().await;
    let said = world.launch().arg("servers").command().output().await.unwrap();
    let words = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(words.contains("PostgreSQL") && words.contains("host status"), "{words}");
}
