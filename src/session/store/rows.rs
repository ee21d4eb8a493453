//! Rows as they lie in a database, and how they become records. A row that does not is damaged.

use std::error::Error;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Cursor, DailyUsage, Listing, Outcomes, StoreError, sql::Row};
use crate::session::record::{
    RecordedItem, RolloutRecord, SessionRecord, SessionStatus, ThreadId, TokenRecord, TurnDetails,
    TurnRecord, Usage,
};

type Reason = Box<dyn Error + Send + Sync>;

/// The session of a row; [`StoreError::Damaged`] if what it says is none.
pub(super) fn session(row: &Row) -> sqlx::Result<Result<SessionRecord, StoreError>> {
    let name: String = row.get("name")?;
    let (thread_id, status): (Option<String>, String) = (row.get("thread_id")?, row.get("status")?);
    let (settings, usage): (String, String) = (row.get("settings")?, row.get("usage")?);
    let (effective, details): (Option<String>, String) =
        (row.get("effective")?, row.get("details")?);
    let [created_at, last_accessed_at, expires_at] = times(row)?;
    let last_turn: i64 = row.get("last_turn")?;
    let (automatic, codex_version) = (row.get("automatic")?, row.get("codex_version")?);
    let revision = row.get("revision")?;
    let read = || -> Result<SessionRecord, Reason> {
        Ok(SessionRecord {
            name: name.parse()?,
            automatic,
            created_at: Timestamp::from_millisecond(created_at)?,
            last_accessed_at: Timestamp::from_millisecond(last_accessed_at)?,
            expires_at: Timestamp::from_millisecond(expires_at)?,
            thread_id: thread_id.map(|id| parse_word(&id)).transpose()?,
            status: self::status(&status)?,
            last_turn: u32::try_from(last_turn)?,
            settings: parse(&settings)?,
            usage: parse(&usage)?,
            codex_version,
            effective: effective.as_deref().map(parse_some).transpose()?.flatten(),
            details: parse(&details)?,
            revision,
        })
    };
    Ok(read().map_err(|reason| damaged(&name, &*reason)))
}

fn times(row: &Row) -> sqlx::Result<[i64; 3]> {
    Ok([row.get("created_at")?, row.get("last_accessed_at")?, row.get("expires_at")?])
}

/// The turn of a row; [`StoreError::Damaged`] if what it says is none.
pub(super) fn turn(row: &Row) -> sqlx::Result<Result<TurnRecord, StoreError>> {
    let (session, status): (String, String) = (row.get("session")?, row.get("status")?);
    let (prompt, response) = (row.get("prompt")?, row.get("response")?);
    let (number, timestamp): (i64, i64) = (row.get("number")?, row.get("timestamp")?);
    let (details, items): (String, String) = (row.get("details")?, row.get("items")?);
    let read = || -> Result<TurnRecord, Reason> {
        Ok(TurnRecord {
            number: u32::try_from(number)?,
            prompt,
            response,
            timestamp: Timestamp::from_millisecond(timestamp)?,
            status: self::status(&status)?,
            items: self::items(&items)?,
            details: parse(&details)?,
        })
    };
    Ok(read().map_err(|reason| damaged(&session, &*reason)))
}

/// An item as it lies in its table.
#[derive(Deserialize)]
struct ItemRow {
    place: u32,
    change: u64,
    item: String,
}

/// Items in order. One that cannot be read is left out: a later version may have written it.
fn items(text: &str) -> Result<Vec<RecordedItem>, serde_json::Error> {
    let mut rows: Vec<ItemRow> = serde_json::from_str(text)?;
    rows.sort_by_key(|row| row.place);
    let read = rows.into_iter().filter_map(|ItemRow { place, change, item }| {
        let item = serde_json::from_str(&item)
            .inspect_err(|error| tracing::warn!(%error, "an item of a turn is left out"));
        Some(RecordedItem { place, change, item: item.ok()? })
    });
    Ok(read.collect())
}

/// The tokens of one day's turns with one model, and the tenant they are of. `None` if they cannot be read.
pub(super) fn usage(row: &Row) -> Option<(String, DailyUsage)> {
    let count = |column: &str| row.get::<i64>(column).ok()?.try_into().ok();
    let usage = DailyUsage {
        day: row.get::<String>("day").ok()?.parse().ok()?,
        model: row.get("model").ok()?,
        turns: count("turns")?,
        usage: Usage {
            input_tokens: count("input_tokens")?,
            cached_input_tokens: count("cached_tokens")?,
            output_tokens: count("output_tokens")?,
            reasoning_output_tokens: count("reasoning_tokens")?,
            total_tokens: count("total_tokens")?,
        },
        outcomes: Outcomes {
            failed: count("failed")?,
            interrupted: count("interrupted")?,
            duration_ms: count("duration_ms")?,
            longest_ms: count("longest_ms")?,
        },
    };
    Some((row.get("tenant").ok()?, usage))
}

/// Turns one row too many into a cursor. A damaged row is named and does not hide the others.
pub(super) fn listing(rows: &[Row], limit: usize) -> sqlx::Result<Listing> {
    let mut listing = Listing::default();
    for row in rows.iter().take(limit) {
        let name: String = row.get("name")?;
        // By the row, not the record: a page of damaged rows must not end the list.
        if rows.len() > limit
            && let Ok(name) = name.parse()
        {
            listing.next = Some(Cursor { accessed_ms: row.get("last_accessed_at")?, name });
        }
        match session(row)? {
            Ok(record) => listing.sessions.push(record),
            Err(error) => {
                tracing::error!(%error, "a session is left out of the list");
                listing.damaged.push(name);
            }
        }
    }
    Ok(listing)
}

/// A token. `None` if it cannot be read.
pub(super) fn token(row: &Row) -> Option<TokenRecord> {
    let hash: Vec<u8> = row.get("hash").ok()?;
    let expires_at = match row.get::<Option<i64>>("expires_at").ok()? {
        Some(end) => Some(instant(end)?),
        None => None,
    };
    Some(TokenRecord {
        id: row.get("id").ok()?,
        tenant: row.get::<String>("tenant").ok()?.parse().ok()?,
        scope: row.get::<String>("scope").ok()?.parse().ok()?,
        hash: hash.try_into().ok()?,
        created_at: instant(row.get("created_at").ok()?)?,
        expires_at,
    })
}

/// What is kept of a rollout, without its content.
pub(super) fn rollout(row: &Row) -> sqlx::Result<RolloutRecord> {
    Ok(RolloutRecord {
        thread: ThreadId(row.get("thread")?),
        path: row.get("path")?,
        bytes: row.get::<i64>("bytes")?.try_into().unwrap_or_default(),
        digest: row.get("digest")?,
        turn: row.get::<i64>("turn")?.try_into().unwrap_or_default(),
        lacks: row.get("lacks")?,
    })
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

fn damaged(name: &str, reason: &(dyn Error + Send + Sync)) -> StoreError {
    StoreError::Damaged { name: name.to_owned(), reason: reason.to_string() }
}
