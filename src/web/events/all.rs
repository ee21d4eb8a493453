//! That something changed in the list of sessions, or in the approvals.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    convert::Infallible,
    hash::{Hash, Hasher},
};

use axum::response::{
    IntoResponse, Sse,
    sse::{Event, KeepAlive},
};
use futures_util::stream;
use serde_json::json;
use tokio::{sync::broadcast::Receiver, time::sleep};

use super::event::{POLL, event, well};
use crate::{
    session::{Change, SessionError, store::Page},
    web::viewer::Viewer,
};

/// How many sessions are watched for changes: as many as a page shows first.
const WATCHED: u32 = 60;

/// That something changed in the list of sessions, or in the approvals.
pub(in crate::web) async fn of_all(viewer: Viewer) -> impl IntoResponse {
    let changes = viewer.sessions.changes();
    let all = AllSessions { viewer, changes, sessions: 0, approvals: None, is_troubled: false };
    let events = stream::unfold(all, |mut all| async move {
        let ending = all.viewer.ending.clone();
        let event = ending.run_until_cancelled(all.next()).await?;
        Some((Ok::<_, Infallible>(event), all))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

struct AllSessions {
    viewer: Viewer,
    changes: Receiver<Change>,
    /// What the list was like, as a number.
    sessions: u64,
    approvals: Option<Vec<String>>,
    /// Whether the last thing that was said is that something is wrong.
    is_troubled: bool,
}

impl AllSessions {
    async fn next(&mut self) -> Event {
        loop {
            match self.inspect().await {
                Ok(Some(event)) => return event,
                Ok(None) if std::mem::take(&mut self.is_troubled) => return well(),
                Ok(None) => {}
                Err(error) => {
                    sleep(POLL).await;
                    self.is_troubled = true;
                    return event("trouble", &json!(self.viewer.failure(&error).said));
                }
            }
            // Whether something came, or was missed: it is asked again.
            let _ = tokio::time::timeout(POLL, self.changes.recv()).await;
        }
    }

    async fn inspect(&mut self) -> Result<Option<Event>, SessionError> {
        let listing = self.viewer.sessions.list(&Page::first(WATCHED)).await?;
        let mut hasher = DefaultHasher::new();
        for record in &listing.sessions {
            (record.name.as_str(), record.revision, record.status.as_str()).hash(&mut hasher);
        }
        let waiting: BTreeMap<_, _> = self.viewer.sessions.waiting().await?.into_iter().collect();
        waiting.hash(&mut hasher);
        let open = self.viewer.sessions.approvals().await?;
        let open: Vec<String> = open.into_iter().map(|open| open.approval.id.0).collect();
        let (sessions, is_first) = (hasher.finish(), self.approvals.is_none());
        if !is_first && self.sessions == sessions && self.approvals.as_ref() == Some(&open) {
            return Ok(None);
        }
        let changed =
            json!({"sessions": is_first || self.sessions != sessions, "approvals": open.len()});
        self.sessions = sessions;
        self.approvals = Some(open);
        Ok(Some(event("changed", &changed)))
    }
}
