//! The form in which parts of histories are kept: compressed, then encrypted if there is a key. The first byte says which.

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, KeyInit, Payload},
};
use sha2::{Digest, Sha256};

const COMPRESSED: u8 = 0;
const ENCRYPTED: u8 = 1;

/// How hard to compress: fast, and most of what there is to gain.
const LEVEL: i32 = 3;

/// How long the content of a key file must be at least, in bytes.
const SHORTEST: usize = 32;

/// A key of the operator's.
#[derive(Clone)]
pub struct RolloutKey(XChaCha20Poly1305);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key in {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// There is too little in it.
    #[error("the key in {} is shorter than {SHORTEST} bytes", path.display())]
    Short { path: PathBuf },
}

/// Why a part cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    #[error("it is encrypted, and there is no `store.rollout_key` here")]
    NoKey,
    #[error("it is encrypted with another key, or damaged")]
    WrongKey,
    #[error("it is damaged")]
    Damaged(#[source] io::Error),
    #[error("it is in a form that this version does not know")]
    Unknown,
}

impl RolloutKey {
    /// Reads a key: any 32 bytes or more, such as `openssl rand -base64 48` prints.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let read = std::fs::read(path);
        let text = read.map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        let secret = text.trim_ascii();
        if secret.len() < SHORTEST {
            return Err(KeyError::Short { path: path.to_owned() });
        }
        Ok(Self::of(secret))
    }

    fn of(secret: &[u8]) -> Self {
        let hash = Sha256::new_with_prefix("codex-mcp-server rollouts").chain_update(secret);
        Self(XChaCha20Poly1305::new(&hash.finalize()))
    }
}

impl fmt::Debug for RolloutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RolloutKey(…)")
    }
}

/// Makes a part of what is kept. `place` says which part it is, and nobody can put it anywhere else.
pub(super) fn seal(key: Option<&RolloutKey>, place: &str, data: &[u8]) -> io::Result<Vec<u8>> {
    let compressed = zstd::encode_all(data, LEVEL)?;
    let Some(RolloutKey(cipher)) = key else { return Ok([vec![COMPRESSED], compressed].concat()) };
    let nonce = XNonce::generate();
    let payload = Payload { msg: &compressed, aad: place.as_bytes() };
    let sealed = cipher.encrypt(&nonce, payload).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok([vec![ENCRYPTED], nonce.to_vec(), sealed].concat())
}

/// Reads a part, no more than `limit` bytes of it.
pub(super) fn open(
    key: Option<&RolloutKey>,
    place: &str,
    sealed: &[u8],
    limit: u64,
) -> Result<Vec<u8>, SealError> {
    let unpack = |compressed: &[u8]| {
        let mut data = Vec::new();
        let decoder = zstd::Decoder::new(compressed).map_err(SealError::Damaged)?;
        decoder.take(limit).read_to_end(&mut data).map_err(SealError::Damaged)?;
        Ok(data)
    };
    match sealed.split_first() {
        Some((&COMPRESSED, compressed)) => unpack(compressed),
        Some((&ENCRYPTED, sealed)) => {
            let RolloutKey(cipher) = key.ok_or(SealError::NoKey)?;
            let (nonce, sealed) = sealed.split_first_chunk().ok_or(SealError::WrongKey)?;
            let payload = Payload { msg: sealed, aad: place.as_bytes() };
            let opened = cipher.decrypt(&XNonce::from(*nonce), payload);
            unpack(&opened.map_err(|_| SealError::WrongKey)?)
        }
        _ => Err(SealError::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"a line that comes again\na line that comes again\na line that comes again\n";

    #[test]
    fn what_is_sealed_is_opened_with_its_key_and_in_its_place_alone() {
        let (key, other) = (RolloutKey::of(&[1; 32]), RolloutKey::of(&[2; 32]));
        let sealed = seal(Some(&key), "here", TEXT).unwrap();
        assert_eq!(open(Some(&key), "here", &sealed, 999).unwrap(), TEXT);
        assert_ne!(sealed, seal(Some(&key), "here", TEXT).unwrap(), "a nonce of its own");
        assert!(!sealed.windows(6).any(|part| part == b"a line"));
        for (key, place) in [(Some(&other), "here"), (Some(&key), "there")] {
            let opened = open(key, place, &sealed, 999);
            assert!(matches!(opened, Err(SealError::WrongKey)), "{opened:?}");
        }
        assert!(matches!(open(None, "here", &sealed, 999), Err(SealError::NoKey)));
    }

    #[test]
    fn without_a_key_it_is_only_smaller() {
        let sealed = seal(None, "here", TEXT).unwrap();
        assert!(sealed.len() < TEXT.len());
        // One that has a key since then reads it as well.
        assert_eq!(open(Some(&RolloutKey::of(&[1; 32])), "", &sealed, 999).unwrap(), TEXT);
        assert_eq!(open(None, "", &sealed, 5).unwrap(), &TEXT[..5]);
    }

    #[test]
    fn what_is_damaged_is_no_panic() {
        let key = RolloutKey::of(&[1; 32]);
        for sealed in [seal(None, "", TEXT).unwrap(), seal(Some(&key), "", TEXT).unwrap()] {
            for cut in 0..sealed.len() {
                assert!(
                    open(Some(&key), "", &sealed[..cut], 999).map_or(true, |data| data != TEXT)
                );
            }
        }
        assert!(matches!(open(None, "", &[7, 7], 9), Err(SealError::Unknown)));
    }

    #[test]
    fn a_key_is_read_from_a_file_and_is_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(RolloutKey::read(&path), Err(KeyError::File { .. })));
        std::fs::write(&path, "short\n").unwrap();
        assert!(matches!(RolloutKey::read(&path), Err(KeyError::Short { .. })));
        std::fs::write(&path, "x".repeat(32)).unwrap();
        assert_eq!(format!("{:?}", RolloutKey::read(&path).unwrap()), "RolloutKey(…)");
    }
}
