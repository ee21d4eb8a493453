//! A session as Markdown. Pure.

use serde_json::{Map, Value};

/// The prompts and answers of a session, from the result of `getSession`.
pub(super) fn markdown(read: &Map<String, Value>) -> String {
    let empty = Value::Null;
    let session = read.get("session").unwrap_or(&empty);
    let mut text = format!("# Session {}\n\n", field(session, "id").unwrap_or_default());
    let facts = [
        ("Thread", "threadId"),
        ("Directory", "workingDirectory"),
        ("Model", "model"),
        ("Begun", "createdAt"),
        ("Last used", "lastAccessedAt"),
        ("Codex", "codexVersion"),
    ];
    for (title, key) in facts {
        if let Some(value) = field(session, key) {
            text += &format!("- {title}: {value}\n");
        }
    }
    if let Some(tokens) = session.pointer("/usage/totalTokens") {
        text += &format!("- Tokens: {tokens}\n");
    }
    for turn in read.get("turns").and_then(Value::as_array).into_iter().flatten() {
        text += &turn_text(turn);
    }
    text
}

fn turn_text(turn: &Value) -> String {
    let number = turn.get("number").and_then(Value::as_u64).unwrap_or_default();
    let about = ["timestamp", "status", "model"].map(|key| field(turn, key));
    let about: Vec<&str> = about.into_iter().flatten().collect();
    let mut text = format!("\n## {number}. {}\n\n", about.join(", "));
    for line in field(turn, "prompt").unwrap_or_default().lines() {
        text += format!("> {line}").trim_end();
        text += "\n";
    }
    if let Some(response) = field(turn, "response").filter(|response| !response.is_empty()) {
        text += &format!("\n{}\n", response.trim_end());
    }
    if let Some(error) = field(turn, "error") {
        text += &format!("\n**Failed:** {error}\n");
    }
    text
}

fn field<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prompts_are_quoted_and_answers_stand_as_they_are() {
        let read = json!({
            "session": {"id": "s", "threadId": "t", "usage": {"totalTokens": 7}},
            "turns": [
                {"number": 1, "prompt": "one\n\ntwo", "response": "```rust\nfn x() {}\n```\n", "timestamp": "T", "status": "completed"},
                {"number": 2, "prompt": "p", "response": "", "timestamp": "T", "status": "failed", "error": "no"},
            ],
        });
        insta::assert_snapshot!(markdown(read.as_object().unwrap()));
    }
}
