//! The running turn of one session, and each that follows. The events of a turn are numbered by how far its answer is, so a
//! page that was away goes on where it was.

use std::{collections::VecDeque, convert::Infallible, fmt, time::Duration};

use axum::{
    extract::Path,
    http::HeaderMap,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::Receiver,
    time::{sleep, timeout},
};

use super::event::{POLL, event, well};
use crate::{
    session::{
        Call, Change, Follower, SessionError, SessionName, SessionStatus, Step, TurnEvent, Update,
    },
    web::{failure::Failure, viewer::Viewer, views},
};

/// How long to gather what comes quickly one after the other.
const GATHER: Duration = Duration::from_millis(40);

/// The number of the last event a page has seen.
const LAST_SEEN: &str = "last-event-id";

/// The running turn of a session, and each that follows.
pub(in crate::web) async fn of_session(
    viewer: Viewer,
    Path(name): Path<SessionName>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    viewer.sessions.record(&name).await.map_err(|error| viewer.failure(&error))?;
    let seen = headers.get(LAST_SEEN).and_then(|value| value.to_str().ok());
    let changes = viewer.sessions.changes();
    let stream = SessionStream {
        viewer,
        name,
        changes,
        call: None,
        seen: seen.and_then(Seen::read).unwrap_or_default(),
        facts: 0,
        state: None,
        is_troubled: false,
        waiting: VecDeque::new(),
    };
    let events = stream::unfold(stream, |mut stream| async move {
        let ending = stream.viewer.ending.clone();
        let event = ending.run_until_cancelled(stream.next()).await??;
        Some((Ok(event), stream))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct SessionStream {
    viewer: Viewer,
    name: SessionName,
    changes: Receiver<Change>,
    call: Option<Call>,
    seen: Seen,
    /// How many commands, files and warnings it has.
    facts: usize,
    /// The revision of the session that the page has.
    state: Option<i64>,
    /// Whether the last thing that was said is that something is wrong.
    is_troubled: bool,
    waiting: VecDeque<Event>,
}

/// How far a page is: it is the number of its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    turn: u32,
    /// How much of its answer it has.
    bytes: usize,
    /// When the turn began: another session of the same name may have one of the same number.
    began: i64,
}

impl Seen {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (turn, bytes) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { turn, bytes, began: parts.next()?.parse().ok()? })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.turn, self.bytes, self.began)
    }
}

impl SessionStream {
    /// The next event. `None` once the session is gone.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let result = match &mut self.call {
                Some(_) => self.follow().await,
                None => self.inspect().await,
            };
            match result {
                Ok(()) if std::mem::take(&mut self.is_troubled) => return Some(well()),
                Ok(()) => {}
                Err(SessionError::Unknown { .. }) if self.state.is_some() => {
                    self.state = None;
                    self.waiting.push_back(event("gone", &json!({"session": self.name})));
                }
                Err(SessionError::Unknown { .. }) => return None,
                Err(error) => {
                    sleep(POLL).await;
                    self.is_troubled = true;
                    return Some(event("trouble", &json!(self.viewer.failure(&error).said)));
                }
            }
        }
    }

    /// Looks whether a turn runs now.
    async fn inspect(&mut self) -> Result<(), SessionError> {
        let record = self.viewer.sessions.record(&self.name).await?;
        if self.state != Some(record.revision) {
            if record.status == SessionStatus::Running {
                let follower = Follower { attached: false, can_ask: false, looks_only: true };
                let turn = record.turn_count;
                let call = self.viewer.sessions.follow(&self.name, Some(turn), follower).await?;
                self.call = Some(call);
                self.facts = 0;
                self.waiting.push_back(event("session", &views::session(&record)));
                self.show(Some(turn)).await?;
            } else {
                self.waiting.push_back(event("session", &views::session(&record)));
            }
            self.state = Some(record.revision);
            return Ok(());
        }
        loop {
            match timeout(POLL, self.changes.recv()).await {
                Ok(Ok(Change::Session(name))) if name != self.name => {}
                _ => return Ok(()),
            }
        }
    }

    /// Hears what happens in the running turn.
    async fn follow(&mut self) -> Result<(), SessionError> {
        let Some(call) = &mut self.call else { return Ok(()) };
        // Of a turn that another server runs there is what that one writes down from time to time.
        let Ok(mut step) = timeout(POLL, call.next()).await else { return self.show(None).await };
        let gathered = sleep(GATHER);
        tokio::pin!(gathered);
        loop {
            match step {
                Step::Done(_) => {
                    self.call = None;
                    // The next one may run already: that is looked at.
                    self.state = None;
                    self.waiting.push_back(event("ended", &json!({"turn": self.seen.turn})));
                    sleep(GATHER).await;
                    return Ok(());
                }
                Step::Update(update) => {
                    let doing = doing(&update);
                    self.waiting.extend(doing.map(|doing| event("doing", &doing)));
                }
            }
            let Some(call) = &mut self.call else { return Ok(()) };
            tokio::select! {
                biased;
                () = &mut gathered => break,
                next = call.next() => step = next,
            }
        }
        self.show(None).await
    }

    /// Shows what there is of the turn that was not shown yet. `begins` is its number if it was not followed before.
    async fn show(&mut self, begins: Option<u32>) -> Result<(), SessionError> {
        let number = begins.unwrap_or(self.seen.turn);
        let Some(reply) = self.viewer.sessions.inspect(&self.name, number).await? else {
            // It was called off; what there is now is looked at.
            (self.call, self.state) = (None, None);
            sleep(GATHER).await;
            return Ok(());
        };
        let turn = &reply.turn;
        if begins.is_some() {
            let began = turn.timestamp.as_millisecond();
            if (self.seen.turn, self.seen.began) != (number, began) {
                self.seen = Seen { turn: number, bytes: 0, began };
            }
            // The page gets the answer as it comes.
            let bare = crate::session::TurnRecord { response: String::new(), ..turn.clone() };
            let mut shown = views::turn(&bare, false);
            if let Some(fields) = shown.as_object_mut() {
                fields.insert("from".to_owned(), json!(self.seen.bytes));
            }
            self.waiting.push_back(event("turn", &shown));
        }
        let bytes = self.seen.bytes;
        let rest = turn.response.get(bytes..).unwrap_or_default();
        if !rest.is_empty() {
            self.seen.bytes = turn.response.len();
            let text = json!({"turn": number, "from": bytes, "text": rest});
            self.waiting.push_back(event("text", &text).id(self.seen.to_string()));
        }
        let details = &turn.details;
        let facts = details.commands.len() + details.files_changed.len() + details.warnings.len();
        if facts != self.facts {
            self.facts = facts;
            let facts = json!({
                "turn": number, "commands": details.commands, "filesChanged": details.files_changed,
                "warnings": details.warnings,
            });
            self.waiting.push_back(event("facts", &facts));
        }
        Ok(())
    }
}

/// What the turn does at this moment, as far as its record does not say.
fn doing(update: &Update) -> Option<Value> {
    let now = |what: &str, of: &str| Some(json!({"what": what, "of": of}));
    match update {
        Update::Event(event) => match event {
            TurnEvent::Thinking => now("thinking", ""),
            TurnEvent::CommandStarted(command) => now("running", command),
            TurnEvent::Searching(query) => now("searching", query),
            TurnEvent::ToolCalled { server, tool } => now("calling", &format!("{server}.{tool}")),
            TurnEvent::Planned { done, of, step } => {
                Some(json!({"what": "plan", "of": step, "done": done, "steps": of}))
            }
            TurnEvent::Retrying(reason) => now("retrying", reason),
            TurnEvent::Used(usage) => Some(json!({"what": "used", "usage": usage})),
            _ => None,
        },
        Update::ApprovalAsked(_) | Update::ApprovalSettled(_) => now("asking", ""),
        _ => None,
    }
}
