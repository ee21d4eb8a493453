//! Tokens and turns by day and model, for the operator by tenant too, and what is left of the account's allowance.

use axum::{Json, extract::Query};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{failure::Failure, viewer::Viewer};
use crate::session::{
    Verb,
    store::{DailyUsage, Outcomes},
};

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
    let tenants = if viewer.sessions.caller().may(Verb::Oversee) {
        let tenants = viewer.sessions.usage_of_tenants(since).await;
        tenants.map_err(|error| viewer.failure(&error))?
    } else {
        Vec::new()
    };
    let by_tenant = tenants.iter().map(|(tenant, row)| {
        let mut row = day(row);
        if let Some(row) = row.as_object_mut() {
            row.insert("tenant".to_owned(), tenant.as_str().into());
        }
        row
    });
    let by_day = report.by_day.iter().map(day);
    Ok(Json(json!({
        "since": since.to_string(),
        "today": today.to_string(),
        "byDay": by_day.collect::<Vec<_>>(),
        "byTenant": by_tenant.collect::<Vec<_>>(),
        "limits": report.limits,
        "unknown": report.unknown,
    })))
}

fn day(row: &DailyUsage) -> Value {
    let Outcomes { failed, interrupted, duration_ms, longest_ms } = row.outcomes;
    json!({
        "day": row.day.to_string(),
        "model": row.model,
        "turns": row.turns,
        "failed": failed,
        "interrupted": interrupted,
        "durationMs": duration_ms,
        "longestMs": longest_ms,
        "usage": row.usage,
    })
}
