//! Events as they go to the page.

use std::time::Duration;

use axum::response::sse::Event;
use serde_json::{Value, json};

/// How often to ask the store what other servers do.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// That what was wrong is so no more.
pub(super) fn well() -> Event {
    event("well", &json!({}))
}

/// An event of this name.
pub(super) fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
