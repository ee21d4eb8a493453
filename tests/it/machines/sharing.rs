//! Sessions in PostgreSQL: what several servers share.

use serde_json::{Value, json};
use testkit::{HttpServer, Postgres, client::signal, wait_for};

use super::{Machine, two};
use crate::support::World;

#[tokio::test]
async fn a_conversation_goes_on_after_a_restart_and_on_another_machine() {
    let (world, one, two) = two().await;
    let directory = world.home.work();
    let server = one.serve().await;
    let first = json!({"prompt": "say one", "sessionId": "s", "workingDirectory": directory});
    let first = server.client(None).call("codex", first).await.ok();
    drop(server);
    let server = one.serve().await;
    let here = server.client(None);
    let second = here.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&second["continuity"], &second["turn"]), (&json!("resumed"), &json!(2)));
    assert_eq!(second["response"], "say one");
    // The other machine's Codex has never heard of the thread: its history comes with the session.
    let elsewhere = two.serve().await;
    let there = elsewhere.client(None);
    let listed = there.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["threadId"], first["threadId"]);
    let third = there.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&third["continuity"], &third["turn"]), (&json!("resumed"), &json!(3)));
    assert_eq!(
        (&third["movedFrom"], &third["workingDirectory"]),
        (&json!("one"), &json!(directory))
    );
    assert_eq!(third["response"], "say one\nhistory");
    // And back.
    let fourth = here.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&fourth["continuity"], &fourth["movedFrom"]), (&json!("resumed"), &json!("two")));
    assert_eq!(fourth["response"], "say one\nhistory\nhistory");
    let turns = here.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(turns["turns"].as_array().unwrap().len(), 4, "{turns:?}");
}

#[tokio::test]
async fn a_turn_is_waited_for_steered_and_interrupted_from_another_machine() {
    let (world, one, two) = two().await;
    let (here, there) = (one.serve().await, two.serve().await);
    let (here, there) = (here.client(None), there.client(None));
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    here.call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let running = there.call("wait", json!({"sessionId": "s", "waitSeconds": 0})).await.ok();
    assert_eq!(running["status"], "running");
    let stopped = there.call("interrupt", json!({"sessionId": "s"})).await.ok();
    assert_eq!(stopped["status"], "interrupted", "{stopped:?}");
    assert_eq!(world.model.open_streams(), 0);
    here.call("wait", json!({"sessionId": "s"})).await.failed_with("interrupted");
}

#[tokio::test]
async fn who_is_killed_leaves_its_session_to_the_others() {
    let (world, one, two) = two().await;
    let (mut here, there) = (one.serve().await, two.serve().await);
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    here.client(None).call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    signal(here.pid(), "KILL").await;
    here.ended().await;
    let there = there.client(None);
    let next = there.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["turn"]), (&json!("on"), &json!(2)));
    let turns = there.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(turns["turns"][0]["status"], "interrupted", "{turns:?}");
    testkit::process::all_gone(&one.home.path().to_string_lossy(), "after the kill").await;
}

#[tokio::test]
async fn the_database_may_come_later_and_its_url_is_a_secret() {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let secret = database.replace("postgres@", "postgres:geheim@");
    let away = secret.replace(&port(&database), "9");
    let machine = Machine::new(&world, "one", &away);
    let server = machine.serve().await;
    let refused = server.client(None).call("codex", json!({"prompt": "say x"})).await;
    let refused = refused.failed_with("store_unavailable");
    assert_eq!(testkit::http::get(&server.beside("/readyz")).await, 503);
    for launch in
        [machine.launch.clone().args(["config", "show"]), machine.launch.clone().arg("doctor")]
    {
        let shown = launch.command().output().await.unwrap();
        let shown = [shown.stdout, shown.stderr].concat();
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("url is") && !shown.contains("geheim"), "{shown}");
    }
    assert!(!server.stderr().contains("geheim") && !refused.text.contains("geheim"));
    let machine = Machine::new(&world, "one", "postgres://host:port/database");
    let launch = machine.launch.clone().args(["serve", "--http", "127.0.0.1:0"]);
    let said = launch.command().output().await.unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("`store.url`"), "{said:?}");
}

fn port(url: &str) -> String {
    url.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn tenants_share_a_database_and_see_nothing_of_each_other() {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let config = world.home.path().join("team.toml");
    let mut text = String::new();
    for tenant in ["a", "b"] {
        let root = world.home.path().join(tenant);
        let codex = world.home.state().join("codex-mcp-server/tenants").join(tenant).join("codex");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir_all(&codex).unwrap();
        let provider =
            testkit::Home::provider(&world.model.url()).replace("env_key = \"MOCK_KEY\"\n", "");
        std::fs::write(codex.join("config.toml"), provider).unwrap();
        text += &format!("[tenants.{tenant}]\nroots = [{:?}]\n", root.display().to_string());
    }
    std::fs::write(&config, text).unwrap();
    let launch = world.launch().arg("--config").arg(config.to_string_lossy());
    let launch = launch.args(["--store", &database]);
    let token = async |tenant| {
        let made = launch.clone().args(["token", "new", "--tenant", tenant]).command().output();
        String::from_utf8(made.await.unwrap().stdout).unwrap().trim().to_owned()
    };
    // A token is good on every server of the database.
    let servers = [launch.clone(), launch.clone()];
    let [one, two] = servers.map(|launch| launch.args(["serve", "--http", "127.0.0.1:0"]));
    let (one, two) = (HttpServer::start(&one).await, HttpServer::start(&two).await);
    let (of_a, of_b) = (token("a").await, token("b").await);
    let (a, b) = (one.client(Some(&of_a)), two.client(Some(&of_b)));
    a.call("codex", json!({"prompt": "say secret", "sessionId": "s"})).await.ok();
    assert_eq!(b.call("listSessions", json!({})).await.ok()["sessions"], json!([]));
    b.call("getSession", json!({"sessionId": "s"})).await.failed_with("unknown_session");
    let same = b.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&same["turn"], &same["response"]), (&json!(1), &json!("")));
    let seen = two.client(Some(&of_a)).call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(seen["turns"][0]["response"], "secret");
    // What all of them have used, the operator sees alone.
    let used = async |server: &HttpServer, token: &str| {
        let get = testkit::http::http_client().get(server.beside("/api/v1/usage"));
        let text = get.bearer_auth(token).send().await.unwrap().text().await.unwrap();
        let usage: Value = serde_json::from_str(&text).unwrap();
        let tenants = usage["byTenant"].as_array().unwrap_or_else(|| panic!("{text}")).iter();
        tenants.map(|row| row["tenant"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(used(&one, &of_a).await, Vec::<String>::new());
    let roots = format!("limits.roots=[{:?}]", world.home.work().display().to_string());
    let open = ["serve", "--http", "127.0.0.1:0", "--no-auth", "--set", &roots];
    let operator = HttpServer::start(&launch.clone().args(open)).await;
    assert_eq!(used(&operator, "").await, ["a", "b"]);
}

#[tokio::test]
async fn an_mcp_session_is_known_to_every_server_and_to_its_owner_alone() {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let config = world.home.path().join("team.toml");
    let (root, codex) =
        (world.home.work(), world.home.state().join("codex-mcp-server/tenants/a/codex"));
    std::fs::create_dir_all(&codex).unwrap();
    let provider =
        testkit::Home::provider(&world.model.url()).replace("env_key = \"MOCK_KEY\"\n", "");
    std::fs::write(codex.join("config.toml"), provider).unwrap();
    let text = format!("[tenants.a]\nroots = [{:?}]\n", root.display().to_string());
    std::fs::write(&config, text).unwrap();
    let launch = world.launch().arg("--config").arg(config.to_string_lossy());
    let launch = launch.args(["--store", &database]);
    let token = async || {
        let made = launch.clone().args(["token", "new", "--tenant", "a"]).command().output();
        String::from_utf8(made.await.unwrap().stdout).unwrap().trim().to_owned()
    };
    let (mine, other) = (token().await, token().await);
    let serve = launch.clone().args(["serve", "--http", "127.0.0.1:0"]);
    let mut one = HttpServer::start(&serve).await;
    let two = HttpServer::start(&serve).await;
    let client = one.older_client(Some(&mine)).await;
    let session = client.mcp_session().unwrap().to_owned();
    client.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let there = two.client(Some(&mine)).in_mcp_session(&session);
    // Calls at once begin it there once.
    let list = || there.call("listSessions", json!({}));
    for listed in futures_util::future::join_all([list(), list(), list()]).await {
        assert_eq!(listed.ok()["sessions"][0]["id"], "s");
    }
    let stranger = two.client(Some(&other)).in_mcp_session(&session);
    assert_eq!(stranger.ask("ping", json!({})).await["status"], 404);
    // A server that is gone takes nothing with it, and one that comes knows of it.
    signal(one.pid(), "KILL").await;
    one.ended().await;
    let next = there.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "say one");
    let three = HttpServer::start(&serve).await;
    let back = three.client(Some(&mine)).in_mcp_session(&session);
    back.call("listSessions", json!({})).await.ok();
    // Once its client has ended it, nobody new takes it up.
    let ended = back.request(reqwest::Method::DELETE).send().await.unwrap();
    assert!(ended.status().is_success(), "{ended:?}");
    assert_eq!(back.ask("ping", json!({})).await["status"], 404);
}
