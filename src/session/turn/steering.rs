//! Saying something more to a running turn, for calls, tools and other servers. Each thing is said once: what Codex did
//! not confirm may have been heard, and is not said again.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::oneshot;

use super::{
    actor::Actor,
    live::{JoinedTurn, LiveTurn, Update},
    queued::{QueuedTurn, answer},
    recorder::Recorder,
};
use crate::{
    codex::{CodexError, Turn},
    session::{
        SessionError,
        store::{ControlOutcome, MessageId},
    },
};

/// How long what was said last may take to be confirmed once the turn is over.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Who says something.
#[derive(Debug)]
pub(super) enum SteerSource {
    /// A call, which becomes part of the running turn.
    Call(Box<QueuedTurn>, Arc<LiveTurn>),
    /// The `steer` tool. It is told the number of the turn.
    Tool(oneshot::Sender<Result<u32, SessionError>>),
    /// Another server, for either.
    Remote(MessageId),
}

/// What has been said and not been confirmed yet.
#[derive(Default)]
pub(super) struct Steering {
    said: Vec<(u64, SteerSource, String)>,
    confirmations: FuturesUnordered<BoxFuture<'static, (u64, Result<(), CodexError>)>>,
    last: u64,
}

/// What Codex made of it.
pub(super) struct Steered {
    source: SteerSource,
    prompt: String,
    outcome: Result<(), CodexError>,
}

impl Steering {
    /// Says it, without waiting for the confirmation.
    pub(super) fn say(&mut self, turn: &Turn, source: SteerSource, prompt: String) {
        self.last += 1;
        let number = self.last;
        let steered = turn.steer(prompt.clone());
        self.said.push((number, source, prompt));
        self.confirmations.push(steered.map(move |outcome| (number, outcome)).boxed());
    }

    /// The next confirmation. Waits for ever if nothing was said. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Steered {
        loop {
            let Some((number, outcome)) = self.confirmations.next().await else {
                return std::future::pending().await;
            };
            let place = self.said.iter().position(|(said, ..)| *said == number);
            if let Some(place) = place {
                let (_, source, prompt) = self.said.remove(place);
                return Steered { source, prompt, outcome };
            }
        }
    }

    /// What was never confirmed.
    fn unconfirmed(&mut self) -> impl Iterator<Item = Steered> + use<> {
        let timeout = || CodexError::Timeout { method: "turn/steer" };
        std::mem::take(&mut self.said).into_iter().map(move |(_, source, prompt)| Steered {
            source,
            prompt,
            outcome: Err(timeout()),
        })
    }
}

impl Actor {
    /// Passes on what Codex made of what was said.
    pub(super) async fn steered(&mut self, steered: Steered, recorder: &mut Recorder) {
        let Steered { source, prompt, outcome } = steered;
        let number = recorder.entry.number;
        if outcome.is_ok() {
            // It belongs to what was said in this turn, also when the context is rebuilt.
            recorder.entry.prompt += &format!("\n\n{prompt}");
        }
        let outcome = outcome.map_err(|error| match error {
            // Codex said no: it came too late, or this version cannot do it.
            CodexError::Refused { .. } | CodexError::NotReached(_) => {
                SessionError::NotSteered { reason: error.to_string() }
            }
            CodexError::Unsupported { .. } => error.into(),
            _ => SessionError::SteerUnconfirmed { reason: error.to_string() },
        });
        match (source, outcome) {
            (SteerSource::Call(call, live), Ok(())) => {
                call.log(Update::Joined(JoinedTurn(live)));
            }
            // It came too late: it waits like any other.
            (SteerSource::Call(call, _), Err(SessionError::NotSteered { reason })) => {
                tracing::debug!(session = %self.name, reason, "not steered; queued");
                self.queue_up(*call, Some(number)).await;
            }
            (SteerSource::Call(call, _), Err(error)) => call.end(Err(error)),
            (SteerSource::Tool(reply), outcome) => answer(reply, outcome.map(|()| number)),
            (SteerSource::Remote(id), outcome) => {
                let outcome = match outcome {
                    Ok(()) => ControlOutcome::Done,
                    Err(SessionError::SteerUnconfirmed { reason }) => {
                        ControlOutcome::Unconfirmed(reason)
                    }
                    Err(error) => ControlOutcome::Refused(error.to_string()),
                };
                self.report(id, outcome).await;
            }
        }
    }

    /// Waits for what was said last, so that everybody who said something is told what became of it.
    pub(super) async fn drain_steering(&mut self, mut steering: Steering, recorder: &mut Recorder) {
        let drained = async {
            while !steering.said.is_empty() {
                let steered = steering.next().await;
                self.steered(steered, recorder).await;
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(session = %self.name, "what was said to a turn was not confirmed in time");
            for steered in steering.unconfirmed() {
                self.steered(steered, recorder).await;
            }
        }
    }

    /// Tells another server what came of its message.
    pub(super) async fn report(&self, id: MessageId, outcome: ControlOutcome) {
        let Some(guard) = &self.lease else { return };
        if let Err(error) = guard.store().report(id, &outcome).await {
            tracing::warn!(session = %self.name, %error, "cannot report what came of a message");
        }
    }
}
