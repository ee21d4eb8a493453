//! Tokens and the account's allowance.

use serde_json::json;

use testkit::{client::try_signal, wait::wait_until};

use crate::support::World;

/// 2030-01-01, in seconds since 1970.
const THEN: i64 = 1_893_456_000;

#[tokio::test]
async fn what_is_used_of_the_allowance_is_told() {
    let world = World::new().await;
    let server = world.server().await;
    let prompt = format!("used 42 {THEN}");
    let result = server.call("codex", json!({"prompt": prompt, "sessionId": "s"})).await.ok();
    let window = &result["rateLimits"]["primary"];
    assert_eq!(window["usedPercent"], 42.0, "{}", result.raw);
    assert_eq!(window["windowMinutes"], 300);
    assert_eq!(window["resetsAt"], "2030-01-01T00:00:00Z");
    assert_eq!(result["usage"]["totalTokens"], 120);
    server.call("codex", json!({"prompt": "say more", "sessionId": "s"})).await.ok();
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["usage"]["totalTokens"], 240);
}

#[tokio::test]
async fn a_used_up_allowance_says_when_it_is_back() {
    let world = World::new().await;
    let server = world.server().await;
    let prompt = format!("exhausted {THEN}");
    let result = server.call("codex", json!({"prompt": prompt, "sessionId": "s"})).await;
    let result = result.failed_with("usage_limit");
    assert!(result.text.contains("2030-01-01T00:00:00Z"), "{}", result.text);
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "hi");
}

#[tokio::test]
async fn usage_is_told_by_day_model_and_session() {
    let world = World::new().await;
    let server = world.server().await;
    for (session, model) in [("a", "m1"), ("a", "m1"), ("b", "m2")] {
        let call = json!({"prompt": "say x", "sessionId": session, "model": model});
        server.call("codex", call).await.ok();
    }
    server.call("deleteSession", json!({"sessionId": "b"})).await.ok();
    let usage = server.call("usage", json!({})).await.ok();
    let models: Vec<_> = usage["byModel"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| {
            (
                model["model"].as_str().unwrap(),
                model["turns"].as_u64().unwrap(),
                model["usage"]["totalTokens"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(models, [("m1", 2, 240), ("m2", 1, 120)], "{}", usage.raw);
    assert_eq!(usage["total"]["totalTokens"], 360);
    assert_eq!(usage["byDay"].as_array().unwrap().len(), 2);
    assert_eq!(
        usage["sessions"],
        json!([{"id": "a", "turns": 2, "usage": usage["byModel"][0]["usage"]}])
    );
    // Nobody is logged in, and the provider has said nothing.
    assert!(usage["warnings"][0].as_str().unwrap().contains("authentication"), "{}", usage.raw);
    server.call("usage", json!({"days": 0})).await.failed_with("invalid_argument");
    let prompt = format!("used 42 {THEN}");
    server.call("codex", json!({"prompt": prompt})).await.ok();
    let usage = server.call("usage", json!({})).await.ok();
    assert_eq!(
        (&usage["rateLimits"]["primary"]["usedPercent"], &usage["rateLimitsFrom"]),
        (&json!(42.0), &json!("turn"))
    );
}

#[tokio::test]
async fn the_account_says_what_is_left() {
    let world = World::new().await;
    world.home.log_in(&world.model.account_url());
    world.model.set_allowance(30, THEN);
    let server = world.server().await;
    let usage = server.call("usage", json!({})).await.ok();
    assert_eq!(usage["rateLimits"]["primary"]["usedPercent"], 30.0, "{}", usage.raw);
    assert_eq!(usage["rateLimits"]["primary"]["resetsAt"], "2030-01-01T00:00:00Z");
    assert_eq!((&usage["plan"], &usage["rateLimitsFrom"]), (&json!("pro"), &json!("account")));
    assert_eq!(usage["credits"]["balance"], "12.5");
    assert_eq!(usage["warnings"], json!([]));
}

#[tokio::test]
async fn a_turn_is_refused_while_too_little_is_left() {
    let world = World::new().await;
    world.home.log_in(&world.model.account_url());
    world.model.set_allowance(95, THEN);
    let server = world.launch().args(["--set", "limits.min_remaining=10"]).connect().await;
    let call = json!({"prompt": "say hi", "sessionId": "s"});
    let refused = server.call("codex", call.clone()).await.failed_with("usage_limit");
    assert!(refused.text.contains("2030-01-01T00:00:00Z"), "{}", refused.text);
    assert!(world.model.requests().is_empty());
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"], json!([]));
    // A caller that does not wait for it finds out as well.
    let background = json!({"prompt": "say hi", "sessionId": "b", "waitSeconds": 0});
    let told = server.call("codex", background).await;
    if told.raw["isError"] == false {
        let ended = server.call("wait", json!({"sessionId": "b"})).await;
        assert!(ended.text.contains("allowance is left"), "{}", ended.raw);
        server.call("deleteSession", json!({"sessionId": "b"})).await.ok();
    }
    // A window that is over counts no more.
    world.model.set_allowance(95, 1);
    server.call("usage", json!({})).await.ok();
    assert_eq!(server.call("codex", call).await.ok()["response"], "hi");
}

/// A world whose account has little left, and what has turns wait for more.
async fn low_world() -> (World, [&'static str; 4]) {
    let world = World::new().await;
    world.home.log_in(&world.model.account_url());
    world.model.set_allowance(95, THEN);
    (world, ["--set", "limits.min_remaining=10", "--set", "limits.when_exhausted=wait"])
}

#[tokio::test]
async fn a_turn_waits_in_the_queue_until_enough_is_left() {
    let (world, settings) = low_world().await;
    let launch = world.launch().args(settings);
    let server = launch.connect().await;
    let call = json!({"prompt": "say hi", "sessionId": "s", "waitSeconds": 1});
    let waiting = server.call("codex", call.clone()).await.ok();
    assert_eq!((&waiting["status"], &waiting["turn"]), (&json!("running"), &json!(1)));
    assert!(waiting.text.contains("usage limit, until 2030-01-01"), "{}", waiting.text);
    assert!(world.model.requests().is_empty());
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "queued", "{}", kept.raw);
    assert_eq!(kept["turns"][0]["notBefore"], "2030-01-01T00:00:00Z");
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(
        (&listed["sessions"][0]["queued"], &listed["sessions"][0]["status"]),
        (&json!(1), &json!("new"))
    );
    // It can be stopped.
    let stopped = server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    assert_eq!((&stopped["interrupted"], &stopped["status"]), (&json!(true), &json!("cancelled")));
    let again = server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    assert_eq!(again["interrupted"], false, "{}", again.raw);
    let over = server.call("wait", json!({"sessionId": "s", "turn": 1})).await;
    assert!(over.failed_with("cancelled").text.contains("on request"));
    let again = server.call("codex", call).await.ok();
    assert_eq!((&again["status"], &again["turn"]), (&json!("running"), &json!(2)));
    let behind = json!({"prompt": "say next", "sessionId": "s", "waitSeconds": 0});
    let behind = server.call("codex", behind).await.ok();
    assert_eq!(behind["turn"], 3, "{}", behind.raw);
    server.close_stdin().await;
    // Another window's server runs them in order once there is enough, if the first one's is gone.
    let other = launch.connect().await;
    world.model.set_allowance(20, THEN);
    other.call("usage", json!({})).await.ok();
    for (turn, answer) in [(2, "hi"), (3, "next")] {
        let done = other.call("wait", json!({"sessionId": "s", "turn": turn})).await.ok();
        assert_eq!((&done["response"], &done["turn"]), (&json!(answer), &json!(turn)));
    }
    assert_eq!(world.model.requests().len(), 2);
    let kept = other.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["session"]["turnCount"], 3, "{}", kept.raw);
    assert!(kept["turns"][1]["notBefore"].is_null(), "{}", kept.raw);
}

#[tokio::test]
async fn a_turn_that_waits_for_the_allowance_outlives_its_server_and_obeys_another() {
    let (world, settings) = low_world().await;
    let launch = world.launch().alone().args(settings);
    let (first, other) = (launch.connect().await, launch.connect().await);
    for session in ["a", "b", "c"] {
        let call = json!({"prompt": "say hi", "sessionId": session, "waitSeconds": 0});
        first.call("codex", call).await.ok();
    }
    // Called off from another server, it does not begin here.
    let stopped = other.call("interrupt", json!({"sessionId": "a"})).await.ok();
    assert_eq!((&stopped["interrupted"], &stopped["turn"]), (&json!(true), &json!(1)));
    let told = first.call("wait", json!({"sessionId": "a", "turn": 1})).await;
    told.failed_with("cancelled");
    // Nor is a session deleted that still owes a turn.
    other.call("deleteSession", json!({"sessionId": "b"})).await.failed_with("session_busy");
    try_signal(first.pid(), "KILL").await;
    world.model.set_allowance(20, THEN);
    other.call("usage", json!({})).await.ok();
    for session in ["b", "c"] {
        let done = other.call("wait", json!({"sessionId": session, "turn": 1})).await.ok();
        assert_eq!(done["response"], "hi");
    }
    assert_eq!(world.model.requests().len(), 2);
}

#[tokio::test]
async fn a_turn_waits_for_the_allowance_no_longer_than_it_may_take() {
    let (world, settings) = low_world().await;
    let server = world.launch().args(settings).connect().await;
    let call = json!({"prompt": "say hi", "sessionId": "s", "timeoutSeconds": 1});
    let refused = server.call("codex", call).await.failed_with("usage_limit");
    assert!(refused.text.contains("2030-01-01T00:00:00Z"), "{}", refused.text);
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "cancelled", "{}", kept.raw);
    assert!(kept["turns"][0]["error"].as_str().unwrap().contains("allowance"), "{}", kept.raw);
    assert!(world.model.requests().is_empty());
}

#[tokio::test]
async fn no_call_of_the_first_moment_runs_below_the_allowance() {
    let (world, settings) = low_world().await;
    let server = world.launch().args(settings).connect().await;
    let call = |session| json!({"prompt": "say hi", "sessionId": session, "waitSeconds": 1});
    let calls = ["a", "b", "c", "d"].map(|session| server.call("codex", call(session)));
    for waiting in futures_util::future::join_all(calls).await {
        assert!(waiting.text.contains("usage limit, until"), "{}", waiting.text);
    }
    assert!(world.model.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_is_taken_back_waits_for_no_allowance() {
    let (world, settings) = low_world().await;
    let server = world.launch().args(settings).connect().await;
    let call = json!({"name": "codex", "arguments": {"prompt": "say hi", "sessionId": "s"}});
    let (id, _answer) = server.begin("tools/call", call).await;
    let read = json!({"sessionId": "s", "turn": 1});
    let is = async |status: &str| {
        let read = server.call("getSession", read.clone()).await;
        read["turns"][0]["status"] == status
    };
    wait_until("the turn to wait", async || is("queued").await).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_until("the turn to be called off", async || is("cancelled").await).await;
    world.model.set_allowance(20, THEN);
    server.call("usage", json!({})).await.ok();
    server.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!(world.model.requests().len(), 1);
}

#[tokio::test]
async fn a_turn_that_used_nothing_is_not_told_to_have_used_what_the_last_one_did() {
    for release_after in ["codex.release_after=60s", "codex.release_after=0s"] {
        let world = World::new().await;
        let server = world.launch().args(["--set", release_after]).connect().await;
        server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
        let refused = json!({"prompt": "refuse this", "sessionId": "s"});
        let refused = server.call("codex", refused).await;
        assert_eq!(refused.raw["isError"], true, "{}", refused.raw);
        assert!(refused["usage"].is_null(), "{release_after}: {}", refused.raw);
        let listed = server.call("listSessions", json!({})).await.ok();
        assert_eq!(listed["sessions"][0]["usage"]["totalTokens"], 120, "{release_after}");
        // Nor by a Codex that has just resumed the thread.
        try_signal(server.server_pid(), "KILL").await;
        let next = world.server().await;
        let refused = json!({"prompt": "refuse that", "sessionId": "s"});
        let refused = next.call("codex", refused).await;
        assert_eq!(refused.raw["isError"], true, "{}", refused.raw);
        assert!(refused["usage"].is_null(), "{release_after}: {}", refused.raw);
    }
}
