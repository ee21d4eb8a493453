//! What Codex asks, in all sessions and on all servers of the store, and a person's answer.

use axum::{Json, extract::Path};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{failure::Failure, viewer::Viewer, views};
use crate::session::{Answer, AnswerRecord, ApprovalId, Decision};

pub(super) async fn list(viewer: Viewer) -> Result<Json<Value>, Failure> {
    let open = viewer.sessions.approvals().await.map_err(|error| viewer.failure(&error))?;
    let open: Vec<Value> = open.iter().map(views::approval).collect();
    Ok(Json(json!({"approvals": open, "mayRun": viewer.may_run()})))
}

/// A person's answer.
#[derive(Debug, Deserialize)]
pub(super) struct Given {
    decision: String,
    /// What was filled in, where something is to be.
    #[serde(default)]
    content: Map<String, Value>,
}

pub(super) async fn answer(
    viewer: Viewer,
    Path(id): Path<String>,
    Json(Given { decision, content }): Json<Given>,
) -> Result<Json<Value>, Failure> {
    let decision: Decision =
        decision.parse().map_err(|_| Failure::wrong(format!("`{decision}` is no decision.")))?;
    let answer = Answer { decision, content };
    let given = AnswerRecord { answer, by: viewer.name.clone(), remark: None };
    let answered = viewer.sessions.answer(&ApprovalId(id.clone()), given).await;
    answered.map_err(|error| viewer.failure(&error))?;
    Ok(Json(json!({"id": id, "decision": decision.as_str()})))
}
