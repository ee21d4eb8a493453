//! Reviews: a verdict and findings that are about what has changed, or an error.

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

/// What the model was last asked.
fn asked(world: &World) -> String {
    world.model.requests().last().unwrap().prompts().pop().unwrap()
}

#[tokio::test]
async fn a_review_lists_findings_and_goes_on_as_a_conversation() {
    let world = repository().await;
    change(&world);
    let server = world.server().await;
    let (_, answer) = server.call_with_progress("review", json!({"sessionId": "r"}), "t").await;
    let review = ToolResult::from_response("review", &answer.wait("review").await).ok();
    assert_eq!(review["verdict"], "needs-attention");
    let findings = review["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2, "{}", review.raw);
    // The worst first, whatever the order was.
    let worst = &findings[0];
    assert_eq!((&worst["title"], &worst["severity"]), (&json!("Counts wrong"), &json!("high")));
    assert_eq!((&worst["file"], &worst["lineStart"]), (&json!("a.txt"), &json!(2)));
    assert_eq!((&worst["lineEnd"], &worst["confidence"]), (&json!(3), &json!(0.9)));
    assert_eq!(worst["recommendation"], "Count again.");
    assert!(worst["outsideDiff"].is_null());
    assert_eq!(findings[1]["outsideDiff"], true);
    assert!(review["warnings"].to_string().contains("1 of 2 findings"), "{}", review["warnings"]);
    let expected = "Verdict: needs attention. Two things.\n\n1. [high] Counts wrong — a.txt:2-3";
    assert!(review.text.contains(expected), "{}", review.text);
    assert_eq!((&review["sandbox"], &review["turn"]), (&json!("read-only"), &json!(1)));
    assert!(!server.progress("t").is_empty());
    let request = world.model.requests().pop().unwrap();
    assert!(request.schema().is_some_and(|schema| schema["required"][0] == "verdict"));
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
    fs::create_dir(world.home.work().join("sub")).unwrap();
    fs::write(world.home.work().join("sub/new.txt"), "untracked\n").unwrap();
    let server = world.server().await;
    let (committed, untracked) = ("+two", "+untracked");
    for (arguments, has, has_not) in [
        (json!({}), vec![untracked], vec![committed]),
        (
            json!({"uncommitted": true, "prompt": "Look."}),
            vec![untracked, "Look."],
            vec![committed],
        ),
        (json!({"base": "main"}), vec![committed, untracked, "since it left `main`"], vec![]),
        (json!({"base": "main", "paths": ["a.txt"]}), vec![committed], vec![untracked]),
        (
            json!({"workingDirectory": "sub", "paths": ["new.txt"]}),
            vec![untracked],
            vec![committed],
        ),
        (
            json!({"workingDirectory": "sub", "paths": ["./../sub/new.txt"]}),
            vec![untracked],
            vec![committed],
        ),
        (json!({"commit": "HEAD", "title": "Two"}), vec![committed], vec![untracked]),
        (
            json!({"base": "main", "prompt": "Look for secrets."}),
            vec![committed, "Look for secrets."],
            vec![],
        ),
        (json!({"base": "main", "style": "adversarial"}), vec!["Try to break", committed], vec![]),
        (
            json!({"prompt": "Review the words in a.txt"}),
            vec!["the words"],
            vec![committed, untracked],
        ),
    ] {
        let review = server.call("review", arguments.clone()).await.ok();
        assert_eq!(review["verdict"], "needs-attention", "{arguments}");
        let asked = asked(&world);
        for part in has {
            assert!(asked.contains(part), "{arguments} lacks {part}: {asked}");
        }
        for part in has_not {
            assert!(!asked.contains(part), "{arguments} has {part}: {asked}");
        }
    }
    // What git has staged is as it was.
    let status = std::process::Command::new("git")
        .args(["status", "--porcelain"])
        .current_dir(world.home.work())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&status.stdout), "?? sub/\n");
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
    review(json!({"style": "kind"})).await.failed_with("invalid_argument");
    review(json!({"paths": [""]})).await.failed_with("invalid_argument");
    review(json!({"paths": ["/etc"]})).await.failed_with("unknown_revision");
    let elsewhere = tempfile::tempdir().unwrap();
    let nowhere = json!({"workingDirectory": elsewhere.path()});
    review(nowhere).await.failed_with("not_a_repository");
    review(json!({"workingDirectory": "/no/such"})).await.failed_with("directory_unusable");
    fs::write(world.home.work().join("large"), "0123456789\n".repeat(30_000)).unwrap();
    let large = review(json!({})).await;
    assert!(large.text.contains("`large` (30000 lines)"), "{}", large.text);
    large.failed_with("review_too_large");
    change(&world);
    assert!(world.model.requests().is_empty());
    review(json!({"paths": ["a.txt"]})).await.ok();
    let sessions = server.call("listSessions", json!({})).await.ok();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

/// Git cannot tell by its times that a file has changed which was written in the instant in which the index was, and looks
/// into it. So must whoever works with a copy of the index.
#[tokio::test]
async fn a_change_made_in_the_instant_of_the_commit_is_seen() {
    let world = repository().await;
    let (work, home) = (world.home.work(), &world.home);
    home.git(&["config", "core.trustctime", "false"]);
    let file = work.join("quick.txt");
    let instant = std::time::SystemTime::now() - std::time::Duration::from_mins(1);
    let write = |text: &str| {
        fs::write(&file, text).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(instant).unwrap();
    };
    write("before\n");
    home.git(&["add", "quick.txt"]);
    home.git(&["commit", "-qm", "quick"]);
    let index = work.join(".git/index");
    fs::File::options().write(true).open(index).unwrap().set_modified(instant).unwrap();
    write("after!\n");
    let server = world.server().await;
    server.call("review", json!({"uncommitted": true})).await.ok();
    assert!(asked(&world).contains("after!"), "{}", asked(&world));
}

#[tokio::test]
async fn five_planted_faults_come_out_with_lines_and_verdict() {
    let world = repository().await;
    let work = world.home.work();
    let mut faults = Vec::new();
    for number in 1..=5_u32 {
        let name = format!("fault{number}.py");
        let lines = (1..=20).map(|line| format!("line {line}\n")).collect::<Vec<_>>().concat();
        fs::write(work.join(&name), &lines).unwrap();
        world.home.git(&["add", &name]);
        world.home.git(&["commit", "-qm", "sound"]);
        fs::write(work.join(&name), lines.replace("line 10\n", "planted\n")).unwrap();
        let severity = ["low", "medium", "high", "critical", "low"][number as usize - 1];
        faults.push(json!({"title": name, "severity": severity, "confidence": 1.0,
            "file": work.join(&name), "lineStart": 10, "lineEnd": 10, "body": "b", "recommendation": "r"}));
    }
    let server = world.server().await;
    let prompt = format!("find {}", json!(faults));
    let review = server.call("review", json!({"uncommitted": true, "prompt": prompt})).await.ok();
    let found: Vec<_> = review["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            assert_eq!((&found["lineStart"], &found["lineEnd"]), (&json!(10), &json!(10)));
            assert!(found["outsideDiff"].is_null(), "{found}");
            found["file"].as_str().unwrap()
        })
        .collect();
    let expected = ["fault4.py", "fault3.py", "fault2.py", "fault1.py", "fault5.py"];
    assert_eq!((found.as_slice(), &review["verdict"]), (&expected[..], &json!("needs-attention")));
    assert!(!review["warnings"].to_string().contains("findings"), "{}", review["warnings"]);
}

#[tokio::test]
async fn a_review_that_is_not_complete_is_an_error() {
    let world = repository().await;
    change(&world);
    let server = world.server().await;
    for prompt in ["truncate 300", "truncate 0", "answer Looks good to me.", "answer {}"] {
        let review = json!({"uncommitted": true, "prompt": prompt, "sessionId": "r"});
        let review = server.call("review", review).await;
        assert!(review.raw["structuredContent"]["findings"].is_null(), "{}", review.raw);
        review.failed_with("review_incomplete");
    }
    let call = json!({"uncommitted": true, "prompt": "approve Fine.", "sessionId": "r"});
    let review = server.call("review", call).await.ok();
    assert_eq!((&review["verdict"], &review["findings"]), (&json!("approve"), &json!([])));
    assert!(review.text.contains("Verdict: approve. Fine.\n\nNothing was found."));
    let kept = server.call("getSession", json!({"sessionId": "r", "turn": 1})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "failed");
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
    // `wait` is answered once the turn has ended.
    let ended = server.call("wait", json!({"sessionId": "r"})).await;
    assert_eq!(ended["status"], "interrupted", "{}", ended.raw);
}
