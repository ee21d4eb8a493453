//! An identity provider's keys and tokens: what checks of JWTs need of one. A provider that people log in to is in the
//! tests of real clients.

use std::{
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Makes a key pair, signs a text with it, and writes the public key and the signature.
const SIGN: &str = "
const [algorithm, text] = process.argv.slice(1);
const crypto = require('crypto');
const curves = { ES256: 'P-256', ES384: 'P-384' };
const [kind, options] = algorithm === 'EdDSA' ? ['ed25519', {}]
  : curves[algorithm] ? ['ec', { namedCurve: curves[algorithm] }]
  : ['rsa', { modulusLength: 2048 }];
const pair = crypto.generateKeyPairSync(kind, options);
const hash = algorithm === 'EdDSA' ? null : 'sha' + algorithm.slice(2);
const how = { key: pair.privateKey, dsaEncoding: 'ieee-p1363' };
if (algorithm.startsWith('PS')) {
  how.padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
  how.saltLength = crypto.constants.RSA_PSS_SALTLEN_DIGEST;
}
const signature = crypto.sign(hash, Buffer.from(text), how).toString('base64url');
process.stdout.write(JSON.stringify({ key: pair.publicKey.export({ format: 'jwk' }), signature }));
";

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

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
}

/// What signs tokens.
#[derive(Debug)]
pub struct Signer {
    key: EcdsaKeyPair,
    /// The header of its tokens.
    pub header: Value,
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
        let (name, curve, kind) = match algorithm {
            Algorithm::Es256 => ("ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => ("ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        };
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(kind, pair.as_ref(), &random).expect("the same key");
        let mut keys = self.lock();
        keys.made += 1;
        let id = format!("key-{}", keys.made);
        // One byte says that both coordinates follow.
        let point = &key.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        keys.set.push(json!({"kty": "EC", "kid": id, "alg": name, "crv": curve, "x": x, "y": y}));
        Signer { key, header: json!({"typ": "JWT", "alg": name, "kid": id}) }
    }

    /// A token that another implementation, that of Node.js, has signed with a new key of the set.
    ///
    /// # Panics
    /// If Node.js does not know the algorithm.
    pub fn signed_elsewhere(&self, algorithm: &str, claims: &Value) -> String {
        let mut keys = self.lock();
        keys.made += 1;
        let id = format!("key-{}", keys.made);
        let text = unsigned_parts(&json!({"alg": algorithm, "kid": id}), claims);
        let made = Command::new("node").args(["-e", SIGN, algorithm, &text]).output();
        let made = made.expect("Node.js, which comes with npm");
        let made: Value = serde_json::from_slice(&made.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&made.stderr)));
        let mut key = made["key"].clone();
        key["kid"] = json!(id);
        keys.set.push(key);
        format!("{text}.{}", made["signature"].as_str().expect("a signature"))
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
        let text = unsigned_parts(&self.header, claims);
        let signed = self.key.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed))
    }
}

/// A token without a signature that says so.
pub fn unsigned(algorithm: &str, claims: &Value) -> String {
    unsigned_parts(&json!({"alg": algorithm, "typ": "JWT"}), claims) + "."
}

/// What is signed of a token.
fn unsigned_parts(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// A token that is signed with a secret, such as somebody's public key.
pub fn signed_with_secret(secret: &[u8], key_id: &str, claims: &Value) -> String {
    let text = unsigned_parts(&json!({"typ": "JWT", "alg": "HS256", "kid": key_id}), claims);
    let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed))
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
