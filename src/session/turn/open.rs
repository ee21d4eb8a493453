//! Finding the session in the store and its thread in Codex.

use jiff::Timestamp;

use super::{actor::Actor, held::HeldTimeout, history::History, loaded::Loaded, plan::Plan};
use crate::{
    codex::{CodexError, ContextItem, Thread, ThreadId, ThreadSettings},
    session::{
        Change, Continuity, SessionError, SessionRecord, Settings, context,
        store::{Created, Excerpt},
    },
};

/// What opening the thread has to tell the turn.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) continuity: Continuity,
    /// Rebuilt context to put before the prompt, for a Codex that takes no context items.
    pub(super) preamble: Vec<ContextItem>,
    /// The machine that its history was moved from.
    pub(super) moved_from: Option<String>,
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
        let record = SessionRecord::new(self.name.clone(), automatic, now, config.ttl());
        match self.shared.store(now).await?.create(&record, None, config.session.cap, now).await? {
            // Another server made it at the same time, which is fine.
            Created::Conflict => Ok(()),
            Created::Full => Err(SessionError::Full { cap: config.session.cap }),
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
                return Ok(Opened::resumed());
            }
            self.unload().await;
        }
        let shared = &self.shared;
        let (settings, choice) = plan.complete(&shared.codex, &shared.config).await?;
        plan.check_effort(&shared.codex, &choice).await?;
        let reason = match &record.thread_id {
            Some(id) => {
                let history = self.fetch_history(record, id).await?;
                match self.resume(id, &settings, history.unusable.as_deref()).await {
                    Ok(thread) => {
                        let opened = self.resumed(&thread, history).await;
                        self.loaded = Some(Loaded::new(thread, settings, choice));
                        if opened.is_err() {
                            // Else the next call would find it open, and what it was to be told forgotten.
                            self.unload().await;
                        }
                        return opened;
                    }
                    Err(CodexError::ThreadUnavailable { reason, .. }) => reason,
                    Err(error) => return Err(error.into()),
                }
            }
            None => "Codex has no thread of it yet".to_owned(),
        };
        let thread = self.shared.codex.start_thread(&settings).await?;
        let opened = self.rebuild(record, &thread, &reason).await;
        // Kept even if the rebuild failed, so that the open thread is released.
        self.loaded = Some(Loaded::new(thread, settings, choice));
        opened
    }

    /// Releases a thread that was to be told something with a turn that does not begin: the next one is opened anew.
    pub(super) async fn unload_untold(&mut self, opened: &Opened) {
        if opened.continuity == Continuity::Resumed && !opened.preamble.is_empty() {
            self.unload().await;
        }
    }

    /// Releases the thread, so that any other process can open it.
    pub(super) async fn unload(&mut self) {
        if let Some(loaded) = self.loaded.take() {
            loaded.release(&self.shared.closing).await;
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

    /// Resumes a thread, unless what there is of it here is `unusable`.
    async fn resume(
        &self,
        id: &ThreadId,
        settings: &ThreadSettings,
        unusable: Option<&str>,
    ) -> Result<Thread, CodexError> {
        if let Some(reason) = unusable {
            let reason = reason.to_owned();
            return Err(CodexError::ThreadUnavailable { thread: id.clone(), reason });
        }
        let held = HeldTimeout::begin();
        loop {
            match self.shared.codex.resume_thread(id, settings).await {
                Err(error) if held.tries_again(&error).await => {}
                other => return other,
            }
        }
    }

    /// Tells a resumed thread of the turns that its history lacks: they ended where nobody could keep it any more.
    async fn resumed(&self, thread: &Thread, history: History) -> Result<Opened, SessionError> {
        let History { moved_from, lacking, mut warnings, .. } = history;
        warnings.extend(thread.goal_warning());
        let items = context::items(&lacking, self.shared.config.session.rebuild_bytes);
        let mut preamble = Vec::new();
        if !items.is_empty() {
            let numbers: Vec<String> = lacking.iter().map(|turn| turn.number.to_string()).collect();
            warnings.push(format!(
                "The thread's history lacks turn {}; the model was told of it from this server's record.",
                numbers.join(", ")
            ));
            if thread.takes_context() {
                thread.give_context(&items).await?;
            } else {
                preamble = items;
            }
        }
        Ok(Opened { preamble, moved_from, warnings, ..Opened::resumed() })
    }

    /// If the session is named after a thread of Codex's own, it becomes that thread's session.
    pub(super) async fn adopt(&self, record: &mut SessionRecord) -> Result<(), SessionError> {
        let Some(thread) = record.name.as_thread() else { return Ok(()) };
        if let Some(info) = self.shared.codex.thread_info(&thread).await? {
            let limits = &self.shared.config.limits;
            limits.check_history(info.cwd.as_deref()).await?;
            record.settings = Settings::adopted(&info, limits).await.or(&record.settings);
        }
        // Opening it says whether there is one; if not, this is a session like any other.
        record.thread_id = Some(thread);
        Ok(())
    }

    /// Gives a new thread the last turns of our record.
    async fn rebuild(
        &self,
        record: &SessionRecord,
        thread: &Thread,
        reason: &str,
    ) -> Result<Opened, SessionError> {
        if record.turn_count() == 0 {
            return Ok(Opened::simply(Continuity::New));
        }
        let config = &self.shared.config;
        let skip = record.last_turn.saturating_sub(config.session.rebuild_turns);
        let store = self.shared.store(Timestamp::now()).await?;
        let turns =
            store.turns(&self.name, skip, config.session.rebuild_turns, Excerpt::ALL).await?;
        let items = context::items(&turns, config.session.rebuild_bytes);
        if items.is_empty() && record.thread_id.is_none() {
            // Every turn failed before Codex knew of it.
            return Ok(Opened::simply(Continuity::New));
        }
        tracing::warn!(session = %self.name, reason, "the context is rebuilt");
        let warnings = vec![format!(
            "Codex's own thread could not be continued ({reason}); a new one was given the last {} of \
             {} turns from this server's record. Anything older is not known to the model.",
            turns.len(),
            record.turn_count(),
        )];
        let preamble = if thread.takes_context() {
            thread.give_context(&items).await?;
            Vec::new()
        } else {
            items
        };
        Ok(Opened { preamble, warnings, ..Opened::simply(Continuity::Rebuilt) })
    }
}

impl Opened {
    /// A thread that goes on.
    pub(super) fn resumed() -> Self {
        Self::simply(Continuity::Resumed)
    }

    fn simply(continuity: Continuity) -> Self {
        Self { continuity, preamble: Vec::new(), moved_from: None, warnings: Vec::new() }
    }
}
