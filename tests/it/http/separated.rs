//! Tenants whose Codex runs as users of their own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use serde_json::json;
use testkit::HttpServer;

use super::{Team, keyless};

/// Users that need not be in any list of users.
const USERS: [(&str, u32); 2] = [("a", 60_001), ("b", 60_002)];

/// A folder of a user that nobody else can look into.
fn private(path: &Path, user: u32) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    chown(path, Some(user), Some(user)).unwrap();
}

#[tokio::test]
async fn a_command_of_one_cannot_read_what_is_the_others() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tried: only root can start a program as another user");
        return;
    }
    let team = Team::new().await;
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = String::new();
    for (name, user) in USERS {
        let (root, home) = (place.path().join(format!("{name}-work")), place.path().join(name));
        private(&root, user);
        private(&home, user);
        for (file, text) in
            [("config.toml", keyless(&team.world.model)), ("key", format!("key of {name}"))]
        {
            fs::write(home.join(file), text).unwrap();
            fs::set_permissions(home.join(file), fs::Permissions::from_mode(0o600)).unwrap();
            chown(home.join(file), Some(user), Some(user)).unwrap();
        }
        config += &format!(
            "[tenants.{name}]\nroots = [{root:?}]\ncodex_home = {home:?}\n\
             launcher = [\"setpriv\", \"--reuid={user}\", \"--regid={user}\", \"--clear-groups\", \"--\"]\n"
        );
    }
    fs::write(team.world.home.path().join("team.toml"), config).unwrap();
    let server = HttpServer::start(&team.launch().args(["serve", "--http", "127.0.0.1:0"])).await;
    let (a, b) = (team.token("a", &[]).await, team.token("b", &[]).await);
    let (a, b) = (server.client(Some(&a)), server.client(Some(&b)));
    a.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    let of_a = testkit::process::descendants(server.pid())[0];
    let key = |name: &str| place.path().join(name).join("key").display().to_string();
    let run = format!(
        "run (id -u; cat {}; cat {}; cat /proc/{of_a}/environ) > seen.txt 2>&1",
        key("b"),
        key("a")
    );
    b.call("codex", json!({"prompt": run, "sandbox": "workspace-write"})).await.ok();
    let seen = fs::read_to_string(place.path().join("b-work/seen.txt")).unwrap();
    assert!(seen.starts_with("60002\nkey of b"), "{seen}");
    assert!(!seen.contains("key of a") && !seen.contains("CODEX_HOME"), "{seen}");
    assert!(seen.matches("denied").count() + seen.matches("No such file").count() >= 2, "{seen}");
    // What would have git run with the server's rights is refused, and nobody is told how to allow that.
    for (tool, arguments) in
        [("review", json!({})), ("codex", json!({"prompt": "say hi", "worktree": true}))]
    {
        let refused = a.call(tool, arguments).await.failed_with("not_supported");
        assert!(!refused.text.contains("safe.directory"), "{}", refused.text);
    }
    // Both go on, and nothing of theirs is left when the server ends.
    let next = a.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(next["continuity"], "resumed");
    let left = testkit::process::descendants(server.pid());
    let mut server = server;
    testkit::client::signal(server.pid(), "TERM").await;
    assert!(server.ended().await.success());
    for pid in left {
        testkit::wait_for("its end", || testkit::process::is_gone(pid).then_some(())).await;
    }
}
