//! What a client is told of a call whose server has died under it.

use serde_json::{Value, json};

use super::error::UserError;

/// The tools that only read what is here. By name, because the bridge must not bring the tools themselves along.
pub(super) const READS: [&str; 7] =
    ["getSession", "help", "listModels", "listSessions", "ping", "usage", "wait"];

/// Whether a call of the tool of this name can be made again without harm.
pub fn only_reads(name: &str) -> bool {
    READS.contains(&name)
}

/// The result of a call whose host has died: what became of it, and how to go on. `session` is the one it named.
pub fn host_restarted(session: Option<&str>, is_modern: bool) -> Value {
    let (of, next) = match session {
        Some(session) => (
            format!(" in session `{session}`"),
            format!(
                "Nothing that was recorded is lost. `getSession` with sessionId `{session}` shows how far the turn \
                 came; `codex` with the same sessionId goes on from there."
            ),
        ),
        None => (
            String::new(),
            "Nothing that was recorded is lost. If the call began a session, `listSessions` has it at the top; `codex` \
             with its sessionId goes on from there."
                .to_owned(),
        ),
    };
    let message = format!("The server's process ended or hung while this call was under way{of}.");
    let error = UserError::new("host_restarted", message, next);
    let text = format!("{} {}", error.message, error.next);
    let mut result = json!({
        "content": [{"type": "text", "text": text}],
        "structuredContent": error,
        "isError": true,
    });
    if let (true, Some(fields)) = (is_modern, result.as_object_mut()) {
        fields.insert("resultType".to_owned(), "complete".into());
    }
    result
}
