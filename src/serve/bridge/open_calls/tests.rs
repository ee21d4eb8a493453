//! What is lost with a host, and what another one is sent.

use serde_json::{Value, json};

use super::{Lost, OpenCalls, Said};

fn say(calls: &mut OpenCalls, line: &Value) {
    calls.said(line.to_string().as_bytes());
}

fn hear(calls: &mut OpenCalls, line: &Value) -> bool {
    calls.heard(line.to_string().as_bytes()).is_some()
}

/// What the client hears of a line.
fn shown(calls: &mut OpenCalls, line: &Value) -> Value {
    let line = line.to_string();
    serde_json::from_slice(&calls.heard(line.as_bytes()).unwrap()).unwrap()
}

/// What the host gets of an answer of the client.
fn given(calls: &mut OpenCalls, line: &Value) -> Option<Value> {
    match calls.pass(line.to_string().as_bytes()) {
        Said::Answer(line) => Some(serde_json::from_slice(&line).unwrap()),
        Said::Stray => None,
        Said::Request(line) => panic!("{line:?} is no answer"),
    }
}

fn lost(calls: &mut OpenCalls) -> (Vec<Value>, Vec<Value>) {
    let read = |lines: Vec<Vec<u8>>| {
        lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
    };
    let Lost { to_client, to_host } = calls.lost();
    (read(to_client), read(to_host))
}

fn initialize() -> Value {
    json!({"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}})
}

fn initialized() -> Value {
    json!({"method": "notifications/initialized"})
}

fn call(id: &Value, tool: &str) -> Value {
    json!({"id": id, "method": "tools/call", "params": {"name": tool, "arguments": {"sessionId": "s"}}})
}

/// A client that has shaken hands.
fn greeted() -> OpenCalls {
    let mut calls = OpenCalls::default();
    say(&mut calls, &initialize());
    assert!(hear(&mut calls, &json!({"id": 0, "result": {}})));
    say(&mut calls, &initialized());
    calls
}

#[test]
fn a_handshake_is_repeated_and_its_second_answer_kept_from_the_client() {
    let mut calls = greeted();
    for _ in 0..2 {
        let (to_client, to_host) = lost(&mut calls);
        assert_eq!((to_client, to_host), (vec![], vec![initialize(), initialized()]));
        assert!(!hear(&mut calls, &json!({"id": 0, "result": {}})));
    }
    // Only that one answer is unwanted.
    say(&mut calls, &json!({"id": 0, "method": "ping"}));
    assert!(hear(&mut calls, &json!({"id": 0, "result": {}})));
}

#[test]
fn a_handshake_that_was_not_answered_still_is() {
    let mut calls = OpenCalls::default();
    say(&mut calls, &initialize());
    assert_eq!(lost(&mut calls), (vec![], vec![initialize()]));
    assert!(hear(&mut calls, &json!({"id": 0, "result": {}})));
    assert!(!calls.is_waiting());
}

#[test]
fn a_call_that_may_have_begun_something_is_answered_and_one_that_reads_is_made_again() {
    let mut calls = greeted();
    say(&mut calls, &call(&json!("a"), "codex"));
    say(&mut calls, &call(&json!(7), "getSession"));
    say(&mut calls, &call(&json!(8), "codex"));
    assert!(hear(&mut calls, &json!({"id": 8, "result": {}})));
    let (to_client, to_host) = lost(&mut calls);
    let [answer] = to_client.as_slice() else { panic!("{to_client:?}") };
    let content = &answer["result"]["structuredContent"];
    assert_eq!((&answer["id"], &content["code"]), (&json!("a"), &json!("host_restarted")));
    assert!(content["message"].as_str().unwrap().contains("`s`"), "{content}");
    assert_eq!(to_host, [initialize(), initialized(), call(&json!(7), "getSession")]);
    assert!(calls.is_waiting() && calls.is_listening());
}

#[test]
fn in_the_newer_era_an_answer_says_that_it_is_complete() {
    let mut calls = OpenCalls::default();
    let mut newer = call(&json!(1), "codex");
    newer["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    say(&mut calls, &newer);
    let (to_client, to_host) = lost(&mut calls);
    assert_eq!(to_client[0]["result"]["resultType"], "complete");
    assert!(to_host.is_empty(), "{to_host:?}");
}

#[test]
fn a_cancelled_call_is_not_answered() {
    let mut calls = greeted();
    say(&mut calls, &call(&json!(1), "codex"));
    say(&mut calls, &json!({"method": "notifications/cancelled", "params": {"requestId": 1}}));
    assert!(lost(&mut calls).0.is_empty());
}

#[test]
fn a_question_of_a_dead_host_is_withdrawn_unless_it_was_answered() {
    let mut calls = greeted();
    for id in [1, 2, 3] {
        assert!(hear(&mut calls, &json!({"id": id, "method": "elicitation/create"})));
    }
    assert!(given(&mut calls, &json!({"id": 1, "result": {}})).is_some());
    let withdrawn = json!({"method": "notifications/cancelled", "params": {"requestId": 2}});
    assert!(hear(&mut calls, &withdrawn));
    let (to_client, _) = lost(&mut calls);
    let [line] = to_client.as_slice() else { panic!("{to_client:?}") };
    assert_eq!((&line["method"], &line["params"]["requestId"]), (&withdrawn["method"], &json!(3)));
}

#[test]
fn a_subscription_is_made_again_until_it_is_given_up() {
    let mut calls = greeted();
    let subscribe = |id, method, uri| json!({"id": id, "method": method, "params": {"uri": uri}});
    for (id, uri) in [(1, "codex://sessions/a"), (2, "codex://sessions/b")] {
        say(&mut calls, &subscribe(id, "resources/subscribe", uri));
        assert!(hear(&mut calls, &json!({"id": id, "result": {}})));
    }
    say(&mut calls, &subscribe(3, "resources/unsubscribe", "codex://sessions/a"));
    assert!(hear(&mut calls, &json!({"id": 3, "result": {}})));
    let (_, to_host) = lost(&mut calls);
    let again = subscribe(2, "resources/subscribe", "codex://sessions/b");
    assert_eq!(to_host, [initialize(), initialized(), again]);
    assert!(!hear(&mut calls, &json!({"id": 2, "result": {}})));
    assert!(calls.is_listening());
}

#[test]
fn rubbish_is_passed_on_and_changes_nothing() {
    let mut calls = greeted();
    calls.said(b"{");
    assert!(calls.heard(b"[1]").is_some());
    assert!(!calls.is_waiting());
}

#[test]
fn an_answer_reaches_only_the_host_that_asked() {
    let mut calls = greeted();
    let asked = json!({"id": 0, "method": "elicitation/create", "params": {"message": "A"}});
    assert_eq!(shown(&mut calls, &asked), asked);
    calls.lost();
    // The next host counts from the beginning as well.
    let asked = json!({"id": 0, "method": "elicitation/create", "params": {"message": "B"}});
    let other = shown(&mut calls, &asked);
    assert_ne!(other["id"], json!(0), "{other}");
    let late = json!({"id": 0, "result": {"action": "accept"}});
    assert_eq!(given(&mut calls, &late), None);
    let answer = json!({"id": other["id"], "result": {"action": "accept"}});
    assert_eq!(given(&mut calls, &answer), Some(late));
    assert_eq!(given(&mut calls, &answer), None);
    // It is withdrawn under the id the client knows.
    let other = shown(&mut calls, &asked);
    let withdrawn = json!({"method": "notifications/cancelled", "params": {"requestId": 0}});
    assert_eq!(shown(&mut calls, &withdrawn)["params"]["requestId"], other["id"]);
}

#[test]
fn what_two_hosts_died_of_is_not_asked_of_a_third() {
    let mut calls = greeted();
    say(&mut calls, &call(&json!("x"), "listSessions"));
    assert_eq!(lost(&mut calls).1.last(), Some(&call(&json!("x"), "listSessions")));
    let (to_client, to_host) = lost(&mut calls);
    assert_eq!(
        (&to_client[0]["id"], &to_client[0]["error"]["code"]),
        (&json!("x"), &json!(-32603))
    );
    assert_eq!(to_host, [initialize(), initialized()]);
    assert!(!calls.is_waiting());
}

#[test]
fn what_is_asked_again_keeps_its_order_and_an_id_is_known_however_it_is_spelled() {
    let mut calls = greeted();
    for id in [9, 10, 2] {
        say(&mut calls, &call(&json!(id), "ping"));
    }
    let again: Vec<_> = lost(&mut calls).1.iter().skip(2).map(|line| line["id"].clone()).collect();
    assert_eq!(again, [9, 10, 2]);
    calls.said(br#"{"id": "\u00e9", "method": "ping"}"#);
    assert!(hear(&mut calls, &json!({"id": "\u{e9}", "result": {}})));
    assert_eq!(lost(&mut calls).0.len(), 3);
}
