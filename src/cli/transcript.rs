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
    let response = field(turn, "response").filter(|response| !response.is_empty());
    let response = response.map(|response| format!("\n{}\n", response.trim_end()));
    let items = turn.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (mut is_said, mut is_list) = (false, false);
    for item in items {
        match (field(item, "type"), item_line(item)) {
            (Some("answer"), _) => {
                text += response.as_deref().unwrap_or_default();
                is_said = true;
                is_list = false;
            }
            (Some("message"), _) => {
                text += &format!("\n{}\n", field(item, "text").unwrap_or_default().trim_end());
                is_list = false;
            }
            (_, Some(line)) => {
                text += if is_list { "" } else { "\n" };
                text += &format!("- {line}\n");
                is_list = true;
            }
            (_, None) => {}
        }
    }
    if !is_said {
        text += response.as_deref().unwrap_or_default();
    }
    if let Some(error) = field(turn, "error") {
        text += &format!("\n**Failed:** {error}\n");
    }
    text
}

/// What an item says in a line of a list.
fn item_line(item: &Value) -> Option<String> {
    let text = |key: &str| field(item, key).unwrap_or_default();
    let each = |key: &str| item.get(key).and_then(Value::as_array).into_iter().flatten();
    let names = |key: &str, of: &str| {
        let names = each(key).filter_map(|one| field(one, of));
        names.map(code).collect::<Vec<_>>().join(", ")
    };
    Some(match text("type") {
        "command" => {
            let how = item.get("exitCode").and_then(Value::as_i64);
            let how = how.map_or("not run to its end".to_owned(), |exit| format!("exit {exit}"));
            format!("ran {} ({how})", code(text("command")))
        }
        "files" if text("state") == "done" => format!("changed {}", names("changes", "path")),
        "files" => format!("did not change {}", names("changes", "path")),
        "tool" => format!("called {} of {}", code(text("tool")), text("server")),
        "agent" => format!("sub-agent: {}", text("tool")),
        "search" => format!("searched the web for {}", code(text("query"))),
        "plan" => {
            let done = each("steps").filter(|step| field(step, "status") == Some("completed"));
            format!("planned {} steps, {} done", each("steps").count(), done.count())
        }
        "approval" => {
            let decision = field(item, "decision").unwrap_or("no answer");
            let by = field(item, "by").map_or_else(String::new, |by| format!(" by {by}"));
            format!("asked {}: {decision}{by}", text("asked"))
        }
        "steer" => format!("was told: {}", text("prompt").replace('\n', " ")),
        "warning" => format!("warning: {}", text("message").replace('\n', " ")),
        "retry" => format!("tried again: {}", text("reason").replace('\n', " ")),
        "compaction" => "summed up its context to make room".to_owned(),
        "cut" => format!("{} more things", item.get("items")?),
        _ => return None,
    })
}

/// A text of one line as code.
fn code(text: &str) -> String {
    let text = text.replace('\n', " ⏎ ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
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
                {"number": 2, "prompt": "p", "response": "It works.", "timestamp": "T", "status": "completed", "items": [
                    {"type": "message", "text": "I look first."},
                    {"type": "plan", "steps": [{"step": "a", "status": "completed"}, {"step": "b", "status": "pending"}]},
                    {"type": "command", "command": "ls `pwd`", "exitCode": 0, "state": "done"},
                    {"type": "command", "command": "sleep 9", "state": "running"},
                    {"type": "files", "changes": [{"path": "a.rs", "kind": "add"}], "state": "done"},
                    {"type": "approval", "asked": "to run `rm x`", "decision": "decline", "by": "terminal", "at": "T"},
                    {"type": "answer"},
                    {"type": "warning", "message": "slow"},
                ]},
                {"number": 3, "prompt": "p", "response": "", "timestamp": "T", "status": "failed", "error": "no"},
            ],
        });
        insta::assert_snapshot!(markdown(read.as_object().unwrap()));
    }
}
