//! What the buttons of a view call.

use rmcp::model::{CallToolRequestParams, JsonObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    mcp::{
        answer::Answer,
        arguments,
        call::Caller,
        error::ToolError,
        tools::{Cx, Outcome},
    },
    session::{self, AnswerRecord, ApprovalId, Decision, Scope, SessionName},
};

/// The tool for views.
pub(super) const APPROVALS: &str = "approvals";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    session_id: Option<SessionName>,
    id: Option<String>,
    decision: Option<String>,
}

#[derive(Debug, Serialize)]
struct Output {
    approvals: Vec<Value>,
}

/// Whether it is called, by a client that shows views.
pub(in crate::mcp) fn is_called(request: &CallToolRequestParams, caller: &Caller) -> bool {
    request.name == APPROVALS && caller.shows_views
}

/// Answers an approval if one is named, and lists those that are open.
pub(in crate::mcp) async fn answer(
    cx: &Cx,
    caller: &Caller,
    given: Option<JsonObject>,
) -> Result<Outcome, ToolError> {
    let Input { session_id, id, decision } = arguments::read(given)?;
    if let (Some(id), Some(decision)) = (id, decision) {
        cx.allows(Scope::Run)?;
        let decision: Decision = decision
            .parse()
            .map_err(|_| ToolError::argument("decision", "it is none of the choices"))?;
        let by = format!("a person in {}", caller.name());
        let answer = session::Answer::plain(decision);
        cx.sessions.answer(&ApprovalId(id), AnswerRecord { answer, by, remark: None }).await?;
    }
    let mut open = cx.sessions.approvals().await?;
    open.retain(|open| session_id.as_ref().is_none_or(|session| open.session == *session));
    let approvals = open.iter().map(|open| {
        let choices = open.approval.choices.iter().map(|choice| choice.as_str());
        json!({
            "id": open.approval.id.0, "sessionId": open.session, "turn": open.turn,
            "subject": open.approval.subject, "choices": choices.collect::<Vec<_>>(),
        })
    });
    let output = Output { approvals: approvals.collect() };
    let text = format!("{} open", output.approvals.len());
    Ok(Answer::new(&output, text).into())
}
