//! TLS of the server's own.

use reqwest::tls::TlsInfo;
use serde_json::json;
use testkit::{Authority, client::signal, wait_for};
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::Team;

#[tokio::test]
async fn a_certificate_is_served_and_replaced_under_calls() {
    let (team, authority) = (Team::new().await, Authority::new());
    let (certificate, key) = authority.write(7);
    let server = team
        .serve_with(&[
            &format!("http.tls_certificate={}", certificate.display()),
            &format!("http.tls_key={}", key.display()),
        ])
        .await;
    assert!(server.url().starts_with("https://127.0.0.1:"), "{}", server.url());
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token)).over(authority.client());
    let slow = client.clone();
    let slow = tokio::spawn(async move {
        slow.call("codex", json!({"prompt": "slow 3 late", "sessionId": "s"})).await.ok()
    });
    wait_for("the turn to run", || (team.world.model.open_streams() == 1).then_some(())).await;
    // The certificate as a connection of its own sees it.
    let seen = async || {
        let page = authority.client().get(server.beside("/healthz")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let info = page.extensions().get::<TlsInfo>().unwrap();
        info.peer_certificate().unwrap().to_vec()
    };
    let first = seen().await;
    authority.write(8);
    assert_eq!(seen().await, first);
    signal(server.pid(), "HUP").await;
    let read = || server.stderr().contains("the certificate was read again").then_some(());
    wait_for("the new certificate", read).await;
    let second = seen().await;
    assert_ne!(second, first);
    // A certificate that is of no use changes nothing.
    std::fs::write(&certificate, "nonsense").unwrap();
    signal(server.pid(), "HUP").await;
    wait_for("the complaint", || server.stderr().contains("the old one stays").then_some(())).await;
    assert_eq!(seen().await, second);
    assert_eq!(slow.await.unwrap()["response"], "late");
}

#[tokio::test]
async fn who_does_not_shake_hands_costs_nobody_else_anything() {
    let (team, authority) = (Team::new().await, Authority::new());
    let (certificate, key) = authority.write(7);
    let server = team
        .serve_with(&[
            &format!("http.tls_certificate={}", certificate.display()),
            &format!("http.tls_key={}", key.display()),
            "http.connections=40",
        ])
        .await;
    let address = server.url().strip_prefix("https://").unwrap().split('/').next().unwrap();
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let token = team.token("a", &[]).await;
    let client = server.client(Some(&token)).over(authority.client());
    client.call("ping", json!({})).await.ok();
    // Who speaks no TLS is told nothing that it could take for an answer.
    let plain = server.beside("/healthz").replace("https", "http");
    assert_eq!(testkit::http::get(&plain).await, 0);
    // The silent ones are closed after a while.
    let mut said = Vec::new();
    silent.pop().unwrap().read_to_end(&mut said).await.unwrap();
    assert!(said.is_empty());
}

#[tokio::test]
async fn half_a_certificate_is_none() {
    let (team, authority) = (Team::new().await, Authority::new());
    let (certificate, key) = authority.write(7);
    let (_, other_key) = Authority::new().write(7);
    let cases = [
        (Some(&certificate), None, "`http.tls_key`"),
        (Some(&key), Some(&key), "cannot serve with"),
        (Some(&certificate), Some(&other_key), "cannot read"),
        (Some(&certificate), Some(&certificate), "cannot read"),
    ];
    for (certificate, key, why) in cases {
        let mut launch = team.launch().args(["serve", "--http", "127.0.0.1:0"]);
        for (name, file) in [("certificate", certificate), ("key", key)] {
            let Some(file) = file else { continue };
            launch = launch.args(["--set", &format!("http.tls_{name}={}", file.display())]);
        }
        let output = launch.command().output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn without_a_certificate_a_hangup_is_nothing_to_a_service() {
    let team = Team::new().await;
    let mut server = team.serve().await;
    signal(server.pid(), "HUP").await;
    wait_for("it to be heard", || server.stderr().contains("nothing to read again").then_some(()))
        .await;
    assert_eq!(testkit::http::get(&server.beside("/healthz")).await, 200);
    signal(server.pid(), "TERM").await;
    assert!(server.ended().await.success());
}
