//! Keeping what a turn has added to the history.

use std::io;

use sha2::{Digest, Sha256};

use super::{RolloutConfig, RolloutKey, begins_with, digest, seal::seal};
use crate::{
    codex::{Codex, Rollout, RolloutError, ThreadId},
    session::{
        record::{KeptRollout, RolloutPart, RolloutRecord},
        store::{Lease, Store, StoreError},
    },
    system::compute,
};

/// What this server knows of the history that is kept, for as long as nobody else can change it.
#[derive(Debug, Default)]
pub(in crate::session) struct Known {
    /// What is in the store. `None` if that is yet to be read.
    records: Option<Vec<RolloutRecord>>,
    /// The files of the thread and of those it comes from.
    files: Vec<Rollout>,
    /// The digest of the thread's own so far.
    own: Option<Sha256>,
}

/// Why a history could not be kept.
#[derive(Debug, thiserror::Error)]
pub(in crate::session) enum KeepError {
    /// Codex has none.
    #[error("Codex has no rollout of thread {0} in its folder")]
    Missing(ThreadId),
    /// It cannot be read, or is too long.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// It cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be compressed.
    #[error("it cannot be compressed")]
    Seal(#[from] io::Error),
}

impl Known {
    /// Keeps the history of a session's thread, which has `turn` in it as the last one. Returns why its content is not
    /// kept, in words, if it is not.
    pub(in crate::session) async fn keep(
        &mut self,
        (config, codex): (&RolloutConfig, &Codex),
        (store, lease): (&dyn Store, &Lease),
        thread: &ThreadId,
        turn: u32,
    ) -> Result<Option<String>, KeepError> {
        if self.files.first().is_none_or(|own| own.thread != *thread) {
            self.files = codex.rollouts(thread).await;
            self.own = None;
        }
        if self.files.is_empty() {
            return Err(KeepError::Missing(thread.clone()));
        }
        for attempt in 0..2 {
            let before = match &self.records {
                Some(records) => records.clone(),
                // What is there is no continuation of ours, though it should be: all of it anew.
                None if attempt > 0 => Vec::new(),
                None => store.rollouts(&lease.session).await?,
            };
            let (kept, own) = self.collect(config, &before, turn).await?;
            if store.keep_rollouts(lease, &kept).await? {
                let lacks = kept.first().and_then(|kept| kept.record.lacks.clone());
                self.own = own;
                self.records = Some(kept.into_iter().map(|kept| kept.record).collect());
                return Ok(lacks);
            }
            *self = Self { files: std::mem::take(&mut self.files), ..Self::default() };
        }
        Ok(None)
    }

    /// What is to be kept of each file, and the digest of the thread's own.
    async fn collect(
        &self,
        config: &RolloutConfig,
        before: &[RolloutRecord],
        turn: u32,
    ) -> Result<(Vec<KeptRollout>, Option<Sha256>), KeepError> {
        let mut kept = Vec::new();
        let (mut own, mut left) = (None, config.limit);
        for file in &self.files {
            let before = before.iter().find(|record| record.thread == file.thread);
            let before = before.filter(|record| record.lacks.is_none());
            let is_own = kept.is_empty();
            // What a thread comes from does not change any more.
            if let Some(record) = before.filter(|_| !is_own) {
                left = left.saturating_sub(record.bytes);
                kept.push(KeptRollout { record: record.clone(), part: None });
                continue;
            }
            let known = before.zip(self.own.clone().filter(|_| is_own));
            let (record, part, hasher) = match grown(config, file, before, known, left).await {
                Ok(grown) => grown,
                Err(KeepError::Rollout(error @ RolloutError::TooLong { .. })) => {
                    (empty(file, error.to_string()), None, Sha256::new())
                }
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(record.bytes);
            if is_own {
                own = Some(hasher);
            }
            kept.push(KeptRollout { record: RolloutRecord { turn, ..record }, part });
        }
        // Without what it comes from, the thread's own is of no use.
        let lacks = kept.iter().find_map(|kept| kept.record.lacks.clone());
        if let (Some(lacks), Some(first)) = (lacks, self.files.first()) {
            let record = RolloutRecord { turn, ..empty(first, lacks) };
            return Ok((vec![KeptRollout { record, part: None }], None));
        }
        Ok((kept, own))
    }
}

/// What a file has that is not kept yet. `known` is what is, if its digest can be continued.
async fn grown(
    config: &RolloutConfig,
    file: &Rollout,
    before: Option<&RolloutRecord>,
    known: Option<(&RolloutRecord, Sha256)>,
    limit: u64,
) -> Result<(RolloutRecord, Option<RolloutPart>, Sha256), KeepError> {
    let mut continued = None;
    if let Some((record, hasher)) = known
        && let Some(data) = file.read(record.bytes, limit).await?
    {
        continued = Some((record.bytes, data, hasher));
    }
    let whole = match continued {
        Some(_) => Vec::new(),
        None => file.read(0, limit).await?.unwrap_or_default(),
    };
    let (file, before, key) = (file.clone(), before.cloned(), config.key.clone());
    // Hashing and compressing a long history takes seconds.
    let sealed = compute(move || {
        let added = continued.unwrap_or_else(|| added_to(before.as_ref(), whole));
        sealed(&file, key.as_ref(), added)
    });
    Ok(sealed.await.map_err(io::Error::other)??)
}

/// Where what is new begins, what it is, and the digest of what is before it.
fn added_to(before: Option<&RolloutRecord>, mut whole: Vec<u8>) -> (u64, Vec<u8>, Sha256) {
    match before.and_then(|record| Some((record.bytes, begins_with(&whole, record)?))) {
        Some((bytes, hasher)) => {
            let added = whole.split_off(usize::try_from(bytes).unwrap_or(usize::MAX));
            (bytes, added, hasher)
        }
        None => (0, whole, Sha256::new()),
    }
}

fn sealed(
    file: &Rollout,
    key: Option<&RolloutKey>,
    (start, data, mut hasher): (u64, Vec<u8>, Sha256),
) -> io::Result<(RolloutRecord, Option<RolloutPart>, Sha256)> {
    hasher.update(&data);
    let record = RolloutRecord {
        thread: file.thread.clone(),
        path: file.path.clone(),
        bytes: start + data.len() as u64,
        digest: digest(&hasher),
        turn: 0,
        lacks: None,
    };
    let is_same = start > 0 && data.is_empty();
    let part = if is_same {
        None
    } else {
        Some(RolloutPart { start, data: seal(key, &place(&file.thread, start), &data)? })
    };
    Ok((record, part, hasher))
}

fn empty(file: &Rollout, lacks: String) -> RolloutRecord {
    let (thread, path) = (file.thread.clone(), file.path.clone());
    RolloutRecord { thread, path, bytes: 0, digest: String::new(), turn: 0, lacks: Some(lacks) }
}

/// Which part of which history it is.
pub(super) fn place(thread: &ThreadId, start: u64) -> String {
    format!("{thread} {start}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::watched;

    #[tokio::test]
    async fn the_runtime_goes_on_while_a_long_history_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let words: Vec<String> = (0..2000).map(|number| format!("{number:x}")).collect();
        let line = words.concat() + "\n";
        std::fs::write(&path, line.repeat(8_000_000 / line.len())).unwrap();
        let file = Rollout::at(ThreadId("t".into()), path.clone());
        let config = RolloutConfig { limit: u64::MAX, key: None };
        let kept = watched("a history, anew", grown(&config, &file, None, None, u64::MAX)).await;
        let ((record, part, hasher), ticks) = (kept.0.unwrap(), kept.1);
        assert!(ticks > 0 && part.is_some() && record.bytes > 7_000_000);
        // What was added since, by the digest that is known and without.
        let added = std::fs::read_to_string(&path).unwrap() + &line.repeat(100);
        std::fs::write(&path, added).unwrap();
        for known in [Some((&record, hasher.clone())), None] {
            let grown = grown(&config, &file, Some(&record), known, u64::MAX);
            let (grown, ticks) = watched("a history, grown", grown).await;
            let (more, part, _) = grown.unwrap();
            assert!(ticks > 0);
            assert_eq!(part.unwrap().start, record.bytes);
            assert_eq!(more.bytes, record.bytes + 100 * line.len() as u64);
        }
    }
}
