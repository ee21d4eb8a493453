//! What happens is on the page as it happens, and what is done there happens.

use serde_json::json;
use testkit::{ToolResult, wait_for};

use crate::world::{World, quiet};

#[tokio::test]
async fn a_turn_of_a_client_streams_onto_the_page() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    let (ui, _browser, tab) = world.browse().await;
    tab.sees("There is no session yet").await;
    let call = json!({"prompt": "slow 3 **slowly** done", "sessionId": "stream"});
    let (_, turn) = client.begin("tools/call", json!({"name": "codex", "arguments": call})).await;
    tab.click("a[href='#/s/stream']").await;
    // Half an answer, while the model is at it.
    tab.wait("document.querySelector('.streaming')?.textContent.startsWith('**slowl')").await;
    assert_eq!(world.model.open_streams(), 1);
    ToolResult::from_response("codex", &turn.wait("codex").await).ok();
    tab.wait("document.querySelector('.answer strong')?.textContent === 'slowly'").await;
    tab.wait("document.querySelector('.sessions .state').textContent === 'completed'").await;
    // Commands and their exit codes.
    let run = json!({"prompt": "run exit 3", "sessionId": "stream"});
    client.call("codex", run).await.ok();
    tab.wait("document.querySelector('#turn-2 .commands .exit')?.textContent === 'exit 3'").await;
    quiet(&tab, &ui.origin());
}

#[tokio::test]
async fn a_person_asks_adds_interrupts_and_forks() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    client.call("codex", json!({"prompt": "say one", "sessionId": "first"})).await.ok();
    let (ui, _browser, tab) = world.browse().await;
    tab.click("a[href='#/s/first']").await;
    tab.fill("#prompt", "slow 60 never").await;
    tab.click(".composer .primary").await;
    tab.wait("document.querySelector('.turn.running')").await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    tab.sees("Add to the running turn").await;
    tab.fill("#prompt", "slow 60 more").await;
    tab.click(".composer .primary").await;
    tab.wait("document.querySelector('#prompt').value === ''").await;
    tab.click(".composer .danger").await;
    tab.wait("document.querySelector('#turn-2 .state.interrupted')").await;
    let turns = client.call("getSession", json!({"sessionId": "first"})).await.ok();
    assert_eq!(turns["turns"][1]["status"], "interrupted", "{turns:?}");
    // A fork from the first turn, and where it comes from.
    tab.click("#turn-1 .actions button:nth-of-type(2)").await;
    tab.wait("location.hash.startsWith('#/s/') && location.hash !== '#/s/first'").await;
    tab.sees("Forked from first, turn 1").await;
    tab.eval("location.hash = '#/tree/first'").await;
    tab.wait("document.querySelectorAll('.tree li li').length === 1").await;
    tab.sees("from turn 1").await;
    // Deleted only after a question.
    tab.eval("location.hash = '#/s/first'").await;
    tab.click(".head .danger").await;
    tab.sees("Delete this session?").await;
    tab.click("dialog .danger").await;
    tab.wait("!document.querySelector(\"a[href='#/s/first']\")").await;
    client.call("getSession", json!({"sessionId": "first"})).await.failed_with("unknown_session");
    quiet(&tab, &ui.origin());
}

#[tokio::test]
async fn what_codex_asks_is_answered_once_by_whoever_is_first() {
    let world = World::new().await;
    let client = world.launch().connect_with_user().await;
    let (ui, browser, tab) = world.browse().await;
    let file = world.home.work().join("made");
    let line = format!("escalate touch {}", file.display());
    let call = json!({"prompt": line, "sessionId": "asks", "waitSeconds": 0});
    client.call("codex", call).await.ok();
    tab.wait("document.querySelector('#badge').textContent === '1'").await;
    assert_eq!(tab.eval("document.title").await, "(1) Codex sessions");
    // A second browser has no address of its own: this one gives it the cookie.
    let other = browser.open(&ui.origin()).await;
    for page in [&tab, &other] {
        page.eval("location.hash = '#/approvals'").await;
        page.sees("Run a command").await;
        page.sees(&format!("touch {}", file.display())).await;
    }
    let choices = tab
        .eval("[...document.querySelectorAll('[data-decision]')].map(b => b.dataset.decision)")
        .await;
    assert!(choices.as_array().unwrap().contains(&json!("accept")), "{choices}");
    // The other still shows it, and is too late.
    other.eval("window.answered = document.querySelector('[data-decision=accept]')").await;
    tab.click("[data-decision=accept]").await;
    tab.sees("Nothing is asked").await;
    wait_for("the command to run", || file.exists().then_some(())).await;
    other.eval("window.answered.click()").await;
    other.sees("is not open").await;
    let done = client.call("wait", json!({"sessionId": "asks"})).await.ok();
    assert_eq!(done["commands"][0]["exitCode"], 0, "{done:?}");
    tab.wait("document.querySelector('#badge').hidden").await;
}

#[tokio::test]
async fn sessions_are_searched_filtered_and_pinned() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    for (name, prompt) in [("alpha", "say apples"), ("beta", "say pears"), ("gamma", "status 500")]
    {
        client.call("codex", json!({"prompt": prompt, "sessionId": name})).await;
    }
    let (_ui, _browser, tab) = world.browse().await;
    tab.wait("document.querySelectorAll('.sessions li').length === 3").await;
    // A word of an answer.
    tab.fill("#search", "pear").await;
    tab.wait("document.querySelectorAll('.sessions li').length === 1").await;
    tab.sees("beta").await;
    tab.eval("document.querySelector('#search').value = ''; document.querySelector('#search').dispatchEvent(new Event('input'))").await;
    tab.wait("document.querySelectorAll('.sessions li').length === 3").await;
    tab.eval("const f = document.querySelector('select'); f.value = 'failed'; f.dispatchEvent(new Event('change'))").await;
    tab.wait("document.querySelectorAll('.sessions li').length === 1").await;
    tab.eval("{ const f = document.querySelector('select'); f.value = ''; f.dispatchEvent(new Event('change')) }").await;
    tab.click("[aria-label='Pin alpha']").await;
    tab.wait("document.querySelector('.sessions .name').textContent === 'alpha'").await;
    // By keyboard.
    tab.key("j").await;
    tab.wait("location.hash === '#/s/alpha'").await;
    tab.key("u").await;
    tab.sees("Tokens a day").await;
    tab.key("?").await;
    tab.wait("document.querySelector('dialog').open").await;
}

#[tokio::test]
async fn a_click_is_not_lost_when_what_is_clicked_changes_meanwhile() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    client.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let (_ui, _browser, tab) = world.browse().await;
    let place = tab.press("a[href='#/s/s'] .facts").await;
    client.call("codex", json!({"prompt": "say two", "sessionId": "s"})).await.ok();
    tab.wait("document.querySelector('.sessions .facts').textContent.startsWith('2 turns')").await;
    tab.mouse("mouseReleased", &place).await;
    tab.wait("document.querySelector('#turn-2')").await;
    let place = tab.press(".head .danger").await;
    client.call("codex", json!({"prompt": "say three", "sessionId": "s"})).await.ok();
    tab.wait("document.querySelector('.head .facts').textContent.includes('3 turns')").await;
    tab.mouse("mouseReleased", &place).await;
    tab.sees("Delete this session?").await;
}

#[tokio::test]
async fn a_killed_host_comes_back_and_the_page_with_it() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    client.call("codex", json!({"prompt": "say before", "sessionId": "s"})).await.ok();
    let (ui, _browser, tab) = world.browse().await;
    tab.click("a[href='#/s/s']").await;
    tab.sees("before").await;
    testkit::client::signal(client.server_pid(), "KILL").await;
    tab.sees("The connection is lost").await;
    client.call("codex", json!({"prompt": "say after", "sessionId": "s"})).await;
    client.call("codex", json!({"prompt": "say again", "sessionId": "s"})).await.ok();
    tab.sees("again").await;
    tab.wait("document.querySelector('#trouble').hidden").await;
    assert_eq!(tab.eval("location.origin").await, json!(ui.origin()));
}

#[tokio::test]
async fn who_only_watches_takes_no_answer_from_the_call_that_comes_for_it() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    client.call("codex", json!({"prompt": "say first", "sessionId": "s"})).await.ok();
    let (_ui, _browser, tab) = world.browse().await;
    tab.click("a[href='#/s/s']").await;
    tab.sees("first").await;
    let given = json!({"prompt": "slow 2 once", "sessionId": "s", "detach": true});
    let call = json!({"name": "codex", "arguments": given});
    let (id, _) = client.begin("tools/call", call).await;
    tab.wait("document.querySelector('.streaming')?.textContent").await;
    // Its client takes the call back; the turn goes on, and the page watches its end.
    client.notify("notifications/cancelled", json!({"requestId": id})).await;
    tab.wait("document.querySelector('#turn-2 .answer')?.textContent.includes('once')").await;
    let again = client.call("codex", given).await.ok();
    assert_eq!((&again["turn"], &again["response"]), (&json!(2), &json!("once")), "{again:?}");
}

#[tokio::test]
async fn what_ended_while_nobody_told_the_page_is_there_afterwards() {
    let world = World::new().await;
    let client = world.launch().connect().await;
    client.call("codex", json!({"prompt": "say first", "sessionId": "s"})).await.ok();
    let (_ui, _browser, tab) = world.browse().await;
    tab.click("a[href='#/s/s']").await;
    let (_, turn) = client
        .begin("tools/call", json!({"name": "codex", "arguments": {"prompt": "slow 2 while away", "sessionId": "s"}}))
        .await;
    tab.wait("document.querySelector('.turn.running .streaming')?.textContent").await;
    // The network goes in mid-turn.
    let away = |is: bool| json!({"offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
    tab.send("Network.emulateNetworkConditions", away(true)).await;
    tab.eval("document.dispatchEvent(new Event('visibilitychange'))").await;
    turn.wait("the turn").await;
    client.call("codex", json!({"prompt": "say third", "sessionId": "s"})).await.ok();
    tab.send("Network.emulateNetworkConditions", away(false)).await;
    tab.wait("document.querySelector('#turn-2 .answer')?.textContent.includes('while away')").await;
    tab.wait("document.querySelector('#turn-3 .answer')?.textContent.includes('third')").await;
    tab.wait("!document.querySelector('.turn.running')").await;
}
