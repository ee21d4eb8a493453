//! What a turn did, as far as somebody wants to see it, and who allowed that.

use serde_json::{Value, json};
use testkit::{ToolResult, wait::wait_until};

use crate::world::{World, quiet};

#[tokio::test]
async fn what_commands_printed_and_how_files_changed_is_unfolded() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    let call = |prompt: &str| {
        json!({"prompt": prompt, "sessionId": "s", "sandbox": "workspace-write",
            "workingDirectory": world.home.work()})
    };
    let printed = "run printf 'one <b>\\ntwo\\n'; exit 3";
    client.call("codex", call(printed)).await.ok();
    let changed = client.call("codex", call("patch notes.txt")).await.ok();
    assert_eq!(changed["filesChanged"][0]["kind"], "add", "{}", changed.raw);
    assert!(!changed.raw.to_string().contains("trace"), "clients are told of no trace");
    let (ui, _browser, tab) = world.browse().await;
    tab.click("a[href='#/s/s']").await;
    tab.wait("document.querySelector('#turn-2 .files')").await;
    assert_eq!(tab.eval("document.querySelectorAll('.output, .diff').length").await, 0);
    tab.click("#turn-1 .commands summary").await;
    tab.wait("document.querySelector('#turn-1 .output')?.textContent === 'one <b>\\ntwo'").await;
    tab.click("#turn-2 .files summary").await;
    tab.wait("document.querySelector('#turn-2 .diff .added')?.textContent.startsWith('+')").await;
    quiet(&tab, &ui.origin());
}

#[tokio::test]
async fn of_two_pages_and_a_terminal_that_answer_at_once_one_wins_and_is_named() {
    let world = World::new().await;
    let client = world.launch().connect_with_user().await;
    let (ui, browser, tab) = world.browse().await;
    let other = browser.open(&ui.origin()).await;
    let file = world.home.work().join("counted");
    let line = format!("escalate echo once >> {}", file.display());
    let call = json!({"name": "codex", "arguments": {"prompt": line, "sessionId": "asks"}});
    let (_, turn) = client.begin("tools/call", call).await;
    for page in [&tab, &other] {
        page.eval("location.hash = '#/approvals'").await;
        page.sees("Run a command").await;
        page.eval("window.answered = document.querySelector('[data-decision=accept]')").await;
    }
    let listed = world.launch().args(["approvals", "--json"]).command().output().await.unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let id = listed["approvals"][0]["id"].as_str().unwrap().to_owned();
    let mut terminal = world.launch().args(["approvals", "answer", &id, "accept"]).command();
    // Each a moment later than the one before, about as long as a program takes to start.
    let (by_terminal, _, _) = tokio::join!(
        terminal.output(),
        tab.eval("setTimeout(() => window.answered.click(), 60)"),
        other.eval("setTimeout(() => window.answered.click(), 60)")
    );
    ToolResult::from_response("codex", &turn.wait("codex").await).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "once\n");
    // Who was too late is told so; the other page shows that nothing is asked any more.
    let by_terminal = by_terminal.unwrap();
    let expected = if by_terminal.status.success() { 2 } else { 1 };
    let late = async || {
        let mut late = 0;
        for page in [&tab, &other] {
            let is_late = page.eval("document.body.innerText.includes('is not open')").await;
            late += usize::from(is_late == true);
        }
        late == expected
    };
    wait_until("those who were late to be told", late).await;
    if !by_terminal.status.success() {
        let said = String::from_utf8_lossy(&by_terminal.stderr).into_owned();
        assert!(said.contains("is not open"), "{said}");
    }
    tab.eval("location.hash = '#/s/asks'").await;
    tab.wait("document.querySelector('.decisions')?.innerText.includes('accepted by')").await;
    let by = tab.eval("document.querySelector('.decisions').innerText").await.to_string();
    assert_eq!(by.contains("by terminal"), by_terminal.status.success(), "{by}");
}

#[tokio::test]
async fn a_page_that_is_left_open_does_not_grow_without_bound() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    let turns: u32 = std::env::var("PAGE_TURNS").map_or(220, |turns| turns.parse().unwrap());
    client.call("codex", json!({"prompt": "say 0", "sessionId": "long"})).await.ok();
    let (ui, _browser, tab) = world.browse().await;
    tab.click("a[href='#/s/long']").await;
    let size = "[document.querySelectorAll('article.turn').length, document.querySelectorAll('*').length, \
                performance.memory.usedJSHeapSize]";
    for number in 1..turns {
        let call = json!({"prompt": format!("say **{number}** of these"), "sessionId": "long"});
        client.call("codex", call).await.ok();
        if number % 100 == 0 {
            println!("turns, elements, bytes after {number}: {}", tab.eval(size).await);
        }
    }
    let last = json!(format!("#turn-{turns} .answer strong"));
    tab.wait(&format!("document.querySelector({last})")).await;
    let shown = tab.eval("document.querySelectorAll('article.turn').length").await;
    assert!(shown.as_u64().unwrap() <= 200, "{shown} turns are kept");
    // The earlier ones are still to be had.
    tab.sees("Older turns").await;
    quiet(&tab, &ui.origin());
}
