//! Sessions and their turns as resources: what does not fit into a result is read here, in parts.
//!
//! `codex://sessions/{id}` tells of a session and its turns, `codex://sessions/{id}/turns/{n}` is the
//! answer of one turn. A long answer comes in pages; each names the next one in its `_meta`.

use std::str::FromStr;

use rmcp::{
    ErrorData,
    model::{
        ContentBlock, JsonObject, ListResourceTemplatesResult, ListResourcesResult, MetaObject,
        ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    },
};
use serde_json::json;

use super::{cut::cut, error::internal, offer::Offer};
use crate::session::{
    SessionError, SessionName, Sessions, Source, Transcript,
    store::{Excerpt, Page},
};

/// How many sessions one page lists.
const SESSIONS: u32 = 100;

/// How many of a session's turns its resource tells of: the first ones.
const TURNS: u32 = 100;

/// How much of a prompt a session's resource shows, in characters.
const PROMPT: usize = 200;

/// How many characters of an answer one page has, unless its URI says.
const CHARACTERS: usize = 100_000;

/// The most characters a URI can ask for.
const MAX_CHARACTERS: usize = 1_000_000;

const ROOT: &str = "codex://sessions/";

/// What a URI names.
#[derive(Debug, PartialEq)]
enum Address {
    Session(SessionName),
    Turn { session: SessionName, number: u32, excerpt: Excerpt },
}

/// A link to the answer of a turn; `size` is in bytes.
pub(super) fn link(session: &SessionName, number: u32, size: usize) -> ContentBlock {
    let name = format!("{session} turn {number}");
    ContentBlock::resource_link(
        Resource::new(format!("{ROOT}{session}/turns/{number}"), name)
            .with_description("The whole answer")
            .with_mime_type("text/markdown")
            .with_size(size as u64),
    )
}

/// Whether a link may be sent. A link to a session may be sent only if sessions can be read as resources.
pub(super) fn may_link(link: &ContentBlock, offer: &Offer) -> bool {
    match link {
        ContentBlock::ResourceLink(resource) => {
            !resource.uri.starts_with(ROOT) || are_offered(offer)
        }
        _ => true,
    }
}

/// Whether sessions can be read as resources. They can if the tool that reads them is offered.
pub(super) fn are_offered(offer: &Offer) -> bool {
    offer.has("getSession")
}

/// A link to a page on the web.
pub(super) fn page(source: &Source) -> ContentBlock {
    let title = source.title.as_deref().unwrap_or(&source.url);
    ContentBlock::resource_link(Resource::new(&source.url, title))
}

/// The session a URI is about.
pub(super) fn session_of(uri: &str) -> Option<SessionName> {
    match uri.parse().ok()? {
        Address::Session(session) | Address::Turn { session, .. } => Some(session),
    }
}

/// One page of the sessions.
pub(super) async fn list(
    sessions: &Sessions,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let after = cursor.map(|cursor| cursor.parse()).transpose();
    let after = after.map_err(|_| ErrorData::invalid_params("not a cursor of this list", None))?;
    let listing = sessions
        .list(&Page { after, ..Page::first(SESSIONS) })
        .await
        .map_err(|error| failed(&error))?;
    let resources = listing.sessions.iter().map(|session| {
        let name = session.name.as_str();
        Resource::new(format!("{ROOT}{name}"), name)
            .with_description(format!(
                "{} turns, last used {}",
                session.turn_count(),
                session.last_accessed_at
            ))
            .with_mime_type("application/json")
    });
    let mut result = ListResourcesResult::with_all_items(resources.collect());
    result.next_cursor = listing.next.map(|cursor| cursor.to_string());
    Ok(result)
}

/// The kinds of resources there are.
pub(super) fn templates() -> ListResourceTemplatesResult {
    ListResourceTemplatesResult::with_all_items(vec![
        ResourceTemplate::new(format!("{ROOT}{{id}}"), "session")
            .with_title("A session")
            .with_description("A conversation with Codex: its settings and its turns")
            .with_mime_type("application/json"),
        ResourceTemplate::new(format!("{ROOT}{{id}}/turns/{{n}}{{?offset,limit}}"), "turn")
            .with_title("An answer")
            .with_description(
                "What Codex answered in one turn; a long answer comes in pages of `limit` \
                 characters, and each names the next in `_meta.nextUri`",
            )
            .with_mime_type("text/markdown"),
    ])
}

/// Reads what a URI names.
pub(super) async fn read(sessions: &Sessions, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri.parse().map_err(|()| unknown(uri))? {
        Address::Session(name) => session(sessions, &name, uri).await,
        Address::Turn { session, number, excerpt } => {
            turn(sessions, &session, number, excerpt, uri).await
        }
    };
    Ok(ReadResourceResult::new(vec![contents?]))
}

async fn session(
    sessions: &Sessions,
    name: &SessionName,
    uri: &str,
) -> Result<ResourceContents, ErrorData> {
    let transcript = sessions.transcript(name, 0, TURNS, Excerpt::first(PROMPT)).await;
    let Transcript { session, turns } = transcript.map_err(|error| missing(error, uri))?;
    let turns = turns.iter().map(|turn| {
        json!({
            "number": turn.number, "prompt": turn.prompt, "status": turn.status.as_str(),
            "timestamp": turn.timestamp, "uri": format!("{ROOT}{name}/turns/{}", turn.number),
        })
    });
    let text = json!({
        "id": name.as_str(), "createdAt": session.created_at, "lastAccessedAt": session.last_accessed_at,
        "expiresAt": session.expires_at, "status": session.status.as_str(),
        "turnCount": session.turn_count(), "threadId": session.thread_id,
        "turns": turns.collect::<Vec<_>>(),
    });
    Ok(ResourceContents::text(format!("{text:#}"), uri).with_mime_type("application/json"))
}

async fn turn(
    sessions: &Sessions,
    name: &SessionName,
    number: u32,
    excerpt: Excerpt,
    uri: &str,
) -> Result<ResourceContents, ErrorData> {
    // One character more tells whether there is more.
    let read = Excerpt { length: excerpt.length + 1, ..excerpt };
    let found = sessions.transcript(name, number.saturating_sub(1), 1, read).await;
    let turn = found.map_err(|error| missing(error, uri))?.turns.pop();
    let turn = turn.filter(|turn| turn.number == number).ok_or_else(|| unknown(uri))?;
    let (text, more) = cut(&turn.response, excerpt.length);
    let contents = ResourceContents::text(text, uri).with_mime_type("text/markdown");
    if !more {
        return Ok(contents);
    }
    let Excerpt { offset, length } = excerpt;
    let next = offset.saturating_add(length);
    let next = format!("{ROOT}{name}/turns/{number}?offset={next}&limit={length}");
    Ok(contents.with_meta(MetaObject(JsonObject::from_iter([("nextUri".to_owned(), next.into())]))))
}

impl FromStr for Address {
    type Err = ();

    fn from_str(uri: &str) -> Result<Self, ()> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = path.strip_prefix(ROOT).ok_or(())?;
        let Some((session, number)) = path.split_once("/turns/") else {
            return path.parse().map(Self::Session).map_err(|_| ());
        };
        let mut excerpt = Excerpt::first(CHARACTERS);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(())?;
            match key {
                "offset" => excerpt.offset = value.parse().map_err(|_| ())?,
                "limit" => excerpt.length = value.parse().map_err(|_| ())?,
                _ => {}
            }
        }
        excerpt.length = excerpt.length.clamp(1, MAX_CHARACTERS);
        let session = session.parse().map_err(|_| ())?;
        Ok(Self::Turn { session, number: number.parse().map_err(|_| ())?, excerpt })
    }
}

pub(super) fn unknown(uri: &str) -> ErrorData {
    let words = format!("there is no resource {uri}; resources/list has the sessions");
    ErrorData::resource_not_found(words, Some(json!({"uri": uri})))
}

fn missing(error: SessionError, uri: &str) -> ErrorData {
    match error {
        SessionError::Unknown { .. } => unknown(uri),
        error => failed(&error),
    }
}

fn failed(error: &SessionError) -> ErrorData {
    internal(&error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_uri_names_a_session_or_a_part_of_a_turn() {
        let parse = |uri: &str| uri.parse::<Address>();
        assert_eq!(parse("codex://sessions/a"), Ok(Address::Session("a".parse().unwrap())));
        let turn = |offset, length| {
            let excerpt = Excerpt { offset, length };
            Ok(Address::Turn { session: "a".parse().unwrap(), number: 2, excerpt })
        };
        assert_eq!(parse("codex://sessions/a/turns/2"), turn(0, CHARACTERS));
        assert_eq!(parse("codex://sessions/a/turns/2?offset=5&limit=9&x=1"), turn(5, 9));
        assert_eq!(parse("codex://sessions/a/turns/2?limit=99999999999"), turn(0, MAX_CHARACTERS));
        for odd in [
            "file:///a",
            "codex://sessions/a b",
            "codex://sessions/a/turns/x",
            "codex://sessions/a/turns/1?limit=x",
            "codex://sessions/a/turns/1?limit",
        ] {
            assert_eq!(parse(odd), Err(()), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_next_page_is_an_address(name in "[A-Za-z0-9_-]{1,40}", number in 1u32.., offset in 0usize..1_000_000) {
            let uri = format!("{ROOT}{name}/turns/{number}?offset={offset}&limit=10");
            let session = name.parse().unwrap();
            let excerpt = Excerpt { offset, length: 10 };
            prop_assert_eq!(uri.parse(), Ok(Address::Turn { session, number, excerpt }));
        }

        #[test]
        fn any_uri_is_an_address_or_not(uri in "(codex://sessions/)?\\PC{0,30}") {
            let _ = uri.parse::<Address>();
        }
    }
}
