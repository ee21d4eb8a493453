//! The public keys of the identity provider (RFC 7517), from a URL or a file, kept for some time.
//!
//! Keys that are known are used while newer ones cannot be had, so a provider that is away locks nobody out.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Header,
    jwk::{Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::serve::http::tls::{client, is_private};

/// For how long keys are used before they are asked for again.
const FRESH: Duration = Duration::from_mins(10);

/// How long it takes at least from one request for keys to the next, whatever tokens name.
const PAUSE: Duration = Duration::from_secs(30);

/// How long the provider may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer of the provider, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// A key that can check tokens.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) decoding: DecodingKey,
    /// The only algorithm it is for. `None` if the provider does not say: all of its family.
    pub(super) algorithm: Option<Algorithm>,
    id: Option<String>,
}

/// Why there are no keys.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum KeysError {
    /// The provider does not answer.
    #[error("cannot fetch {url}")]
    Fetch {
        url: String,
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    /// It is something else.
    #[error("{place} has no {what}")]
    Malformed { place: String, what: &'static str },
}

#[derive(Debug)]
enum Source {
    Url(String),
    File(PathBuf),
    /// The `OpenID` configuration of this issuer says where.
    Discovered(String),
}

/// The keys of one provider.
#[derive(Debug)]
pub(super) struct Keys(Arc<Cache>);

#[derive(Debug)]
struct Cache {
    source: Source,
    known: Mutex<Known>,
    /// Held while keys are fetched. When that was last begun, and what it failed with.
    fetching: tokio::sync::Mutex<Option<(Instant, Option<KeysError>)>>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Known {
    keys: Vec<Key>,
    since: Option<Instant>,
}

impl Keys {
    /// The keys at a URL or in a file; if neither is named, where the issuer says.
    pub(super) fn new(issuer: &str, jwks: Option<&str>) -> Self {
        let source = match jwks {
            Some(url) if url.contains("://") => Source::Url(url.to_owned()),
            Some(path) => Source::File(path.into()),
            None => Source::Discovered(issuer.to_owned()),
        };
        Self(Arc::new(Cache {
            source,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// The keys that may have made a token with this header. Fails if there are no keys at all.
    pub(super) async fn matching(&self, header: &Header) -> Result<Vec<Key>, KeysError> {
        let (keys, is_fresh) = self.0.known(header);
        if is_fresh && !keys.is_empty() {
            return Ok(keys);
        }
        // In a task of its own: a caller who hangs up must not leave the others without keys.
        let cache = Arc::clone(&self.0);
        let refreshed = self.0.tasks.spawn(async move { cache.refresh().await });
        if !keys.is_empty() {
            // Who has keys that fit does not wait for newer ones.
            return Ok(keys);
        }
        // It cannot panic, and nobody ends it.
        refreshed.await.unwrap_or(Ok(()))?;
        Ok(self.0.known(header).0)
    }
}

impl Cache {
    /// Asks for the keys again, unless that was done a moment ago. An error matters only if no key is known.
    async fn refresh(&self) -> Result<(), KeysError> {
        let mut last = self.fetching.lock().await;
        let recent = last.as_ref().filter(|(begun, _)| begun.elapsed() < PAUSE);
        let error = if let Some((_, error)) = recent {
            error.clone()
        } else {
            let begun = Instant::now();
            let error = match self.source.fetch().await {
                Ok(keys) => {
                    *self.lock() = Known { keys, since: Some(begun) };
                    None
                }
                Err(error) => {
                    let cause: &dyn std::error::Error = &error;
                    tracing::warn!(cause, "the identity provider's keys cannot be had");
                    Some(error)
                }
            };
            *last = Some((begun, error.clone()));
            error
        };
        error.filter(|_| self.lock().keys.is_empty()).map_or(Ok(()), Err)
    }

    fn known(&self, header: &Header) -> (Vec<Key>, bool) {
        let known = self.lock();
        let family = header.alg.family();
        let fits = |key: &&Key| {
            let is_it = header.kid.is_none() || key.id.is_none() || key.id == header.kid;
            is_it && key.decoding.family() == family
        };
        let keys = known.keys.iter().filter(fits).cloned().collect();
        (keys, known.since.is_some_and(|since| since.elapsed() < FRESH))
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    async fn fetch(&self) -> Result<Vec<Key>, KeysError> {
        let (place, text) = match self {
            Self::Url(url) => (url.clone(), fetch(url).await?),
            Self::File(path) => {
                let text = tokio::fs::read(path).await.map_err(|source| KeysError::Read {
                    path: path.clone(),
                    source: Arc::new(source),
                })?;
                (path.display().to_string(), text)
            }
            Self::Discovered(issuer) => {
                let url = discover(issuer).await?;
                let text = fetch(&url).await?;
                (url, text)
            }
        };
        let keys = read(&text).ok_or_else(|| malformed(&place, "JSON Web Key set"))?;
        if keys.is_empty() { Err(malformed(&place, "key that can check tokens")) } else { Ok(keys) }
    }
}

/// Where a provider's keys are, by its `OpenID` configuration.
async fn discover(issuer: &str) -> Result<String, KeysError> {
    #[derive(Deserialize)]
    struct Discovered {
        issuer: String,
        jwks_uri: String,
    }
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let text = fetch(&url).await?;
    let found: Option<Discovered> = serde_json::from_slice(&text).ok();
    let found = found.ok_or_else(|| malformed(&url, "OpenID configuration"))?;
    if found.issuer != issuer {
        return Err(malformed(&url, "configuration of this issuer"));
    }
    Ok(found.jwks_uri)
}

async fn fetch(url: &str) -> Result<Vec<u8>, KeysError> {
    let failed = |source| KeysError::Fetch { url: url.to_owned(), source: Arc::new(source) };
    if !is_private(url) {
        return Err(malformed(url, "keys that can be trusted: it must be https"));
    }
    let client = client(ANSWER_TIMEOUT).map_err(failed)?;
    let response = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let mut response = response.map_err(failed)?;
    let mut text = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(failed)? {
        text.extend_from_slice(&bytes);
        if text.len() > MAX_ANSWER {
            return Err(malformed(url, "answer of a sensible length"));
        }
    }
    Ok(text)
}

fn malformed(place: &str, what: &'static str) -> KeysError {
    KeysError::Malformed { place: place.to_owned(), what }
}

/// The keys of a set that can check tokens. One that is of no use, or of a kind nobody here knows, hides no other.
fn read(text: &[u8]) -> Option<Vec<Key>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(text).ok()?;
    Some(set.keys.into_iter().filter_map(key).collect())
}

fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    if decoding.family() == AlgorithmFamily::Hmac {
        return None;
    }
    let algorithm = match jwk.common.key_algorithm {
        // Some providers do not say; Entra is one.
        None => None,
        Some(named) => Some(named.to_string().parse().ok()?),
    };
    Some(Key { decoding, algorithm, id: jwk.common.key_id })
}
