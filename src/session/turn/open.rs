//! Finding the session in the store and its thread in Codex.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{actor::Actor, loaded::Loaded, plan::Plan};
use crate::{
    codex::{CodexError, ContextItem, Thread, ThreadId, ThreadSettings},
    session::{
        Change, Continuity, SessionError, SessionRecord, context,
        store::{Created, Excerpt},
    },
};

/// The pause between attempts to resume a thread that another process holds.
const HELD_PAUSE: Duration = Duration::from_millis(50);

/// How long a thread may seem to be held by another process. The Codex of a server that died or released the session
/// needs a moment to let go of the thread.
const WRITER_TIMEOUT: Duration = Duration::from_secs(2);

/// What opening the thread has to tell the turn.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) continuity: Continuity,
    /// Rebuilt context to put before the prompt, for a Codex that takes no context items.
    pub(super) preamble: Vec<ContextItem>,
    /// What to know besides.
    pub(super) warnings: Vec<String>,
}

impl Actor {
    pub(super) async fn create(
        &mut self,
        automatic: bool,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let config = &self.shared.config;
        let record = SessionRecord::new(self.name.clone(), automatic, now, config.ttl);
        match self.shared.store(now).await?.create(&record, None, config.cap, now).await? {
            // Another server made it at the same time, which is fine.
            Created::Conflict => Ok(()),
            Created::Full => Err(SessionError::Full { cap: config.cap }),
            Created::Done { evicted } => {
                for name in evicted {
                    tracing::info!(session = %name, "session evicted to make room");
                }
                self.shared.changed(Change::List);
                Ok(())
            }
        }
    }

    /// Opens a thread with the session's history: the loaded thread, else the one Codex has, else a new one that is
    /// given our record.
    pub(super) async fn open(
        &mut self,
        record: &SessionRecord,
        plan: &Plan,
    ) -> Result<Opened, SessionError> {
        if let Some(loaded) = &mut self.loaded {
            let thread = &loaded.thread;
            let is_current = record.thread_id.is_some() && record.thread_id.as_ref() == thread.id();
            if let Some((settings, choice)) = plan.on(loaded)
                && thread.is_open()
                && is_current
                && thread.can_run(&settings)
            {
                plan.check_effort(&self.shared.codex, &choice).await?;
                loaded.choice = choice;
                return Ok(Opened::simply(Continuity::Resumed));
            }
            self.unload().await;
        }
        let shared = &self.shared;
        let (settings, choice) = plan.complete(&shared.codex, &shared.config).await?;
        plan.check_effort(&shared.codex, &choice).await?;
        let reason = match &record.thread_id {
            Some(id) => match self.resume(id, &settings).await {
                Ok(thread) => {
                    self.loaded = Some(Loaded::new(thread, settings, choice));
                    return Ok(Opened::simply(Continuity::Resumed));
                }
                Err(CodexError::ThreadUnavailable { reason, .. }) => reason,
                Err(error) => return Err(error.into()),
            },
            None => "Codex has no thread of it yet".to_owned(),
        };
        let thread = self.shared.codex.start_thread(&settings).await?;
        let opened = self.rebuild(record, &thread, &reason).await;
        // Kept even if the rebuild failed, so that the open thread is released.
        self.loaded = Some(Loaded::new(thread, settings, choice));
        opened
    }

    /// Releases the thread, so that any other process can open it.
    pub(super) async fn unload(&mut self) {
        let Some(Loaded { thread, .. }) = self.loaded.take() else { return };
        // On shutdown Codex ends, and its locks with it.
        if thread.is_open() && !self.shared.closing.is_cancelled() {
            thread.release().await;
        }
    }

    /// Discards a thread that may still run a turn we did not start or no longer follow.
    pub(super) async fn discard(&mut self) {
        let Some(Loaded { thread, .. }) = self.loaded.take() else { return };
        if thread.is_open() && !self.shared.closing.is_cancelled() {
            tracing::warn!(session = %self.name, thread_id = ?thread.id(), "discarding a thread that may not be idle");
            thread.discard().await;
        }
    }

    async fn resume(&self, id: &ThreadId, settings: &ThreadSettings) -> Result<Thread, CodexError> {
        let started = Instant::now();
        loop {
            match self.shared.codex.resume_thread(id, settings).await {
                Err(CodexError::ActiveWriter { .. }) if started.elapsed() < WRITER_TIMEOUT => {
                    tokio::time::sleep(HELD_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Gives a new thread the last turns of our record.
    async fn rebuild(
        &self,
        record: &SessionRecord,
        thread: &Thread,
        reason: &str,
    ) -> Result<Opened, SessionError> {
        if record.turn_count == 0 {
            return Ok(Opened::simply(Continuity::New));
        }
        let config = &self.shared.config;
        let skip = record.turn_count.saturating_sub(config.rebuild_turns);
        let store = self.shared.store(Timestamp::now()).await?;
        let turns = store.turns(&self.name, skip, config.rebuild_turns, Excerpt::ALL).await?;
        let items = context::items(&turns, config.rebuild_bytes);
        if items.is_empty() && record.thread_id.is_none() {
            // Every turn failed before Codex knew of it.
            return Ok(Opened::simply(Continuity::New));
        }
        tracing::warn!(session = %self.name, reason, "the context is rebuilt");
        let warnings = vec![format!(
            "Codex's own thread could not be continued ({reason}); a new one was given the last {} of \
             {} turns from this server's record. Anything older is not known to the model.",
            turns.len(),
            record.turn_count,
        )];
        let preamble = if thread.takes_context() {
            thread.give_context(&items).await?;
            Vec::new()
        } else {
            items
        };
        Ok(Opened { continuity: Continuity::Rebuilt, preamble, warnings })
    }
}

impl Opened {
    fn simply(continuity: Continuity) -> Self {
        Self { continuity, preamble: Vec::new(), warnings: Vec::new() }
    }
}
