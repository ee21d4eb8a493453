//! The running turn of one session, and each that follows: its items as they change, and the text of a message piece by
//! piece. Each event is numbered by its place in the turn's log, so a page that was away goes on where it was.

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
use serde_json::json;
use tokio::{
    sync::broadcast::Receiver,
    time::{sleep, timeout},
};

use super::event::{POLL, event, well};
use crate::{
    session::{Call, Change, LogPlace, SessionError, SessionName, SessionStatus, Step, Update},
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
    place: LogPlace,
}

impl Seen {
    fn read(text: &str) -> Option<Self> {
        let (turn, place) = text.split_once('.')?;
        Some(Self { turn: turn.parse().ok()?, place: place.parse().ok()? })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.turn, self.place)
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
                Some(_) => {
                    self.follow().await;
                    Ok(())
                }
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
            self.waiting.push_back(event("session", &views::session(&record)));
            if record.status == SessionStatus::Running {
                self.begin(record.last_turn).await?;
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

    /// Begins to follow a turn: from where the page was in it, or from its beginning.
    async fn begin(&mut self, number: u32) -> Result<(), SessionError> {
        let place = Some(self.seen.place).filter(|_| self.seen.turn == number);
        let call = self.viewer.sessions.follow_from(&self.name, number, place).await?;
        let Some(reply) = self.viewer.sessions.inspect(&self.name, number).await? else {
            // It was called off; what there is now is looked at.
            sleep(GATHER).await;
            return Ok(());
        };
        let goes_on = place == Some(call.place());
        self.seen = Seen { turn: number, place: call.place() };
        self.call = Some(call);
        // Its items come one after the other.
        let turn = json!({
            "number": number, "at": reply.turn.timestamp.to_string(), "prompt": reply.turn.prompt, "goesOn": goes_on,
        });
        self.waiting.push_back(event("turn", &turn));
        Ok(())
    }

    /// Hears what happens in the running turn, and asks for nothing.
    async fn follow(&mut self) {
        let Some(call) = &mut self.call else { return };
        let mut step = call.next().await;
        let gathered = sleep(GATHER);
        tokio::pin!(gathered);
        let mut text: Option<(usize, usize, String)> = None;
        loop {
            match step {
                Step::Done(_) => {
                    self.flush(text);
                    self.call = None;
                    // The next one may run already: that is looked at.
                    self.state = None;
                    self.waiting.push_back(event("ended", &json!({"turn": self.seen.turn})));
                    sleep(GATHER).await;
                    return;
                }
                // Pieces that come quickly one after the other are sent as one.
                Step::Update(Update::Text { place, from, text: more }) => match &mut text {
                    Some((of, _, text)) if *of == place => text.push_str(&more),
                    _ => {
                        self.flush(text.take());
                        text = Some((place, from, more));
                    }
                },
                Step::Update(update) => {
                    self.flush(text.take());
                    self.tell(&update);
                }
            }
            let Some(call) = &mut self.call else { return };
            self.seen.place = call.place();
            tokio::select! {
                biased;
                () = &mut gathered => break,
                next = call.next() => step = next,
            }
        }
        self.flush(text);
    }

    fn flush(&mut self, text: Option<(usize, usize, String)>) {
        let Some((place, from, text)) = text else { return };
        let text = json!({"turn": self.seen.turn, "place": place, "from": from, "text": text});
        self.waiting.push_back(event("text", &text).id(self.seen.to_string()));
    }

    fn tell(&mut self, update: &Update) {
        let turn = self.seen.turn;
        let doing = |what: &str| event("doing", &json!({"turn": turn, "what": what}));
        let event = match update {
            Update::Item(place, item) => {
                let item = views::item(u32::try_from(*place).unwrap_or(u32::MAX), item);
                let item = json!({"turn": turn, "item": item});
                event("item", &item).id(self.seen.to_string())
            }
            Update::Thinking => doing("thinking"),
            Update::ApprovalAsked(_) | Update::ApprovalSettled(_) => doing("asking"),
            _ => return,
        };
        self.waiting.push_back(event);
    }
}
