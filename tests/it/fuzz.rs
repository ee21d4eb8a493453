//! What comes before authentication: heads and bodies of HTTP, tokens, the page's codes and cookies, and the
//! first line on the host's socket. Whatever it is, the answer is orderly: nothing panics, nothing hangs, memory stays
//! bounded, and others are served.
//!
//! `FUZZ_CASES` sets how much is tried at each door.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use testkit::{HttpServer, process, wait::wait_until};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

#[cfg(unix)]
use crate::hosting::host_folder;
use crate::support::World;

/// Longer than any limit of time that a door has.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Much more than all doors need.
const MEMORY: u64 = 300 * 1024 * 1024;

/// Some of what a strategy makes: the same each time, unless more is asked for.
fn samples<T: std::fmt::Debug>(usual: u32, strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let asked = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(usual);
    let mut runner = if asked.is_some() {
        TestRunner::default()
    } else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(Config::default(), rng)
    };
    (0..cases).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Text and bytes that readers stumble over.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
        select(vec![
            "", " ", "\0", "\r\n", "\u{feff}", "%00", "%ff", "../..", "//", "null", "{}", "[]"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        (1_usize..40_000).prop_map(|length| vec![b'x'; length]),
        (1_usize..20_000).prop_map(|depth| b"[".repeat(depth)),
        (1_usize..5_000).prop_map(|depth| br#"{"a":"#.repeat(depth)),
    ]
}

/// Tokens: ours and JWTs, whole and broken.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let ours = "cms_[a-z0-9_]{0,20}_[a-z0-9_]{0,80}".prop_map(String::into_bytes);
    let head = select(vec![
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"ES256","kid":"x"}"#,
        r#"{"alg":"RS256","jwk":{"kty":"RSA","n":"AQAB","e":""},"x5c":["x"]}"#,
        r#"{"alg":"ES256","crit":["x"]}"#,
        r#"{"alg":["ES256"]}"#,
        "{",
        "",
    ]);
    let jwt = (head, junk(), junk()).prop_map(|(head, claims, signature)| {
        let part = |bytes: &[u8]| base64(bytes);
        format!("{}.{}.{}", part(head.as_bytes()), part(&claims), part(&signature)).into_bytes()
    });
    prop_oneof![ours, jwt, junk()]
}

/// Without padding, as JWTs have it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let all = all << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(all >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// A body: nonsense, or the beginning of a conversation.
fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        junk(),
        select(vec![
            "initialize",
            "tools/call",
            "tasks/get",
            "server/discover",
            "notifications/cancelled"
        ])
        .prop_map(|method| {
            let params = json!({"name": "codex", "arguments": {}, "protocolVersion": "x"});
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
                .to_string()
                .into_bytes()
        }),
    ]
}

/// One request: its head is whole or not, its body what it says or not.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = select(vec!["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PRI", "get", "G\0T", ""]);
    let path = select(vec![
        "/mcp",
        "/",
        "/?code=",
        "/?code=x",
        "/ui",
        "/ui/",
        "/ui/main.js",
        "/ui/login",
        "/ui/logout",
        "/metrics",
        "/healthz",
        "/api/v1/sessions",
        "/api/v1/sessions/%ff/turns",
        "/api/v1/approvals/%00",
        "/api/v1/events",
        "/api/v1/usage?days=-1",
        "*",
        "http://evil.example/mcp",
        "/..%2f..",
        "/\u{fc}",
    ]);
    let header = (
        select(vec![
            "Authorization",
            "Cookie",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Origin",
            "Accept",
            "Content-Type",
            "Content-Length",
            "Transfer-Encoding",
            "X-Forwarded-For",
            "Last-Event-ID",
            "Expect",
            "Upgrade",
            "x-codex-mcp",
            "Host",
            "",
            " X",
            "X\u{0}",
        ]),
        prop_oneof![
            token().prop_map(|token| [b"Bearer ".to_vec(), token].concat()),
            token().prop_map(|token| [b"codex_mcp_token=".to_vec(), token].concat()),
            select(vec![
                "chunked",
                "identity, chunked",
                "-1",
                "18446744073709551616",
                "100-continue",
                "h2c",
                "2026-07-28",
                "application/json",
                "text/event-stream",
                "127.0.0.1:1",
                "1.1.1.1, ::1"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            junk(),
        ],
    );
    let has_host = proptest::bool::weighted(0.8);
    let says_length = proptest::bool::weighted(0.7);
    let whole = proptest::bool::weighted(0.9);
    (method, path, vec(header, 0..5), body(), has_host, says_length, whole).prop_map(
        |(method, path, headers, body, has_host, says_length, whole)| {
            let mut all = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
            if has_host {
                all.extend(b"Host: 127.0.0.1:PORT\r\n");
            }
            for (name, value) in headers {
                all.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
            }
            if says_length {
                all.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
            }
            if whole {
                all.extend(b"\r\n");
                all.extend(body);
            }
            all
        },
    )
}

/// What is said to these bytes and then no more, until the other side closes.
async fn said(stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Vec<u8> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut said = Vec::new();
    let talk = async {
        // It may close before it has read all.
        let write = async {
            let _ = writer.write_all(bytes).await;
            let _ = writer.shutdown().await;
        };
        let mut reader = BufReader::new(reader);
        let read = reader.read_to_end(&mut said);
        let _ = tokio::join!(write, read);
    };
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]);
    timeout(ENDS_WITHIN, talk).await.unwrap_or_else(|_| panic!("it hangs: {shown:?}"));
    said
}

/// Sends all of this, several at once.
async fn try_all(port: u16, requests: Vec<Vec<u8>>) {
    use futures_util::StreamExt;

    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let each = requests.into_iter().map(|request| async move {
        let text = port.to_string();
        let place = request.windows(4).position(|part| part == b"PORT");
        let request = match place {
            Some(at) => [&request[..at], text.as_bytes(), &request[at + 4..]].concat(),
            None => request,
        };
        let stream = TcpStream::connect(address).await.unwrap();
        let said = said(stream, &request).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        let is_orderly = ["HTTP/1.1 2", "HTTP/1.1 3", "HTTP/1.1 4", "HTTP/1.1 100"];
        let is_orderly = said.is_empty() || is_orderly.iter().any(|start| said.starts_with(start));
        let shown = String::from_utf8_lossy(&request[..request.len().min(2000)]).into_owned();
        assert!(is_orderly, "{shown:?}: {said}");
        assert!(!said.contains("panicked"), "{shown:?}: {said}");
    });
    futures_util::stream::iter(each).buffer_unordered(8).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn any_request_gets_an_orderly_answer() {
    let world = World::new().await;
    let work = world.home.work();
    // With both kinds of tokens, and a proxy that is believed.
    let server = HttpServer::start(
        &world
            .launch()
            .args(["serve", "--http", "127.0.0.1:0"])
            .args(["--set", &format!("tenants.a.roots=[{:?}]", work.display().to_string())])
            .args(["--set", "http.jwt.issuer=http://127.0.0.1:9/x"])
            .args(["--set", "http.trusted_proxies=[\"127.0.0.1\"]"]),
    )
    .await;
    try_all(server.port(), samples(300, &request())).await;
    let log = server.stderr();
    assert!(!log.contains("panicked") && !log.contains("internal error"), "{log}");
    assert!(!log.contains(['\0', '\u{1b}', '\r']), "{log:?}");
    assert!(process::resident_bytes(server.pid()) < MEMORY);
    assert_eq!(testkit::http::get(&server.beside("/healthz")).await, 200);
}

#[cfg(unix)]
#[tokio::test]
async fn any_request_to_the_page_and_any_hello_get_an_orderly_answer() {
    use tokio::net::UnixStream;

    let world = World::new().await;
    // Whatever the tests run with: this is about the host.
    let launch = world.launch().env("CODEX_MCP_SERVER_HOST_MODE", "auto");
    let mut command = launch.clone().args(["ui", "--no-open"]).command();
    let mut page = command.spawn().unwrap();
    let mut lines = BufReader::new(page.stdout.take().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line).await.unwrap();
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
    let port: u16 = port.unwrap_or_else(|| panic!("no address: {line}")).parse().unwrap();
    try_all(port, samples(150, &request())).await;

    let socket = files(&world, "sock").pop().expect("a host's socket");
    let hello = select(vec![
        json!({"key": null, "ask": "status"}),
        json!({"key": "x", "ask": {"serve": {}}}),
        json!({"key": null, "ask": {"page": {"port": 70000, "cookie": "", "code": null}}}),
        json!({"key": null, "ask": {"page": {"port": 1, "cookie": "x"}}}),
        json!({"ask": {"stop": {"force": "x"}}}),
        json!([]),
    ]);
    let hello = prop_oneof![
        junk(),
        (hello.clone(), junk()).prop_map(|(hello, more)| [
            hello.to_string().into_bytes(),
            b"\n".to_vec(),
            more
        ]
        .concat()),
        (hello, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(hello, at, byte)| {
            let mut hello = hello.to_string().into_bytes();
            let at = at.index(hello.len());
            hello[at] = byte;
            [hello, b"\n".to_vec()].concat()
        }),
    ];
    for hello in samples(150, &hello) {
        let stream = UnixStream::connect(&socket).await.unwrap();
        said(stream, &hello).await;
    }
    // It is the same host, and it serves.
    let host = UnixStream::connect(&socket).await.unwrap();
    let peer = host.peer_cred().unwrap().pid().and_then(|pid| u32::try_from(pid).ok()).unwrap();
    let welcome = said(host, b"{\"key\":null,\"ask\":\"status\"}\n").await;
    let welcome = String::from_utf8_lossy(&welcome).into_owned();
    assert!(welcome.contains(&format!("\"pid\":{peer}")), "{welcome}");
    assert!(process::resident_bytes(peer) < MEMORY);
    for log in files(&world, "log") {
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(!text.contains("panicked"), "{}: {text}", log.display());
    }
    launch.connect().await.call("ping", json!({})).await.ok();
    testkit::client::signal(page.id().unwrap(), "INT").await;
    page.wait().await.unwrap();
    wait_until("the page to be gone", async || {
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.is_err()
    })
    .await;
}

/// The files of the world's hosts that end so.
#[cfg(unix)]
fn files(world: &World, ending: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(host_folder(world)).unwrap().flatten().map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|it| it == ending)).collect()
}
