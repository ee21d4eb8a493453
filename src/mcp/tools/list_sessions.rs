//! `listSessions`: every live session, last used first.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cx, Effect, Tool, session_view::SessionView};
use crate::{
    mcp::{answer::Answer, arguments, error::ToolError, schema},
    session::store::Page,
};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

pub(super) const TOOL: Tool = Tool {
    name: "listSessions",
    title: "List sessions",
    description: "Lists the conversations with Codex that can be continued, last used first, with when \
                  they were used, how many turns they have and what their last turn came to.",
    effect: Effect::Reads,
    input: schema::of::<Input>,
    output: schema::of::<Output>,
    call: |cx, _, given| Box::pin(async move { Ok(call(cx, given).await?.into()) }),
};

#[derive(Debug, Deserialize, JsonSchema)]
struct Input {
    /// How many to list, 1 to 200. Default: 50.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `nextCursor` of the page before, to go on from there.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// The sessions.
    sessions: Vec<SessionView>,
    /// Pass it as cursor for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// What to know besides.
    warnings: Vec<String>,
}

async fn call(cx: &Cx, given: Option<JsonObject>) -> Result<Answer, ToolError> {
    let input: Input = arguments::read(given)?;
    let limit = input.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ToolError::argument("limit", &format!("{limit} is not from 1 to {MAX_LIMIT}")));
    }
    let after = input.cursor.map(|cursor| cursor.parse()).transpose();
    let after = after.map_err(|_| {
        ToolError::argument("cursor", "it is not the `nextCursor` of an earlier page")
    })?;
    let listing = cx.sessions.list(&Page { limit, after }).await?;
    let damaged = |name: &String| {
        format!(
            "the record of session `{name}` is damaged; deleteSession removes it, the others work"
        )
    };
    Ok(Answer::plain(&Output {
        warnings: listing.damaged.iter().map(damaged).collect(),
        sessions: listing.sessions.into_iter().map(SessionView::from).collect(),
        next_cursor: listing.next.map(|cursor| cursor.to_string()),
    }))
}
