//! `websearch`: a search of the live web by Codex.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    run::run,
    tool::{Call, Callable, Cx, Effect, Outcome},
    turn_view,
};
use crate::{
    mcp::{error::ToolError, schema},
    session::{Request, SessionName, Settings, ThreadOptions, WebSearch, Work},
};

const MAX_RESULTS: u32 = 50;
const DEFAULT_RESULTS: u32 = 10;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchWeb {
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
}

impl Callable for SearchWeb {
    const NAME: &'static str = "websearch";
    const TITLE: &'static str = "Search the web";
    const DESCRIPTION: &'static str = "Has Codex search the live web and say what it found, with the pages it rests on. With \
                  its `sessionId` the conversation goes on.";
    const EFFECT: Effect = Effect::Looks;
    const BEGINS_TURNS: bool = true;

    type Output = turn_view::Output;

    async fn call(self, cx: &Cx, Call { caller, turn }: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
        let (wait, timeout) = (turn.wait()?, turn.timeout()?);
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
            timeout,
            detached: turn.detached(),
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
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Depth {
    Basic,
    Full,
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
