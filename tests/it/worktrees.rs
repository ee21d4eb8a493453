//! Working apart: sessions in git worktrees of their own, and bringing back what they did.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};
use testkit::{Client, ToolResult, wait_for};

use crate::support::World;

async fn repository() -> World {
    let world = World::new().await;
    world.home.repository();
    let lines = (1..=9).map(|line| format!("{line}\n")).collect::<Vec<_>>().concat();
    write(&world, "lines.txt", &lines);
    world.home.git(&["add", "."]);
    world.home.git(&["commit", "-qm", "lines"]);
    world
}

fn write(world: &World, name: &str, text: &str) {
    fs::write(world.home.work().join(name), text).unwrap();
}

fn read(world: &World, name: &str) -> String {
    fs::read_to_string(world.home.work().join(name)).unwrap_or_default()
}

fn git(world: &World, arguments: &[&str]) -> String {
    let output =
        Command::new("git").args(arguments).current_dir(world.home.work()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Has a session run a line in its worktree.
async fn run(server: &Client, session: &str, line: &str) -> ToolResult {
    let prompt = format!("run {line}");
    let call = json!({"prompt": prompt, "sessionId": session, "worktree": true});
    server.call("codex", call).await.ok()
}

/// Does something in a session's worktree as its user, who may commit there.
fn by_hand(made: &ToolResult, line: &str) {
    let directory = made["workingDirectory"].as_str().unwrap();
    let author =
        ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(directory).envs(author.map(|name| (name, "x@x")));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}

async fn act(server: &Client, session: &str, action: &str) -> ToolResult {
    server.call("worktree", json!({"sessionId": session, "action": action})).await
}

#[tokio::test]
async fn three_explorations_touch_nobody_and_two_apply() {
    let world = repository().await;
    let server = world.server().await;
    let before = git(&world, &["status", "--porcelain"]);
    let edits = [
        ("one", "sed -i s/^1$/ONE/ lines.txt"),
        ("two", "sed -i s/^9$/NINE/ lines.txt"),
        ("three", "sed -i s/^1$/EINS/ lines.txt"),
    ];
    let (one, two, three) = tokio::join!(
        run(&server, edits[0].0, edits[0].1),
        run(&server, edits[1].0, edits[1].1),
        run(&server, edits[2].0, edits[2].1)
    );
    for (result, (session, _)) in [one, two, three].iter().zip(edits) {
        let worktree = &result["worktree"];
        assert_eq!(worktree["branch"], format!("codex/{session}"), "{}", result.raw);
        assert_eq!(
            (&worktree["filesChanged"], &worktree["insertions"], &worktree["deletions"]),
            (&json!(1), &json!(1), &json!(1))
        );
        assert_eq!(result["sandbox"], "workspace-write");
        assert_eq!(result["workingDirectory"], worktree["path"]);
        let seen =
            fs::read_to_string(PathBuf::from(worktree["path"].as_str().unwrap()).join("lines.txt"))
                .unwrap();
        let others = ["ONE", "NINE", "EINS"].iter().filter(|word| seen.contains(*word)).count();
        assert_eq!(others, 1, "{session}: {seen}");
    }
    assert_eq!(
        (git(&world, &["status", "--porcelain"]), read(&world, "lines.txt").contains("ONE")),
        (before, false)
    );
    let diff = act(&server, "one", "diff").await.ok();
    assert!(diff["diff"].as_str().unwrap().contains("+ONE"), "{}", diff.raw);
    for session in ["one", "two"] {
        let applied = act(&server, session, "apply").await.ok();
        assert_eq!(applied["files"], json!(["lines.txt"]), "{}", applied.raw);
    }
    let merged = read(&world, "lines.txt");
    assert!(merged.starts_with("ONE\n2\n") && merged.ends_with("8\nNINE\n"), "{merged}");
    let conflict = act(&server, "three", "apply").await.failed_with("worktree_conflicts");
    assert!(conflict.text.contains("lines.txt"), "{}", conflict.text);
    assert_eq!(read(&world, "lines.txt"), merged);
    // Nobody's index was touched.
    assert_eq!(git(&world, &["diff", "--cached", "--name-only"]), "");
    // It goes on in the same place, also on another server.
    let next = server
        .call("codex", json!({"prompt": "run cat lines.txt", "sessionId": "three"}))
        .await
        .ok();
    assert!(next["response"].as_str().unwrap().contains("EINS"), "{}", next.raw);
    // What is applied can go; what is nowhere else cannot, unless it is forced.
    act(&server, "one", "discard").await.ok();
    act(&server, "three", "discard").await.failed_with("unapplied_work");
    server.call("deleteSession", json!({"sessionId": "three"})).await.failed_with("unapplied_work");
    server.call("deleteSession", json!({"sessionId": "three", "force": true})).await.ok();
    assert_eq!(
        git(&world, &["branch", "--list", "codex/*", "--format=%(refname:short)"]),
        "codex/two"
    );
    assert_eq!(git(&world, &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 2);
}

#[tokio::test]
async fn whatever_was_made_there_comes_back() {
    let world = repository().await;
    let server = world.server().await;
    write(&world, "mine.txt", "uncommitted\n");
    let line = "mkdir sub && printf '\\0\\1\\2' > sub/bin && rm a.txt";
    let made = run(&server, "s", line).await;
    by_hand(&made, "git add -A && git commit -qm work");
    assert_eq!(git(&world, &["log", "--format=%s", "-1", "codex/s"]), "work");
    let made = run(&server, "s", "echo late > 'with space'").await;
    assert_eq!(made["worktree"]["filesChanged"], 3, "{}", made.raw);
    // The user's own untracked file is not there, and stays here.
    let applied = act(&server, "s", "apply").await.ok();
    assert_eq!(applied["files"], json!(["a.txt", "sub/bin", "with space"]), "{}", applied.raw);
    assert_eq!(fs::read(world.home.work().join("sub/bin")).unwrap(), [0, 1, 2]);
    assert_eq!(
        (read(&world, "with space").as_str(), read(&world, "mine.txt").as_str()),
        ("late\n", "uncommitted\n")
    );
    assert!(!world.home.work().join("a.txt").exists());
    // Applied again, it changes nothing; more work applies on top.
    assert_eq!(act(&server, "s", "apply").await.ok()["files"], json!([]));
    run(&server, "s", "echo later > 'with space'").await;
    assert_eq!(act(&server, "s", "apply").await.ok()["files"], json!(["with space"]));
    assert_eq!(read(&world, "with space"), "later\n");
}

#[tokio::test]
async fn a_worktree_begins_with_a_commit_or_with_what_is_not_committed() {
    let world = repository().await;
    let server = world.server().await;
    write(&world, "a.txt", "changed\n");
    write(&world, "new.txt", "untracked\n");
    let begin = async |session: &str, more: Value| {
        let mut call = json!({"prompt": "run cat *.txt", "sessionId": session, "worktree": true});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.call("codex", call).await
    };
    let plain = begin("plain", json!({})).await.ok();
    assert!(!plain["response"].as_str().unwrap().contains("changed"), "{}", plain.raw);
    let along = begin("along", json!({"worktreeChanges": true})).await.ok();
    let seen = along["response"].as_str().unwrap();
    assert!(seen.contains("changed") && seen.contains("untracked"), "{seen}");
    // They are not its own changes.
    assert_eq!(along["worktree"]["filesChanged"], 0, "{}", along.raw);
    let older = begin("older", json!({"worktreeBase": "HEAD~1"})).await.ok();
    assert!(!older["response"].as_str().unwrap().contains("8\n9"), "{}", older.raw);
    begin("nope", json!({"worktreeBase": "nope"})).await.failed_with("unknown_revision");
    begin("both", json!({"worktreeBase": "HEAD", "worktreeChanges": true}))
        .await
        .failed_with("invalid_argument");
    let again = begin("plain", json!({"worktreeBase": "HEAD"})).await.ok();
    assert!(again["warnings"].to_string().contains("has its worktree already"), "{}", again.raw);
    begin("plain", json!({"worktree": false})).await.failed_with("worktree_unusable");
    let elsewhere = tempfile::tempdir().unwrap();
    begin("plain", json!({"workingDirectory": elsewhere.path()}))
        .await
        .failed_with("worktree_unusable");
    // Nothing is left of what failed.
    assert_eq!(git(&world, &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 4);
}

#[tokio::test]
async fn where_no_worktree_can_be_made_is_said() {
    let world = World::new().await;
    let server = world.server().await;
    let call = json!({"prompt": "say hi", "worktree": true});
    server.call("codex", call.clone()).await.failed_with("not_a_repository");
    world.home.git(&["init", "-q", "-b", "main"]);
    server.call("codex", call.clone()).await.failed_with("no_commits");
    world.home.repository();
    let mut ephemeral = call.clone();
    ephemeral["ephemeral"] = true.into();
    server.call("codex", ephemeral).await.failed_with("invalid_argument");
    let bare = world.home.path().join("bare.git");
    world.home.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let in_bare = json!({"prompt": "say hi", "worktree": true, "workingDirectory": bare});
    server.call("codex", in_bare).await.failed_with("not_a_repository");
    let shallow = world.home.path().join("shallow");
    let origin = format!("file://{}", world.home.work().display());
    world.home.git(&["clone", "-q", "--depth", "1", &origin, shallow.to_str().unwrap()]);
    fs::write(shallow.join(".gitmodules"), "").unwrap();
    let in_shallow = json!({"prompt": "say hi", "worktree": true, "workingDirectory": shallow});
    let made = server.call("codex", in_shallow).await.ok();
    assert!(made["warnings"].to_string().contains("submodules"), "{}", made.raw);
    act(&server, "none", "diff").await.failed_with("unknown_session");
    server.call("codex", json!({"prompt": "say hi", "sessionId": "plain"})).await.ok();
    act(&server, "plain", "diff").await.failed_with("no_worktree");
    let narrow = world.launch().args(["--set", "limits.sandbox_ceiling=read-only"]).connect().await;
    narrow.call("codex", call).await.failed_with("sandbox_not_allowed");
    // Somebody removes one.
    let made = run(&server, "gone", "echo x > x").await;
    fs::remove_dir_all(made["worktree"]["path"].as_str().unwrap()).unwrap();
    let next = json!({"prompt": "say hi", "sessionId": "gone"});
    server.call("codex", next.clone()).await.failed_with("worktree_gone");
    act(&server, "gone", "diff").await.failed_with("worktree_gone");
    act(&server, "gone", "discard").await.ok();
    assert_eq!(server.call("codex", next).await.ok()["response"], "hi");
}

#[tokio::test]
async fn a_fork_has_a_worktree_like_the_others() {
    let world = repository().await;
    let server = world.server().await;
    run(&server, "s", "echo one > one").await;
    let fork = json!({"sessionId": "s", "newSessionId": "f"});
    server.call("forkSession", fork).await.ok();
    let forked = server
        .call("codex", json!({"prompt": "run cat one && echo two > two", "sessionId": "f"}))
        .await
        .ok();
    assert!(forked["response"].as_str().unwrap().contains("one"), "{}", forked.raw);
    assert_eq!(
        (&forked["worktree"]["branch"], &forked["worktree"]["filesChanged"]),
        (&json!("codex/f"), &json!(2))
    );
    let first = server.call("codex", json!({"prompt": "run ls", "sessionId": "s"})).await.ok();
    assert!(!first["response"].as_str().unwrap().contains("two"), "{}", first.raw);
}

#[tokio::test]
async fn what_a_lost_session_left_is_kept_on_its_branch() {
    let world = repository().await;
    let server = world.launch().args(["--set", "session.ttl=3s"]).connect().await;
    let made = run(&server, "s", "echo precious > file").await;
    run(&server, "idle", "true").await;
    let path = PathBuf::from(made["worktree"]["path"].as_str().unwrap());
    // As if it had been there for a while: what is new may be in the making.
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let touched =
            Command::new("touch").args(["-d", "1 hour ago"]).arg(entry.unwrap().path()).status();
        assert!(touched.unwrap().success());
    }
    let doctor = world.launch().args(["doctor", "--json"]).command().output().await.unwrap();
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("\"worktrees\""));
    wait_for("the worktree to be swept", || (!path.exists()).then_some(())).await;
    assert_eq!(git(&world, &["show", "codex/s:file"]), "precious");
    wait_for("the other one too", || {
        let branches = git(&world, &["branch", "--list", "codex/*", "--format=%(refname:short)"]);
        (branches == "codex/s").then_some(())
    })
    .await;
}

/// The note beside it has the name that the session had when it was made.
#[tokio::test]
async fn a_session_keeps_its_worktree_under_another_name() {
    let world = repository().await;
    let server = world.launch().args(["--set", "session.ttl=8s"]).connect().await;
    let made = run(&server, "s", "echo precious > file").await;
    let lost = run(&server, "lost", "true").await;
    let path = |made: &ToolResult| PathBuf::from(made["worktree"]["path"].as_str().unwrap());
    let (path, lost) = (path(&made), path(&lost));
    server.call("renameSession", json!({"sessionId": "s", "newSessionId": "t"})).await.ok();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let touched =
            Command::new("touch").args(["-d", "1 hour ago"]).arg(entry.unwrap().path()).status();
        assert!(touched.unwrap().success());
    }
    let doctor = world.launch().args(["doctor", "--json"]).command().output().await.unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("2, each of a session"), "{doctor}");
    // Until a sweep has taken the worktree of the session that was not used any more.
    while lost.exists() {
        run(&server, "t", "cat file").await;
    }
    let there = run(&server, "t", "cat file").await;
    assert!(there["response"].as_str().unwrap().contains("precious"), "{}", there.raw);
    assert_eq!(path, PathBuf::from(there["worktree"]["path"].as_str().unwrap()));
    server.close().await;
}

#[tokio::test]
async fn the_operator_allows_what_widens_a_sandbox() {
    let world = World::new().await;
    let outside = world.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let call = |more: Value| {
        let mut call = json!({"prompt": format!("run echo x > {}/x; true", outside.display()), "sandbox": "workspace-write"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    let server = world.launch().env("TMPDIR", "/nowhere").connect().await;
    for widened in [
        json!({"network": true}),
        json!({"writableRoots": [outside]}),
        json!({"approvalsReviewer": "auto_review"}),
    ] {
        let refused = server.call("codex", call(widened)).await.failed_with("not_allowed");
        assert!(refused.text.contains("limits."), "{}", refused.text);
    }
    server.close().await;
    let roots = format!("limits.writable_roots={}", json!([outside]));
    let wide = world.launch().env("TMPDIR", "/nowhere");
    let wide = wide
        .args(["--set", &roots, "--set", "limits.network=true", "--set", "limits.auto_review=true"])
        .connect()
        .await;
    let more = json!({"writableRoots": [outside], "network": true, "sessionId": "s"});
    let done = wide.call("codex", call(more)).await.ok();
    assert_eq!(
        (&done["network"], &done["writableRoots"]),
        (&json!(true), &json!([outside])),
        "{}",
        done.raw
    );
    if !outside.starts_with("/tmp") {
        assert!(outside.join("x").exists(), "{}", done.raw);
    }
    // It stays with the session.
    let next = wide.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!(next["network"], true, "{}", next.raw);
    wide.call("codex", call(json!({"writableRoots": ["/etc"]})))
        .await
        .failed_with("directory_not_allowed");
    let read_only = json!({"prompt": "say hi", "sandbox": "read-only", "network": true});
    let read_only = wide.call("codex", read_only).await.ok();
    assert!(
        read_only["warnings"].to_string().contains("workspace-write alone"),
        "{}",
        read_only.raw
    );
    let reviewed = json!({"prompt": "say hi", "approvalsReviewer": "auto_review", "approvalPolicy": "on-request"});
    assert_eq!(wide.call("codex", reviewed).await.ok()["approvalsReviewer"], "auto_review");
}

/// In the folder for temporary files, where the tests' repository is, commands can write its git folder too: nothing there
/// may run anything outside the sandbox.
#[tokio::test]
async fn nothing_that_codex_writes_runs_outside_its_sandbox() {
    let world = repository().await;
    let server = world.server().await;
    let mark = world.home.path().join("escaped");
    let script = format!(
        "mkdir -p evil/refs && ln -s \"$(git rev-parse --git-common-dir)/objects\" evil/objects; \
         cp \"$(git rev-parse --git-common-dir)/HEAD\" evil/HEAD; \
         printf '[core]\\nrepositoryformatversion=0\\n[filter \"x\"]\\nclean=touch {mark}; cat\\n[core]\\nfsmonitor=touch {mark}\\n' > evil/config; \
         echo '* filter=x' > .gitattributes; echo text > file; \
         d=$(git rev-parse --git-dir); echo \"$PWD/evil\" > $d/commondir; cp evil/config $d/config.worktree; true",
        mark = mark.display()
    );
    fs::write(world.home.path().join("attack.sh"), script).unwrap();
    let line = format!("sh {}/attack.sh", world.home.path().display());
    let made = run(&server, "s", &line).await;
    assert!(!mark.exists(), "{}", made.raw);
    assert!(made["worktree"]["filesChanged"].as_u64().unwrap() >= 2, "{}", made.raw);
    act(&server, "s", "diff").await.ok();
    assert!(!mark.exists(), "diff");
    act(&server, "s", "apply").await;
    assert!(!mark.exists(), "apply");
    server.call("review", json!({"sessionId": "s", "uncommitted": true})).await.ok();
    assert!(!mark.exists(), "review");
    server.call("forkSession", json!({"sessionId": "s", "newSessionId": "f"})).await;
    server
        .call("worktree", json!({"sessionId": "s", "action": "discard", "force": true}))
        .await
        .ok();
    assert!(!mark.exists());
    assert_eq!(git(&world, &["branch", "--list", "codex/s"]), "");
    assert!(!git(&world, &["log", "--format=%s", "-1"]).is_empty());
}

#[tokio::test]
async fn work_that_is_in_no_state_is_work_as_well() {
    let world = repository().await;
    let server = world.server().await;
    // Commits whose content is gone again, and commits that no branch has.
    let reverted = "echo w > w && git add w && git commit -qm w && git revert --no-edit HEAD";
    let detached = "git checkout -q --detach && echo w > w && git add w && git commit -qm w && \
                    git checkout -q --detach HEAD~1 && git checkout -q --detach @{-1}";
    for (session, line) in [("reverted", reverted), ("detached", detached)] {
        by_hand(&run(&server, session, "true").await, line);
        act(&server, session, "discard").await.failed_with("unapplied_work");
    }
    let nested = "mkdir sub && cd sub && git init -q && echo precious > p && git add p && \
                  git -c user.name=x -c user.email=x@x commit -qm p";
    let made = run(&server, "nested", nested).await;
    assert!(made["response"].as_str().unwrap().contains("code 0"), "{}", made["response"]);
    act(&server, "nested", "discard").await.failed_with("unapplied_work");
    act(&server, "nested", "apply").await.failed_with("nested_repository");
    // What git ignores is named.
    fs::write(world.home.work().join(".gitignore"), "*.env\n").unwrap();
    world.home.git(&["add", ".gitignore"]);
    world.home.git(&["commit", "-qm", "ignore"]);
    run(&server, "ignored", "echo secret > my.env").await;
    let gone = act(&server, "ignored", "discard").await.ok();
    assert!(gone["warnings"].to_string().contains("my.env"), "{}", gone.raw);
    // The session goes on here, says so, and its commands still work.
    let back = json!({"prompt": "run echo x > here", "sessionId": "ignored", "sandbox": "workspace-write"});
    let back = server.call("codex", back).await.ok();
    assert!(back["warnings"].to_string().contains("worktree was discarded"), "{}", back.raw);
    assert_eq!(read(&world, "here"), "x\n", "{}", back["response"]);
    let missing = json!({"prompt": "say x", "worktreeChanges": true});
    server.call("codex", missing).await.failed_with("worktree_unusable");
}

#[tokio::test]
async fn an_apply_that_stops_half_way_is_undone() {
    let world = repository().await;
    let server = world.server().await;
    write(&world, ".gitignore", "build\n");
    world.home.git(&["add", ".gitignore"]);
    world.home.git(&["commit", "-qm", "ignore"]);
    write(&world, "build", "an ignored file of the user's\n");
    run(
        &server,
        "s",
        "rm .gitignore && mkdir build && echo x > build/x && echo changed > a.txt && echo z > zz",
    )
    .await;
    let failed = act(&server, "s", "apply").await;
    assert_eq!(failed.raw["isError"], true, "{}", failed.raw);
    assert_eq!(
        (read(&world, "a.txt").as_str(), read(&world, "build").as_str()),
        ("one\n", "an ignored file of the user's\n")
    );
    assert!(
        world.home.work().join(".gitignore").exists() && !world.home.work().join("zz").exists()
    );
    assert_eq!(git(&world, &["status", "--porcelain"]), "");
    // It survives that git throws away what nothing names.
    fs::remove_file(world.home.work().join("build")).unwrap();
    act(&server, "s", "apply").await.ok();
    world.home.git(&["gc", "-q", "--prune=now"]);
    run(&server, "s", "echo more >> a.txt").await;
    assert_eq!(act(&server, "s", "apply").await.ok()["files"], json!(["a.txt"]));
}

/// What is in the git folder decides which programs Codex's own git runs, outside of its sandbox. So nothing in it is a
/// command's to write, and what is changed in the worktree needs no commit.
#[tokio::test]
async fn no_command_writes_the_git_folder_of_a_worktree_and_its_work_is_kept_all_the_same() {
    for version in ["0.66.0", "0.98.0", "0.120.0", "0.171.0"] {
        let world = repository().await;
        // The folder for temporary files is writable by itself, and the tests' repository is in it.
        world.home.add_codex_config(
            "[sandbox_workspace_write]\nexclude_tmpdir_env_var = true\nexclude_slash_tmp = true\n",
        );
        let codex = testkit::codex_cli::fetch(version).unwrap();
        let launch = world.launch().env("CODEX_BIN", codex.to_string_lossy());
        let server = launch.connect().await;
        let line = "echo w > w && git add w && git -c user.name=x -c user.email=x@x commit -qm work; echo x >> a.txt; \
                    for f in commondir gitdir config.worktree HEAD index; do echo . > $(git rev-parse --git-dir)/$f; done; \
                    echo . > $(git rev-parse --git-common-dir)/refs/heads/main; echo . > .git";
        let before = git(&world, &["for-each-ref"]);
        let made = run(&server, "s", line).await;
        let begun = format!("{}", made["response"]);
        let now = git(&world, &["for-each-ref"]);
        assert_eq!(now.lines().count(), before.lines().count() + 1, "{version}: {begun}");
        assert!(!now.contains("work"), "{version}: {now}");
        assert_eq!(git(&world, &["worktree", "list"]).lines().count(), 2, "{version}: {begun}");
        assert_eq!(made["worktree"]["filesChanged"], 2, "{version}: {}", made.raw);
        assert_eq!(
            act(&server, "s", "apply").await.ok()["files"],
            json!(["a.txt", "w"]),
            "{version}"
        );
        act(&server, "s", "discard").await.ok();
        let call =
            json!({"prompt": "run echo x > here", "sessionId": "s", "sandbox": "workspace-write"});
        let back = server.call("codex", call).await.ok();
        assert_eq!(read(&world, "here"), "x\n", "{version}: {}", back["response"]);
        assert_eq!(back["continuity"], "resumed", "{version}");
    }
}
