//! Clients of the older era, which have MCP sessions, behind a balancer that knows nothing of these: each request comes to
//! whichever server.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{MessageStream, client::signal, wait_for};

use super::{Machine, two};

fn call(prompt: &str) -> Value {
    json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": "s"}})
}

#[tokio::test]
async fn an_answer_that_comes_to_another_server_is_given_to_the_one_that_asked() {
    let (_world, one, two) = two().await;
    let (here, there) = (one.serve().await, two.serve().await);
    let client = here.older_client_with_user().await;
    let (mine, theirs) = (one.home.work().join("asked-for"), two.home.work().join("also"));
    let touch = |path: &Path| format!("escalate touch {}", path.display());
    let (id, response) = client.send("tools/call", call(&touch(&mine))).await;
    let mut stream = MessageStream::of(response);
    let asked = stream.next_of("elicitation/create").await;
    // Meanwhile the other server has something to ask as well.
    let other = client.through(&there);
    let also = json!({"prompt": touch(&theirs), "sessionId": "t"});
    let also = json!({"name": "codex", "arguments": also});
    let (_, response) = other.send("tools/call", also).await;
    let also = MessageStream::of(response).next_of("elicitation/create").await;
    assert_ne!(asked["id"], also["id"], "one client cannot tell them apart");
    // A person takes a moment.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let decision = json!({"action": "accept", "content": {"decision": "accept"}});
    other.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": decision})).await;
    let result = loop {
        let message = stream.next().await.expect("a result");
        if message["id"] == id {
            break message["result"].clone();
        }
    };
    assert_eq!(result["isError"], json!(false), "{result}");
    assert!(mine.exists() && !theirs.exists(), "{result}");
}

#[tokio::test]
async fn a_call_is_cancelled_by_a_word_to_another_server() {
    let (world, one, two) = two().await;
    let (here, there) = (one.serve().await, two.serve().await);
    let client = here.older_client(None).await;
    let (id, _response) = client.send("tools/call", call("slow 60 never")).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let params = json!({"requestId": id, "reason": "changed my mind"});
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    client.through(&there).post(&cancelled).await;
    wait_for("the turn to end", || (world.model.open_streams() == 0).then_some(())).await;
    let seen = client.through(&there).call("wait", json!({"sessionId": "s"})).await;
    seen.failed_with("interrupted");
}

#[tokio::test]
async fn news_of_all_servers_come_on_whichever_stream_there_is() {
    let (world, one, two) = two().await;
    let (here, there) = (one.serve().await, two.serve().await);
    let client = here.older_client(None).await;
    let mut stream = client.listen().await;
    let elsewhere = client.through(&there);
    elsewhere.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    stream.next_of("notifications/resources/list_changed").await;
    let uri = json!({"uri": "codex://sessions/s"});
    elsewhere.ask("resources/subscribe", uri.clone()).await;
    elsewhere.call("codex", json!({"prompt": "say two", "sessionId": "s"})).await.ok();
    let told = stream.next_of("notifications/resources/updated").await;
    assert_eq!(told["params"], uri);
    // A stream that is begun again on a server that has never heard of the subscription.
    drop(stream);
    signal(here.pid(), "KILL").await;
    let machine = Machine::new(&world, "three", &one.database);
    let third = machine.serve().await;
    let mut stream = client.through(&third).listen().await;
    elsewhere.call("codex", json!({"prompt": "say three", "sessionId": "s"})).await.ok();
    let told = stream.next_of("notifications/resources/updated").await;
    assert_eq!(told["params"], uri);
    // What its client has ended is over on all servers.
    let ended = elsewhere.request(testkit::http::Method::DELETE).send().await.unwrap();
    assert!(ended.status().is_success(), "{ended:?}");
    while stream.next().await.is_some() {}
    assert_eq!(client.through(&third).ask("ping", json!({})).await["status"], 404);
}

#[tokio::test]
async fn who_listens_as_the_newer_era_does_hears_of_all_servers_too() {
    let (_world, one, two) = two().await;
    let (here, there) = (one.serve().await, two.serve().await);
    let uri = "codex://sessions/s";
    let wanted =
        json!({"notifications": {"resourceSubscriptions": [uri], "resourcesListChanged": true}});
    let (_, response) = here.client(None).send("subscriptions/listen", wanted).await;
    let mut stream = MessageStream::of(response);
    there.client(None).call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    stream.next_of("notifications/resources/list_changed").await;
    there.client(None).call("codex", json!({"prompt": "say two", "sessionId": "s"})).await.ok();
    let told = stream.next_of("notifications/resources/updated").await;
    assert_eq!(told["params"]["uri"], uri);
}
