//! What happens in a turn is on the page in order, whole, whenever one looks and whichever server runs it.

use serde_json::{Value, json};
use testkit::{Client, Tab, wait::wait_until, wait_for};

use crate::world::{World, quiet};

const STEPS: usize = 5;

fn said(step: usize) -> String {
    format!("Step {step} begins: I look at part {step} of it, ä and 😀.")
}

const ANSWER: &str = "All 5 steps are done: ä, 😀 and **bold**.";

/// The running turn on the page, item by item: what was said, and what was run.
const SHOWN: &str = "[...document.querySelectorAll('.turn.running .items > *')].filter(it => !it.matches('.warnings'))\
    .map(it => it.matches('.streaming') ? it.textContent : it.querySelector('code').textContent)";

const UNDER_WAY: &str = "document.querySelectorAll('.turn.running .items > *').length > 2";

/// Begins a turn of six messages and five commands.
async fn begin(client: &Client) -> testkit::client::Answer {
    let call = json!({"prompt": "work 5 1.5", "sessionId": "s"});
    client.begin("tools/call", json!({"name": "codex", "arguments": call})).await.1
}

/// What a page shows of the running turn is its beginning, with every letter. Returns how many items that are.
async fn shows_a_beginning(tab: &Tab) -> usize {
    let mut whole: Vec<String> = Vec::new();
    for step in 1..=STEPS {
        whole.extend([said(step), format!("echo printed {step}; exit {}", step - 1)]);
    }
    whole.push(ANSWER.to_owned());
    let shown: Vec<String> = serde_json::from_value(tab.eval(SHOWN).await).unwrap();
    for (number, (shown_item, item)) in shown.iter().zip(&whole).enumerate() {
        let is_last = number + 1 == shown.len();
        let fits = shown_item == item || (is_last && item.starts_with(shown_item.as_str()));
        assert!(fits, "`{shown_item}` of {shown:?}");
    }
    shown.len()
}

/// Looks again and again until the turn is over, and then at all of it.
async fn looks_to_the_end(tab: &Tab) {
    let mut seen = Vec::new();
    wait_until("the turn to end", async || {
        seen.push(shows_a_beginning(tab).await);
        tab.eval("!!document.querySelector('#turn-1 .answer')").await == true
    })
    .await;
    assert!(seen.iter().any(|count| *count > 2), "{seen:?}");
    let said_there = tab
        .eval("[...document.querySelectorAll('#turn-1 .said')].map(it => it.innerText.trim())")
        .await;
    assert_eq!(said_there, json!((1..=STEPS).map(said).collect::<Vec<_>>()));
    let order = "[...document.querySelectorAll('#turn-1 > .said, #turn-1 > .commands, #turn-1 > .answer')].map(it => it.className)";
    let mut expected = ["said", "commands"].repeat(STEPS);
    expected.push("answer");
    assert_eq!(tab.eval(order).await, json!(expected));
    let exits =
        tab.eval("[...document.querySelectorAll('#turn-1 .exit')].map(it => it.textContent)").await;
    assert_eq!(exits, json!((0..STEPS).map(|code| format!("exit {code}")).collect::<Vec<_>>()));
    assert_eq!(
        tab.eval("document.querySelector('#turn-1 .answer strong').textContent").await,
        "bold"
    );
}

#[tokio::test]
async fn a_turn_of_many_messages_streams_in_order_with_every_letter() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    let (ui, browser, tab) = world.browse().await;
    let turn = begin(&client).await;
    tab.wait("document.querySelector(\"a[href='#/s/s']\")").await;
    // Opened when it is under way, left, and opened anew; a page that is hidden hears nothing until it is seen again.
    wait_for("the second step", || (world.model.requests().len() > 1).then_some(())).await;
    tab.click("a[href='#/s/s']").await;
    tab.wait(UNDER_WAY).await;
    shows_a_beginning(&tab).await;
    tab.eval("location.hash = '#/'").await;
    tab.click("a[href='#/s/s']").await;
    tab.wait(UNDER_WAY).await;
    shows_a_beginning(&tab).await;
    let late = browser.open(&format!("{}/#/s/s", ui.origin())).await;
    late.wait(UNDER_WAY).await;
    looks_to_the_end(&late).await;
    turn.wait("codex").await;
    quiet(&tab, &ui.origin());
}

#[tokio::test]
async fn a_turn_of_another_server_streams_in_order_too() {
    let world = World::new().await;
    let (ui, _browser, tab) = world.browse().await;
    // This one has a process of its own, and shares the store alone.
    let client = world.launch().alone().connect().await;
    let turn = begin(&client).await;
    tab.wait("document.querySelector(\"a[href='#/s/s']\")").await;
    tab.click("a[href='#/s/s']").await;
    looks_to_the_end(&tab).await;
    let done: Value = turn.wait("codex").await;
    assert_eq!(done["result"]["structuredContent"]["response"], ANSWER);
    quiet(&tab, &ui.origin());
}
