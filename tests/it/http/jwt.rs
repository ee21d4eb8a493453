//! Tokens of the operator's identity provider.

use serde_json::{Value, json};
use testkit::{
    HttpServer, Issuer,
    issuer::{now, unsigned},
};

use super::Team;

const AUDIENCE: &str = "https://codex.example/mcp";

async fn serve(team: &Team, issuer: &Issuer) -> HttpServer {
    let issuer = format!("http.jwt.issuer={}", issuer.url());
    team.serve_with(&[&issuer, "http.base_url=https://codex.example/", "log.level=debug"]).await
}

#[tokio::test]
async fn a_provider_s_token_opens_its_tenant() {
    let (team, issuer) = (Team::new().await, Issuer::start().await);
    let signer = issuer.new_key(testkit::issuer::Algorithm::Es256);
    let server = serve(&team, &issuer).await;
    let token = |tenant, scope| signer.sign(&issuer.claims(AUDIENCE, tenant, scope));
    let (run, read) = (token("a", "run"), token("a", "read"));
    let a = server.client(Some(&run));
    let said = a.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(said["workingDirectory"], json!(team.root("a")));
    // Tokens of ours are taken as well, and find the same.
    let ours = server.client(Some(&team.token("a", &[]).await));
    let next = ours.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(next["continuity"], "resumed");
    let b = server.client(Some(&token("b", "admin")));
    assert_eq!(b.call("listSessions", json!({})).await.ok()["sessions"], json!([]));
    // Less is possible with less, and clients are told what to ask the provider for.
    let read = server.client(Some(&read));
    assert_eq!(read.call("wait", json!({"sessionId": "s"})).await.ok()["response"], "say hi");
    let call = json!({"name": "codex", "arguments": {"prompt": "say no", "sessionId": "s"}});
    let (_, refused) = read.send("tools/call", call).await;
    assert_eq!(refused.status(), 403);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let metadata = "https://codex.example/.well-known/oauth-protected-resource/mcp";
    assert_eq!(
        challenge,
        format!(
            "Bearer realm=\"codex-mcp-server\", error=\"insufficient_scope\", scope=\"run\", \
             resource_metadata=\"{metadata}\""
        )
    );
    assert_eq!(team.world.model.requests().len(), 2);
    // The sessions of the transport are whose token began them.
    let mut older = server.client(Some(&run));
    older.shake_hands().await.unwrap();
    let id = older.mcp_session().unwrap().to_owned();
    for foreign in [token("b", "run"), team.token("a", &[]).await] {
        let (_, refused) =
            server.client(Some(&foreign)).in_mcp_session(&id).send("tools/list", json!({})).await;
        assert_eq!(refused.status(), 404);
    }
    let other = issuer.claims(AUDIENCE, "a", "run");
    let other = signer.sign(&with(other, "sub", json!("somebody else")));
    let other = server.client(Some(&other)).in_mcp_session(&id);
    assert_eq!(other.send("tools/list", json!({})).await.1.status(), 404);
}

fn with(mut claims: Value, key: &str, value: Value) -> Value {
    claims[key] = value;
    claims
}

#[tokio::test]
async fn a_token_that_is_not_good_opens_nothing_and_is_told_where_to_get_one() {
    let (team, issuer, other) = (Team::new().await, Issuer::start().await, Issuer::start().await);
    let algorithm = testkit::issuer::Algorithm::Es256;
    let (signer, forger) = (issuer.new_key(algorithm), other.new_key(algorithm));
    let server = serve(&team, &issuer).await;
    let good = issuer.claims(AUDIENCE, "a", "run");
    let changed = |key, value| signer.sign(&with(good.clone(), key, value));
    let challenge =
        "resource_metadata=\"https://codex.example/.well-known/oauth-protected-resource/mcp\"";
    let bad = [
        unsigned("none", &good),
        forger.sign(&good),
        changed("aud", json!("https://other.example")),
        changed("exp", json!(now() - 3600)),
        changed("iss", json!(other.url())),
    ];
    for token in bad.iter().map(|token| Some(&**token)).chain([None]) {
        let (_, refused) = server.client(token).send("tools/list", json!({})).await;
        assert_eq!(refused.status(), 401, "{token:?}");
        let said = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(said.contains(challenge) && said.contains("scope=\"run\""), "{said}");
    }
    for (token, status) in
        [(changed("tenant", json!("c")), 403), (changed("scope", json!("openid")), 403)]
    {
        let (_, refused) = server.client(Some(&token)).send("tools/list", json!({})).await;
        assert_eq!(refused.status(), status);
    }
    // Where to get one is told without a token, at both places that clients look at.
    for path in
        ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"]
    {
        let page = testkit::http::page(&server.beside(path)).await;
        let metadata: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(
            metadata,
            json!({
                "resource": AUDIENCE, "resource_name": "codex-mcp-server",
                "authorization_servers": [issuer.url()],
                "scopes_supported": ["read", "run", "admin"],
                "bearer_methods_supported": ["header"],
            })
        );
    }
    // The log says that somebody was refused, and nothing that helps them.
    assert!(server.stderr().contains("a caller was refused"));
    for token in &bad {
        let signature = token.rsplit('.').find(|part| !part.is_empty()).unwrap();
        assert!(!server.stderr().contains(signature), "{}", server.stderr());
    }
}

#[tokio::test]
async fn tokens_are_good_while_their_provider_is_away_but_new_ones_wait() {
    let (team, issuer) = (Team::new().await, Issuer::start().await);
    let signer = issuer.new_key(testkit::issuer::Algorithm::Es256);
    let token = signer.sign(&issuer.claims(AUDIENCE, "a", "run"));
    let server = serve(&team, &issuer).await;
    issuer.set_away(true);
    let client = server.client(Some(&token));
    let (_, refused) = client.send("tools/list", json!({})).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    // Our own tokens need nobody else.
    let ours = server.client(Some(&team.token("a", &[]).await));
    ours.call("listSessions", json!({})).await.ok();
}

#[tokio::test]
async fn a_provider_that_proves_nothing_is_not_taken() {
    let team = Team::new().await;
    for (settings, why) in [
        (&["http.jwt.issuer=http://id.example"][..], "https"),
        (&["http.jwt.issuer=https://id.example", "http.jwt.jwks=http://id.example/keys"], "https"),
        (&["http.jwt.issuer=https://id.example", "http.jwt.tenant=nobody"], "`http.jwt.tenant`"),
        (&["http.base_url=codex.example"], "`http.base_url`"),
        (&["http.trusted_proxies=10.0.0.0/64"], "10.0.0.0/64"),
    ] {
        let mut launch = team.launch().args(["serve", "--http", "127.0.0.1:0"]);
        for setting in settings {
            launch = launch.args(["--set", setting]);
        }
        let output = launch.command().output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{settings:?}: {said}");
    }
}
