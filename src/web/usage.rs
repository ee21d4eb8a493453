//! Tokens by day and model, and what is left of the account's allowance.

use axum::{Json, extract::Query};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{failure::Failure, viewer::Viewer};

/// How many days at most.
const DAYS: i64 = 366;

/// How many days.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Days {
    days: Option<i64>,
}

pub(super) async fn usage(
    viewer: Viewer,
    Query(Days { days }): Query<Days>,
) -> Result<Json<Value>, Failure> {
    let days = days.unwrap_or(30).clamp(1, DAYS);
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let since = today.saturating_sub((days - 1).days());
    let report = viewer.sessions.usage(since).await.map_err(|error| viewer.failure(&error))?;
    let by_day = report.by_day.iter().map(|row| {
        json!({"day": row.day.to_string(), "model": row.model, "turns": row.turns, "usage": row.usage})
    });
    Ok(Json(json!({
        "since": since.to_string(),
        "today": today.to_string(),
        "byDay": by_day.collect::<Vec<_>>(),
        "limits": report.limits,
        "unknown": report.unknown,
    })))
}
