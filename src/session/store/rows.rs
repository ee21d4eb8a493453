//! Rows as they lie in a database, and how they become records. A row that does not is damaged.

use std::error::Error;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::{Cursor, DailyUsage, Listing, Outcomes, StoreError};
use crate::session::record::{
    RolloutRecord, SessionRecord, SessionStatus, ThreadId, TokenRecord, TurnDetails, TurnRecord,
    Usage,
};

/// The columns of a session that its record is made of, in an order of no importance: rows are read by name.
macro_rules! session_columns {
    () => {
        "name, automatic, created_at, last_accessed_at, expires_at, thread_id, status, turn_count, settings, \
         usage, codex_version, effective, details, revision"
    };
}
pub(super) use session_columns;

#[derive(Debug)]
pub(super) struct SessionRow {
    pub(super) name: String,
    automatic: bool,
    created_at: i64,
    last_accessed_at: i64,
    expires_at: i64,
    thread_id: Option<String>,
    status: String,
    turn_count: i64,
    settings: String,
    usage: String,
    codex_version: Option<String>,
    effective: Option<String>,
    details: String,
    revision: i64,
}

#[derive(Debug)]
pub(super) struct TurnRow {
    session: String,
    number: i64,
    status: String,
    timestamp: i64,
    prompt: String,
    response: String,
    details: String,
}

/// The tokens of one day's turns with one model.
#[derive(Debug)]
pub(super) struct UsageRow {
    day: String,
    model: String,
    turns: i64,
    tokens: [i64; 5],
    outcomes: [i64; 4],
}

type Reason = Box<dyn Error + Send + Sync>;

impl<'r, R> FromRow<'r, R> for SessionRow
where
    R: Row,
    for<'c> &'c str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            name: row.try_get("name")?,
            automatic: row.try_get("automatic")?,
            created_at: row.try_get("created_at")?,
            last_accessed_at: row.try_get("last_accessed_at")?,
            expires_at: row.try_get("expires_at")?,
            thread_id: row.try_get("thread_id")?,
            status: row.try_get("status")?,
            turn_count: row.try_get("turn_count")?,
            settings: row.try_get("settings")?,
            usage: row.try_get("usage")?,
            codex_version: row.try_get("codex_version")?,
            effective: row.try_get("effective")?,
            details: row.try_get("details")?,
            revision: row.try_get("revision")?,
        })
    }
}

impl<'r, R> FromRow<'r, R> for TurnRow
where
    R: Row,
    for<'c> &'c str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            session: row.try_get("session")?,
            number: row.try_get("number")?,
            status: row.try_get("status")?,
            timestamp: row.try_get("timestamp")?,
            prompt: row.try_get("prompt")?,
            response: row.try_get("response")?,
            details: row.try_get("details")?,
        })
    }
}

impl<'r, R> FromRow<'r, R> for UsageRow
where
    R: Row,
    for<'c> &'c str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            day: row.try_get("day")?,
            model: row.try_get("model")?,
            turns: row.try_get("turns")?,
            tokens: [
                row.try_get("input_tokens")?,
                row.try_get("cached_tokens")?,
                row.try_get("output_tokens")?,
                row.try_get("reasoning_tokens")?,
                row.try_get("total_tokens")?,
            ],
            outcomes: [
                row.try_get("failed")?,
                row.try_get("interrupted")?,
                row.try_get("duration_ms")?,
                row.try_get("longest_ms")?,
            ],
        })
    }
}

impl UsageRow {
    /// `None` if its day is none.
    pub(super) fn into_usage(self) -> Option<DailyUsage> {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        let [input, cached, output, reasoning, total] = self.tokens.map(count);
        let [failed, interrupted, duration_ms, longest_ms] = self.outcomes.map(count);
        Some(DailyUsage {
            day: self.day.parse().ok()?,
            model: self.model,
            turns: count(self.turns),
            usage: Usage {
                input_tokens: input,
                cached_input_tokens: cached,
                output_tokens: output,
                reasoning_output_tokens: reasoning,
                total_tokens: total,
            },
            outcomes: Outcomes { failed, interrupted, duration_ms, longest_ms },
        })
    }
}

impl SessionRow {
    /// Its place in the list. None if not even its name can be read.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        Some(Cursor { accessed_ms: self.last_accessed_at, name: self.name.parse().ok()? })
    }

    pub(super) fn into_record(self) -> Result<SessionRecord, StoreError> {
        let name = self.name.clone();
        self.read().map_err(|reason| damaged(name, &*reason))
    }

    fn read(self) -> Result<SessionRecord, Reason> {
        Ok(SessionRecord {
            name: self.name.parse()?,
            automatic: self.automatic,
            created_at: Timestamp::from_millisecond(self.created_at)?,
            last_accessed_at: Timestamp::from_millisecond(self.last_accessed_at)?,
            expires_at: Timestamp::from_millisecond(self.expires_at)?,
            thread_id: self.thread_id.map(|id| parse_word(&id)).transpose()?,
            status: status(&self.status)?,
            turn_count: u32::try_from(self.turn_count)?,
            settings: parse(&self.settings)?,
            usage: parse(&self.usage)?,
            codex_version: self.codex_version,
            effective: self.effective.as_deref().map(parse_some).transpose()?.flatten(),
            details: parse(&self.details)?,
            revision: self.revision,
        })
    }
}

impl TurnRow {
    pub(super) fn into_record(self) -> Result<TurnRecord, StoreError> {
        let name = self.session.clone();
        self.read().map_err(|reason| damaged(name, &*reason))
    }

    fn read(self) -> Result<TurnRecord, Reason> {
        Ok(TurnRecord {
            number: u32::try_from(self.number)?,
            prompt: self.prompt,
            response: self.response,
            timestamp: Timestamp::from_millisecond(self.timestamp)?,
            status: status(&self.status)?,
            details: parse(&self.details)?,
        })
    }
}

/// Turns one row too many into a cursor. A damaged row is named and does not hide the others.
pub(super) fn listing(mut rows: Vec<SessionRow>, limit: usize) -> Listing {
    let more = rows.len() > limit;
    rows.truncate(limit);
    // By the row, not the record: a page of damaged rows must not end the list.
    let next = rows.last().filter(|_| more).and_then(SessionRow::cursor);
    let mut listing = Listing { next, ..Listing::default() };
    for row in rows {
        let name = row.name.clone();
        match row.into_record() {
            Ok(record) => listing.sessions.push(record),
            Err(error) => {
                tracing::error!(%error, "a session is left out of the list");
                listing.damaged.push(name);
            }
        }
    }
    listing
}

/// A token. `None` if it cannot be read.
pub(super) fn token<'r, R>(row: &'r R) -> Option<TokenRecord>
where
    R: Row,
    for<'c> &'c str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
{
    let hash: Vec<u8> = row.try_get("hash").ok()?;
    let expires_at: Option<i64> = row.try_get("expires_at").ok()?;
    let expires_at = match expires_at {
        Some(end) => Some(instant(end)?),
        None => None,
    };
    Some(TokenRecord {
        id: row.try_get("id").ok()?,
        tenant: row.try_get::<String, _>("tenant").ok()?.parse().ok()?,
        scope: row.try_get::<String, _>("scope").ok()?.parse().ok()?,
        hash: hash.try_into().ok()?,
        created_at: instant(row.try_get("created_at").ok()?)?,
        expires_at,
    })
}

/// What is kept of a rollout, without its content.
pub(super) type RolloutRow = (String, String, i64, String, i64, Option<String>);

/// What the row says.
pub(super) fn rollout((thread, path, bytes, digest, turn, lacks): RolloutRow) -> RolloutRecord {
    RolloutRecord {
        thread: ThreadId(thread),
        path,
        bytes: u64::try_from(bytes).unwrap_or_default(),
        digest,
        turn: u32::try_from(turn).unwrap_or_default(),
        lacks,
    }
}

/// A number as databases have it.
pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A value that is only ever read whole. It always has a JSON form.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// The details of a turn. Fails if the text has none.
pub(super) fn details(text: &str) -> Result<TurnDetails, serde_json::Error> {
    parse(text)
}

/// A moment as the file keeps it. The end of time does not fit and is cut to what does.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The moment that the file keeps so. `None` if there is no such moment.
pub(super) fn instant(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok()
}

/// A `null` where a value belongs is an empty value; anything else that does not fit is damage.
fn parse<T: DeserializeOwned + Default>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str::<Option<T>>(text).map(Option::unwrap_or_default)
}

fn parse_some<T: DeserializeOwned>(text: &str) -> Result<Option<T>, serde_json::Error> {
    serde_json::from_str(text)
}

fn parse_word<T: DeserializeOwned>(word: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(word.into())
}

fn status(word: &str) -> Result<SessionStatus, String> {
    SessionStatus::from_word(word).ok_or_else(|| format!("unknown status `{word}`"))
}

fn damaged(name: String, reason: &(dyn Error + Send + Sync)) -> StoreError {
    StoreError::Damaged { name, reason: reason.to_string() }
}
