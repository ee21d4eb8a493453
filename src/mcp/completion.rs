//! Completes half-typed arguments: names of sessions and numbers of their turns.

use rmcp::{
    ErrorData,
    model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference},
};

use super::{error::internal, offer::Offer, prompts};
use crate::session::{SessionName, Sessions, store::Page};

/// As many as the protocol allows.
const MOST: u32 = 100;

/// The longest text that can be the beginning of a name, in bytes.
const LONGEST: usize = 256;

/// Completes an argument of a prompt or of a resource's URI.
pub(super) async fn complete(
    sessions: &Sessions,
    offer: &Offer,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let typed = request.argument.value.as_str();
    // No name is longer, so there is nothing to search for.
    if typed.len() > LONGEST {
        return Ok(CompleteResult::new(CompletionInfo::default()));
    }
    let values = match (&request.r#ref, request.argument.name.as_str()) {
        (Reference::Prompt(_), prompts::SESSION) | (Reference::Resource(_), "id")
            if offer.has("listSessions") =>
        {
            names(sessions, typed).await?
        }
        (Reference::Resource(_), "n") if offer.has("getSession") => {
            let arguments = request.context.as_ref().and_then(|context| context.arguments.as_ref());
            let session = arguments.and_then(|arguments| arguments.get("id")?.parse().ok());
            match session {
                Some(session) => numbers(sessions, &session, typed).await,
                None => Vec::new(),
            }
        }
        _ => Vec::new(),
    };
    let info = CompletionInfo::new(values).map_err(|error| internal(&error))?;
    Ok(CompleteResult::new(info))
}

/// The names that begin like this, last used first.
async fn names(sessions: &Sessions, typed: &str) -> Result<Vec<String>, ErrorData> {
    let search = Some(typed.to_owned()).filter(|text| !text.is_empty());
    let page = Page { search, ..Page::first(MOST) };
    let listing = sessions.list(&page).await.map_err(|error| internal(&error.to_string()))?;
    let names = listing.sessions.into_iter().map(|session| session.name.to_string());
    Ok(names.filter(|name| name.starts_with(typed)).collect())
}

/// The numbers of a session's turns, last first.
async fn numbers(sessions: &Sessions, session: &SessionName, typed: &str) -> Vec<String> {
    let known = sessions.record(session).await;
    let known = known.map_or(0..0, |record| record.details.cleared..record.last_turn);
    let numbers = (known.start + 1..=known.end).rev().map(|number| number.to_string());
    numbers.filter(|number| number.starts_with(typed)).take(MOST as usize).collect()
}
