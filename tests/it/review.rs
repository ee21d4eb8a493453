//! Codex's own review, as a session.

use std::fs;

use serde_json::{Value, json};
use testkit::{ToolResult, wait_for};

use crate::support::World;

async fn repository() -> World {
    let world = World::new().await;
    world.home.repository();
    world
}

fn change(world: &World) {
    fs::write(world.home.work().join("a.txt"), "one\ntwo\n").unwrap();
}

#[tokio::test]
async fn a_review_lists_findings_and_goes_on_as_a_conversation() {
    let world = repository().await;
    change(&world);
    let server = world.server().await;
    let (_, answer) = server.call_with_progress("review", json!({"sessionId": "r"}), "t").await;
    let review = ToolResult::from_response("review", &answer.wait("review").await).ok();
    let findings = review["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2, "{}", review.raw);
    assert_eq!(
        (&findings[0]["title"], &findings[0]["priority"]),
        (&json!("Counts wrong"), &json!(1))
    );
    assert_eq!(
        (&findings[0]["file"], &findings[0]["startLine"]),
        (&json!("/repo/a.txt"), &json!(2))
    );
    assert!(review.text.contains("1. [P1] Counts wrong — /repo/a.txt:2-3"), "{}", review.text);
    assert_eq!((&review["sandbox"], &review["turn"]), (&json!("read-only"), &json!(1)));
    assert!(!server.progress("t").is_empty());
    let next = json!({"prompt": "say fixed", "sessionId": "r", "sandbox": "workspace-write"});
    let next = server.call("codex", next).await.ok();
    assert_eq!((&next["continuity"], &next["turn"]), (&json!("resumed"), &json!(2)));
    let seen = serde_json::to_string(&world.model.request_for("say fixed").unwrap().body).unwrap();
    assert!(seen.contains("Counts wrong"), "the review is not in what the model sees");
    // A session that may write is only read for a review, and may write again after.
    let again = server.call("review", json!({"sessionId": "r"})).await.ok();
    assert_eq!(again["sandbox"], "read-only");
    let after =
        server.call("codex", json!({"prompt": "run echo x > new", "sessionId": "r"})).await.ok();
    assert_eq!(after["sandbox"], "workspace-write");
    assert!(world.home.work().join("new").exists());
    let kept = server.call("getSession", json!({"sessionId": "r"})).await.ok();
    assert_eq!(kept["turns"][0]["prompt"], "Review the uncommitted changes");
}

#[tokio::test]
async fn a_branch_a_commit_and_anything_else_can_be_reviewed() {
    let world = repository().await;
    world.home.git(&["checkout", "-qb", "work"]);
    change(&world);
    world.home.git(&["commit", "-qam", "two"]);
    let server = world.server().await;
    for (arguments, asked) in [
        (json!({"base": "main"}), "main"),
        (json!({"commit": "HEAD", "title": "Two"}), "HEAD"),
        (json!({"base": "main", "prompt": "Look for secrets."}), "Look for secrets."),
        (json!({"prompt": "Review the words in a.txt"}), "the words"),
    ] {
        let review = server.call("review", arguments.clone()).await.ok();
        let body = review["findings"][0]["body"].as_str().unwrap();
        assert!(body.contains(asked), "{arguments}: {body}");
    }
}

#[tokio::test]
async fn what_cannot_be_reviewed_is_said_before_the_model_is_asked() {
    let world = repository().await;
    let server = world.server().await;
    let review = async |arguments: Value| server.call("review", arguments).await;
    review(json!({})).await.failed_with("nothing_to_review");
    review(json!({"base": "main"})).await.failed_with("nothing_to_review");
    for odd in [json!({"base": "nope"}), json!({"commit": "deadbeef"}), json!({"base": "-x"})] {
        review(odd).await.failed_with("unknown_revision");
    }
    review(json!({"base": "main", "commit": "HEAD"})).await.failed_with("invalid_argument");
    review(json!({"uncommitted": true, "prompt": "x"})).await.failed_with("invalid_argument");
    let elsewhere = tempfile::tempdir().unwrap();
    let nowhere = json!({"workingDirectory": elsewhere.path()});
    review(nowhere).await.failed_with("not_a_repository");
    review(json!({"workingDirectory": "/no/such"})).await.failed_with("directory_unusable");
    assert!(world.model.requests().is_empty());
    assert!(
        server.call("listSessions", json!({})).await.ok()["sessions"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_review_can_be_cancelled() {
    let world = repository().await;
    change(&world);
    let slow = testkit::Model::with(|_| {
        testkit::Reply::text("never").after(std::time::Duration::from_mins(1))
    })
    .await;
    world.home.codex_config(&testkit::Home::provider(&slow.url()));
    let server = world.server().await;
    let call = json!({"name": "review", "arguments": {"sessionId": "r"}});
    let (id, _answer) = server.begin("tools/call", call).await;
    wait_for("the review to run", || (slow.open_streams() == 1).then_some(())).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_for("the model to be left alone", || (slow.open_streams() == 0).then_some(())).await;
    let kept = server.call("getSession", json!({"sessionId": "r"})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "interrupted");
}
