//! Sessions and their turns, to look at.

use std::path::PathBuf;

use axum::{
    Json,
    extract::{Path, Query},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{failure::Failure, viewer::Viewer, views};
use crate::{
    session::{
        SessionError, SessionName, SessionStatus,
        store::{Excerpt, Page},
    },
    system::compute,
};

/// How many sessions one page of the list has at most.
const SESSIONS: u32 = 200;

/// How many turns one page of a transcript has at most.
const TURNS: u32 = 50;

/// How many turns that wait the last page of a transcript has besides.
const QUEUED: u32 = 64;

/// How much of each text a page of a transcript has, in characters.
const TEXT: usize = 100_000;

/// How much one question for a single turn gets.
const WHOLE: usize = 10_000_000;

/// Which part of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    search: Option<String>,
    directory: Option<PathBuf>,
    status: Option<SessionStatus>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    cursor: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    viewer: Viewer,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Failure> {
    let after = query.cursor.map(|cursor| cursor.parse()).transpose();
    let page = Page {
        limit: query.limit.unwrap_or(50).clamp(1, SESSIONS),
        after: after.map_err(|_| Failure::wrong("`cursor` is not of an earlier page."))?,
        search: query.search.filter(|text| !text.trim().is_empty()),
        directory: match query.directory {
            Some(directory) => Some(viewer.sessions.listed_directory(directory).await),
            None => None,
        },
        status: query.status,
        since: query.since,
        before: query.before,
    };
    let listing = viewer.sessions.list(&page).await.map_err(|error| viewer.failure(&error))?;
    let waiting = viewer.sessions.waiting().await.map_err(|error| viewer.failure(&error))?;
    Ok(Json(json!({
        "sessions": listing.sessions.iter().map(views::session).collect::<Vec<_>>(),
        "queued": waiting,
        "next": listing.next.map(|cursor| cursor.to_string()),
        "damaged": listing.damaged,
        "mayLeave": viewer.may_leave,
        "mayRun": viewer.may_run(),
    })))
}

pub(super) async fn one(
    viewer: Viewer,
    Path(name): Path<SessionName>,
) -> Result<Json<Value>, Failure> {
    let record = viewer.sessions.record(&name).await.map_err(|error| viewer.failure(&error))?;
    Ok(Json(json!({"session": views::session(&record), "mayRun": viewer.may_run()})))
}

/// Which turns.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TurnsQuery {
    /// Those before this number; the last ones if it is not given.
    before: Option<u32>,
    limit: Option<u32>,
}

pub(super) async fn turns(
    viewer: Viewer,
    Path(name): Path<SessionName>,
    Query(query): Query<TurnsQuery>,
) -> Result<Json<Value>, Failure> {
    let failed = |error| viewer.failure(&error);
    let record = viewer.sessions.record(&name).await.map_err(failed)?;
    let end = query.before.map_or(record.last_turn, |before| before.saturating_sub(1));
    let first = record.details.cleared;
    let limit = query.limit.unwrap_or(TURNS).clamp(1, TURNS).min(end.saturating_sub(first));
    let after = end - limit;
    let excerpt = Excerpt::first(TEXT);
    let most = if query.before.is_none() { limit + QUEUED } else { limit };
    let seen = viewer.sessions.inspect_turns(&name, after, most, excerpt).await.map_err(failed)?;
    let turns = seen.turns;
    let turns = compute(move || {
        let is_cut = |text: &str| text.chars().count() >= TEXT;
        let turns = turns.into_iter().map(|turn| {
            let is_cut = is_cut(&turn.response) || is_cut(&turn.prompt);
            views::turn(turn, is_cut)
        });
        turns.collect::<Vec<_>>()
    });
    Ok(Json(json!({
        "session": views::session(&seen.session),
        "turns": turns.await.map_err(|_| viewer.failure(&SessionError::ShuttingDown))?,
        "before": (after > first).then_some(after + 1),
        "mayRun": viewer.may_run(),
    })))
}

pub(super) async fn turn(
    viewer: Viewer,
    Path((name, number)): Path<(SessionName, u32)>,
) -> Result<Json<Value>, Failure> {
    let failed = |error| viewer.failure(&error);
    let skip = number.checked_sub(1).ok_or_else(|| Failure::missing("Turns begin with 1."))?;
    let excerpt = Excerpt::first(WHOLE);
    let mut seen = viewer.sessions.inspect_turns(&name, skip, 1, excerpt).await.map_err(failed)?;
    let turn = seen.turns.pop().filter(|turn| turn.number == number);
    let turn = turn.ok_or_else(|| Failure::missing(format!("There is no turn {number}.")))?;
    let shown =
        compute(move || views::whole_turn(&turn, turn.response.chars().count() >= WHOLE)).await;
    let shown = shown.map_err(|_| viewer.failure(&SessionError::ShuttingDown))?;
    Ok(Json(json!({"turn": shown})))
}
