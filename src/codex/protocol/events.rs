//! The notifications we read, with the thread and turn they belong to.

use serde::Deserialize;
use serde_json::Value;

use super::Item;

/// One notification about a thread.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) thread_id: String,
    /// `None` for what concerns the thread as a whole.
    pub(crate) turn_id: Option<String>,
    pub(crate) kind: EventKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EventKind {
    Started,
    /// The thread's own queue is another one now.
    QueueChanged,
    ItemStarted(Item),
    ItemCompleted(Item),
    MessageDelta(String),
    /// What the last request of a thread used, and all of them together. The same may be told twice.
    Usage {
        total: Value,
        last: Value,
    },
    /// An error that may not be the end: `will_retry` says whether Codex goes on.
    Error {
        error: ReportedError,
        will_retry: bool,
    },
    Warning(String),
    Plan(Vec<PlanStep>),
    /// Codex no longer waits for an answer to its own request of this number.
    Resolved(String),
    Ended(TurnEnd),
    /// Codex has unloaded the thread.
    ThreadClosed,
}

/// An error as Codex reports it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReportedError {
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) codex_error_info: Value,
}

/// One step of the model's plan.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct PlanStep {
    #[serde(default)]
    pub(crate) step: String,
    #[serde(default)]
    pub(crate) status: String,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TurnEnd {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) error: Option<ReportedError>,
    #[serde(default)]
    pub(crate) items: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    token_usage: TokenUsage,
}

#[derive(Deserialize)]
struct TokenUsage {
    #[serde(default)]
    total: Value,
    #[serde(default)]
    last: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorParams {
    error: ReportedError,
    #[serde(default)]
    will_retry: bool,
}

impl Event {
    /// Reads a notification. `None` if it is not about a thread, or of a kind this client ignores.
    pub(crate) fn parse(method: &str, params: &Value) -> Option<Self> {
        let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = match method {
            "turn/started" => EventKind::Started,
            "thread/queue/changed" => EventKind::QueueChanged,
            "item/started" => EventKind::ItemStarted(Item::parse(params.get("item")?)),
            "item/completed" => EventKind::ItemCompleted(Item::parse(params.get("item")?)),
            "item/agentMessage/delta" => EventKind::MessageDelta(text("delta")?),
            "thread/tokenUsage/updated" => {
                let TokenUsage { total, last } = Usage::deserialize(params).ok()?.token_usage;
                EventKind::Usage { total, last }
            }
            "error" => {
                let ErrorParams { error, will_retry } = ErrorParams::deserialize(params).ok()?;
                EventKind::Error { error, will_retry }
            }
            "warning" | "guardianWarning" => EventKind::Warning(text("message")?),
            "turn/plan/updated" => EventKind::Plan(Vec::deserialize(params.get("plan")?).ok()?),
            "serverRequest/resolved" => EventKind::Resolved(params.get("requestId")?.to_string()),
            "turn/completed" => EventKind::Ended(TurnEnd::deserialize(params.get("turn")?).ok()?),
            "thread/closed" => EventKind::ThreadClosed,
            _ => return None,
        };
        let turn_id = match &kind {
            EventKind::Ended(end) => Some(end.id.clone()),
            EventKind::Started => Some(params.get("turn")?.get("id")?.as_str()?.to_owned()),
            _ => text("turnId"),
        };
        Some(Self { thread_id: text("threadId")?, turn_id, kind })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_notification_is_read_with_its_thread_and_turn() {
        let params = json!({"threadId": "t", "turnId": "1", "delta": "hel"});
        let event = Event::parse("item/agentMessage/delta", &params).unwrap();
        assert_eq!(event.turn_id.as_deref(), Some("1"));
        assert_eq!(event.kind, EventKind::MessageDelta("hel".into()));
        let ended = json!({"threadId": "t", "turn": {"id": "9", "status": "failed",
            "error": {"message": "m", "codexErrorInfo": {"httpConnectionFailed": {"httpStatusCode": 401}}}}});
        let event = Event::parse("turn/completed", &ended).unwrap();
        assert_eq!(event.turn_id.as_deref(), Some("9"));
    }

    #[test]
    fn what_we_do_not_follow_is_nothing() {
        assert_eq!(Event::parse("thread/hologram", &json!({"threadId": "t"})), None);
        assert_eq!(Event::parse("turn/completed", &json!({"threadId": "t"})), None);
        assert_eq!(Event::parse("item/agentMessage/delta", &json!({"delta": "x"})), None);
    }
}
