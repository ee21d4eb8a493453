//! The state of a call that comes back with an answer, in the era in which a server asks by its result (2026-07-28).
//!
//! The state goes through the client, so it is sealed: only we can have made it, for this caller (tenant and subject) and
//! this call's own tool and arguments, in this run of the server. It names session, turn and approval; whether that is
//! still open, in that turn, is for the sessions to say.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitResult, ElicitationAction, InputRequest,
    InputRequests, InputRequiredResult, SealOptions,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Caller, form};
use crate::session::{AnswerRecord, Approval, Call, SessionName};

/// The key of the one question a result asks.
const KEY: &str = "codex";

/// Makes states for calls that come back, and knows its own.
pub(in crate::mcp) struct RequestStateCodec {
    /// None would mean that the key is too short, which it is not.
    codec: Option<rmcp::model::RequestStateCodec>,
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
    /// A codec whose states hold for at most `ttl`.
    pub(in crate::mcp) fn new(ttl: Duration) -> Self {
        // 244 random bits in the 32 bytes that the codec asks for.
        let key = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
        Self { codec: rmcp::model::RequestStateCodec::try_new(key.concat()).ok(), ttl }
    }

    /// A state for a call to bring back. `None` if it cannot be made.
    pub(in crate::mcp) fn seal(&self, what: &impl Serialize, caller: &Caller) -> Option<String> {
        let options = SealOptions::new().ttl(self.ttl).associated_data(&caller.call);
        self.codec.as_ref()?.seal_json_with(what, &options).ok()
    }

    /// What is in a state. `None` if it is not ours, too old, or of another call or caller.
    pub(in crate::mcp) fn open<T: DeserializeOwned>(
        &self,
        state: &str,
        caller: &Caller,
    ) -> Option<T> {
        let opened = self.codec.as_ref()?.open_json_with(state, &caller.call);
        opened.inspect_err(|error| tracing::info!(%error, "a state is not ours")).ok()
    }

    /// The result that asks for an approval, or why it cannot be asked for.
    pub(super) fn ask(
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
        let Some(state) = self.seal(&asked, caller) else {
            return Err("it was declined because the question cannot be sealed.".to_owned());
        };
        let request = InputRequest::Elicitation(ElicitRequest::new(form));
        let requests = InputRequests::from([(KEY.to_owned(), request)]);
        Ok(InputRequiredResult::new(Some(requests), Some(state)))
    }

    /// What a call that came back was about, and the answer it brings. None if its state is not ours, too old, or
    /// another call's.
    pub(super) fn answered(
        &self,
        caller: &Caller,
        request: &CallToolRequestParams,
    ) -> Option<(AskedCall, AnswerRecord)> {
        let state = request.request_state.as_deref()?;
        let asked: AskedCall = self.open(state, caller)?;
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
