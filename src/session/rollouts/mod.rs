//! Histories that travel: after each turn what Codex has appended to the thread's rollout is kept in the store, and where
//! another machine goes on, it is laid into the folder of Codex there, so that Codex itself continues the thread.
//!
//! Knows nothing of turns but their numbers. What is kept is compressed, and encrypted if the operator gives a key
//! ([`seal`]). [`keep`] is what happens after a turn, [`lay`] what happens before a thread is resumed.

mod keep;
mod lay;
mod seal;

pub(super) use keep::{KeepError, Known};
pub(super) use lay::fetch;
pub use seal::{KeyError, RolloutKey};

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// How histories are kept.
#[derive(Debug, Clone)]
pub struct RolloutConfig {
    /// The longest history that is kept, in bytes.
    pub limit: u64,
    /// What encrypts it. `None` if nothing does.
    pub key: Option<RolloutKey>,
}

/// In hexadecimal digits.
fn digest(hasher: &Sha256) -> String {
    let mut text = String::new();
    for byte in hasher.clone().finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether what was kept is the beginning of `data`, and the state of its digest there.
fn begins_with(data: &[u8], record: &super::record::RolloutRecord) -> Option<Sha256> {
    let (known, _) = data.split_at_checked(usize::try_from(record.bytes).ok()?)?;
    let hasher = Sha256::new_with_prefix(known);
    (digest(&hasher) == record.digest).then_some(hasher)
}
