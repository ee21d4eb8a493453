//! An identity provider's keys and tokens: what checks of JWTs need of one. A provider that people log in to is in the
//! tests of real clients.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{EncodingKey, Header, encode, jwk::Jwk};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A provider on loopback.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    keys: Arc<Mutex<Keys>>,
}

#[derive(Debug, Default)]
struct Keys {
    set: Vec<Value>,
    made: usize,
    requests: usize,
    is_away: bool,
    delay: Duration,
}

/// What signs tokens.
pub struct Signer {
    key: EncodingKey,
    /// The header of its tokens.
    pub header: Header,
}

impl Issuer {
    /// Starts one, without keys.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let keys = Arc::new(Mutex::new(Keys::default()));
        let about = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let configuration = move || async move { Json(about) };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(serve))
            .with_state(Arc::clone(&keys));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, keys }
    }

    /// Its URL, which is its name as well.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a key, tells it in its set, and returns what signs with it.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn new_key(&self, algorithm: Algorithm) -> Signer {
        let kind = match algorithm {
            Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &PKCS_ECDSA_P384_SHA384,
            other => panic!("no keys for {other:?} here"),
        };
        let pair = KeyPair::generate_for(kind).expect("a key");
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        let mut keys = self.lock();
        keys.made += 1;
        let id = format!("key-{}", keys.made);
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).expect("a public key");
        jwk.common.key_id = Some(id.clone());
        keys.set.push(serde_json::to_value(&jwk).expect("JSON"));
        Signer { key, header: Header { kid: Some(id), ..Header::new(algorithm) } }
    }

    /// Changes the set it tells.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Value>)) {
        change(&mut self.lock().set);
    }

    /// Lets it answer with an error, or in order again.
    pub fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// Lets it take its time with its keys.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// How often it was asked for its keys.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// The claims of a token that is good for a minute.
    pub fn claims(&self, audience: &str, tenant: &str, scope: &str) -> Value {
        let exp = now() + 60;
        json!({"iss": self.url, "aud": audience, "sub": "somebody", "exp": exp,
            "tenant": tenant, "scope": scope})
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().expect("unpoisoned")
    }
}

impl Signer {
    /// A token with these claims.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn sign(&self, claims: &Value) -> String {
        encode(&self.header, claims, &self.key).expect("a token")
    }
}

/// A token without a signature that says so.
pub fn unsigned(algorithm: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({"alg": algorithm, "typ": "JWT"})), part(claims))
}

/// A token that is signed with a secret, such as somebody's public key.
///
/// # Panics
/// If it cannot be made.
pub fn signed_with_secret(secret: &[u8], key_id: &str, claims: &Value) -> String {
    let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(secret)).expect("a token")
}

/// Seconds since 1970.
///
/// # Panics
/// If it is earlier.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

async fn serve(State(keys): State<Arc<Mutex<Keys>>>) -> impl IntoResponse {
    let delay = keys.lock().expect("unpoisoned").delay;
    tokio::time::sleep(delay).await;
    let mut keys = keys.lock().expect("unpoisoned");
    keys.requests += 1;
    if keys.is_away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    Json(json!({"keys": keys.set})).into_response()
}
