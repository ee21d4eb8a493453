//! The lines of `codex exec --json`, translated to what the app-server would report. Pure; unknown lines
//! are ignored.

use serde_json::{Value, json};

use crate::codex::protocol::{EventKind, Item, PlanStep, ReportedError, TurnEnd};

/// What one line reports.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// The thread has this id.
    Thread(String),
    /// Something happened, or several things.
    Events(Vec<EventKind>),
}

/// Parses one line. `None` for lines this client ignores.
pub(super) fn read(line: &str) -> Option<Line> {
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let events = match event.get("type")?.as_str()? {
        "thread.started" => return Some(Line::Thread(text(&event, "thread_id")?)),
        "item.started" => vec![EventKind::ItemStarted(item(event.get("item")?)?)],
        "item.updated" => vec![plan(event.get("item")?)?],
        "item.completed" => {
            let item_of = event.get("item")?;
            match item_of.get("type")?.as_str()? {
                "error" => vec![EventKind::Warning(text(item_of, "message")?)],
                "todo_list" => vec![plan(item_of)?],
                _ => vec![EventKind::ItemCompleted(item(item_of)?)],
            }
        }
        // Not the end: Codex tries again, or tells of it below.
        "error" => {
            let error =
                ReportedError { message: text(&event, "message")?, ..ReportedError::default() };
            vec![EventKind::Error { error, will_retry: true }]
        }
        "turn.completed" => vec![usage(&event), end("completed", None)],
        "turn.failed" => {
            let message = event.pointer("/error/message").and_then(Value::as_str);
            let message = message.unwrap_or_default().to_owned();
            vec![end("failed", Some(ReportedError { message, ..ReportedError::default() }))]
        }
        _ => return None,
    };
    Some(Line::Events(events))
}

fn end(status: &str, error: Option<ReportedError>) -> EventKind {
    let (id, status) = (String::new(), status.to_owned());
    EventKind::Ended(TurnEnd { id, status, error, items: Vec::new() })
}

/// The same items under other names.
fn item(item: &Value) -> Option<Item> {
    let kind = match item.get("type")?.as_str()? {
        "agent_message" => "agentMessage",
        "command_execution" => "commandExecution",
        "file_change" => "fileChange",
        "mcp_tool_call" => "mcpToolCall",
        "web_search" => "webSearch",
        other => other,
    };
    let mut item = item.as_object()?.clone();
    if let Some(code) = item.remove("exit_code") {
        item.insert("exitCode".to_owned(), code);
    }
    item.insert("type".to_owned(), kind.into());
    Some(Item::parse(&Value::Object(item)))
}

fn plan(item: &Value) -> Option<EventKind> {
    let steps = item.get("items")?.as_array()?.iter().map(|step| {
        let is_done = step.get("completed").and_then(Value::as_bool).unwrap_or_default();
        let text = step.get("text").and_then(Value::as_str).unwrap_or_default();
        let status = if is_done { "completed" } else { "pending" };
        PlanStep { step: text.to_owned(), status: status.to_owned() }
    });
    Some(EventKind::Plan(steps.collect()))
}

fn usage(event: &Value) -> EventKind {
    let count = |key: &str| {
        event.pointer(&format!("/usage/{key}")).and_then(Value::as_u64).unwrap_or_default()
    };
    let (input, output) = (count("input_tokens"), count("output_tokens"));
    let last = json!({
        "inputTokens": input, "cachedInputTokens": count("cached_input_tokens"),
        "outputTokens": output, "totalTokens": input + output,
    });
    EventKind::Usage { total: Value::Null, last }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(line: &str) -> Vec<EventKind> {
        match read(line) {
            Some(Line::Events(events)) => events,
            other => panic!("no events: {other:?}"),
        }
    }

    #[test]
    fn lines_become_what_the_app_server_would_tell() {
        let started = read(r#"{"type":"thread.started","thread_id":"t"}"#);
        assert_eq!(started, Some(Line::Thread("t".into())));
        let message = events(
            r#"{"type":"item.completed","item":{"id":"1","type":"agent_message","text":"hi"}}"#,
        );
        assert_eq!(message, [EventKind::ItemCompleted(Item::AgentMessage { text: "hi".into() })]);
        let run = events(
            r#"{"type":"item.completed","item":{"id":"2","type":"command_execution","command":"ls","exit_code":3,"status":"failed"}}"#,
        );
        let EventKind::ItemCompleted(Item::CommandExecution { exit_code, .. }) = &run[0] else {
            panic!("no command: {run:?}");
        };
        assert_eq!(*exit_code, Some(3));
        let ended =
            events(r#"{"type":"turn.completed","usage":{"input_tokens":2,"output_tokens":3}}"#);
        assert!(matches!(&ended[1], EventKind::Ended(end) if end.status == "completed"));
        let failed = events(r#"{"type":"turn.failed","error":{"message":"no"}}"#);
        assert!(
            matches!(&failed[0], EventKind::Ended(end) if end.error.as_ref().unwrap().message == "no")
        );
        let retry = events(r#"{"type":"error","message":"Re-connecting... 1/3"}"#);
        assert!(matches!(&retry[0], EventKind::Error { will_retry: true, .. }));
    }

    #[test]
    fn anything_else_is_nothing() {
        for line in
            ["", "noise", "{}", "[]", r#"{"type":"hologram"}"#, r#"{"type":"item.completed"}"#]
        {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
