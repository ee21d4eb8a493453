//! Asking the user while a call runs, as MCP does up to 2025-11-25: the server sends the client a request.

use futures_util::future::{BoxFuture, FutureExt};
use rmcp::{
    RoleServer,
    model::{ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ServerRequest},
    service::{Peer, PeerRequestOptions},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Caller, form};
use crate::session::{Answer, AnswerRecord, Approval, Decision, SessionName};

/// An approval that a client is being asked for.
pub(super) struct Elicitation {
    pub(super) approval: Approval,
    by: String,
    since: Instant,
    answer: BoxFuture<'static, Option<ElicitResult>>,
    withdrawn: CancellationToken,
}

impl Elicitation {
    /// Begins to ask, or says why it cannot be asked.
    pub(super) fn begin(
        caller: &Caller,
        session: &SessionName,
        approval: Approval,
    ) -> Result<Self, String> {
        let form = form::form(&approval, session.as_str(), caller.shows_links)?;
        let withdrawn = CancellationToken::new();
        let answer = ask(caller.peer.clone(), form, withdrawn.clone()).boxed();
        Ok(Self { approval, by: caller.name(), since: Instant::now(), answer, withdrawn })
    }

    /// Waits for the answer. Dropping the future loses nothing.
    pub(super) async fn answer(&mut self) -> AnswerRecord {
        let (answer, remark) = if let Some(result) = (&mut self.answer).await {
            form::answer(&self.approval, &result, self.since.elapsed())
        } else {
            let remark = "it was declined because the client could not show it.".to_owned();
            (Answer::plain(Decision::Decline), Some(remark))
        };
        AnswerRecord { answer, by: self.by.clone(), remark }
    }

    /// Takes the question back.
    pub(super) async fn withdraw(self) {
        self.withdrawn.cancel();
        self.answer.await;
    }
}

/// Sends a form to the client and waits for what its user says; `None` if it could not be shown or was `withdrawn`.
pub(in crate::mcp) async fn ask(
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
