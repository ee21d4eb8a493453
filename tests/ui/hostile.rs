//! What models and commands write can do nothing to the page.

use serde_json::json;

use crate::world::{World, quiet};

#[tokio::test]
async fn nothing_that_is_said_can_act_or_hide() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    let evil = [
        "<img src=x onerror=\"window.pwned=1\">",
        "<script>window.pwned=1</script><svg onload=window.pwned=1>",
        "[click](javascript:window.pwned=1) ![p](http://127.0.0.1:9/p.png)",
        "\u{1b}]0;pwn\u{7}\u{1b}[2J \u{202e}gnp.exe",
        "| a | b |\n|---|---|\n| <iframe src=//evil> | `<b>` |",
    ];
    for (index, text) in evil.iter().enumerate() {
        let prompt = format!("{text}\nsay {text}").replace("\n|", " |");
        let call = json!({"prompt": prompt, "sessionId": format!("evil{index}")});
        client.call("codex", call).await.ok();
    }
    let line = json!({"prompt": "run printf '\\033[2J<script>window.pwned=1</script>'", "sessionId": "evil0"});
    client.call("codex", line).await.ok();
    client.call("codex", json!({"prompt": "big 10000000", "sessionId": "big"})).await.ok();
    let (ui, _browser, tab) = world.browse().await;
    for index in 0..evil.len() {
        tab.eval(&format!("location.hash = '#/s/evil{index}'")).await;
        tab.wait("document.querySelector('.turn .answer')").await;
        assert_eq!(tab.eval("window.pwned ?? null").await, json!(null));
        let elements = "document.querySelectorAll('#view img, #view script, #view iframe, #view svg, #view [onerror]').length";
        assert_eq!(tab.eval(elements).await, 0, "evil{index}");
        let links =
            tab.eval("[...document.querySelectorAll('.answer a')].map(a => a.protocol)").await;
        assert!(
            links.as_array().unwrap().iter().all(|it| it == "http:" || it == "https:"),
            "{links}"
        );
    }
    tab.eval("location.hash = '#/s/evil3'").await;
    tab.sees("\\u{202e}gnp.exe").await;
    tab.sees("\\u{1b}]0;pwn\\u{7}").await;
    // Ten million characters in one line: a part of them, and the page still answers.
    tab.eval("location.hash = '#/s/big'").await;
    tab.sees("Show the whole turn").await;
    assert!(
        tab.eval("document.querySelector('.answer').textContent.length").await.as_u64().unwrap()
            <= 100_100
    );
    assert_eq!(tab.eval("document.documentElement.scrollWidth <= window.innerWidth").await, true);
    quiet(&tab, &ui.origin());
}
