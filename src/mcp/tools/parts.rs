//! Parts of results that several tools show, and the schemas of what is shown as it is recorded.

use schemars::JsonSchema;
use serde::Serialize;

use crate::session::{RateLimits, RateWindow};

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, clippy::struct_field_names, reason = "only its schema is used")]
pub(super) struct UsageView {
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
    total_tokens: u64,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct CommandView {
    command: String,
    exit_code: Option<i64>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct FileView {
    path: String,
    kind: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct FindingView {
    title: String,
    /// critical, high, medium or low
    severity: Option<String>,
    /// 0 to 1
    confidence: Option<f64>,
    file: Option<String>,
    line_start: Option<u32>,
    line_end: Option<u32>,
    body: String,
    recommendation: Option<String>,
    /// Whether it is about lines that the changes do not touch
    outside_diff: Option<bool>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct SourceView {
    url: String,
    title: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct WorktreeView {
    /// Where it is
    path: String,
    /// Its branch
    branch: String,
    /// The commit its changes are counted from
    base: String,
    files_changed: u32,
    insertions: u32,
    deletions: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LimitsView {
    /// The shorter window.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<WindowView>,
    /// The longer window.
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary: Option<WindowView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WindowView {
    /// How much of it is used, in percent.
    used_percent: f64,
    /// How long it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    window_minutes: Option<u64>,
    /// When it begins anew (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<String>,
}

impl From<RateLimits> for LimitsView {
    fn from(limits: RateLimits) -> Self {
        Self {
            primary: limits.primary.map(WindowView::from),
            secondary: limits.secondary.map(WindowView::from),
        }
    }
}

impl From<RateWindow> for WindowView {
    fn from(window: RateWindow) -> Self {
        let resets_at = window.resets_at.and_then(|at| jiff::Timestamp::from_second(at).ok());
        Self {
            used_percent: window.used_percent,
            window_minutes: window.window_duration_mins,
            resets_at: resets_at.map(|at| at.to_string()),
        }
    }
}
