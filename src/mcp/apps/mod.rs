//! Views for clients that show them (the extension `io.modelcontextprotocol/ui`): a card of a turn and the list of sessions,
//! each one HTML file that its client puts into a frame of its own, and what the card's buttons call.
//!
//! What a view may do goes through its client, which asks nobody else. The tool behind the buttons is for views alone:
//! clients that show them keep it from their models.

mod approvals;

pub(super) use approvals::{answer, is_called};

use std::sync::Arc;

use rmcp::model::{
    ClientCapabilities, JsonObject, MetaObject, ReadResourceResult, ResourceContents, Tool,
};
use serde_json::{Value, json};

use super::call::shows_views;
use approvals::APPROVALS;

/// What a view is, as its client is told.
const MIME: &str = "text/html;profile=mcp-app";

/// A turn: its answer, commands and findings, live while it runs.
const TURN: &str = "ui://codex-mcp-server/turn";

/// The list of sessions.
const SESSIONS: &str = "ui://codex-mcp-server/sessions";

/// Which view shows the results of which tool.
const VIEWS: &[(&str, &str)] = &[
    ("codex", TURN),
    ("review", TURN),
    ("wait", TURN),
    ("getSession", TURN),
    ("listSessions", SESSIONS),
];

/// Says in the tools' definitions which views show them, and adds what views call, for a client that shows views.
pub(super) fn describe(tools: &mut Vec<Tool>, client: Option<&ClientCapabilities>) {
    if !client.is_some_and(shows_views) {
        return;
    }
    for tool in tools.iter_mut() {
        let Some((_, view)) = VIEWS.iter().find(|(name, _)| *name == tool.name) else { continue };
        let meta = tool.meta.get_or_insert_with(|| MetaObject(JsonObject::new()));
        meta.0.insert("ui".to_owned(), json!({"resourceUri": view}));
        // As clients of the first revision know it.
        meta.0.insert("ui/resourceUri".to_owned(), Value::from(*view));
    }
    let schema = json!({"type": "object", "properties": {
        "sessionId": {"type": "string", "description": "The session whose open approvals are listed."},
        "id": {"type": "string", "description": "The approval that is answered."},
        "decision": {"type": "string", "description": "One of its choices."},
    }});
    let schema = Arc::new(schema.as_object().cloned().unwrap_or_default());
    let words = "What Codex asks in a session, and the user's click on an answer. For views alone.";
    let mut tool = Tool::new(APPROVALS, words, schema).with_title("Approvals");
    let meta = JsonObject::from_iter([("ui".to_owned(), json!({"visibility": ["app"]}))]);
    tool.meta = Some(MetaObject(meta));
    tools.push(tool);
}

/// A view. `None` if this names none.
pub(super) fn read(uri: &str) -> Option<ReadResourceResult> {
    let html = match uri {
        TURN => include_str!("turn.html"),
        SESSIONS => include_str!("sessions.html"),
        _ => return None,
    };
    let meta = JsonObject::from_iter([("ui".to_owned(), json!({"prefersBorder": true}))]);
    let contents = ResourceContents::text(html, uri).with_mime_type(MIME);
    Some(ReadResourceResult::new(vec![contents.with_meta(MetaObject(meta))]))
}
