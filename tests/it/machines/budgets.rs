//! Limits that hold over all servers of a database.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::wait_for;

use super::two;

fn slow(session: &str) -> Value {
    json!({"prompt": "slow 60 never", "sessionId": session, "waitSeconds": 0})
}

#[tokio::test]
async fn no_more_turns_run_at_once_than_may_on_all_servers_together() {
    let (world, one, two) = two().await;
    let limits = ["limits.running_turns=3", "limits.queued_calls=1"];
    let (one, two) = (one.serve_with(&limits).await, two.serve_with(&limits).await);
    let (here, there) = (one.client(None), two.client(None));
    here.call("codex", slow("a")).await.ok();
    here.call("codex", slow("b")).await.ok();
    there.call("codex", slow("c")).await.ok();
    wait_for("three turns", || (world.model.open_streams() == 3).then_some(())).await;
    for client in [&here, &there] {
        let refused = client.call("codex", json!({"prompt": "say d", "sessionId": "d"})).await;
        let refused = refused.failed_with("too_much_work");
        assert!(refused.text.contains("3 turns run"), "{}", refused.text);
        // What was not begun leaves nothing.
        client.call("getSession", json!({"sessionId": "d"})).await.failed_with("unknown_session");
    }
    // One may wait, wherever.
    let waiting = json!({"prompt": "say next", "sessionId": "a", "waitSeconds": 1});
    here.call("codex", waiting.clone()).await.ok();
    let second = there.call("codex", json!({"prompt": "say too", "sessionId": "b"})).await;
    assert!(second.failed_with("too_much_work").text.contains("1 calls wait"));
    there.call("interrupt", json!({"sessionId": "c"})).await.ok();
    let next = there.call("codex", json!({"prompt": "say d", "sessionId": "d"})).await.ok();
    assert_eq!(next["response"], "d");
}

#[tokio::test]
async fn also_calls_of_the_same_moment_do_not_go_over_a_limit() {
    let (world, one, two) = two().await;
    let limits = ["limits.running_turns=2", "limits.turns_per_day=6"];
    let (one, two) = (one.serve_with(&limits).await, two.serve_with(&limits).await);
    let clients = [one.client(None), two.client(None)];
    let mut done = 0;
    for round in 0..6 {
        let calls = (0..6).map(|n: usize| {
            let call = json!({"prompt": "slow 0.5 done", "sessionId": format!("s{round}-{n}")});
            clients[n % 2].call("codex", call)
        });
        let answers = join_all(calls).await;
        let ok = answers.iter().filter(|answer| !answer.is_error).count();
        assert!(ok <= 2, "{ok} at once");
        done += ok;
        for code in answers.iter().filter_map(|answer| answer["code"].as_str()) {
            assert!(["too_much_work", "quota_exceeded"].contains(&code), "{code}");
        }
    }
    assert!(done <= 6, "{done} a day");
    let begun = world.model.requests().len();
    assert!(begun <= 6, "{begun} were begun");
    while done < 6 {
        let call = clients[done % 2].call("codex", json!({"prompt": "say x"})).await;
        assert!(!call.is_error, "{}", call.text);
        done += 1;
    }
    for client in &clients {
        let over = client.call("codex", json!({"prompt": "say x"})).await;
        let over = over.failed_with("quota_exceeded");
        assert!(over.text.contains("6 turns") && over["retryAfterSeconds"].is_u64(), "{over:?}");
    }
}
