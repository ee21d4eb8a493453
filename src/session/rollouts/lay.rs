//! Laying a history that was kept into this machine's folder of Codex.

use super::{RolloutConfig, begins_with, keep::place, seal::open};
use crate::{
    codex::{Codex, CodexError, Laid, RolloutError, ThreadId},
    session::{
        SessionError, SessionName,
        record::RolloutRecord,
        store::{Store, StoreError},
    },
    system::compute,
};

/// What is known of a thread's history on this machine before Codex resumes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Fetched {
    /// Whether it was laid here.
    pub(in crate::session) laid: bool,
    /// The last turn that was kept of it, if that is in it.
    turn: Option<u32>,
    /// Whether there is something after that, which this machine alone has.
    has_more: bool,
    /// Why what was kept could not be laid, in words.
    failed: Option<String>,
    /// Why what was kept has no content, so that nothing can be said of what is here.
    lacks: Option<String>,
    /// What to tell the caller.
    pub(in crate::session) warnings: Vec<String>,
}

impl Fetched {
    /// Why what this machine has of it must not be used, in words: it may lack turns. `is_remote` says whether another
    /// machine ran the last turn.
    pub(in crate::session) fn unusable(&self, is_remote: bool) -> Option<String> {
        let lacks = self.lacks.as_ref().filter(|_| is_remote);
        let lacks = lacks.map(|reason| format!("its history was not kept: {reason}"));
        self.failed.clone().or(lacks)
    }

    /// The last turn that is surely in it, if the session has later ones, up to turn `last`.
    pub(in crate::session) fn ends_before(&self, last: u32, is_remote: bool) -> Option<u32> {
        // What is more here than was kept has the later turns, unless another machine ran them.
        let turn = self.turn.filter(|_| is_remote || !self.has_more);
        turn.filter(|turn| *turn < last)
    }
}

/// Sees to it that the rollout of a session's thread is here, as it was after the last turn that was kept.
///
/// # Errors
/// [`SessionError::Store`], or [`CodexError::ActiveWriter`] if another process has loaded what is here.
pub(in crate::session) async fn fetch(
    config: &RolloutConfig,
    codex: &Codex,
    store: &dyn Store,
    name: &SessionName,
    thread: &ThreadId,
) -> Result<Fetched, SessionError> {
    let records = store.rollouts(name).await?;
    let Some(own) = records.first().filter(|own| own.thread == *thread) else {
        return Ok(Fetched::default());
    };
    let mut fetched = Fetched { lacks: own.lacks.clone(), ..Fetched::default() };
    if own.lacks.is_some() {
        return Ok(fetched);
    }
    // What it comes from first: without that it cannot be resumed.
    for record in records.iter().rev() {
        let is_own = record.thread == *thread;
        match local(codex, record, is_own).await {
            Local::Same if is_own => {
                fetched.turn = Some(own.turn);
                continue;
            }
            Local::Enough if is_own => {
                (fetched.turn, fetched.has_more) = (Some(own.turn), true);
                continue;
            }
            Local::Same | Local::Enough => continue,
            Local::Unlike => {}
        }
        let data = match content(config, store, name, record).await {
            Ok(data) => data,
            Err(Unreadable::Store(error)) => return Err(error.into()),
            Err(Unreadable::Reason(reason)) => {
                fetched.failed = Some(format!("what was kept of it cannot be read: {reason}"));
                return Ok(fetched);
            }
        };
        match codex.lay_rollout(&record.thread, &record.path, data).await {
            Ok(Laid::Nothing) => {}
            Ok(laid) => {
                fetched.laid = true;
                if let Laid::Aside(path) = laid {
                    fetched.warnings.push(format!(
                        "This machine had another continuation of thread {}; it is in {} now.",
                        record.thread,
                        path.display()
                    ));
                }
                if is_own {
                    fetched.turn = Some(own.turn);
                }
            }
            Err(RolloutError::ActiveWriter { thread }) => {
                return Err(CodexError::ActiveWriter { thread }.into());
            }
            Err(error) => {
                let reason = format!("it cannot be laid into the folder of Codex here: {error}");
                fetched.failed = Some(reason);
                return Ok(fetched);
            }
        }
    }
    Ok(fetched)
}

/// What this machine has of a rollout that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Local {
    /// The same.
    Same,
    /// More, or what is to be left as it is.
    Enough,
    /// Nothing, less, or something else.
    Unlike,
}

async fn local(codex: &Codex, record: &RolloutRecord, is_own: bool) -> Local {
    let files = codex.rollouts(&record.thread).await;
    let Some(file) = files.first() else { return Local::Unlike };
    // One that cannot be read cannot be replaced either, which says why.
    let Ok(Some((data, length))) = file.beginning(record.bytes).await else { return Local::Unlike };
    let (kept, bytes) = (record.clone(), record.bytes);
    let begins = compute(move || begins_with(&data, &kept).is_some()).await;
    match (begins.unwrap_or_default(), is_own) {
        (true, _) if length == bytes => Local::Same,
        // Another session may have what it comes from as its own, and needs only the beginning of that.
        (true, _) | (false, false) => Local::Enough,
        (false, true) => Local::Unlike,
    }
}

enum Unreadable {
    Store(StoreError),
    Reason(String),
}

async fn content(
    config: &RolloutConfig,
    store: &dyn Store,
    name: &SessionName,
    record: &RolloutRecord,
) -> Result<Vec<u8>, Unreadable> {
    let parts = store.rollout_parts(name, &record.thread).await.map_err(Unreadable::Store)?;
    let (config, record) = (config.clone(), record.clone());
    let opened = compute(move || {
        let mut data = Vec::new();
        for part in parts {
            let place = place(&record.thread, data.len() as u64);
            let opened = open(config.key.as_ref(), &place, &part, config.limit);
            data.extend(opened.map_err(|error| error.to_string())?);
        }
        match begins_with(&data, &record) {
            Some(_) if data.len() as u64 == record.bytes => Ok(data),
            _ => Err("it is damaged".to_owned()),
        }
    });
    let opened = opened.await.unwrap_or_else(|error| Err(error.to_string()));
    opened.map_err(Unreadable::Reason)
}
