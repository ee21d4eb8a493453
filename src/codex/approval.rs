//! What Codex asks us while a turn runs, and the answer each question takes.
//!
//! Every question is answered exactly once and none is approved: nobody who could approve is
//! connected to this side yet. The form of "no" differs by question (observed; a JSON-RPC error
//! would hang the turn in 0.75 and 0.87).

use serde_json::{Value, json};

/// A refused question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    /// Whose turn asked; none if it does not say.
    pub(crate) thread_id: Option<String>,
    /// What was asked for, for people.
    pub(crate) asked: String,
    /// The answer that says no.
    pub(crate) answer: Value,
}

/// Finds the refusal for a question; none if the method is unknown.
pub(crate) fn refuse(method: &str, params: &Value) -> Option<Refusal> {
    let text = |key: &str| params.get(key).and_then(Value::as_str);
    let (asked, answer) = match method {
        "item/commandExecution/requestApproval" => {
            let command = text("command").unwrap_or("a command");
            (format!("to run `{command}`"), json!({"decision": "decline"}))
        }
        "item/fileChange/requestApproval" => {
            ("to change files".to_owned(), json!({"decision": "decline"}))
        }
        "execCommandApproval" => ("to run a command".to_owned(), json!({"decision": "denied"})),
        "applyPatchApproval" => ("to change files".to_owned(), json!({"decision": "denied"})),
        "item/permissions/requestApproval" => {
            ("for more permissions".to_owned(), json!({"permissions": {}}))
        }
        "item/tool/requestUserInput" => ("the user a question".to_owned(), json!({"answers": {}})),
        "mcpServer/elicitation/request" => {
            let server = text("serverName").unwrap_or("an MCP server");
            let message = text("message").unwrap_or("a question");
            (format!("on behalf of {server}: {message}"), json!({"action": "decline"}))
        }
        _ => return None,
    };
    let thread_id = text("threadId").or_else(|| text("conversationId")).map(str::to_owned);
    Some(Refusal { thread_id, asked, answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_gets_its_own_form_of_no() {
        let params = json!({"threadId": "t", "command": "rm -r x"});
        let refusal = refuse("item/commandExecution/requestApproval", &params).unwrap();
        assert_eq!(refusal.thread_id.as_deref(), Some("t"));
        assert_eq!(refusal.asked, "to run `rm -r x`");
        assert_eq!(refusal.answer, json!({"decision": "decline"}));
        assert_eq!(refuse("execCommandApproval", &json!({})).unwrap().answer["decision"], "denied");
        assert!(refuse("attestation/generate", &json!({})).is_none());
    }
}
