//! Requests that no good client makes.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Team;

/// What the server says to these bytes, until it closes or says nothing for a while.
async fn raw(url: &str, bytes: &[u8]) -> String {
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may refuse before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn what_is_no_request_of_ours_is_refused_and_others_are_served() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("a", &[]).await;
    let host = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let head = |more: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{more}"
        )
    };
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let whole = |more: &str, body: &str| {
        head(&format!("{more}Content-Length: {}\r\n\r\n{body}", body.len()))
    };
    let elsewhere = whole("", list).replace(&host, "evil.example");
    let huge = format!("X-Huge: {}\r\n", "x".repeat(200_000));
    let text = whole("", list).replace("application/json\r\n", "text/plain\r\n");
    for (request, status) in [
        (whole("Origin: https://evil.example\r\n", list), "403"),
        (elsewhere, "403"),
        (whole(&huge, list), "431"),
        (text, "415"),
        (whole("", "{"), "4"),
        (whole("", "[]"), "4"),
        (whole("", &"x".repeat(5 * 1024 * 1024)), "413"),
        (whole("Transfer-Encoding: chunked\r\n", list), "400"),
        (whole("X-Split: a\rb\r\n", list), "400"),
        (whole("Mcp-Session-Id: \u{1}\r\n", list), "4"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "4"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}".to_owned(), "400"),
    ] {
        let said = raw(server.url(), request.as_bytes()).await;
        let wanted = format!("HTTP/1.1 {status}");
        assert!(said.starts_with(&wanted), "{}…: {said}", &request[..request.len().min(400)]);
    }
    let client = server.client(Some(&token));
    client.call("ping", json!({})).await.ok();
    assert!(!server.stderr().contains(token.rsplit('_').next().unwrap()), "{}", server.stderr());
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let team = Team::new().await;
    let server = team.serve().await;
    let address = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"POST /mcp HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut said = Vec::new();
    let cut = tokio::time::timeout(Duration::from_mins(1), slow.read_to_end(&mut said)).await;
    assert!(cut.is_ok(), "it still waits");
}

#[tokio::test]
async fn one_token_cannot_take_the_room_of_others() {
    let team = Team::new().await;
    let server = team.serve_with(&["http.mcp_sessions=5", "http.calls=2"]).await;
    let (greedy, modest) = (team.token("a", &[]).await, team.token("b", &[]).await);
    let mut client = server.client(Some(&greedy));
    let mut refused = 0;
    for _ in 0..20 {
        match client.shake_hands().await {
            Ok(()) => {}
            Err(status) => {
                assert_eq!(status, 429);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 15);
    server.older_client(Some(&modest)).await.call("ping", json!({})).await.ok();
    // Calls in flight are counted alike.
    let greedy = server.client(Some(&greedy));
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 x"}, "_meta": {"progressToken": "p"}});
    let held =
        [greedy.send("tools/call", slow.clone()).await, greedy.send("tools/call", slow).await];
    let (_, third) = greedy.send("tools/list", json!({})).await;
    assert_eq!((third.status().as_u16(), third.headers().contains_key("retry-after")), (429, true));
    server.client(Some(&modest)).call("ping", json!({})).await.ok();
    drop(held);
    testkit::wait::wait_until("room again", async || {
        greedy.send("tools/list", json!({})).await.1.status() == 200
    })
    .await;
}

#[tokio::test]
async fn connections_are_counted_too() {
    let team = Team::new().await;
    let server = team.serve_with(&["http.connections=3"]).await;
    let address = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    // Until it has taken the last of them.
    testkit::wait::wait_until("the next to be refused", async || {
        raw(server.url(), b"").await.starts_with("HTTP/1.1 503")
    })
    .await;
    drop(open);
    testkit::wait::wait_until("room again", async || {
        testkit::http::get(&server.beside("/healthz")).await == 200
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_stalls_holds_up_nobody_else() {
    let team = Team::new().await;
    let server = team.serve().await;
    let token = team.token("a", &[]).await;
    let host = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "stalled", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    let body = body.to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nMcp-Method: tools/list\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stalled = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        // Answers of some megabytes, of which it reads none.
        let all = request.repeat(200);
        let sent = stream.write_all(all.as_bytes());
        drop(tokio::time::timeout(Duration::from_secs(1), sent).await);
        stalled.push(stream);
    }
    let client = server.client(Some(&token));
    for _ in 0..20 {
        client.call("ping", json!({})).await.ok();
    }
    client.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    // What they were sent is not piled up here.
    let resident = testkit::process::resident_bytes(server.pid());
    assert!(resident < 300 * 1024 * 1024, "{resident}");
}

#[tokio::test]
async fn a_client_that_opens_mcp_sessions_without_end_is_refused_while_others_work() {
    let team = Team::new().await;
    let server = team.serve().await;
    let (greedy, modest) = (team.token("a", &[]).await, team.token("b", &[]).await);
    let modest = server.client(Some(&modest));
    let mut refused = 0;
    for round in 0..100 {
        let greedy = server.client(Some(&greedy));
        let opening = (0..100).map(|_| {
            let mut greedy = greedy.clone();
            async move { greedy.shake_hands().await }
        });
        // No more at once than calls it may have in flight.
        let opened: Vec<_> =
            futures_util::stream::iter(opening).buffer_unordered(50).collect().await;
        refused += opened.iter().filter(|it| **it == Err(429)).count();
        if round % 20 == 0 {
            modest.call("ping", json!({})).await.ok();
        }
    }
    assert_eq!(refused, 10_000 - 100);
    let resident = testkit::process::resident_bytes(server.pid());
    assert!(resident < 200 * 1024 * 1024, "{resident}");
}

#[tokio::test]
async fn many_clients_that_are_idle_leave_room_for_those_that_call() {
    // This process has as many connections as the server.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
    let team = Team::new().await;
    // All of them come from one address and show no token.
    let server = team.serve_with(&["http.connections_per_address=8192"]).await;
    let host = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"HTTP/1.1 200");
        idle.push(stream);
    }
    let tokens = [team.token("a", &[]).await, team.token("b", &[]).await];
    let calling = (0..100).map(|number| {
        let client = server.client(Some(&tokens[number % 2]));
        async move {
            for _ in 0..10 {
                client.call("ping", json!({"message": number.to_string()})).await.ok();
            }
        }
    });
    futures_util::future::join_all(calling).await;
    drop(idle);
}
