//! `usage`: what is left of the account's allowance, and what turns have used.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::{
    mcp::{answer::Answer, error::ToolError},
    session::{
        Credits, RateLimits, Usage, UsageReport,
        store::{DailyUsage, Page},
    },
};

const DEFAULT_DAYS: u32 = 30;
const MAX_DAYS: u32 = 366;

/// How many sessions are listed.
const SESSIONS: usize = 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadUsage {
    /// For how many days back, today included, 1 to 366. Default: 30.
    #[schemars(range(min = 1, max = 366))]
    days: Option<u32>,
}

impl Callable for ReadUsage {
    const NAME: &'static str = "usage";
    const TITLE: &'static str = "Usage and limits";
    const DESCRIPTION: &'static str = "Says how much of the account's allowance is used and when it resets, and how many tokens \
                  turns have used by day, model and session.";
    const EFFECT: Effect = Effect::Reads;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
        let days = input.days.unwrap_or(DEFAULT_DAYS);
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(ToolError::argument(
                "days",
                &format!("{days} is not from 1 to {MAX_DAYS}"),
            ));
        }
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let since = today.saturating_sub((i64::from(days) - 1).days());
        let UsageReport { limits, account, unknown, by_day } = cx.sessions.usage(since).await?;
        let mut total = Usage::default();
        let mut by_model: BTreeMap<&str, (u64, Usage)> = BTreeMap::new();
        for day in &by_day {
            total += day.usage;
            let (turns, usage) = by_model.entry(&day.model).or_default();
            *turns += day.turns;
            *usage += day.usage;
        }
        let mut by_model: Vec<ModelView> = by_model
            .into_iter()
            .map(|(model, (turns, usage))| ModelView { model: model.to_owned(), turns, usage })
            .collect();
        by_model.sort_by_key(|view| std::cmp::Reverse(view.usage.total_tokens));
        let warnings =
            unknown.map(|reason| format!("The account does not tell its limits: {reason}."));
        let output = Output {
            rate_limits: limits,
            rate_limits_from: limits.map(|_| if account.is_some() { "account" } else { "turn" }),
            plan: account.as_ref().and_then(|account| account.plan.clone()),
            credits: account.and_then(|account| account.credits),
            sessions: sessions(cx).await?,
            by_day: by_day.into_iter().map(DayView::from).collect(),
            by_model,
            total,
            warnings: warnings.into_iter().collect(),
        };
        Ok(Answer::plain(&output).into())
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The account's windows; absent if nothing is known of them.
    rate_limits: Option<RateLimits>,
    /// account (asked now), or turn (as the last turn told).
    rate_limits_from: Option<&'static str>,
    /// The kind of the account, in its vendor's words.
    plan: Option<String>,
    /// Credits beside the windows.
    credits: Option<Credits>,
    /// Tokens by day (UTC) and model, newest first; also of sessions that are gone.
    by_day: Vec<DayView>,
    /// The same by model, most first.
    by_model: Vec<ModelView>,
    /// The sessions there are, most tokens first, at most 20.
    sessions: Vec<SessionUsageView>,
    /// All of these days together.
    total: Usage,
    /// What to know besides.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DayView {
    /// YYYY-MM-DD
    day: String,
    /// Empty if Codex did not say.
    model: String,
    turns: u64,
    usage: Usage,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ModelView {
    model: String,
    turns: u64,
    usage: Usage,
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SessionUsageView {
    id: String,
    title: Option<String>,
    turns: u32,
    usage: Usage,
}

/// The sessions that have used most.
async fn sessions(cx: &Cx) -> Result<Vec<SessionUsageView>, ToolError> {
    const PAGE: u32 = 200;
    let mut all = Vec::new();
    let mut page = Page::first(PAGE);
    loop {
        let listing = cx.sessions.list(&page).await?;
        all.extend(listing.sessions.into_iter().map(|record| SessionUsageView {
            id: record.name.to_string(),
            turns: record.turn_count(),
            title: record.details.title,
            usage: record.usage,
        }));
        all.sort_by_key(|view| std::cmp::Reverse(view.usage.total_tokens));
        all.truncate(SESSIONS);
        match listing.next {
            Some(next) => page.after = Some(next),
            None => return Ok(all),
        }
    }
}

impl From<DailyUsage> for DayView {
    fn from(day: DailyUsage) -> Self {
        let DailyUsage { day, model, turns, usage, .. } = day;
        Self { day: day.to_string(), model, turns, usage }
    }
}
