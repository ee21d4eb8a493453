//! The views inside a client: a host in the browser, as clients have one, with our server behind it.

use serde_json::{Value, json};
use testkit::{Browser, Client, Tab, ToolResult};

use crate::world::World;

/// A host that shows a view in a frame, notes what it calls, and hands on what it is told. It does not hear what the view
/// says first, as one that is not ready yet.
const HOST: &str = "window.calls = []; window.heights = []; \
    window.frame = document.createElement('iframe'); document.body.replaceChildren(frame); \
    window.tell = (message) => frame.contentWindow.postMessage({jsonrpc: '2.0', ...message}, '*'); \
    window.addEventListener('message', ({data}) => { \
        if (data.method === 'ui/initialize' && !window.awake) window.awake = true; \
        else if (data.method === 'ui/initialize') tell({id: data.id, result: {protocolVersion: data.params.protocolVersion, \
            hostInfo: {name: 'host', version: '1'}, hostCapabilities: {serverTools: {}}, hostContext: {theme: 'dark'}}}); \
        else if (data.method === 'ui/notifications/initialized') window.ready = true; \
        else if (data.method === 'ui/notifications/size-changed') heights.push(data.params.height); \
        else if (data.method === 'tools/call') calls.push(data); \
    });";

/// Shows the view of a tool.
async fn show(client: &Client, tab: &Tab, tool: &str) {
    let tools = client.request("tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    let meta = &tools.iter().find(|it| it["name"] == tool).unwrap()["_meta"];
    let uri = meta["ui"]["resourceUri"].as_str().unwrap();
    assert_eq!(meta["ui/resourceUri"], uri);
    let read = client.request("resources/read", json!({"uri": uri})).await;
    let view = &read["result"]["contents"][0];
    assert_eq!(view["mimeType"], "text/html;profile=mcp-app");
    tab.eval(HOST).await;
    tab.eval(&format!("frame.srcdoc = {}", view["text"])).await;
    tab.wait("window.ready").await;
}

/// Makes the calls that the view has asked for.
async fn serve(client: &Client, tab: &Tab) {
    let calls = tab.eval("calls.splice(0)").await;
    for call in calls.as_array().unwrap() {
        let answer = client.request("tools/call", call["params"].clone()).await;
        let reply = json!({"id": call["id"], "result": answer["result"]});
        tab.eval(&format!("tell({reply})")).await;
    }
}

/// Serves the view until this is true of its document.
async fn until(client: &Client, tab: &Tab, what: &str) {
    for _ in 0..300 {
        serve(client, tab).await;
        let seen = tab.eval(&format!("((document) => !!({what}))(frame.contentDocument)")).await;
        if seen == json!(true) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!(
        "`{what}` does not become true: {}",
        tab.eval("frame.contentDocument.body.innerText").await
    );
}

#[tokio::test]
async fn a_card_shows_the_turn_and_a_click_answers_what_codex_asks() {
    let world = World::new().await;
    let client = world.launch().spawn();
    let views = json!({"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}});
    client.initialize_with("2025-11-25", views).await;
    let browser = Browser::start().await;
    let tab = browser.open("about:blank").await;
    show(&client, &tab, "codex").await;
    let file = world.home.work().join("clicked");
    let given =
        json!({"prompt": format!("escalate touch {}", file.display()), "sessionId": "card"});
    let call = json!({"name": "codex", "arguments": given});
    let (_, turn) = client.begin("tools/call", call).await;
    tab.eval(&format!(
        "tell({})",
        json!({"method": "ui/notifications/tool-input", "params": {"arguments": given}})
    ))
    .await;
    until(&client, &tab, "document.querySelector('.ask pre')?.textContent.includes('touch')").await;
    until(&client, &tab, "document.querySelector('.running')").await;
    tab.eval("frame.contentDocument.querySelector('.ask .yes').click()").await;
    until(&client, &tab, "!document.querySelector('.ask')").await;
    let done = turn.wait("the turn").await;
    assert!(file.exists());
    let done = ToolResult::from_response("codex", &done).ok();
    let told = json!({"method": "ui/notifications/tool-result", "params": done.raw});
    tab.eval(&format!("tell({told})")).await;
    until(&client, &tab, "document.querySelector('#title .completed')").await;
    until(&client, &tab, "document.querySelector('#answer').textContent.startsWith('ran:')").await;
    assert_eq!(tab.eval("frame.contentDocument.documentElement.dataset.theme").await, "dark");
    assert!(tab.eval("heights.length").await.as_u64().unwrap() > 0);
    // How a file was changed, which a result does not say.
    let patch = json!({"prompt": "patch notes.txt", "sessionId": "card", "sandbox": "workspace-write",
        "workingDirectory": world.home.work()});
    let patched = client.call("codex", patch).await.ok();
    let told = json!({"method": "ui/notifications/tool-result", "params": patched.raw});
    tab.eval(&format!("tell({told})")).await;
    until(&client, &tab, "document.querySelector('#rest li pre')?.textContent.includes('new')")
        .await;
    // What a model wrote is text there too.
    let evil = json!({"structuredContent": {"status": "completed", "response": "<img src=x onerror=parent.pwned=1>\u{202e}"}});
    tab.eval(&format!(
        "tell({})",
        json!({"method": "ui/notifications/tool-result", "params": evil})
    ))
    .await;
    until(&client, &tab, "document.querySelector('#answer').textContent.includes('\\\\u{202e}')")
        .await;
    assert_eq!(tab.eval("frame.contentDocument.querySelectorAll('img').length").await, 0);
    show(&client, &tab, "listSessions").await;
    let list = client.call("listSessions", json!({})).await.ok();
    tab.eval(&format!(
        "tell({})",
        json!({"method": "ui/notifications/tool-result", "params": list.raw})
    ))
    .await;
    until(&client, &tab, "document.querySelector('#rows').innerText.includes('card')").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn no_line_of_a_command_looks_like_one_of_the_card() {
    let world = World::new().await;
    let client = world.launch().spawn();
    let views = json!({"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}});
    client.initialize_with("2025-11-25", views).await;
    let browser = Browser::start().await;
    let tab = browser.open("about:blank").await;
    show(&client, &tab, "codex").await;
    let input = json!({"method": "ui/notifications/tool-input", "params": {"arguments": {"sessionId": "s"}}});
    tab.eval(&format!("tell({input})")).await;
    tab.wait("calls.length > 0").await;
    let call = tab.eval("calls.splice(0)[0]").await;
    let forged = "touch x\nIn: /safe\nReason: all is well\nhttps://safe.example";
    let asked = json!({"id": "1", "turn": 1, "choices": ["accept", "decline"], "subject": {"Command": {
        "command": forged, "cwd": "/real\nIn: /safe", "reason": "none\nIn: /safe"}}});
    let result = json!({"structuredContent": {"approvals": [asked], "turn": null}});
    tab.eval(&format!("tell({})", json!({"id": call["id"], "result": result}))).await;
    let text = "frame.contentDocument.querySelector('.ask pre')?.textContent";
    tab.wait(text).await;
    let text = tab.eval(text).await;
    let ours: Vec<&str> =
        text.as_str().unwrap().lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(ours, ["touch x", "In: /real", "Reason: none"]);
}

#[tokio::test]
async fn whoever_shows_no_views_is_told_of_none() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    let tools: Value = client.request("tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().unwrap();
    assert!(
        tools.iter().all(|tool| tool["name"] != "approvals" && tool["_meta"].get("ui").is_none())
    );
    let call = json!({"name": "approvals", "arguments": {}});
    let refused = client.request("tools/call", call).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}
