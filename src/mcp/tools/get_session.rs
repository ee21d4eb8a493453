//! `getSession`: what was said, in pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{
    session_view::SessionView,
    tool::{Call, Callable, Cx, Effect, Outcome},
};
use crate::{
    mcp::{answer::Answer, cut::cut, error::ToolError, schema},
    session::{RecordedItem, SessionName, Transcript, TurnItem, TurnRecord, store::Excerpt},
};

const DEFAULT_TURNS: u32 = 10;
const MAX_TURNS: u32 = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetSession {
    /// The session to read.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// Number of one turn, from 1, to read its answer whole.
    #[schemars(range(min = 1))]
    turn: Option<u32>,
    /// Where to start: turns to skip, or with `turn` characters to skip. Default: 0.
    offset: Option<u32>,
    /// How much to read: 1 to 100 turns (default 10), or with `turn` characters (default: as many as a
    /// result carries).
    #[schemars(range(min = 1))]
    limit: Option<u32>,
}

impl Callable for GetSession {
    const NAME: &'static str = "getSession";
    const TITLE: &'static str = "Read a session";
    const DESCRIPTION: &'static str = "Reads what was said in a session, turn by turn. With `turn` it reads the whole answer \
                  of that one turn in parts, which is how to get the rest of an answer that was cut.";
    const EFFECT: Effect = Effect::Reads;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
        let offset = input.offset.unwrap_or_default();
        let output = match input.turn {
            Some(number) => one_turn(cx, &input, number, offset).await?,
            None => several(cx, &input, offset).await?,
        };
        Ok(Answer::plain(&output).into())
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The session.
    session: SessionView,
    /// The turns, oldest first.
    turns: Vec<TurnView>,
    /// Pass it as offset to go on; absent at the end.
    next_offset: Option<u32>,
    /// What to know besides.
    warnings: Vec<String>,
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TurnView {
    /// Its number, from 1.
    number: u32,
    /// What was asked.
    prompt: String,
    /// What Codex answered.
    response: String,
    /// When it started (RFC 3339).
    timestamp: String,
    /// queued, running, completed, interrupted, failed or cancelled.
    status: &'static str,
    /// If it is queued because too little of the account's allowance is left: until when, at the latest (RFC 3339).
    not_before: Option<String>,
    /// The model that answered.
    model: Option<String>,
    /// What happened in it, in order; `answer` is where the response was said. Absent if nothing else happened.
    items: Option<Vec<TurnItem>>,
    /// Why it failed.
    error: Option<String>,
    /// Whether prompt, response or items were cut; read it with `turn`.
    truncated: bool,
}

async fn several(cx: &Cx, input: &GetSession, offset: u32) -> Result<Output, ToolError> {
    let limit = input.limit.unwrap_or(DEFAULT_TURNS);
    if !(1..=MAX_TURNS).contains(&limit) {
        return Err(ToolError::argument("limit", &format!("{limit} is not from 1 to {MAX_TURNS}")));
    }
    // Every turn of the page gets the same share of what a result may carry. One character more tells
    // whether there is more.
    let most = Excerpt::first(cx.max_text / 2 + 1);
    let cleared = cx.sessions.record(&input.session_id).await?.details.cleared;
    let after = cleared.saturating_add(offset);
    let Transcript { session, turns } =
        cx.sessions.transcript(&input.session_id, after, limit, most).await?;
    let share = cx.max_text / turns.len().max(1) / 3;
    // By their numbers, of which some may have no turn.
    let end = turns.last().map_or(after, |turn| turn.number).saturating_sub(cleared);
    Ok(Output {
        next_offset: (end < session.turn_count() && !turns.is_empty()).then_some(end),
        turns: turns.into_iter().map(|turn| TurnView::cut(turn, share, share)).collect(),
        session: session.into(),
        warnings: Vec::new(),
    })
}

async fn one_turn(
    cx: &Cx,
    input: &GetSession,
    number: u32,
    offset: u32,
) -> Result<Output, ToolError> {
    let skip =
        number.checked_sub(1).ok_or_else(|| ToolError::argument("turn", "turns count from 1"))?;
    let limit = input.limit.map_or(cx.max_text, |limit| (limit as usize).min(cx.max_text)).max(1);
    let excerpt = Excerpt { offset: offset as usize, length: limit + 1 };
    let Transcript { session, mut turns } =
        cx.sessions.transcript(&input.session_id, skip, 1, excerpt).await?;
    let Some(turn) = turns.pop().filter(|turn| turn.number == number) else {
        let last = session.last_turn;
        let reason = match session.details.cleared {
            0 => format!("the session has {last} turns"),
            cleared => {
                format!("its turns are {} to {last}; a reset cleared those before", cleared + 1)
            }
        };
        return Err(ToolError::argument("turn", &reason));
    };
    let (response, more) = cut(&turn.response, limit);
    let response = response.to_owned();
    let read = u32::try_from(response.chars().count()).unwrap_or(u32::MAX);
    // With the first part of the answer comes what happened before it.
    let room = if offset == 0 { cx.max_text } else { 0 };
    let view = TurnView::cut(turn, cx.max_text, room);
    let view = TurnView { response, truncated: more || view.truncated, ..view };
    Ok(Output {
        session: session.into(),
        turns: vec![view],
        next_offset: more.then(|| offset.saturating_add(read)),
        warnings: Vec::new(),
    })
}

impl TurnView {
    fn cut(mut turn: TurnRecord, limit: usize, room: usize) -> Self {
        let told = turn.told();
        let (prompt, prompt_cut) = cut(&told, limit);
        let (response, response_cut) = cut(&turn.response, limit);
        let (items, items_cut) = fitting(std::mem::take(&mut turn.items), room);
        Self {
            number: turn.number,
            prompt: prompt.to_owned(),
            response: response.to_owned(),
            timestamp: turn.timestamp.to_string(),
            status: turn.status.as_str(),
            not_before: turn.details.not_before.map(|until| until.to_string()),
            model: turn.details.effective.and_then(|with| with.model),
            items: Some(items)
                .filter(|items| !matches!(items.as_slice(), [] | [TurnItem::Answer {}])),
            error: turn.details.failure.map(|failure| failure.message),
            truncated: prompt_cut || response_cut || items_cut,
        }
    }
}

/// The items that fit into so many bytes, and whether there are more. What was printed and how files were changed is left
/// out if not all fits.
fn fitting(items: Vec<RecordedItem>, room: usize) -> (Vec<TurnItem>, bool) {
    let bytes = |item: &TurnItem| serde_json::to_string(item).map_or(0, |text| text.len());
    let mut items: Vec<TurnItem> = items.into_iter().map(|recorded| recorded.item).collect();
    let mut is_cut = false;
    if items.iter().map(bytes).sum::<usize>() > room {
        for item in &mut items {
            is_cut |= item.shorten();
        }
    }
    let mut left = room;
    let fitting = items.iter().take_while(|item| {
        let fits = bytes(item) <= left;
        left = left.saturating_sub(bytes(item));
        fits
    });
    let count = fitting.count();
    is_cut |= count < items.len();
    items.truncate(count);
    (items, is_cut)
}
