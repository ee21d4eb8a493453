//! Who comes in.

use testkit::{Browser, client::signal, http::http_client};

use crate::world::World;

#[tokio::test]
async fn the_address_is_good_once_and_nobody_else_comes_in() {
    let world = World::new().await;
    let mut ui = world.ui().await;
    let origin = ui.origin();
    let http = http_client();
    let status = async |path: &str| {
        http.get(format!("{origin}{path}")).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/api/v1/sessions").await, 401);
    assert_eq!(status("/?code=wrong").await, 403);
    assert_eq!(status("/").await, 403);
    let browser = Browser::start().await;
    let tab = browser.open(&ui.url).await;
    tab.sees("There is no session yet").await;
    assert_eq!(tab.eval("document.cookie").await, "", "no script can read it");
    let again = http.get(&ui.url).send().await.unwrap();
    assert_eq!(again.status(), 403);
    // By another name of this machine, as a page elsewhere would.
    let port = origin.rsplit(':').next().unwrap();
    let rebound =
        http.get(&origin).header("host", format!("evil.example:{port}")).send().await.unwrap();
    assert_eq!(rebound.status(), 421);
    // A form of another page cannot write: it has no header of ours.
    let params =
        "fetch('/api/v1/sessions/x/interrupt', {method: 'POST'}).then((answer) => answer.status)";
    assert_eq!(tab.eval(params).await, 403);
    let headers = http.get(format!("{origin}/ui/")).send().await.unwrap().headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(
        (&headers["x-content-type-options"], &headers["x-frame-options"]),
        (&"nosniff".parse().unwrap(), &"DENY".parse().unwrap())
    );
    // Ctrl-C ends it, and nothing stays behind.
    signal(ui.child.id().unwrap(), "INT").await;
    ui.child.wait().await.unwrap();
    assert!(http.get(&origin).send().await.is_err());
    testkit::process::all_gone(&world.home.path().to_string_lossy(), "after the page").await;
}

#[tokio::test]
async fn without_a_host_this_process_shows_the_page() {
    let world = World::new().await;
    let launch = world.launch().alone();
    let ui = crate::world::Ui::start(&launch).await;
    let browser = Browser::start().await;
    let tab = browser.open(&ui.url).await;
    tab.sees("There is no session yet").await;
    tab.eval("location.hash = '#/s/none'").await;
    tab.sees("There is no session").await;
}
