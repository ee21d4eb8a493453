//! Making a session of a conversation with another model: its words become the context.

use jiff::Timestamp;

use super::{
    Change, Origin, RecordedItem, Request, SessionError, SessionName, SessionRecord, SessionStatus,
    Sessions, TurnDetails, TurnItem, TurnRecord, Verb, context,
    lease::LeaseGuard,
    record::Continuity,
    store::{Claim, Created, Turns},
    turn::{Plan, title},
};

/// What was asked and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The user's words.
    pub prompt: String,
    pub response: String,
    /// When it was asked.
    pub at: Timestamp,
}

/// A session that was made of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    pub session: SessionRecord,
    /// Why Codex has not been given the whole conversation, if it has not: the next turn then gets the last turns of it.
    pub unknown: Option<String>,
}

impl Sessions {
    /// Makes a session of these exchanges and gives them to a thread of Codex's own.
    ///
    /// # Errors
    /// [`SessionError::Taken`], [`SessionError::PromptEmpty`] if there are none, or if the store cannot be written.
    pub async fn import(
        &self,
        name: Option<SessionName>,
        exchanges: Vec<Exchange>,
        origin: Origin,
    ) -> Result<Imported, SessionError> {
        self.caller().check(Verb::Change)?;
        let Some(first) = exchanges.first() else { return Err(SessionError::PromptEmpty) };
        let shared = self.shared();
        let now = Timestamp::now();
        let automatic = name.is_none();
        let name = name.unwrap_or_else(SessionName::automatic);
        let mut record = SessionRecord::new(name.clone(), automatic, now, shared.config.ttl());
        // Where the user works stays with the session, whatever Codex says.
        if let Some(directory) = origin.directory.clone() {
            let found = shared.config.limits.find_directory(directory).await?;
            record.settings.working_directory = Some(found.into());
        }
        record.details.title = automatic.then(|| title(&first.prompt)).flatten();
        let store = shared.store(now).await?;
        match store.create(&record, None, shared.config.session.cap, now).await? {
            Created::Done { .. } => {}
            Created::Conflict => return Err(SessionError::Taken { name }),
            Created::Full => return Err(SessionError::Full { cap: shared.config.session.cap }),
        }
        let claim = store.claim(&name, None, shared.config.lease(), now).await?;
        let Claim::Ours { lease, .. } = claim else { return Err(SessionError::Busy { name }) };
        let guard = LeaseGuard::keep(
            lease,
            store,
            shared.config.lease(),
            &shared.tasks,
            shared.measures.clone(),
        );
        for (number, exchange) in (1..).zip(exchanges) {
            let turn = TurnRecord {
                number,
                prompt: exchange.prompt,
                response: exchange.response,
                timestamp: exchange.at,
                status: SessionStatus::Completed,
                items: vec![RecordedItem { place: 0, change: 1, item: TurnItem::Answer {} }],
                details: TurnDetails {
                    continuity: (number == 1).then_some(Continuity::New),
                    ..TurnDetails::default()
                },
            };
            record.last_turn = number;
            record.status = SessionStatus::Completed;
            guard.store().commit(guard.lease(), &record, Turns::Put(&turn)).await?;
            record.revision += 1;
        }
        let known = self.tell_codex(&mut record, &guard, origin).await;
        guard.release().await;
        shared.changed(Change::List);
        Ok(Imported { session: record, unknown: known.err().map(|error| error.to_string()) })
    }

    /// Gives the recorded turns to a new thread.
    async fn tell_codex(
        &self,
        record: &mut SessionRecord,
        guard: &LeaseGuard,
        origin: Origin,
    ) -> Result<(), SessionError> {
        let shared = self.shared();
        let request = Request { origin, ..Request::ask("import") };
        let plan = Plan::new(&request, (&record.settings, None), &shared.config).await?;
        let (settings, _) = plan.complete(&shared.codex, &shared.config).await?;
        let store = guard.store();
        let all = super::store::Excerpt::ALL;
        let turns = store.turns(&record.name, 0, record.last_turn, all).await?;
        let thread = shared.codex.start_thread(&settings).await?;
        let given = thread.give_context(&context::items(&turns, usize::MAX)).await;
        if given.is_ok() {
            record.thread_id = thread.id().cloned();
            let thread_name = record.name_for_thread().map(str::to_owned);
            if let Some(thread_name) = thread_name
                && thread.set_name(&thread_name).await.is_ok()
            {
                record.details.thread_name = Some(thread_name);
            }
        }
        thread.release().await;
        given?;
        store.commit(guard.lease(), record, Turns::Keep).await?;
        record.revision += 1;
        Ok(())
    }
}
