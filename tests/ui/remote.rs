//! The page over HTTP: with a token, of one tenant.

use std::fs;

use serde_json::json;
use testkit::{Browser, HttpServer, Postgres, wait::wait_until};

use crate::world::{World, quiet};

#[tokio::test]
async fn whoever_has_a_token_sees_the_sessions_of_its_tenant() {
    let world = World::new().await;
    let mut config = String::new();
    for tenant in ["a", "b"] {
        let codex = world.home.state().join("codex-mcp-server/tenants").join(tenant).join("codex");
        fs::create_dir_all(&codex).unwrap();
        let own =
            testkit::Home::provider(&world.model.url()).replace("env_key = \"MOCK_KEY\"\n", "");
        fs::write(codex.join("config.toml"), own).unwrap();
        config += &format!(
            "[tenants.{tenant}]\nroots = [{:?}]\n",
            world.home.work().display().to_string()
        );
    }
    let file = world.home.path().join("team.toml");
    fs::write(&file, config).unwrap();
    let launch = world.launch().arg("--config").arg(file.to_string_lossy());
    let token = async |tenant: &str, scope: &str| {
        let words = ["token", "new", "--tenant", tenant, "--scope", scope];
        let made = launch.clone().args(words).command().output().await.unwrap();
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    let server = HttpServer::start(&launch.clone().args(["serve", "--http", "127.0.0.1:0"])).await;
    let (of_a, of_b, reader) =
        (token("a", "run").await, token("b", "run").await, token("a", "read").await);
    let client = server.client(Some(&of_a));
    client.call("codex", json!({"prompt": "say secret", "sessionId": "mine"})).await.ok();
    let browser = Browser::start().await;
    let page = server.beside("/ui");
    let origin = page.trim_end_matches("/ui").to_owned();
    let tab = browser.open(&page).await;
    tab.sees("A token of this server").await;
    tab.fill("#token", "cms_wrong_wrong").await;
    tab.click(".login .primary").await;
    tab.sees("That token is not good").await;
    // Until somebody is in, the browser notes each refusal.
    let enter = async |token: &str| {
        tab.eval("document.querySelector('#token').value = ''").await;
        tab.fill("#token", token).await;
        tab.click(".login .primary").await;
        tab.wait("!document.querySelector('.login')").await;
        tab.forgive();
    };
    enter(&of_a).await;
    tab.click("a[href='#/s/mine']").await;
    tab.sees("secret").await;
    assert_eq!(tab.eval("document.cookie").await, "");
    quiet(&tab, &origin);
    // The other tenant has none of it, by no address.
    tab.click("#logout").await;
    tab.sees("A token of this server").await;
    tab.eval("location.hash = ''").await;
    enter(&of_b).await;
    tab.sees("There is no session yet").await;
    tab.eval("location.hash = '#/s/mine'").await;
    tab.sees("no session").await;
    let seen = tab.eval("Promise.all(['', '/turns', '/turns/1', '/events'].map((rest) => fetch('/api/v1/sessions/mine' + rest).then((it) => it.status)))").await;
    assert_eq!(seen, json!([404, 404, 404, 404]));
    // Who may only read is shown nothing to do, and cannot do it.
    tab.click("#logout").await;
    tab.sees("A token of this server").await;
    enter(&reader).await;
    tab.eval("location.hash = '#/s/mine'; location.reload()").await;
    tab.sees("secret").await;
    assert_eq!(tab.eval("document.querySelector('.composer').hidden").await, true);
    let write = "fetch('/api/v1/sessions/mine', {method: 'DELETE', headers: {'x-codex-mcp': '1'}}).then((it) => it.status)";
    assert_eq!(tab.eval(write).await, 403);
}

#[tokio::test]
async fn a_turn_that_another_server_runs_is_written_onto_the_page_too() {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let roots = format!("limits.roots=[{:?}]", world.home.work().display().to_string());
    let serve = ["serve", "--http", "127.0.0.1:0", "--no-auth", "--set", &roots];
    let launch = world.launch().args(["--store", &database]).args(serve);
    let (one, two) = (HttpServer::start(&launch).await, HttpServer::start(&launch).await);
    let browser = Browser::start().await;
    let tab = browser.open(&two.beside("/ui")).await;
    tab.sees("There is no session yet").await;
    let call = json!({"prompt": "slow 8 **slowly** done", "sessionId": "far", "waitSeconds": 0});
    one.client(None).call("codex", call).await.ok();
    tab.click("a[href='#/s/far']").await;
    tab.wait("document.querySelector('.streaming')?.textContent.startsWith('**slowl')").await;
    assert_eq!(world.model.open_streams(), 1);
    tab.wait("document.querySelector('.answer strong')?.textContent === 'slowly'").await;
    // Who only looked has taken nothing from who comes for the answer.
    let client = one.client(None);
    let wait = async || {
        let listed = client.call("listSessions", json!({})).await.ok();
        listed["sessions"][0]["status"] == "completed"
    };
    wait_until("the turn to end", wait).await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
}
