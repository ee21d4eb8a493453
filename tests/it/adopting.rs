//! Conversations begun elsewhere, and copies of conversations.

use serde_json::{Value, json};
use testkit::wait_for;

use crate::support::{World, in_a_terminal, in_a_terminal_with};

#[tokio::test]
async fn a_conversation_of_the_terminal_goes_on_here() {
    let world = World::new().await;
    let thread = in_a_terminal(&world, "say from the terminal").await;
    let server = world.server().await;
    let listed = server.call("listSessions", json!({"includeThreads": true})).await.ok();
    assert_eq!(listed["threads"][0]["threadId"], thread, "{}", listed.raw);
    assert_eq!(listed["threads"][0]["source"], "exec");
    let elsewhere = json!({"includeThreads": true, "workingDirectory": "/opt"});
    assert_eq!(server.call("listSessions", elsewhere).await.ok()["threads"], json!([]));

    let call = json!({"prompt": "history", "sessionId": thread});
    let here = server.call("codex", call).await.ok();
    assert_eq!(
        (&here["continuity"], &here["response"]),
        (&json!("resumed"), &json!("say from the terminal"))
    );
    assert_eq!((&here["threadId"], &here["turn"]), (&json!(thread), &json!(1)));
    // As a session it is no loose thread any more, and its thread's id finds it.
    let listed = server.call("listSessions", json!({"includeThreads": true})).await.ok();
    assert_eq!(listed["threads"], json!([]));
    let again = server.call("codex", json!({"prompt": "say on", "threadId": thread})).await.ok();
    assert_eq!((&again["sessionId"], &again["turn"]), (&json!(thread), &json!(2)));
}

#[tokio::test]
async fn threads_are_listed_page_by_page() {
    let world = World::new().await;
    let mut made = Vec::new();
    for word in ["one", "two", "three"] {
        made.push(in_a_terminal(&world, &format!("say {word}")).await);
    }
    let server = world.server().await;
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = json!({"includeThreads": true, "limit": 2, "threadCursor": cursor});
        let page = server.call("listSessions", page).await.ok();
        let threads = page["threads"].as_array().unwrap();
        seen.extend(threads.iter().map(|thread| thread["threadId"].as_str().unwrap().to_owned()));
        cursor = page["nextThreadCursor"].clone();
        if cursor.is_null() {
            break;
        }
        assert!(seen.len() <= 3, "{seen:?}");
    }
    made.reverse();
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_thread_id_finds_its_session_whatever_that_is_called() {
    let world = World::new().await;
    let server = world.server().await;
    let first = server.call("codex", json!({"prompt": "say one", "sessionId": "named"})).await.ok();
    for key in ["threadId", "sessionId", "conversationId"] {
        let call = json!({"prompt": "say more", key: first["threadId"]});
        assert_eq!(server.call("codex", call).await.ok()["sessionId"], "named", "{key}");
    }
    let odd = json!({"prompt": "say x", "threadId": "not-a-uuid"});
    server.call("codex", odd).await.failed_with("invalid_argument");
    let both = json!({"prompt": "say x", "threadId": first["threadId"], "sessionId": "named"});
    server.call("codex", both).await.failed_with("invalid_argument");
}

#[tokio::test]
async fn a_uuid_that_is_no_thread_is_a_session_like_any_other() {
    let world = World::new().await;
    let server = world.server().await;
    let name = "00000000-0000-4000-8000-000000000000";
    let call = json!({"prompt": "history", "sessionId": name});
    let new = server.call("codex", call.clone()).await.ok();
    assert_eq!(
        (&new["continuity"], &new["warnings"]),
        (&json!("new"), &plain_warnings(&new["warnings"]))
    );
    assert_eq!(server.call("codex", call).await.ok()["continuity"], "resumed");
}

/// Codex's own warning about the fake model, and nothing else.
fn plain_warnings(warnings: &Value) -> Value {
    let all = warnings.as_array().unwrap().iter();
    all.filter(|text| text.as_str().unwrap().contains("metadata")).cloned().collect()
}

#[tokio::test]
async fn a_fork_goes_on_from_where_it_was_made() {
    let world = World::new().await;
    let server = world.server().await;
    for word in ["one", "two", "three"] {
        let call = json!({"prompt": format!("say {word}"), "sessionId": "s", "model": "m"});
        server.call("codex", call).await.ok();
    }
    let fork = async |arguments: Value| server.call("forkSession", arguments).await;
    let history = async |session: &str| {
        server.call("codex", json!({"prompt": "history", "sessionId": session})).await.ok()
    };
    let whole = fork(json!({"sessionId": "s", "newSessionId": "whole"})).await.ok();
    assert_eq!(
        (&whole["continuity"], &whole["session"]["turnCount"]),
        (&json!("resumed"), &json!(3))
    );
    let early = fork(json!({"sessionId": "s", "newSessionId": "early", "turn": 1})).await.ok();
    assert_eq!(
        (&early["continuity"], &early["session"]["model"]),
        (&json!("resumed"), &json!("m"))
    );
    assert_eq!(history("whole").await["response"], "say one\nsay two\nsay three");
    let early = history("early").await;
    assert_eq!((&early["response"], &early["turn"]), (&json!("say one"), &json!(2)));
    let kept = server.call("getSession", json!({"sessionId": "early"})).await.ok();
    assert_eq!(kept["turns"][0]["response"], "one");
    // The source stays as it was.
    assert_eq!(history("s").await["turn"], 4);
    let automatic = fork(json!({"sessionId": "s"})).await.ok();
    assert_eq!(automatic["session"]["turnCount"], 4);
    fork(json!({"sessionId": "s", "newSessionId": "whole"})).await.failed_with("session_exists");
    fork(json!({"sessionId": "s", "turn": 9})).await.failed_with("unknown_turn");
    fork(json!({"sessionId": "none"})).await.failed_with("unknown_session");
    fork(json!({})).await.failed_with("invalid_argument");
}

#[tokio::test]
async fn a_running_session_and_a_thread_in_use_can_be_forked() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    let running = server.call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let forked =
        server.call("forkSession", json!({"sessionId": "s", "newSessionId": "t"})).await.ok();
    assert_eq!(
        (&forked["continuity"], &forked["session"]["turnCount"]),
        (&json!("resumed"), &json!(1))
    );
    let history = json!({"prompt": "history", "sessionId": "t"});
    assert_eq!(server.call("codex", history).await.ok()["response"], "say one");
    let by_thread = json!({"threadId": running["threadId"], "newSessionId": "u"});
    assert_eq!(server.call("forkSession", by_thread).await.ok()["continuity"], "resumed");
    let none = json!({"threadId": "00000000-0000-4000-8000-000000000000"});
    server.call("forkSession", none).await.failed_with("codex_refused");
}

#[tokio::test]
async fn a_thread_that_is_gone_is_forked_from_our_record() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    assert!(server.close().await.success());
    std::fs::remove_dir_all(world.home.codex_home().join("sessions")).unwrap();
    let server = world.server().await;
    let forked =
        server.call("forkSession", json!({"sessionId": "s", "newSessionId": "t"})).await.ok();
    assert_eq!(forked["continuity"], "rebuilt", "{}", forked.raw);
    assert_eq!(forked["warnings"].as_array().unwrap().len(), 1);
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "t"})).await.ok();
    assert_eq!((&next["continuity"], &next["response"]), (&json!("rebuilt"), &json!("say one")));
}

#[tokio::test]
async fn sessions_are_found_by_what_was_said() {
    let world = World::new().await;
    let server = world.server().await;
    for (name, prompt) in [("alpha", "say Needle_x"), ("beta-needle", "say 1"), ("gamma", "say 2")]
    {
        server.call("codex", json!({"prompt": prompt, "sessionId": name})).await.ok();
    }
    let listed = server.call("listSessions", json!({"search": "needle"})).await.ok();
    let names: Vec<_> = listed["sessions"].as_array().unwrap().iter().map(|s| &s["id"]).collect();
    assert_eq!(names, ["beta-needle", "alpha"]);
    let none = server.call("listSessions", json!({"search": "edle%"})).await.ok();
    assert_eq!(none["sessions"], json!([]));
}

#[tokio::test]
async fn an_adopted_thread_goes_on_with_what_it_ran_with() {
    for (begun_with, goes_on_with) in
        [("workspace-write", "workspace-write"), ("danger-full-access", "workspace-write")]
    {
        let world = World::new().await;
        let place = world.home.path().join("place");
        std::fs::create_dir(&place).unwrap();
        let options = ["--model", "gpt-5-codex", "--sandbox", begun_with];
        let thread = in_a_terminal_with(&world, &options, &place, "say one").await;
        let server = world.server().await;
        let forked = json!({"threadId": thread, "newSessionId": "fork"});
        server.call("forkSession", forked).await.ok();
        for session in [thread.as_str(), "fork"] {
            let call = json!({"prompt": "history", "sessionId": session});
            let here = server.call("codex", call).await.ok();
            assert_eq!(here["response"], "say one");
            assert_eq!(
                (&here["model"], &here["sandbox"], &here["workingDirectory"]),
                (&json!("gpt-5-codex"), &json!(goes_on_with), &json!(place)),
                "{}",
                here.raw
            );
        }
    }
}

#[tokio::test]
async fn what_was_said_outside_the_roots_stays_outside() {
    let world = World::new().await;
    let outside = world.home.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let thread = in_a_terminal_with(&world, &[], &outside, "say secret").await;
    let roots = format!("limits.roots=[\"{}\"]", world.home.work().display());
    let server = world.launch().args(["--set", &roots]).connect().await;
    let fork = json!({"threadId": thread, "newSessionId": "fork"});
    server.call("forkSession", fork).await.failed_with("directory_not_allowed");
    let adopt = json!({"prompt": "history", "sessionId": thread});
    server.call("codex", adopt).await.failed_with("directory_not_allowed");
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"], json!([]));
}

#[tokio::test]
async fn a_model_that_is_not_allowed_any_more_is_refused_also_where_it_is_stored() {
    let world = World::new().await;
    let server = world.server().await;
    let call = json!({"prompt": "say one", "sessionId": "s", "model": "gpt-5-codex"});
    server.call("codex", call).await.ok();
    server.close().await;
    let server = world.launch().args(["--set", "limits.models=[\"gpt-5\"]"]).connect().await;
    let call = json!({"prompt": "say two", "sessionId": "s"});
    server.call("codex", call).await.failed_with("model_not_allowed");
    let call = json!({"prompt": "say two", "sessionId": "s", "model": "gpt-5"});
    assert_eq!(server.call("codex", call).await.ok()["model"], "gpt-5");
}
