//! The check before a turn ends: a review, and what it says to Claude Code.

use serde_json::{Value, json};

use super::{
    OFF, conversation,
    state::{Began, StateFile},
};
use crate::{
    cli::{client::Client, error::CliError, terminal::Terminal},
    git::Repository,
    serve::Streams,
};

/// How long a review may take, in seconds. Claude Code waits a little longer for the hook.
const LIMIT: u32 = 540;

/// What the review is to look for.
const FOCUS: &str =
    "Would you let this work be called done? Report only what has to be mended first.";

/// Checks what the turn has changed. `None` if there is nothing to say.
pub(super) async fn check<C: Future<Output = Result<Value, CliError>>>(
    repository: &Repository,
    file: &StateFile,
    hook: &Value,
    review: impl FnOnce(String) -> C,
) -> Option<Value> {
    // It was blocked once already: the user decides what comes next, not another review.
    if hook.get("stop_hook_active").and_then(Value::as_bool).unwrap_or_default() {
        return None;
    }
    let conversation = conversation(hook);
    let mut began = None;
    let took = file.change(|state| began = state.began.remove(&conversation));
    let tree = match (took, began) {
        (Ok(()), Some(Began::At(tree))) => tree,
        (Ok(()), Some(Began::Unknown(reason))) => return Some(open(&reason)),
        (Ok(()), None) => return Some(notice("The gate begins with your next prompt.")),
        (Err(error), _) => return Some(open(&error.to_string())),
    };
    let _held = match file.review() {
        Ok(Some(held)) => held,
        Ok(None) => {
            let text = "Another review of this project is under way; this turn was not reviewed.";
            return Some(notice(text));
        }
        Err(error) => return Some(open(&error.to_string())),
    };
    let reviewed = match repository.snapshot().await {
        Ok(now) if now.tree == tree => Ok(None),
        Ok(_) => review(tree).await.map(Some).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    // Other conversations in this project may still need theirs.
    if file.read().is_ok_and(|state| state.began.is_empty()) {
        drop(repository.forget_snapshots().await);
    }
    let reviewed = match reviewed {
        Ok(Some(reviewed)) => reviewed,
        Ok(None) => return None,
        Err(reason) => return Some(open(&reason)),
    };
    if let Some(code) = reviewed.get("code").and_then(Value::as_str) {
        let message = reviewed.get("message").and_then(Value::as_str).unwrap_or_default();
        return (code != "nothing_to_review").then(|| open(message));
    }
    let found = findings(&reviewed);
    let is_blocking = !found.is_empty();
    let fingerprints: Vec<String> = found.iter().map(|finding| fingerprint(finding)).collect();
    let blocked = file.read().unwrap_or_default().blocked;
    let is_known = fingerprints.iter().all(|known| blocked.contains(known));
    let answer = match (is_blocking, is_known) {
        (false, _) if has_objections(&reviewed) => notice(
            "ALLOW: what Codex found is not about these changes, or is no reason to stop; `codex-mcp-server review` \
             shows it.",
        ),
        (false, _) => notice("ALLOW: Codex has nothing against it."),
        (true, true) => notice(
            "ALLOW: Codex found the same as the last time it blocked; it does not block for that again.",
        ),
        (true, false) => {
            let listed: Vec<String> =
                (1..).zip(&found).map(|(number, finding)| in_words(number, finding)).collect();
            let reason = format!(
                "BLOCK: Codex reviewed what this turn has changed and would not call it done.\n\n{}\n\nMend what is \
                 right about this, or say why it is not. {OFF}",
                listed.join("\n")
            );
            json!({"decision": "block", "reason": reason})
        }
    };
    let fingerprints = if is_blocking && !is_known { fingerprints } else { Vec::new() };
    // Not written, it may block for the same once more, at worst.
    let _ = file.change(|state| state.blocked = fingerprints);
    Some(answer)
}

/// Whether the review found anything at all, or would not approve.
fn has_objections(reviewed: &Value) -> bool {
    let found = reviewed.get("findings").and_then(Value::as_array);
    reviewed.get("verdict") != Some(&"approve".into()) || found.is_some_and(|all| !all.is_empty())
}

/// Asks for the review.
pub(super) async fn review(streams: Streams, tree: String) -> Result<Value, CliError> {
    let arguments = json!({
        "since": tree, "prompt": FOCUS, "ephemeral": true, "timeoutSeconds": LIMIT,
    });
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let mut client = Client::begin(streams, false).await?;
    let output = client.call("review", arguments, &mut Terminal::silent()).await?;
    Ok(Value::Object(output.structured))
}

/// What a turn is stopped for: what is about its own changes, and more than a trifle.
fn findings(reviewed: &Value) -> Vec<&Value> {
    let all = reviewed.get("findings").and_then(Value::as_array).into_iter().flatten();
    let is_outside = |finding: &&Value| finding.get("outsideDiff") == Some(&true.into());
    let is_trifle = |finding: &&Value| finding.get("severity") == Some(&"low".into());
    all.filter(|finding| !is_outside(finding) && !is_trifle(finding)).collect()
}

fn text<'a>(finding: &'a Value, key: &str) -> &'a str {
    finding.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Tells a finding from others, whatever line it is on by now.
fn fingerprint(finding: &Value) -> String {
    let words = text(finding, "title").to_lowercase();
    let words: Vec<&str> =
        words.split(|c: char| !c.is_alphanumeric()).filter(|it| !it.is_empty()).collect();
    format!("{}: {}", text(finding, "file"), words.join(" "))
}

fn in_words(number: u32, finding: &Value) -> String {
    let line = finding.get("lineStart").and_then(Value::as_u64);
    let line = line.map_or_else(String::new, |line| format!(":{line}"));
    format!(
        "{number}. [{}] {} — {}{line}\n   {}\n   {}",
        text(finding, "severity"),
        text(finding, "title"),
        text(finding, "file"),
        text(finding, "body"),
        text(finding, "recommendation"),
    )
}

/// The turn may end, because there was no review.
pub(super) fn open(reason: &str) -> Value {
    notice(&format!("This turn was not reviewed: {}.", reason.trim_end_matches('.')))
}

fn notice(text: &str) -> Value {
    json!({"systemMessage": format!("Codex gate: {text} {OFF}")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_known_again_on_another_line() {
        let one = json!({"title": "Loses  data!", "file": "a.rs", "lineStart": 3});
        let other = json!({"title": "loses data", "file": "a.rs", "lineStart": 9});
        assert_eq!(fingerprint(&one), fingerprint(&other));
        assert_ne!(fingerprint(&one), fingerprint(&json!({"title": "Loses data", "file": "b.rs"})));
    }

    #[test]
    fn trifles_and_what_is_elsewhere_stop_nobody() {
        let reviewed = json!({"findings": [
            {"title": "1", "severity": "low"}, {"title": "2", "severity": "high", "outsideDiff": true},
            {"title": "3", "severity": "medium"},
        ]});
        let titles: Vec<_> = findings(&reviewed).into_iter().map(|it| text(it, "title")).collect();
        assert_eq!(titles, ["3"]);
    }
}
