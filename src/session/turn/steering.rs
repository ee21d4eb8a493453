//! Steering a running turn, for calls, the `steer` tool and other servers. A prompt that Codex does not confirm is not
//! sent again, because the model may have received it.

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
    codex::{CodexError, Turn, TurnItem},
    session::{
        SessionError,
        store::{ControlOutcome, MessageId},
        text::characters,
    },
};

/// How long the last prompts may take to be confirmed once the turn is over.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Who steers the turn.
#[derive(Debug)]
pub(super) enum SteerSource {
    /// A call, which becomes part of the running turn.
    Call(Box<QueuedTurn>, Arc<LiveTurn>),
    /// The `steer` tool, which is sent the number of the turn.
    Tool(oneshot::Sender<Result<u32, SessionError>>),
    /// Another server, for a call or a tool there.
    Remote(MessageId),
}

/// The prompts that Codex has not confirmed yet.
#[derive(Default)]
pub(super) struct Steering {
    said: Vec<(u64, SteerSource, String)>,
    confirmations: FuturesUnordered<BoxFuture<'static, (u64, Result<(), CodexError>)>>,
    last: u64,
}

/// A prompt, and whether Codex confirmed it.
pub(super) struct Steered {
    source: SteerSource,
    prompt: String,
    outcome: Result<(), CodexError>,
}

impl Steering {
    /// Sends a prompt without waiting for the confirmation.
    pub(super) fn say(&mut self, turn: &Turn, source: SteerSource, prompt: String) {
        self.last += 1;
        let number = self.last;
        let steered = turn.steer(prompt.clone());
        self.said.push((number, source, prompt));
        self.confirmations.push(steered.map(move |outcome| (number, outcome)).boxed());
    }

    /// How many characters the prompts have that Codex has not confirmed yet.
    pub(super) fn unconfirmed_characters(&self) -> usize {
        self.said.iter().map(|(.., prompt)| characters(prompt)).sum()
    }

    /// Waits for the next confirmation, for ever if there is none to come. Dropping the future loses nothing.
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

    /// Takes the prompts that were not confirmed, each as timed out.
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
    /// Tells the source of a prompt what Codex answered.
    pub(super) async fn steered(
        &mut self,
        steered: Steered,
        recorder: &Recorder,
        queued: &QueuedTurn,
    ) {
        let Steered { source, prompt, outcome } = steered;
        let number = recorder.entry.number;
        if outcome.is_ok() {
            queued.live.log.add(TurnItem::Steer { prompt });
        }
        let outcome = outcome.map_err(|error| match error {
            // The model has certainly not received it.
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
            // The turn cannot take it any more, so the call waits for a turn of its own.
            (SteerSource::Call(call, _), Err(SessionError::NotSteered { reason })) => {
                tracing::debug!(session = %self.name, reason, "not steered; queued");
                self.queue_up(*call).await;
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

    /// Tells the source of a prompt that it is not for this turn.
    pub(super) async fn refuse(&self, source: SteerSource, error: SessionError) {
        match source {
            SteerSource::Call(call, _) => call.end(Err(error)),
            SteerSource::Tool(reply) => answer(reply, Err(error)),
            SteerSource::Remote(id) => {
                self.report(id, ControlOutcome::Refused(error.to_string())).await;
            }
        }
    }

    /// Waits for the last confirmations once the turn is over, so that every source gets an answer.
    pub(super) async fn drain_steering(
        &mut self,
        mut steering: Steering,
        recorder: &Recorder,
        queued: &QueuedTurn,
    ) {
        let drained = async {
            while !steering.said.is_empty() {
                let steered = steering.next().await;
                self.steered(steered, recorder, queued).await;
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(session = %self.name, "steering a turn was not confirmed in time");
            for steered in steering.unconfirmed() {
                self.steered(steered, recorder, queued).await;
            }
        }
    }

    /// Reports the outcome of another server's control message.
    pub(super) async fn report(&self, id: MessageId, outcome: ControlOutcome) {
        let Some(guard) = &self.lease else { return };
        if let Err(error) = guard.store().report(id, &outcome).await {
            tracing::warn!(session = %self.name, %error, "cannot report the outcome of a control message");
        }
    }
}
