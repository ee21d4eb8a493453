//! `websearch`: a search of the live web by Codex.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    run::run,
    tool::{Cx, Effect, Outcome, Tool},
    turn_view,
};
use crate::{
    mcp::{arguments, call::Caller, error::ToolError, schema},
    session::{Request, SessionName, Settings, ThreadOptions, WebSearch, Work},
};

const MAX_RESULTS: u32 = 50;
const DEFAULT_RESULTS: u32 = 10;

pub(super) const TOOL: Tool = Tool {
    name: "websearch",
    hidden: &[],
    title: "Search the web",
    description: "Has Codex search the live web and say what it found, with the pages it rests on. With \
                  its `sessionId` the conversation goes on.",
    effect: Effect::Looks,
    input: schema::of::<Input>,
    output: schema::of_result::<turn_view::Output>,
    call: |cx, caller, given| Box::pin(call(cx, caller, given)),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// What to search for.
    #[schemars(length(min = 1))]
    query: String,
    /// How many results, 1 to 50. Default: 10.
    #[schemars(range(min = 1, max = 50))]
    num_results: Option<u32>,
    /// basic looks at what the search shows; full opens the pages and reads them. Default: basic.
    search_depth: Option<Depth>,
    /// Model to use. Default: the session's or the user's own.
    #[schemars(length(min = 1))]
    model: Option<String>,
    /// Session to do it in: 1 to 256 of A-Z a-z 0-9 _ -. Default: a new one.
    #[schemars(with = "Option<schema::Name>")]
    session_id: Option<SessionName>,
    /// Go on even if this call is cancelled or its client goes away; `wait` gets the result. Default: false.
    detach: Option<bool>,
    /// Seconds to wait, 0 to 86400; then it goes on. `wait` gets the result.
    #[schemars(range(min = 0, max = 86_400))]
    wait_seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Depth {
    Basic,
    Full,
}

async fn call(cx: &Cx, caller: &Caller, given: Option<JsonObject>) -> Result<Outcome, ToolError> {
    let input: Input = arguments::read(given)?;
    let wait = arguments::seconds("waitSeconds", input.wait_seconds, 0)?;
    if input.query.trim().is_empty() {
        return Err(ToolError::argument("query", "it is empty; say what to search for"));
    }
    let count = input.num_results.unwrap_or(DEFAULT_RESULTS);
    if !(1..=MAX_RESULTS).contains(&count) {
        let reason = format!("{count} is not from 1 to {MAX_RESULTS}");
        return Err(ToolError::argument("numResults", &reason));
    }
    let depth = input.search_depth.unwrap_or(Depth::Basic);
    let search = if depth == Depth::Full { WebSearch::LiveFull } else { WebSearch::Live };
    let name = input.session_id;
    let request = Request {
        work: Work::Search,
        settings: Settings { model: input.model, ..Settings::default() },
        options: ThreadOptions { web_search: Some(search), ..ThreadOptions::default() },
        detached: input.detach.unwrap_or_default(),
        joins: true,
        beside: JsonObject::from_iter(
            [
                ("query", input.query.as_str().into()),
                ("numResults", count.into()),
                ("searchDepth", if depth == Depth::Full { "full" } else { "basic" }.into()),
                ("timestamp", jiff::Timestamp::now().to_string().into()),
            ]
            .map(|(name, value): (&str, Value)| (name.to_owned(), value)),
        ),
        ..Request::ask(prompt(&input.query, count, depth))
    };
    run(cx, caller, name, request, wait).await
}

fn prompt(query: &str, count: u32, depth: Depth) -> String {
    let depth = match depth {
        Depth::Basic => "What the search shows is enough.",
        Depth::Full => "Open the pages, read them, and compare what they say.",
    };
    format!(
        "Search the web with your web search tool, and answer from what you find. Name up to {count} \
         results, the most relevant first, each with its title, its URL as a Markdown link and a sentence \
         or two on what it says. {depth} If nothing can be found or searched, say so. Search for: {query}"
    )
}
