//! Why a turn failed, sorted by what the caller can do about it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codex::protocol::ReportedError;

/// A failed turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnFailure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// Codex's own words.
    pub message: String,
}

/// The kinds of failure a caller would treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// The provider does not accept the credentials.
    Unauthorized,
    /// The provider does not know or does not offer the model.
    ModelRefused,
    /// The model does not take the reasoning effort.
    EffortRefused,
    /// The provider finds the request wrong.
    BadRequest,
    /// Too many requests at the moment.
    RateLimited,
    /// The account's allowance is used up.
    UsageLimit,
    /// The conversation does not fit the model's context window.
    ContextWindow,
    /// The provider has trouble, or the connection broke.
    Provider,
    /// The sandbox cannot be set up.
    Sandbox,
    /// Codex itself died.
    Exited,
    /// The answer is not complete, or does not have the form it must have.
    Incomplete,
    /// Anything else; also a kind that a later version of this server wrote down.
    #[serde(other)]
    Other,
}

impl TurnFailure {
    /// Sorts what Codex reported.
    pub(crate) fn new(error: &ReportedError) -> Self {
        let message = plain(&error.message);
        let mut kind = kind(&error.codex_error_info, &message);
        // From 0.75 on a 400 is reported as nothing but the provider's own JSON.
        if kind == FailureKind::Other && message != error.message {
            kind = FailureKind::BadRequest;
        }
        Self { kind, message }
    }

    /// Codex died in mid-turn.
    pub(crate) fn exited(cause: &impl std::fmt::Display) -> Self {
        Self { kind: FailureKind::Exited, message: format!("Codex ended unexpectedly: {cause}") }
    }
}

/// `codexErrorInfo` is a word, or an object with one key; versions differ in which they use for the
/// same thing (401 is `other` up to 0.155), so the words of the message decide where it says `other`.
fn kind(info: &Value, message: &str) -> FailureKind {
    let word = info
        .as_str()
        .or_else(|| info.as_object()?.keys().next().map(String::as_str))
        .unwrap_or_default();
    match word {
        "contextWindowExceeded" => return FailureKind::ContextWindow,
        "usageLimitExceeded" | "sessionBudgetExceeded" => return FailureKind::UsageLimit,
        "rateLimitExceeded" => return FailureKind::RateLimited,
        "modelNotFound" => return FailureKind::ModelRefused,
        "unauthorized" => return FailureKind::Unauthorized,
        "sandboxError" => return FailureKind::Sandbox,
        "serverOverloaded" | "internalServerError" => return FailureKind::Provider,
        _ => {}
    }
    if let Some(kind) = in_words(message).filter(|_| word.is_empty()) {
        return kind;
    }
    let status = info
        .get(word)
        .and_then(|details| details.get("httpStatusCode")?.as_u64())
        .or_else(|| status_in(message));
    match status {
        Some(401 | 403) => FailureKind::Unauthorized,
        Some(429) => FailureKind::RateLimited,
        Some(500..) => FailureKind::Provider,
        _ if names_an_effort(message) => FailureKind::EffortRefused,
        _ if names_a_model(message) => FailureKind::ModelRefused,
        Some(400..) => FailureKind::BadRequest,
        _ if word == "badRequest" => FailureKind::BadRequest,
        _ if message.starts_with("stream ") || !word.is_empty() && word != "other" => {
            FailureKind::Provider
        }
        _ => FailureKind::Other,
    }
}

/// `unexpected status 401 Unauthorized: …`, `exceeded retry limit, last status: 429 …`.
fn status_in(message: &str) -> Option<u64> {
    let (_, after) = message.split_once("status")?;
    after.trim_start_matches([':', ' ']).split(' ').next()?.parse().ok()
}

/// `codex exec` says nothing but words.
fn in_words(message: &str) -> Option<FailureKind> {
    const WORDS: &[(&str, FailureKind)] = &[
        ("high demand", FailureKind::Provider),
        ("context window", FailureKind::ContextWindow),
        ("usage limit", FailureKind::UsageLimit),
    ];
    let lower = message.to_lowercase();
    WORDS.iter().find(|(words, _)| lower.contains(words)).map(|(_, kind)| *kind)
}

/// `Unsupported value: 'xhigh' is not supported with the 'm' model.` is about the value, and the value is an
/// effort.
fn names_an_effort(message: &str) -> bool {
    const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"];
    let lower = message.to_lowercase();
    let value = lower.split_once("not supported with the").and_then(|(before, _)| {
        let quoted = before.rsplit(['\'', '`', '"']).nth(1)?;
        Some(quoted.to_owned())
    });
    let is_refused = ["unsupported", "not supported", "invalid"].iter().any(|w| lower.contains(w));
    value.is_some_and(|value| EFFORTS.contains(&value.as_str()))
        || is_refused
            && ["reasoning.effort", "reasoning_effort", "reasoning effort"]
                .iter()
                .any(|word| lower.contains(word))
}

fn names_a_model(message: &str) -> bool {
    let lower = message.to_lowercase();
    if lower.contains("not supported with the") {
        // Something else is not supported with a model that there is.
        return false;
    }
    let refused = ["not found", "does not exist", "not supported", "not available", "unknown"];
    lower.contains("model") && refused.iter().any(|word| lower.contains(word))
}

/// A 400 comes as the provider's raw JSON; its message is what a person wants to read.
fn plain(message: &str) -> String {
    let body: Option<Value> = serde_json::from_str(message).ok();
    let inner = body.as_ref().and_then(|body| {
        let error = body.get("error").unwrap_or(body);
        error.get("message").or_else(|| body.get("detail"))?.as_str()
    });
    inner.unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sorted(message: &str, info: Value) -> FailureKind {
        let error = ReportedError { message: message.into(), codex_error_info: info };
        TurnFailure::new(&error).kind
    }

    #[test]
    fn failures_are_sorted_by_what_codex_says() {
        use FailureKind as Kind;
        let status = |key: &str, code: u16| {
            let mut info = json!({});
            info[key] = json!({"httpStatusCode": code});
            info
        };
        for (kind, message, info) in [
            (Kind::ContextWindow, "ran out of room", json!("contextWindowExceeded")),
            (Kind::UsageLimit, "limit", json!("usageLimitExceeded")),
            (Kind::Unauthorized, "x", status("httpConnectionFailed", 401)),
            (Kind::Unauthorized, "unexpected status 401 Unauthorized: x", json!("other")),
            (Kind::RateLimited, "x", status("responseTooManyFailedAttempts", 429)),
            (Kind::RateLimited, "exceeded retry limit, last status: 429 Too Many", Value::Null),
            (
                Kind::Provider,
                "We're currently experiencing high demand",
                json!("internalServerError"),
            ),
            (Kind::Provider, "stream disconnected before completion", json!("other")),
            (Kind::ModelRefused, "The model `x` does not exist", json!("other")),
            (Kind::ModelRefused, "x", json!("modelNotFound")),
            (
                Kind::EffortRefused,
                "Unsupported value: 'xhigh' is not supported with the 'gpt-5-codex' model. Supported \
                 values are: 'low', 'medium', and 'high'.",
                json!("other"),
            ),
            (Kind::EffortRefused, "Invalid value for reasoning.effort: 'x'", json!("badRequest")),
            (
                Kind::ModelRefused,
                "The 'gpt-x' model is not supported when using Codex with a ChatGPT account.",
                json!("other"),
            ),
            (
                Kind::BadRequest,
                "Unsupported parameter: 'verbosity' is not supported with the 'gpt-x' model.",
                json!("badRequest"),
            ),
            (Kind::Provider, "We're currently experiencing high demand", Value::Null),
            (Kind::ContextWindow, "Codex ran out of room in the context window", Value::Null),
            (Kind::BadRequest, "unexpected status 400 Bad Request: {}", json!("other")),
            (Kind::Other, "Missing environment variable: `KEY`.", json!("other")),
        ] {
            assert_eq!(sorted(message, info), kind, "{message}");
        }
    }

    #[test]
    fn raw_json_becomes_its_message() {
        let error = ReportedError {
            message: r#"{"error":{"message":"no such thing","type":"t"}}"#.into(),
            ..ReportedError::default()
        };
        let failure = TurnFailure::new(&error);
        assert_eq!(failure.message, "no such thing");
        assert_eq!(failure.kind, FailureKind::BadRequest);
    }
}
