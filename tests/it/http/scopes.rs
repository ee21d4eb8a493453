//! Who decides: the one table of what needs which scope, walked as each scope; and what callers of a narrower scope try.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::{Value, json};
use testkit::{
    HttpClient, HttpServer, MessageStream, ToolResult,
    http::{Method, http_client},
    wait_for,
};

use super::Team;

/// Tools, what they need, and arguments with which nothing runs.
fn tools() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("codex", "run", json!({"prompt": ""})),
        ("codex-reply", "run", json!({"prompt": "", "threadId": "x"})),
        ("review", "run", json!({"workingDirectory": "/nowhere"})),
        ("websearch", "run", json!({"query": ""})),
        ("wait", "read", json!({"sessionId": "nosuch"})),
        ("steer", "run", json!({"sessionId": "nosuch", "prompt": "x"})),
        ("worktree", "run", json!({"sessionId": "nosuch", "action": "diff"})),
        ("interrupt", "run", json!({"sessionId": "nosuch"})),
        ("listSessions", "read", json!({})),
        ("getSession", "read", json!({"sessionId": "nosuch"})),
        ("forkSession", "run", json!({"sessionId": "nosuch"})),
        ("renameSession", "run", json!({"sessionId": "nosuch", "newSessionId": "t"})),
        ("deleteSession", "run", json!({"sessionId": "nosuch"})),
        ("listModels", "read", json!({})),
        ("usage", "read", json!({})),
        ("ping", "read", json!({})),
        ("help", "read", json!({})),
        // Of views alone.
        ("approvals", "read", json!({"sessionId": "nosuch"})),
        ("approvals", "run", json!({"sessionId": "nosuch", "id": "x", "decision": "accept"})),
    ]
}

/// The handlers of MCP's methods, the methods, what they need, and parameters.
fn methods() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let reference = json!({"type": "ref/prompt", "name": "continue-session"});
    let completed = json!({"ref": reference, "argument": {"name": "sessionId", "value": ""}});
    vec![
        ("list_tools", "tools/list", "read", json!({})),
        ("call_tool", "tools/call", "read", json!({"name": "ping", "arguments": {}})),
        ("get_task", "tasks/get", "read", json!({"taskId": "nosuch:1"})),
        ("update_task", "tasks/update", "run", json!({"taskId": "nosuch:1", "inputResponses": {}})),
        ("cancel_task", "tasks/cancel", "run", json!({"taskId": "nosuch:1"})),
        ("list_resources", "resources/list", "read", json!({})),
        ("list_resource_templates", "resources/templates/list", "read", json!({})),
        ("read_resource", "resources/read", "read", json!({"uri": "codex://sessions/nosuch"})),
        ("list_prompts", "prompts/list", "read", json!({})),
        ("get_prompt", "prompts/get", "read", json!({"name": "continue-session"})),
        ("complete", "completion/complete", "read", completed),
        ("on_custom_request", "nosuch/method", "read", json!({})),
    ]
}

/// Handlers that are no request of their own, or only begin or feed a stream.
const OTHERS: &[&str] =
    &["initialize", "on_initialized", "subscribe", "unsubscribe", "listen", "get_info"];

/// Paths of the server, what they need, and a body.
fn paths() -> Vec<(Method, &'static str, &'static str, Value)> {
    let (none, prompt) = (json!({}), json!({"prompt": "x"}));
    let api = [
        (Method::GET, "/api/v1/sessions", "read", none.clone()),
        (Method::GET, "/api/v1/sessions/{name}", "read", none.clone()),
        (Method::DELETE, "/api/v1/sessions/{name}", "run", none.clone()),
        (Method::GET, "/api/v1/sessions/{name}/turns", "read", none.clone()),
        (Method::POST, "/api/v1/sessions/{name}/turns", "run", prompt.clone()),
        (Method::GET, "/api/v1/sessions/{name}/turns/{number}", "read", none.clone()),
        (Method::GET, "/api/v1/sessions/{name}/events", "read", none.clone()),
        (Method::POST, "/api/v1/sessions/{name}/interrupt", "run", none.clone()),
        (Method::POST, "/api/v1/sessions/{name}/steer", "run", prompt),
        (Method::POST, "/api/v1/sessions/{name}/fork", "run", none.clone()),
        (Method::GET, "/api/v1/approvals", "read", none.clone()),
        (Method::POST, "/api/v1/approvals/{id}", "run", json!({"decision": "accept"})),
        (Method::GET, "/api/v1/usage", "read", none.clone()),
        (Method::GET, "/api/v1/events", "read", none.clone()),
    ];
    let free = |method: Method, path| (method, path, "none", json!({}));
    let files = [
        free(Method::GET, "/ui"),
        free(Method::GET, "/ui/"),
        free(Method::GET, "/ui/{file}"),
        free(Method::POST, "/ui/login"),
        free(Method::POST, "/ui/logout"),
        free(Method::GET, "/healthz"),
        free(Method::GET, "/readyz"),
        (Method::GET, "/metrics", "admin", json!({})),
    ];
    api.into_iter().chain(files).collect()
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)).unwrap()
}

/// What stands between these, at each place.
fn all_between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

#[test]
fn the_table_has_every_tool_method_and_path() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mcp/tools");
    let mut known: BTreeSet<String> = BTreeSet::from(["approvals".to_owned()]);
    for file in fs::read_dir(folder).unwrap().flatten().filter(|it| it.path().is_file()) {
        let text = fs::read_to_string(file.path()).unwrap();
        for tool in text.split("impl Callable for ").skip(1) {
            known.insert(all_between(tool, "const NAME: &'static str = \"", "\"")[0].to_owned());
        }
    }
    let listed: BTreeSet<String> = tools().iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(known, listed, "a tool is missing in `tools()`");

    let server = source("mcp/server.rs");
    let handlers = server.split("impl ServerHandler for Server {").nth(1).unwrap();
    let known: BTreeSet<&str> = all_between(handlers, "async fn ", "(").into_iter().collect();
    let listed = methods().into_iter().map(|(handler, ..)| handler);
    let listed: BTreeSet<&str> = listed.chain(OTHERS.iter().copied()).collect();
    let missing: Vec<_> = known.difference(&listed).collect();
    assert!(missing.is_empty(), "not in `methods()`: {missing:?}");

    let mut known = BTreeSet::new();
    for (file, prefix) in
        [("web/router.rs", "/api/v1"), ("serve/http/page.rs", ""), ("serve/http/route.rs", "")]
    {
        let text: String = source(file).split_whitespace().collect();
        for route in
            all_between(&text, ".route(\"", ";").iter().flat_map(|it| it.split(".route(\""))
        {
            let (path, handlers) = route.split_once('"').unwrap();
            let handlers = handlers.split(".route_layer").next().unwrap();
            let path =
                if path.starts_with("/ui") { path.to_owned() } else { format!("{prefix}{path}") };
            for (word, method) in [
                ("get(", "GET"),
                ("post(", "POST"),
                ("delete(", "DELETE"),
                ("put(", "PUT"),
                ("patch(", "PATCH"),
            ] {
                if handlers.contains(&format!(",{word}")) || handlers.contains(&format!(").{word}"))
                {
                    known.insert(format!("{method} {path}"));
                }
            }
        }
    }
    known.insert("GET /metrics".to_owned());
    let listed: BTreeSet<String> =
        paths().iter().map(|(method, path, ..)| format!("{method} {path}")).collect();
    assert_eq!(known, listed, "a path is missing in `paths()`");
}

/// What a client of the newer era can do: show forms and views, and follow tasks.
fn able(mut params: Value) -> Value {
    let extensions = json!({
        "io.modelcontextprotocol/tasks": {},
        "io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]},
    });
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({"elicitation": {"form": {}}, "extensions": extensions});
    params
}

fn asks(mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({"elicitation": {"form": {}}});
    params
}

fn is_refused(answer: &Value) -> bool {
    answer["result"]["structuredContent"]["code"] == "insufficient_scope"
        || answer["error"]["message"].as_str().is_some_and(|it| it.contains("needs the scope"))
}

fn rank(scope: &str) -> usize {
    ["none", "read", "run", "admin"].iter().position(|known| *known == scope).unwrap()
}

#[tokio::test]
async fn every_door_asks_for_the_scope_it_needs() {
    let team = Team::new().await;
    let server = team.serve().await;
    for scope in ["read", "run", "admin"] {
        let token = team.token("a", &["--scope", scope]).await;
        let modern = server.client(Some(&token));
        let older = server.older_client(Some(&token)).await;
        for (tool, needed, arguments) in tools() {
            let allowed = rank(scope) >= rank(needed);
            let call = json!({"name": tool, "arguments": arguments});
            let answer = modern.ask("tools/call", able(call.clone())).await;
            assert_eq!(!is_refused(&answer), allowed, "{scope} {tool}: {answer}");
            let answer = older.ask("tools/call", call).await;
            // Views are shown by clients of the newer era alone here.
            assert_eq!(
                !is_refused(&answer),
                allowed || tool == "approvals",
                "{scope} {tool}: {answer}"
            );
        }
        for (_, method, needed, params) in methods() {
            let answer = modern.ask(method, able(params)).await;
            assert_eq!(
                !is_refused(&answer),
                rank(scope) >= rank(needed),
                "{scope} {method}: {answer}"
            );
        }
        for (method, path, needed, body) in paths() {
            let real = path.replace("{name}", "nosuch").replace("{number}", "1");
            let url = server.beside(&real.replace("{id}", "x").replace("{file}", "main.js"));
            let request = http_client().request(method.clone(), &url).bearer_auth(&token);
            let request =
                request.header("x-codex-mcp", "1").header("content-type", "application/json");
            let request = request.body(body.to_string());
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(
                status != 403,
                rank(scope) >= rank(needed),
                "{scope} {method} {path}: {status}"
            );
        }
    }
    assert!(team.world.model.requests().is_empty());
}

/// A command that Codex asks for in a turn that goes on by itself.
const ESCALATE: &str = "escalate touch asked-for";

/// Begins such a turn in session `s`, and waits for its question. Returns the approval's id.
async fn asked(server: &HttpServer, run: &HttpClient, token: &str) -> String {
    let arguments = json!({"prompt": ESCALATE, "sessionId": "s", "approvalPolicy": "on-request",
        "waitSeconds": 0});
    run.call("codex", arguments).await.ok();
    for _ in 0..200 {
        let open = open(server, token).await;
        if let Some(id) = open.first() {
            return id.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is asked")
}

/// The ids of the open approvals.
async fn open(server: &HttpServer, token: &str) -> Vec<String> {
    let url = server.beside("/api/v1/approvals");
    let answer = http_client().get(url).bearer_auth(token).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let open = answer["approvals"].as_array().unwrap().clone();
    open.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

fn accept(asked: &Value, mut call: Value) -> Value {
    let key = asked["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    call["requestState"] = asked["requestState"].clone();
    call["inputResponses"] = json!({key: {"action": "accept", "content": {"decision": "accept"}}});
    call
}

#[tokio::test]
async fn whoever_may_only_read_is_not_asked_and_answers_nothing() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (run, read) = (team.token("a", &[]).await, team.token("a", &["--scope", "read"]).await);
    let (runner, reader) = (server.client(Some(&run)), server.client(Some(&read)));
    let id = asked(&server, &runner, &run).await;
    let made = || team.root("a").join("asked-for").exists();

    // The newer era: the result does not ask, and a task does not either.
    let wait = json!({"name": "wait", "arguments": {"sessionId": "s", "waitSeconds": 1}});
    let waited = reader.ask("tools/call", asks(wait.clone())).await;
    assert_eq!(waited["result"]["structuredContent"]["status"], "running", "{waited}");
    let task = reader.ask("tasks/get", able(json!({"taskId": "s:1"}))).await;
    assert_eq!(task["result"]["status"], "working", "{task}");
    let response = json!({id.as_str(): {"action": "accept", "content": {"decision": "accept"}}});
    let update = able(json!({"taskId": "s:1", "inputResponses": response}));
    assert!(is_refused(&reader.ask("tasks/update", update).await));
    assert!(is_refused(&reader.ask("tasks/cancel", able(json!({"taskId": "s:1"}))).await));

    // The older era: nothing comes on the stream of the call.
    let older = server.older_client_as(Some(&read), json!({"elicitation": {}})).await;
    let (call, response) = older.send("tools/call", wait.clone()).await;
    let mut messages = MessageStream::of(response);
    let answer = loop {
        let message = messages.next().await.expect("an answer");
        assert_ne!(message["method"], "elicitation/create", "{message}");
        if message["id"] == call {
            break message;
        }
    };
    assert_eq!(answer["result"]["structuredContent"]["status"], "running", "{answer}");

    // The page and a view.
    let url = server.beside(&format!("/api/v1/approvals/{id}"));
    let posted = http_client().post(url).bearer_auth(&read).header("x-codex-mcp", "1");
    let posted = posted.header("content-type", "application/json");
    let posted = posted.body(r#"{"decision":"accept"}"#).send().await.unwrap();
    assert_eq!(posted.status(), 403);
    for decision in ["accept", "decline", "cancel"] {
        let arguments = json!({"sessionId": "s", "id": id, "decision": decision});
        let call = able(json!({"name": "approvals", "arguments": arguments}));
        assert!(is_refused(&reader.ask("tools/call", call).await));
    }
    // Leaving while it waits changes nothing.
    let waiting = json!({"name": "wait", "arguments": {"sessionId": "s", "waitSeconds": 60}});
    let left = reader.send("tools/call", asks(waiting));
    let left = tokio::time::timeout(Duration::from_secs(1), left).await;
    assert!(left.is_err(), "it did not wait");
    assert_eq!(open(&server, &read).await, std::slice::from_ref(&id));

    // The caller that may run is asked, and no other caller can bring that answer.
    let asked = runner.ask("tools/call", asks(wait.clone())).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let answer = asks(accept(&asked, wait.clone()));
    let colleague = server.client(Some(&team.token("a", &[]).await)).clone();
    let stranger = server.client(Some(&team.token("b", &[]).await)).clone();
    for (who, client) in [("reader", &reader), ("colleague", &colleague), ("stranger", &stranger)] {
        let refused = client.ask("tools/call", answer.clone()).await;
        let code = &refused["result"]["structuredContent"]["code"];
        assert_eq!(code, "question_expired", "{who}: {refused}");
    }
    // Nor with another call of its own.
    let other = json!({"name": "wait", "arguments": {"sessionId": "s", "waitSeconds": 2}});
    let refused = runner.ask("tools/call", asks(accept(&asked, other))).await;
    assert_eq!(refused["result"]["structuredContent"]["code"], "question_expired", "{refused}");
    assert!(!made());
    assert_eq!(open(&server, &read).await, [id]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    runner.ask("tools/call", answer).await;
    wait_for("the command to run", || made().then_some(())).await;
}

#[tokio::test]
async fn whoever_may_only_read_takes_no_answer_from_anybody() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (run, read) = (team.token("a", &[]).await, team.token("a", &["--scope", "read"]).await);
    let (runner, reader) = (server.client(Some(&run)), server.client(Some(&read)));
    let older = server.older_client(Some(&read)).await;
    let prompt = json!({"prompt": "slow 1 once", "sessionId": "s"});
    let mut detached = prompt.clone();
    detached["waitSeconds"] = json!(0);
    runner.call("codex", detached).await.ok();
    // As it runs, and when it is over.
    let of = json!({"sessionId": "s"});
    let (one, two) = tokio::join!(reader.call("wait", of.clone()), older.call("wait", of.clone()));
    assert_eq!((&one.ok()["response"], &two.ok()["response"]), (&json!("once"), &json!("once")));
    for client in [&reader, &older] {
        assert_eq!(client.call("wait", of.clone()).await.ok()["response"], "once");
        client.call("getSession", of.clone()).await.ok();
        client.call("getSession", json!({"sessionId": "s", "turn": 1})).await.ok();
        for uri in ["codex://sessions/s", "codex://sessions/s/turns/1"] {
            let read = client.ask("resources/read", json!({"uri": uri})).await;
            assert!(read["result"].is_object(), "{read}");
        }
    }
    reader.ask("tasks/get", able(json!({"taskId": "s:1"}))).await;
    let url = server.beside("/api/v1/sessions/s/turns");
    assert_eq!(http_client().get(url).bearer_auth(&read).send().await.unwrap().status(), 200);
    // The call made again still gets it.
    let joined: ToolResult = runner.call("codex", prompt.clone()).await.ok();
    assert_eq!((&joined["joined"], &joined["turn"]), (&json!(true), &json!(1)), "{}", joined.raw);
    let next = runner.call("codex", prompt).await.ok();
    assert_eq!(next["turn"], 2);
}
