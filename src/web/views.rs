//! What the API shows of sessions, turns and approvals.

use serde_json::{Value, json};

use super::markdown;
use crate::session::{ApprovalRecord, RecordedItem, SessionRecord, TurnItem, TurnRecord};

/// A session.
pub(super) fn session(record: &SessionRecord) -> Value {
    let directory = record.effective.as_ref().map(|it| it.working_directory.clone());
    let directory = directory.or_else(|| record.settings.working_directory.clone());
    let model = record.effective.as_ref().and_then(|it| it.model.clone());
    json!({
        "name": record.name,
        "title": record.details.title,
        "status": record.status,
        "turns": record.turn_count(),
        "lastTurn": record.last_turn,
        "createdAt": record.created_at.to_string(),
        "lastUsedAt": record.last_accessed_at.to_string(),
        "expiresAt": record.expires_at.to_string(),
        "threadId": record.thread_id,
        "directory": directory,
        "model": model.or_else(|| record.settings.model.clone()),
        "effective": record.effective,
        "usage": record.usage,
        "codexVersion": record.codex_version,
        "machine": record.details.machine,
        "worktree": record.details.worktree,
        "forkedFrom": record.details.forked_from,
    })
}

/// A turn among others, without what its commands printed and how its files were changed; `is_cut` says that its texts
/// go on.
pub(super) fn turn(mut record: TurnRecord, is_cut: bool) -> Value {
    let mut folded = false;
    for recorded in &mut record.items {
        folded |= recorded.item.shorten();
    }
    let mut turn = whole_turn(&record, is_cut);
    if let Some(turn) = turn.as_object_mut() {
        turn.insert("folded".to_owned(), folded.into());
    }
    turn
}

/// A turn; `is_cut` says that its texts go on.
pub(super) fn whole_turn(record: &TurnRecord, is_cut: bool) -> Value {
    let mut details = json!(record.details);
    // For programs that call again, and nobody else.
    if let Some(details) = details.as_object_mut() {
        for field in ["call", "uncollected", "beside"] {
            details.remove(field);
        }
    }
    json!({
        "number": record.number,
        "status": record.status,
        "at": record.timestamp.to_string(),
        "prompt": record.prompt,
        "response": record.response,
        "html": markdown::html(&record.response),
        "cut": is_cut,
        "items": record.items.iter().map(recorded_item).collect::<Vec<_>>(),
        "details": details,
    })
}

fn recorded_item(recorded: &RecordedItem) -> Value {
    let mut shown = item(recorded.place, &recorded.item);
    if let TurnItem::Message { text } = &recorded.item
        && let Some(fields) = shown.as_object_mut()
    {
        fields.insert("html".to_owned(), markdown::html(text).into());
    }
    shown
}

/// An item in its place.
pub(super) fn item(place: u32, item: &TurnItem) -> Value {
    let mut shown = json!(item);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("place".to_owned(), place.into());
    }
    shown
}

/// An approval that is open.
pub(super) fn approval(record: &ApprovalRecord) -> Value {
    let approval = &record.approval;
    json!({
        "id": approval.id.0,
        "session": record.session,
        "turn": record.turn,
        "agent": approval.agent,
        "subject": approval.subject,
        "choices": approval.choices.iter().map(|choice| choice.as_str()).collect::<Vec<_>>(),
        "askedAt": record.asked_at.to_string(),
        "deadline": record.deadline.to_string(),
    })
}
