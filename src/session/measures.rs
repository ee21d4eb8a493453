//! What is measured of sessions and turns, for the operator's metrics. Costs next to nothing where nobody asks for them.
//!
//! Names of sessions, prompts and answers are in none of it.

use std::{sync::Arc, time::Duration};

use metrics::{counter, histogram};
use tokio::time::Instant;

use super::{ModelSource, SessionError, Sessions, Tenant, TurnRecord};

/// Counts what happens in the sessions of one tenant.
#[derive(Debug, Clone, Default)]
pub(super) struct Measures {
    tenant: Arc<str>,
}

/// How the time of one turn is spent.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnTime {
    begun: Instant,
    with_codex: Duration,
}

/// What there is to do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many sessions have a turn under way on this server.
    pub running: usize,
    /// How many calls wait behind one.
    pub queued: usize,
    /// How many sessions the store has.
    pub sessions: u64,
    /// How many approvals wait for an answer, on any server of the store.
    pub approvals: usize,
}

impl Measures {
    /// For the sessions of a tenant; of the operator if `None`.
    pub(super) fn new(tenant: Option<&Tenant>) -> Self {
        Self { tenant: tenant.map(Tenant::as_str).unwrap_or_default().into() }
    }

    /// Counts a turn. The label of its model is one of few: a name that a caller chose and that `is_listed` does not know,
    /// neither by the operator's list nor by Codex's, is `other`.
    pub(super) async fn turn_ended(
        &self,
        turn: &TurnRecord,
        time: TurnTime,
        is_listed: impl AsyncFnOnce(&str) -> bool,
    ) {
        let tenant = || Arc::clone(&self.tenant);
        let status = turn.status.as_str();
        counter!("codex_mcp_turns_total", "tenant" => tenant(), "status" => status).increment(1);
        let all = time.begun.elapsed();
        histogram!("codex_mcp_turn_seconds", "tenant" => tenant()).record(all);
        let own = all.saturating_sub(time.with_codex);
        histogram!("codex_mcp_turn_own_seconds", "tenant" => tenant()).record(own);
        let Some(usage) = turn.details.usage else { return };
        let with = turn.details.effective.as_ref().and_then(|with| with.model.clone());
        let is_chosen_here = matches!(
            turn.details.model_source,
            Some(
                ModelSource::Operator
                    | ModelSource::CodexConfig
                    | ModelSource::Preferred
                    | ModelSource::CodexDefault
            )
        );
        let model = match with {
            Some(model) if is_chosen_here || is_listed(&model).await => model,
            Some(_) => "other".to_owned(),
            None => String::new(),
        };
        for (kind, tokens) in [
            ("input", usage.input_tokens),
            ("cached_input", usage.cached_input_tokens),
            ("output", usage.output_tokens),
            ("reasoning_output", usage.reasoning_output_tokens),
        ] {
            counter!("codex_mcp_tokens_total", "tenant" => tenant(), "model" => model.clone(), "kind" => kind)
                .increment(tokens);
        }
    }

    pub(super) fn lease_lost(&self) {
        counter!("codex_mcp_leases_lost_total", "tenant" => Arc::clone(&self.tenant)).increment(1);
    }
}

impl TurnTime {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now(), with_codex: Duration::ZERO }
    }

    /// Notes that Codex was waited for since then.
    pub(super) fn waited(&mut self, since: Instant) {
        self.with_codex += since.elapsed();
    }
}

impl Sessions {
    /// What there is to do at this moment.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load(&self) -> Result<Load, SessionError> {
        let (running, queued) = self.shared().load();
        let now = jiff::Timestamp::now();
        let store = self.shared().store(now).await?;
        let approvals = store.open_approvals(None).await?.len();
        Ok(Load { running, queued, sessions: store.count(now).await?, approvals })
    }
}
