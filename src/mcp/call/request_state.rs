//! The state of a call that comes back with an answer, in the era in which a server asks by its result (2026-07-28).
//!
//! The state goes through the client, so it is sealed: only we can have made it, for this caller (tenant and subject) and
//! this call's own tool and arguments, on any server of the store. It names session, turn and approval; whether that is
//! still open, in that turn, is for the sessions to say.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitResult, ElicitationAction, InputRequest,
    InputRequests, InputRequiredResult, SealOptions,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::OnceCell;

use super::{Caller, form};
use crate::session::{AnswerRecord, Approval, Call, SessionName, Sessions};

/// The key of the one question a result asks.
const KEY: &str = "codex";

/// Makes states for calls that come back, and knows its own.
pub(in crate::mcp) struct RequestStateCodec {
    /// Where the key is kept.
    sessions: Sessions,
    codec: OnceCell<rmcp::model::RequestStateCodec>,
    ttl: Duration,
}

/// What a call that comes back with an answer was about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AskedCall {
    pub(super) session: SessionName,
    pub(super) turn: Option<u32>,
    /// Whether cancelling the call that comes back cancels its turn.
    pub(super) attached: bool,
    pub(super) approval: Approval,
    since: Timestamp,
}

impl RequestStateCodec {
    /// A codec for these sessions. States hold for as long as Codex waits for an answer.
    pub(in crate::mcp) fn new(sessions: &Sessions) -> Self {
        let ttl = sessions.config().turn.question.0;
        Self { sessions: sessions.clone(), codec: OnceCell::new(), ttl }
    }

    /// The codec with the key of the store. `None` if that cannot be read now.
    async fn codec(&self) -> Option<&rmcp::model::RequestStateCodec> {
        let make = async || {
            let key = self.sessions.sealing_key().await.map_err(|error| error.to_string())?;
            let codec = rmcp::model::RequestStateCodec::try_new(key.to_vec());
            codec.map_err(|error| error.to_string())
        };
        let codec = self.codec.get_or_try_init(make).await;
        codec.inspect_err(|error| tracing::warn!(error, "no question can be sealed")).ok()
    }

    /// A state for a call to bring back. `None` if it cannot be made.
    pub(in crate::mcp) async fn seal(
        &self,
        what: &impl Serialize,
        caller: &Caller,
    ) -> Option<String> {
        let options = SealOptions::new().ttl(self.ttl).associated_data(&caller.call);
        self.codec().await?.seal_json_with(what, &options).ok()
    }

    /// What is in a state. `None` if it is not ours, too old, or of another call or caller.
    pub(in crate::mcp) async fn open<T: DeserializeOwned>(
        &self,
        state: &str,
        caller: &Caller,
    ) -> Option<T> {
        let opened = self.codec().await?.open_json_with(state, &caller.call);
        opened.inspect_err(|error| tracing::info!(%error, "a state is not ours")).ok()
    }

    /// The result that asks for an approval, or why it cannot be asked for.
    pub(super) async fn ask(
        &self,
        caller: &Caller,
        call: &Call,
        approval: &Approval,
    ) -> Result<InputRequiredResult, String> {
        let session = call.session().clone();
        let form = form::form(approval, session.as_str(), caller.shows_links)?;
        let asked = AskedCall {
            session,
            turn: call.turn(),
            attached: call.is_attached(),
            approval: approval.clone(),
            since: Timestamp::now(),
        };
        let Some(state) = self.seal(&asked, caller).await else {
            return Err("it was declined because the question cannot be sealed.".to_owned());
        };
        let request = InputRequest::Elicitation(ElicitRequest::new(form));
        let requests = InputRequests::from([(KEY.to_owned(), request)]);
        Ok(InputRequiredResult::new(Some(requests), Some(state)))
    }

    /// What a call that came back was about, and the answer it brings. None if its state is not ours, too old, or
    /// another call's.
    pub(super) async fn answered(
        &self,
        caller: &Caller,
        request: &CallToolRequestParams,
    ) -> Option<(AskedCall, AnswerRecord)> {
        let state = request.request_state.as_deref()?;
        let asked: AskedCall = self.open(state, caller).await?;
        let response = request.input_responses.as_ref().and_then(|responses| responses.get(KEY));
        let result = response.and_then(|response| ElicitResult::deserialize(response).ok());
        let result = result.unwrap_or_else(|| ElicitResult::new(ElicitationAction::Cancel));
        let took = Timestamp::now().duration_since(asked.since).unsigned_abs();
        let (answer, remark) = form::answer(&asked.approval, &result, took);
        Some((asked, AnswerRecord { answer, by: caller.name(), remark }))
    }
}

impl fmt::Debug for RequestStateCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestStateCodec").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
