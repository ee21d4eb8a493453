//! `tasks/get`, `tasks/update` and `tasks/cancel`: the client's side of turns that have become tasks.

use jiff::Timestamp;
use rmcp::{
    ErrorData,
    model::{
        CallToolResult, DetailedTask, ElicitRequest, GetTaskResult, InputRequest, InputRequests,
        InputResponses, TaskPayload,
    },
};
use serde_json::Value;

use super::{
    call::{Asker, TaskId, response},
    error::internal,
    tools::{Cx, over},
};
use crate::session::{
    Answer, AnswerRecord, ApprovalRecord, Decision, Reply, SessionError, SessionStatus,
};

/// How a task is. `finish` makes the result of its call.
pub(super) async fn get(
    cx: &Cx,
    id: &str,
    client: &Asker,
    finish: impl FnOnce(super::answer::Answer) -> CallToolResult,
) -> Result<GetTaskResult, ErrorData> {
    let (id, reply) = find(cx, id).await?;
    let session = cx.sessions.record(&id.session).await.map_err(failed)?;
    let turn = &reply.turn;
    let number = turn.number;
    let (payload, message) = match turn.status {
        SessionStatus::Running => {
            let requests = questions(cx, &id, client).await?;
            if requests.is_empty() {
                (TaskPayload::Working, doing(&reply))
            } else {
                let message = format!("Codex asks something in turn {number} of {}.", id.session);
                (TaskPayload::InputRequired { input_requests: requests }, message)
            }
        }
        SessionStatus::Queued => {
            let message = format!("Turn {number} of {} waits for those before it.", id.session);
            (TaskPayload::Working, message)
        }
        _ if turn.details.task_cancelled => {
            (TaskPayload::Cancelled, format!("Turn {number} of {} was stopped.", id.session))
        }
        status => {
            let mut answer = over(&reply, cx);
            if id.joined {
                answer.mark_joined();
            }
            let result = match serde_json::to_value(finish(answer)) {
                Ok(Value::Object(result)) => result,
                other => return Err(internal(&format!("a result is no object: {other:?}"))),
            };
            let message = format!("Turn {number} of {} is over: {}.", id.session, status.as_str());
            (TaskPayload::Completed { result }, message)
        }
    };
    let task = id.task(payload.status(), &session, turn, message);
    Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
}

/// Passes on what the user answered. What is not asked any more is left alone: such an answer changes nothing.
pub(super) async fn update(
    cx: &Cx,
    id: &str,
    client: &Asker,
    responses: &InputResponses,
) -> Result<(), ErrorData> {
    let (id, _) = find(cx, id).await?;
    let open = open(cx, &id).await?;
    for (key, given) in responses {
        let Some(asked) = open.iter().find(|asked| asked.approval.id.0 == *key) else {
            tracing::info!(task = %id, "an answer came when it was not asked for any more");
            continue;
        };
        let took = Timestamp::now().duration_since(asked.asked_at).unsigned_abs();
        let (answer, remark) = response(&asked.approval, given, took);
        give(cx, asked, AnswerRecord { answer, by: client.name.clone(), remark }).await?;
    }
    Ok(())
}

/// Interrupts the turn if it runs. A second time changes nothing.
pub(super) async fn cancel(cx: &Cx, id: &str) -> Result<(), ErrorData> {
    let (id, reply) = find(cx, id).await?;
    if reply.is_over() {
        return Ok(());
    }
    match cx.sessions.cancel_task(&id.session, id.turn).await {
        Ok(()) | Err(SessionError::Idle { .. }) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// The turn of a task, as far as it is.
async fn find(cx: &Cx, id: &str) -> Result<(TaskId, Reply), ErrorData> {
    let unknown = || ErrorData::invalid_params(format!("there is no task `{id}`"), None);
    let id: TaskId = id.parse().map_err(|()| unknown())?;
    match cx.sessions.inspect(&id.session, id.turn).await {
        Ok(Some(reply)) => Ok((id, reply)),
        Ok(None) | Err(SessionError::Unknown { .. }) => Err(unknown()),
        Err(error) => Err(failed(error)),
    }
}

/// What Codex asks in the turn of a task.
async fn open(cx: &Cx, id: &TaskId) -> Result<Vec<ApprovalRecord>, ErrorData> {
    let mut open = cx.sessions.approvals().await.map_err(failed)?;
    open.retain(|asked| asked.session == id.session && asked.turn == id.turn);
    Ok(open)
}

/// The same as forms, by the ids of the approvals. What this client cannot show is declined with the reason; what no
/// client could show waits for one that can.
async fn questions(cx: &Cx, id: &TaskId, client: &Asker) -> Result<InputRequests, ErrorData> {
    let mut requests = InputRequests::new();
    if !client.shows_forms {
        return Ok(requests);
    }
    for asked in open(cx, id).await? {
        match client.form(&asked.approval, id.session.as_str()) {
            Ok(form) => {
                let request = InputRequest::Elicitation(ElicitRequest::new(form));
                requests.insert(asked.approval.id.0.clone(), request);
            }
            Err(reason) => {
                let answer = Answer::plain(Decision::Decline);
                let (by, remark) = (client.name.clone(), Some(reason));
                give(cx, &asked, AnswerRecord { answer, by, remark }).await?;
            }
        }
    }
    Ok(requests)
}

async fn give(cx: &Cx, asked: &ApprovalRecord, answer: AnswerRecord) -> Result<(), ErrorData> {
    match cx.sessions.answer(&asked.approval.id, answer).await {
        Ok(()) | Err(SessionError::ApprovalExpired { .. }) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// What a running turn does, in one line.
fn doing(reply: &Reply) -> String {
    let turn = &reply.turn;
    let begun = format!("Turn {} of {} is running", turn.number, reply.session);
    match (turn.commands().len(), turn.response.chars().count()) {
        (0, 0) => format!("{begun}."),
        (0, characters) => format!("{begun}: {characters} characters of an answer."),
        (commands, characters) => {
            format!("{begun}: {commands} commands, {characters} characters of an answer.")
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn failed(error: SessionError) -> ErrorData {
    internal(&error.to_string())
}
