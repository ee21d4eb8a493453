//! What a person does with a session: asks, steers, interrupts, forks, deletes.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{failure::Failure, viewer::Viewer, views};
use crate::session::{Call, ForkSource, Origin, Request, SessionError, SessionName, Step, Update};

/// For how long a question may be refused before its turn counts as begun.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);

/// A question, or what to tell a running turn.
#[derive(Debug, Deserialize)]
pub(super) struct Prompt {
    prompt: String,
}

pub(super) async fn ask(
    viewer: Viewer,
    Path(name): Path<SessionName>,
    Json(Prompt { prompt }): Json<Prompt>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    // A typo, or what was deleted meanwhile, is no wish for a new session.
    viewer.sessions.record(&name).await.map_err(|error| viewer.failure(&error))?;
    let origin = viewer.directory.clone().map(|path| Origin::new(path, None)).unwrap_or_default();
    // It goes on whether the page stays open or not; what Codex asks is on the page.
    let request = Request { detached: true, can_ask: true, origin, ..Request::ask(prompt) };
    let call = viewer.sessions.send(Some(name.clone()), request).await;
    let mut call = call.map_err(|error| viewer.failure(&error))?;
    if let Ok(Err(error)) = timeout(REFUSED_WITHIN, begun(&mut call)).await {
        return Err(viewer.failure(&error));
    }
    let turn = call.turn();
    // Whatever came of it since is in the record.
    drop(call.detach().await);
    Ok((StatusCode::ACCEPTED, Json(json!({"session": name, "turn": turn}))))
}

/// Waits until the turn runs, waits behind others, or is over.
async fn begun(call: &mut Call) -> Result<(), std::sync::Arc<SessionError>> {
    loop {
        match call.next().await {
            Step::Update(Update::Begun(_) | Update::Queued(_)) => return Ok(()),
            Step::Update(_) => {}
            Step::Done(outcome) => return outcome.map(drop),
        }
    }
}

pub(super) async fn steer(
    viewer: Viewer,
    Path(name): Path<SessionName>,
    Json(Prompt { prompt }): Json<Prompt>,
) -> Result<Json<Value>, Failure> {
    viewer.sessions.steer(&name, prompt).await.map_err(|error| viewer.failure(&error))?;
    Ok(Json(json!({"session": name})))
}

pub(super) async fn interrupt(
    viewer: Viewer,
    Path(name): Path<SessionName>,
) -> Result<Json<Value>, Failure> {
    let reply = viewer.sessions.interrupt(&name).await.map_err(|error| viewer.failure(&error))?;
    Ok(Json(json!({"session": name, "turn": reply.map(|reply| reply.turn.number)})))
}

/// Where to fork, and under which name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ForkAt {
    turn: Option<u32>,
    name: Option<SessionName>,
}

pub(super) async fn fork(
    viewer: Viewer,
    Path(name): Path<SessionName>,
    Json(ForkAt { turn, name: new }): Json<ForkAt>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let source = ForkSource::Session(name, turn);
    let forked = viewer.sessions.fork(source, new, Origin::default()).await;
    let forked = forked.map_err(|error| viewer.failure(&error))?;
    let session = views::session(&forked.session);
    Ok((StatusCode::CREATED, Json(json!({"session": session, "rebuilt": forked.rebuilt}))))
}

/// Whether to delete also what was not applied.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Force {
    force: bool,
}

pub(super) async fn delete(
    viewer: Viewer,
    Path(name): Path<SessionName>,
    Query(Force { force }): Query<Force>,
) -> Result<Json<Value>, Failure> {
    viewer.sessions.delete(&name, force).await.map_err(|error| viewer.failure(&error))?;
    Ok(Json(json!({"session": name})))
}
