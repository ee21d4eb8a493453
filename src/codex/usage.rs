//! What was used and what is left: tokens of a turn, and the account's rate-limit windows.
//!
//! Results show these types as they are, and their schemas the doc comments of the fields; where a name says enough there is none.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

/// Tokens, as the model's provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "clients read these names")]
pub struct Usage {
    // Sent to the model, cached ones included.
    pub input_tokens: u64,
    // Of these, served from the provider's cache.
    pub cached_input_tokens: u64,
    // Received from the model, reasoning included.
    pub output_tokens: u64,
    // Of these, spent on reasoning.
    pub reasoning_output_tokens: u64,
    // Input and output together.
    pub total_tokens: u64,
}

/// How much of the account's allowance is used, as Codex last heard it.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RateLimits {
    /// The shorter window.
    #[serde(default)]
    pub primary: Option<RateWindow>,
    /// The longer window.
    #[serde(default)]
    pub secondary: Option<RateWindow>,
}

/// What the account itself says of its allowance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccountLimits {
    pub limits: RateLimits,
    /// The kind of the account, in the vendor's words.
    pub plan: Option<String>,
    /// Credits beside the windows.
    pub credits: Option<Credits>,
}

/// Credits that are used once the windows are full.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "clients read these names")]
pub struct Credits {
    // Whether there are any.
    #[serde(default)]
    pub has_credits: bool,
    // Whether they never end.
    #[serde(default)]
    pub unlimited: bool,
    // How many are left, as the vendor writes it.
    #[serde(default)]
    pub balance: Option<String>,
}

/// One window in which use is counted.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateWindow {
    /// How much of it is used, in percent.
    pub used_percent: f64,
    /// How long it is.
    #[serde(default, alias = "windowDurationMins")]
    pub window_minutes: Option<u64>,
    /// When it begins anew (RFC 3339).
    #[serde(default, deserialize_with = "moment")]
    #[schemars(with = "Option<String>")]
    pub resets_at: Option<Timestamp>,
}

/// A moment: Codex says it in seconds since 1970, we in RFC 3339. Nothing if it is neither.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(second) => second.as_i64().and_then(|at| Timestamp::from_second(at).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_output_tokens += other.reasoning_output_tokens;
        self.total_tokens += other.total_tokens;
    }
}

impl RateLimits {
    /// Takes news in: what they do not mention stays as it was known.
    pub(crate) fn update(&mut self, news: Self) {
        self.primary = news.primary.or(self.primary);
        self.secondary = news.secondary.or(self.secondary);
    }

    /// When an exhausted allowance is back: the latest of the full windows.
    pub fn back_at(&self) -> Option<Timestamp> {
        let windows = [self.primary, self.secondary].into_iter().flatten();
        windows.filter(|window| window.used_percent >= 100.0).filter_map(|w| w.resets_at).max()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limits(value: serde_json::Value) -> RateLimits {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn sparse_news_keep_what_was_known() {
        let mut known = limits(json!({"primary": {"usedPercent": 100, "resetsAt": 50}}));
        known.update(limits(json!({"secondary": {"usedPercent": 7}, "credits": null})));
        let at = Timestamp::from_second(50).ok();
        assert_eq!((known.primary.unwrap().resets_at, known.back_at()), (at, at));
        assert_eq!(limits(json!(known)), known);
        known.update(limits(json!({"primary": {"usedPercent": 2}})));
        assert_eq!(known.back_at(), None);
    }
}
