//! What the buttons of a view call.

use rmcp::model::{CallToolRequestParams, JsonObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    mcp::{
        answer::Answer,
        arguments,
        call::Caller,
        cut::cut,
        error::{ToolError, question_expired},
        tools::{Cx, Outcome},
    },
    session::{
        self, AnswerRecord, ApprovalId, Decision, SessionName, SessionStatus, Verb, store::Excerpt,
    },
};

/// The tool for views.
pub(super) const APPROVALS: &str = "approvals";

/// How much of an answer a view is shown, in characters.
const TEXT: usize = 50_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    session_id: SessionName,
    id: Option<String>,
    decision: Option<String>,
}

#[derive(Debug, Serialize)]
struct Output {
    approvals: Vec<Value>,
    turn: Option<Value>,
}

/// Whether it is called, by a client that shows views.
pub(in crate::mcp) fn is_called(request: &CallToolRequestParams, caller: &Caller) -> bool {
    request.name == APPROVALS && caller.shows_views
}

/// Answers an approval of a session if one is named, and shows those that are open and how far the session is. Only looks
/// at its last turn: the answer is still for whoever calls for it.
pub(in crate::mcp) async fn answer(
    cx: &Cx,
    caller: &Caller,
    given: Option<JsonObject>,
) -> Result<Outcome, ToolError> {
    let Input { session_id, id, decision } = arguments::read(given)?;
    let open = async || {
        let mut open = cx.sessions.approvals().await?;
        open.retain(|open| open.session == session_id);
        Ok::<_, ToolError>(open)
    };
    if let (Some(id), Some(decision)) = (id, decision) {
        cx.allows(Verb::Answer)?;
        let decision: Decision = decision
            .parse()
            .map_err(|_| ToolError::argument("decision", "it is none of the choices"))?;
        if !open().await?.iter().any(|open| open.approval.id.0 == id) {
            return Err(question_expired());
        }
        let by = format!("a view in {}", caller.name());
        let answer = session::Answer::plain(decision);
        cx.sessions.answer(&ApprovalId(id), AnswerRecord { answer, by, remark: None }).await?;
    }
    let approvals = open().await?.into_iter().map(|open| {
        let choices = open.approval.choices.iter().map(|choice| choice.as_str());
        json!({
            "id": open.approval.id.0, "turn": open.turn, "subject": open.approval.subject,
            "choices": choices.collect::<Vec<_>>(),
        })
    });
    let output = Output { approvals: approvals.collect(), turn: turn(cx, &session_id).await? };
    let text = format!("{} open", output.approvals.len());
    Ok(Answer::new(&output, text).into())
}

/// The last turn of a session, as far as it is.
async fn turn(cx: &Cx, session: &SessionName) -> Result<Option<Value>, ToolError> {
    let record = cx.sessions.record(session).await?;
    let Some(skip) = record.last_turn.checked_sub(1) else { return Ok(None) };
    let turn = if record.status == SessionStatus::Running {
        cx.sessions.inspect(session, record.last_turn).await?.map(|reply| reply.turn)
    } else {
        cx.sessions.inspect_turns(session, skip, 1, Excerpt::first(TEXT)).await?.turns.pop()
    };
    Ok(turn.map(|turn| {
        let details = &turn.details;
        let mut items: Vec<_> = turn.items.iter().map(|recorded| recorded.item.clone()).collect();
        if turn.status == SessionStatus::Running {
            // It is asked for again and again while the turn runs, and they are long.
            for item in &mut items {
                item.shorten();
            }
        }
        json!({
            "sessionId": session, "turn": turn.number, "status": turn.status.as_str(),
            "response": cut(&turn.response, TEXT).0, "items": items,
            "warnings": details.warnings,
            "findings": details.findings, "usage": details.usage, "durationMs": details.duration_ms,
            "message": details.failure.as_ref().map(|failure| &failure.message),
        })
    }))
}
