//! Saying something more to a running turn, for calls, tools and other servers.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::oneshot;

use super::{Order, answer, life::Actor};
use crate::{
    codex::{CodexError, Turn},
    session::{
        SessionError, TurnRecord,
        store::{ErrandId, ErrandOutcome},
    },
};

/// How long what was said last may take to be acknowledged once the turn is over.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Who wants to say something.
#[derive(Debug)]
pub(super) enum Speaker {
    /// A call that then shares the turn's outcome.
    Call(Box<Order>),
    /// Somebody who just says it.
    Somebody(oneshot::Sender<Result<u32, SessionError>>),
    /// Another server, for either.
    Server(ErrandId),
}

/// What has been said and not been acknowledged yet.
#[derive(Default)]
pub(super) struct Steering(FuturesUnordered<BoxFuture<'static, Said>>);

/// What Codex made of it.
pub(super) struct Said {
    speaker: Speaker,
    prompt: String,
    outcome: Result<(), CodexError>,
}

impl Steering {
    /// Says it, without waiting for the acknowledgement.
    pub(super) fn say(&mut self, turn: &Turn, speaker: Speaker, prompt: String) {
        let steered = turn.steer(prompt.clone());
        self.0.push(steered.map(|outcome| Said { speaker, prompt, outcome }).boxed());
    }

    /// The next acknowledgement; waits for ever if nothing was said.
    pub(super) async fn next(&mut self) -> Said {
        match self.0.next().await {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

impl Actor {
    /// Passes on what Codex made of what was said.
    pub(super) async fn said(&mut self, said: Said, order: &mut Order, entry: &mut TurnRecord) {
        let Said { speaker, prompt, outcome } = said;
        if outcome.is_ok() {
            // It belongs to what was said in this turn, also for whoever rebuilds the context.
            entry.prompt += &format!("\n\n{prompt}");
        }
        match (speaker, outcome) {
            (Speaker::Call(call), Ok(())) => {
                for follower in call.followers {
                    follower.keep();
                    order.join(follower, entry.number);
                }
            }
            (Speaker::Somebody(reply), Ok(())) => answer(reply, Ok(entry.number)),
            (Speaker::Server(id), Ok(())) => self.report(id, ErrandOutcome::Done).await,
            (Speaker::Call(call), Err(error @ CodexError::Unsupported { .. })) => {
                call.finish(Err(error.into()));
            }
            // It came too late: it waits like any other.
            (Speaker::Call(call), Err(error)) => {
                tracing::debug!(session = %self.name, %error, "not steered; queued");
                self.queue_up(*call, Some(entry.number)).await;
            }
            (Speaker::Somebody(reply), Err(error @ CodexError::Unsupported { .. })) => {
                answer(reply, Err(error.into()));
            }
            (Speaker::Somebody(reply), Err(error)) => {
                answer(reply, Err(SessionError::NotSteered { reason: error.to_string() }));
            }
            (Speaker::Server(id), Err(error)) => {
                self.report(id, ErrandOutcome::Refused(error.to_string())).await;
            }
        }
    }

    /// Waits for what was said last, so that nobody who spoke is forgotten.
    pub(super) async fn last_words(
        &mut self,
        mut steering: Steering,
        order: &mut Order,
        entry: &mut TurnRecord,
    ) {
        while !steering.0.is_empty() {
            match tokio::time::timeout(LAST_WORDS, steering.next()).await {
                Ok(said) => self.said(said, order, entry).await,
                Err(_) => return,
            }
        }
    }

    /// Tells another server what came of its errand.
    pub(super) async fn report(&self, id: ErrandId, outcome: ErrandOutcome) {
        let Some(store) = self.shared.store.opened() else { return };
        if let Err(error) = store.report(id, &outcome).await {
            tracing::warn!(session = %self.name, %error, "cannot report an errand");
        }
    }
}
