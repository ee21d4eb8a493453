//! `listSessions`: every live session, last used first.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{
    session_view::SessionView,
    tool::{Call, Callable, Cx, Effect, Outcome},
};
use crate::{
    mcp::{answer::Answer, cut::cut, error::ToolError},
    session::store::Page,
    session::{ThreadFilter, ThreadInfo},
};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListSessions {
    /// How many to list, 1 to 200. Default: 50.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `nextCursor` of the page before, to go on from there.
    cursor: Option<String>,
    /// Only sessions whose name or prompts have this in them, or with a turn that has all words of it.
    search: Option<String>,
    /// Also list Codex's own recorded conversations, which can be continued by their threadId. Default:
    /// false.
    include_threads: Option<bool>,
    /// Only sessions and threads that work in exactly this directory.
    working_directory: Option<PathBuf>,
    /// `nextThreadCursor` of the page before, for the threads.
    thread_cursor: Option<String>,
}

impl Callable for ListSessions {
    const NAME: &'static str = "listSessions";
    const TITLE: &'static str = "List sessions";
    const DESCRIPTION: &'static str = "Lists the conversations with Codex that can be continued, last used first, with when \
                  they were used, how many turns they have and what their last turn came to.";
    const EFFECT: Effect = Effect::Reads;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
        let limit = input.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ToolError::argument(
                "limit",
                &format!("{limit} is not from 1 to {MAX_LIMIT}"),
            ));
        }
        let after = input.cursor.map(|cursor| cursor.parse()).transpose();
        let after = after.map_err(|_| {
            ToolError::argument("cursor", "it is not the `nextCursor` of an earlier page")
        })?;
        let search = input.search.filter(|text| !text.is_empty());
        let directory = match input.working_directory {
            Some(path) => Some(cx.sessions.listed_directory(cx.directory().join(path)).await),
            None => None,
        };
        let mut threads = None;
        let mut next_thread_cursor = None;
        if input.include_threads.unwrap_or_default() {
            let filter = ThreadFilter {
                cwd: directory.as_deref(),
                search: search.as_deref(),
                cursor: input.thread_cursor.as_deref(),
                limit,
            };
            let (found, next) = cx.sessions.threads(filter).await?;
            threads = Some(found.into_iter().map(ThreadView::from).collect());
            next_thread_cursor = next;
        }
        let listing = cx
            .sessions
            .list(&Page { after, search, directory: directory.clone(), ..Page::first(limit) })
            .await?;
        let waiting = cx.sessions.waiting().await?;
        let damaged = |name: &String| {
            let others = format!("the record of session `{name}` is damaged; all others work. ");
            let text = others + "`deleteSession` removes it.";
            cx.offer.only(&text).into_owned()
        };
        Ok(Answer::plain(&Output {
            warnings: listing.damaged.iter().map(damaged).collect(),
            sessions: listing
                .sessions
                .into_iter()
                .map(|record| SessionView::of(record, &waiting))
                .collect(),
            next_cursor: listing.next.map(|cursor| cursor.to_string()),
            threads,
            next_thread_cursor,
        })
        .into())
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The sessions.
    sessions: Vec<SessionView>,
    /// Pass it as cursor for the next page; absent on the last.
    next_cursor: Option<String>,
    /// Codex's own conversations that are no sessions here, newest first; absent if not asked for.
    threads: Option<Vec<ThreadView>>,
    /// Pass it as threadCursor for more threads; absent at the end.
    next_thread_cursor: Option<String>,
    /// What to know besides.
    warnings: Vec<String>,
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ThreadView {
    /// Pass it as threadId.
    thread_id: String,
    /// What it is called, or how it began.
    title: String,
    /// Where it worked.
    working_directory: Option<String>,
    /// The model it used.
    model: Option<String>,
    /// When it was last used (RFC 3339).
    updated_at: String,
    /// Where it was begun: cli, exec, vscode…
    source: String,
}

impl From<ThreadInfo> for ThreadView {
    fn from(thread: ThreadInfo) -> Self {
        /// A first prompt may be a whole document.
        const TITLE: usize = 200;
        Self {
            thread_id: thread.id.to_string(),
            title: cut(&thread.title, TITLE).0.to_owned(),
            working_directory: thread.cwd.map(|path| path.display().to_string()),
            model: thread.model,
            updated_at: jiff::Timestamp::from_second(thread.updated_at)
                .unwrap_or_default()
                .to_string(),
            source: thread.source,
        }
    }
}
