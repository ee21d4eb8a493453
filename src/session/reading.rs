//! What can be read without running a turn: sessions, their turns, Codex's own threads, and facts about Codex.

use std::{collections::HashMap, path::PathBuf};

use jiff::{Timestamp, civil::Date};

use super::{
    Reply, SessionConfig, SessionError, SessionName, SessionRecord, Sessions, TurnRecord, Verb,
    model::{ModelChoice, ModelSource},
    store::{DailyUsage, Excerpt, Listing, Page},
};
use crate::codex::{
    AccountLimits, Found, Login, Model, Profile, RateLimits, ThreadFilter, ThreadInfo,
};

/// A session and some of its turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    pub session: SessionRecord,
    /// The turns, oldest first.
    pub turns: Vec<TurnRecord>,
}

/// What is left, and what was used.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageReport {
    /// The windows of the account, as far as anybody said.
    pub limits: Option<RateLimits>,
    /// What the account itself says now.
    pub account: Option<AccountLimits>,
    /// Why it says nothing.
    pub unknown: Option<String>,
    /// Tokens by day and model, newest day first.
    pub by_day: Vec<DailyUsage>,
}

impl Sessions {
    /// One page of the sessions that have not expired, last used first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self, page: &Page) -> Result<Listing, SessionError> {
        let now = Timestamp::now();
        Ok(self.shared().store(now).await?.list(page, now).await?)
    }

    /// How many turns wait for each session for which any does, on all servers of the store.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn waiting(&self) -> Result<HashMap<SessionName, u32>, SessionError> {
        Ok(self.shared().store(Timestamp::now()).await?.waiting().await?.into_iter().collect())
    }

    /// Finds the session to use for a name that may be a Codex thread's id: the session of that name, else the one
    /// that has this thread, else the name itself, under which the first turn adopts the thread.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn of_thread(&self, thread: &SessionName) -> Result<SessionName, SessionError> {
        let Some(id) = thread.as_thread() else { return Ok(thread.clone()) };
        let now = Timestamp::now();
        let store = self.shared().store(now).await?;
        if store.load(thread, now).await?.is_some() {
            return Ok(thread.clone());
        }
        Ok(store.of_thread(&id, now).await?.unwrap_or_else(|| thread.clone()))
    }

    /// A session with up to `limit` of its turns, those with numbers greater than `after`. Their answers then count as collected, if
    /// the caller may collect.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn transcript(
        &self,
        name: &SessionName,
        after: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Transcript, SessionError> {
        let transcript = self.inspect_turns(name, after, limit, excerpt).await?;
        if !self.caller().may(Verb::Collect) {
            return Ok(transcript);
        }
        let store = self.shared().store(Timestamp::now()).await?;
        for turn in transcript.turns.iter().filter(|turn| turn.details.uncollected) {
            store.collect(name, turn.number).await?;
        }
        Ok(transcript)
    }

    /// The same for an onlooker: whoever calls for an answer that nobody had still gets it.
    ///
    /// # Errors
    /// As for [`Sessions::transcript`].
    pub async fn inspect_turns(
        &self,
        name: &SessionName,
        after: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Transcript, SessionError> {
        let session = self.record(name).await?;
        let store = self.shared().store(Timestamp::now()).await?;
        let turns = store.turns(name, after, limit, excerpt).await?;
        Ok(Transcript { session, turns })
    }

    /// A turn of a session as it is recorded, or the last one if `turn` is `None`. `None` if there is no such turn.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn recorded(
        &self,
        name: &SessionName,
        turn: Option<u32>,
    ) -> Result<Option<Reply>, SessionError> {
        let record = self.record(name).await?;
        let looks_only = !self.caller().may(Verb::Collect);
        self.shared().recorded(name, turn.unwrap_or(record.last_turn), looks_only).await
    }

    /// One page of Codex's own threads that no session here has and that may be continued here, and the cursor of the
    /// next page.
    ///
    /// # Errors
    /// If Codex or the store cannot be read.
    pub async fn threads(
        &self,
        filter: ThreadFilter<'_>,
    ) -> Result<(Vec<ThreadInfo>, Option<String>), SessionError> {
        let (found, next) = self.shared().codex.threads(filter).await?;
        let now = Timestamp::now();
        let store = self.shared().store(now).await?;
        let directories = found.iter().map(|it| it.cwd.clone().unwrap_or_default()).collect();
        let allowed = self.config().limits.allowed_histories(directories).await?;
        let mut threads = Vec::new();
        for (thread, is_allowed) in found.into_iter().zip(allowed) {
            if is_allowed && store.of_thread(&thread.id, now).await?.is_none() {
                threads.push(thread);
            }
        }
        Ok((threads, next))
    }

    /// The directory that a listing is about, as sessions have it: without links, if it is here.
    pub async fn listed_directory(&self, directory: PathBuf) -> PathBuf {
        tokio::fs::canonicalize(&directory).await.unwrap_or(directory)
    }

    /// The model of a turn for which neither the call nor the session names one, and who chose it. The model is
    /// `None` if Codex chooses.
    ///
    /// # Errors
    /// If Codex cannot be asked.
    pub async fn default_model(&self) -> Result<(Option<String>, ModelSource), SessionError> {
        let SessionConfig { defaults, directory, .. } = self.config();
        let named = ModelChoice::named(None, None, defaults.model.as_deref());
        let choice = if let Some(choice) = named {
            choice
        } else {
            let codex = &self.shared().codex;
            let own = codex.defaults(directory).await?;
            ModelChoice::unnamed(codex, &own, false).await?
        };
        Ok((choice.model, choice.source))
    }

    /// What is left of the account's allowance, and what turns have used since that day.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn usage(&self, since: Date) -> Result<UsageReport, SessionError> {
        let shared = self.shared();
        let store = shared.store(Timestamp::now()).await?;
        let by_day = store.usage_by_day(since).await?;
        let (account, unknown) = match shared.codex.account_limits().await {
            Ok(account) => {
                shared.quota.heard(account.limits);
                (Some(account), None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(UsageReport { limits: shared.quota.known(), account, unknown, by_day })
    }

    /// What all tenants of the database have used since that day, by tenant; the operator's own has no name. None where
    /// each tenant has a store of its own, and for a tenant.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn usage_of_tenants(
        &self,
        since: Date,
    ) -> Result<Vec<(String, DailyUsage)>, SessionError> {
        self.caller().check(Verb::Oversee)?;
        if self.config().tenant.is_some() {
            return Ok(Vec::new());
        }
        Ok(self.shared().store(Timestamp::now()).await?.usage_of_tenants(since).await?)
    }

    /// What every server of the store seals with what goes through clients.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn sealing_key(&self) -> Result<[u8; 32], SessionError> {
        // 244 random bits.
        let [one, other] = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
        let mut candidate = [0; 32];
        for (place, byte) in candidate.iter_mut().zip(one.into_iter().chain(other)) {
            *place = byte;
        }
        Ok(self.shared().store(Timestamp::now()).await?.secret("request_state", candidate).await?)
    }

    /// Where sessions are kept, for display.
    pub fn store_place(&self) -> String {
        self.shared().store.config().to_string()
    }

    /// The Codex that runs or would be started. Starts none.
    ///
    /// # Errors
    /// If none is installed, or it does not run.
    pub async fn inspect_codex(&self) -> Result<Found, SessionError> {
        Ok(self.shared().codex.inspect().await?)
    }

    /// Who is logged in to Codex.
    ///
    /// # Errors
    /// If Codex cannot be started or dies.
    pub async fn login(&self) -> Result<Login, SessionError> {
        Ok(self.shared().codex.login().await?)
    }

    /// The models Codex offers.
    ///
    /// # Errors
    /// If Codex cannot be started, dies, or is too old to say.
    pub async fn models(&self) -> Result<Vec<Model>, SessionError> {
        Ok(self.shared().codex.models().await?)
    }

    /// A profile of the user's own Codex configuration. `None` if it has no profile of this name.
    ///
    /// # Errors
    /// If the configuration cannot be read.
    pub fn profile(&self, name: &str) -> Result<Option<Profile>, SessionError> {
        Ok(self.shared().codex.profile(name)?)
    }

    /// Whether this server runs inside a Codex that another `codex-mcp-server` started.
    pub fn is_nested(&self) -> bool {
        !self.shared().codex.lineage(None).is_trusted()
    }
}
