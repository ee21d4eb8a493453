//! Asking the user, in both eras of MCP.
//!
//! Up to 2025-11-25 the server sends the client a request while the call runs. From 2026-07-28 on the
//! call ends with `input_required`, the turn waits, and the client calls again with the answer and a
//! state that only we can have made. It says which question of which turn was asked, and holds for this
//! call's own tool and arguments, for as long as the question is open, in this run of the server.

use std::{fmt, time::Duration};

use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use rmcp::{
    RoleServer,
    model::{
        CallToolRequestParams, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult,
        ElicitationAction, InputRequest, InputRequests, InputRequiredResult, RequestStateCodec,
        SealOptions, ServerRequest,
    },
    service::{Peer, PeerRequestOptions},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Caller, form};
use crate::{
    codex::{Answer, Decision, Question},
    session::{Call, SessionName},
};

/// The key of the one question a result asks.
const KEY: &str = "codex";

/// Makes states for calls that come back, and knows its own.
pub(in crate::mcp) struct Sealer {
    /// None would mean that the key is too short, which it is not.
    codec: Option<RequestStateCodec>,
    ttl: Duration,
}

/// What a call that comes back with an answer was about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) session: SessionName,
    pub(super) turn: Option<u32>,
    /// Whether the call that comes back ends its turn when it is cancelled.
    pub(super) holds: bool,
    pub(super) question: Question,
    since: Timestamp,
}

/// A question that a client of the older era is being asked.
pub(super) struct Asking {
    pub(super) question: Question,
    since: Instant,
    answer: BoxFuture<'static, Option<ElicitResult>>,
    withdrawn: CancellationToken,
}

impl Sealer {
    /// One whose states hold for at most `ttl`.
    pub(in crate::mcp) fn new(ttl: Duration) -> Self {
        // 244 random bits in the 32 bytes that the codec asks for.
        let key = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
        Self { codec: RequestStateCodec::try_new(key.concat()).ok(), ttl }
    }

    /// The result that asks a question; or why it cannot be asked.
    pub(super) fn ask(
        &self,
        caller: &Caller,
        call: &Call,
        question: Question,
    ) -> Result<InputRequiredResult, String> {
        let session = call.session().clone();
        let form = form::form(&question, session.as_str(), caller.shows_links)?;
        let (turn, holds) = (call.turn(), call.holds());
        let asked = Asked { session, turn, holds, question, since: Timestamp::now() };
        let options = SealOptions::new().ttl(self.ttl).associated_data(&caller.call);
        let sealed = self.codec.as_ref().map(|codec| codec.seal_json_with(&asked, &options));
        let Some(Ok(state)) = sealed else {
            return Err("it was declined because the question cannot be sealed.".to_owned());
        };
        let request = InputRequest::Elicitation(ElicitRequest::new(form));
        let requests = InputRequests::from([(KEY.to_owned(), request)]);
        Ok(InputRequiredResult::new(Some(requests), Some(state)))
    }

    /// What a call that came back was about, and the answer it brings; none if its state is not ours, or
    /// too old, or another call's.
    pub(super) fn answered(
        &self,
        caller: &Caller,
        request: &CallToolRequestParams,
    ) -> Option<(Asked, Answer, Option<String>)> {
        let state = request.request_state.as_deref()?;
        let opened = self.codec.as_ref()?.open_json_with::<Asked>(state, &caller.call);
        let asked =
            opened.inspect_err(|error| tracing::info!(%error, "a state is not ours")).ok()?;
        let response = request.input_responses.as_ref().and_then(|responses| responses.get(KEY));
        let result = response.and_then(|response| ElicitResult::deserialize(response).ok());
        let result = result.unwrap_or_else(|| ElicitResult::new(ElicitationAction::Cancel));
        let took = Timestamp::now().duration_since(asked.since).unsigned_abs();
        let (answer, remark) = form::answer(&asked.question, &result, took);
        Some((asked, answer, remark))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Asking {
    /// Begins to ask; or says why it cannot be asked.
    pub(super) fn begin(
        caller: &Caller,
        session: &SessionName,
        question: Question,
    ) -> Result<Self, String> {
        let form = form::form(&question, session.as_str(), caller.shows_links)?;
        let withdrawn = CancellationToken::new();
        let answer = ask(caller.peer.clone(), form, withdrawn.clone()).boxed();
        Ok(Self { question, since: Instant::now(), answer, withdrawn })
    }

    /// Waits for the answer. Dropping the future loses nothing.
    pub(super) async fn answer(&mut self) -> (Answer, Option<String>) {
        if let Some(result) = (&mut self.answer).await {
            return form::answer(&self.question, &result, self.since.elapsed());
        }
        let remark = "it was declined because the client could not show it.".to_owned();
        (Answer::plain(Decision::Decline), Some(remark))
    }

    /// Takes the question back.
    pub(super) async fn withdraw(self) {
        self.withdrawn.cancel();
        self.answer.await;
    }
}

async fn ask(
    peer: Peer<RoleServer>,
    form: ElicitRequestParams,
    withdrawn: CancellationToken,
) -> Option<ElicitResult> {
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
    let sent = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
    let mut handle =
        sent.inspect_err(|error| tracing::info!(%error, "cannot ask the client")).ok()?;
    tokio::select! {
        answer = &mut handle.rx => match answer {
            Ok(Ok(ClientResult::ElicitResult(result))) => Some(result),
            other => {
                tracing::info!(?other, "the client did not answer a question");
                None
            }
        },
        () = withdrawn.cancelled() => {
            let reason = Some("the question needs no answer any more".to_owned());
            // A client that is gone needs no word.
            let _ = handle.cancel(reason).await;
            None
        }
    }
}
