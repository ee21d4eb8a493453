//! A command in Codex's sandbox makes repositories that try to run programs, and everything that looks at them with git
//! is called: reviews, a worktree session's turns, diff, fork, apply, discard, the gate, `transfer`.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};
use testkit::Hostile;

use crate::support::World;

/// Runs a command of ours with something on its input.
async fn run<const N: usize>(world: &World, arguments: [&str; N], input: &Value) -> String {
    let file = world.home.path().join("input");
    fs::write(&file, input.to_string()).unwrap();
    let mut command = world.launch().args(arguments).command();
    let output = command.stdin(Stdio::from(fs::File::open(file).unwrap())).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = std::process::Command::new("git");
    git.args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(arguments);
    let output = git.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn nothing_that_a_repository_names_runs_outside_the_sandbox() {
    let world = World::new().await;
    world.home.repository();
    let hostile = Hostile::new(&world.home.path().join("hostile"));
    let evil = world.home.path().join("evil");
    fs::create_dir(&evil).unwrap();
    git(&evil, &["init", "-q"]);
    fs::write(evil.join("inner.txt"), "inner\n").unwrap();
    git(&evil, &["add", "."]);
    git(&evil, &["commit", "-qm", "inner"]);
    fs::write(evil.join(".gitattributes"), hostile.attributes()).unwrap();
    hostile.arm(&evil.join(".git"));
    hostile.control(&evil);
    let none = |what: &str| {
        let marks = hostile.marks();
        assert!(marks.is_empty(), "{what} ran {}", marks.join(", "));
    };
    let server = world.server().await;
    // Codex's own command makes it, in the working directory and in a worktree.
    let attack = format!("cp -r {} sub && echo changed > a.txt", evil.display());
    let call = |session: &str, line: &str, more: Value| {
        let mut call = json!({"prompt": format!("run {line}"), "sessionId": session, "sandbox": "workspace-write"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    assert_eq!(run(&world, ["gate", "on"], &json!({})).await.matches("is on").count(), 1);
    run(&world, ["gate", "begin"], &json!({"session_id": "c"})).await;
    server.call("codex", call("plain", &attack, json!({}))).await.ok();
    assert!(world.home.work().join("sub/.git/config").exists());
    fs::write(world.home.work().join(".gitattributes"), hostile.attributes()).unwrap();
    none("a turn");
    let review = async |arguments: Value| {
        let reviewed = server.call("review", arguments.clone()).await;
        none(&format!("review {arguments}"));
        reviewed
    };
    review(json!({})).await.ok();
    // So is the repository itself, as if it had been cloned like that.
    hostile.arm(&world.home.work().join(".git"));
    review(json!({"uncommitted": true})).await.ok();
    review(json!({"base": "main"})).await.ok();
    review(json!({"commit": "HEAD"})).await.ok();
    review(json!({"commit": "0123456789012345678901234567890123456789"})).await;
    review(json!({"workingDirectory": world.home.work().join("sub")})).await;
    let checked = run(&world, ["gate", "check"], &json!({"session_id": "c"})).await;
    assert!(checked.contains("Codex gate: "), "{checked}");
    none("the gate");
    let apart = json!({"worktree": true, "worktreeChanges": true});
    let made = server.call("codex", call("apart", &attack, apart)).await.ok();
    none("a turn in a worktree");
    assert_eq!(made["worktree"]["filesChanged"], 0, "{}", made.raw);
    let more = "echo more > more.txt; find sub -delete";
    let made = server.call("codex", call("apart", more, json!({}))).await.ok();
    assert_eq!(made["worktree"]["filesChanged"], 1, "{}", made.raw);
    review(json!({"sessionId": "apart", "uncommitted": true})).await.ok();
    let fork = json!({"sessionId": "apart", "newSessionId": "forked"});
    server.call("forkSession", fork).await.ok();
    none("a fork");
    for (session, action) in [("apart", "diff"), ("apart", "apply"), ("forked", "diff")] {
        let act = json!({"sessionId": session, "action": action});
        server.call("worktree", act).await.ok();
        none(action);
    }
    assert_eq!(fs::read_to_string(world.home.work().join("more.txt")).unwrap(), "more\n");
    let transcript = world.home.path().join("transcript.jsonl");
    let said = json!({"type": "user", "message": {"role": "user", "content": "Why?"}});
    fs::write(&transcript, format!("{said}\n")).unwrap();
    let transferred = run(&world, ["transfer", transcript.to_str().unwrap()], &json!({})).await;
    assert!(transferred.contains("has this conversation"), "{transferred}");
    server.call("deleteSession", json!({"sessionId": "apart", "force": true})).await.ok();
    none("what came last");
}
