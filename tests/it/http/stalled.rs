//! No caller takes every connection: neither by reading nothing of what it is sent, nor by opening many.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use testkit::{HttpServer, http, http::http_client, wait::wait_until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::Team;

fn address(server: &HttpServer) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port()))
}

/// A connection from another address of this machine.
async fn from(local: &str, server: &HttpServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(local.parse().unwrap(), 0)).unwrap();
    socket.connect(address(server)).await.unwrap()
}

/// Asks for more than the system keeps for a reader, and reads nothing of it.
async fn stall(server: &HttpServer, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address(server)).await.unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    let many = request.replace("HOST", &host).repeat(2000);
    // It stops to be read once the answers are not.
    let _ = timeout(Duration::from_millis(500), stream.write_all(many.as_bytes())).await;
    stream
}

#[tokio::test]
async fn a_reader_that_takes_nothing_gives_its_connection_back() {
    let team = Team::new().await;
    let settings = ["http.connections=3", "http.write_timeout=1s"];
    let server = team.serve_with(&settings).await;
    let token = team.token("a", &[]).await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let list = format!(
        "POST /mcp HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\nMcp-Method: tools/list\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for request in [
        // Without a token: files of the page, and refusals.
        "GET /ui/highlight.js HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(),
        format!("GET /ui/main.js HTTP/1.1\r\nHost: HOST\r\nX-Pad: {}\r\n\r\n", "x".repeat(4000)),
        list,
    ] {
        let mut stalled = Vec::new();
        for _ in 0..3 {
            stalled.push(stall(&server, &request).await);
        }
        let healthy = async || http::get(&server.beside("/healthz")).await == 200;
        wait_until("room for others", healthy).await;
        drop(stalled);
        wait_until("all of them to be gone", healthy).await;
    }
}

#[tokio::test]
async fn a_reader_that_is_slow_gets_all_of_it() {
    let team = Team::new().await;
    let server = team.serve_with(&["http.write_timeout=2s"]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address(&server)).await.unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    let one = format!("GET /ui/highlight.js HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let last = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all((one.repeat(60) + &last).as_bytes()).await.unwrap();
    let (mut got, mut buffer) = (0, vec![0; 1024 * 1024]);
    loop {
        // Much longer in all than a reader may take nothing.
        tokio::time::sleep(Duration::from_millis(50)).await;
        match stream.read(&mut buffer[..64 * 1024]).await.unwrap() {
            0 => break,
            count => got += count,
        }
    }
    assert!(got > 60 * 129_000, "{got}");
}

/// Whether a connection from this address is taken.
async fn is_taken(local: &str, server: &HttpServer, token: Option<&str>) -> Option<TcpStream> {
    let mut stream = from(local, server).await;
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let host = format!("127.0.0.1:{}", server.port());
    let request = format!("GET /api/v1/sessions HTTP/1.1\r\nHost: {host}\r\n{token}\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut said = [0; 12];
    stream.read_exact(&mut said).await.ok()?;
    (&said != b"HTTP/1.1 503").then_some(stream)
}

#[tokio::test]
async fn no_address_takes_the_connections_of_others() {
    let team = Team::new().await;
    let server = team.serve_with(&["http.connections_per_address=8"]).await;
    let token = team.token("a", &[]).await;
    let (mallory, alice) = ("127.0.0.2", "127.0.0.3");
    // A quarter for those who show no token, or none that is good.
    let idle = from(mallory, &server).await;
    let wrong = is_taken(mallory, &server, Some("cms_x_y")).await.unwrap();
    assert!(is_taken(mallory, &server, None).await.is_none());
    assert!(is_taken(mallory, &server, Some(&token)).await.is_none());
    assert!(is_taken(alice, &server, None).await.is_some());
    drop((idle, wrong));
    // All of it for who shows one.
    let mut known = Vec::new();
    for _ in 0..8 {
        wait_until("room", async || {
            known.extend(is_taken(mallory, &server, Some(&token)).await);
            !known.is_empty()
        })
        .await;
    }
    while let Some(more) = is_taken(mallory, &server, Some(&token)).await {
        known.push(more);
    }
    assert_eq!(known.len(), 8);
    assert!(is_taken(alice, &server, Some(&token)).await.is_some());
    drop(known);
    wait_until("room again", async || is_taken(mallory, &server, Some(&token)).await.is_some())
        .await;
}

#[tokio::test]
async fn behind_a_proxy_the_clients_address_counts() {
    let team = Team::new().await;
    let settings = [
        "http.connections_per_address=4",
        "http.trusted_proxies=[\"127.0.0.1\"]",
        "http.calls=100",
    ];
    let server = team.serve_with(&settings).await;
    let token = team.token("a", &[]).await;
    let get = async |client: &str, path: &str| {
        let request = http_client().get(server.beside(path)).bearer_auth(&token);
        request.header("x-forwarded-for", client).send().await.unwrap()
    };
    let mut streams = Vec::new();
    for _ in 0..4 {
        let stream = get("192.0.2.1", "/api/v1/events").await;
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    // Whatever a client writes in front of what its proxy writes.
    for client in ["192.0.2.1", "198.51.100.7, 192.0.2.1", "::ffff:192.0.2.1"] {
        let refused = get(client, "/healthz").await;
        assert_eq!(refused.status(), 429, "{client}");
        assert!(refused.headers().contains_key("retry-after"));
    }
    for other in ["192.0.2.2", "2001:db8::1"] {
        assert_eq!(get(other, "/healthz").await.status(), 200, "{other}");
    }
    // The proxy's own are not counted, nor are those who only say that they are one.
    for _ in 0..10 {
        streams.push(get("127.0.0.1", "/api/v1/events").await);
    }
    let mut direct = Vec::new();
    for _ in 0..4 {
        direct.push(is_taken("127.0.0.2", &server, Some(&token)).await.unwrap());
    }
    assert!(is_taken("127.0.0.2", &server, Some(&token)).await.is_none());
    drop(streams);
    wait_until("room again", async || get("192.0.2.1", "/healthz").await.status() == 200).await;
    server.client(Some(&token)).call("ping", json!({})).await.ok();
}
