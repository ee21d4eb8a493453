//! What a client waits for from its host, and what another host must be sent when that one has died. Knows lines of
//! MCP as far as their ids and methods.
//!
//! Hosts number what they ask from the beginning. So that an answer reaches only the question it was given for, the
//! questions of every host but the first get ids of their own on their way to the client.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::mcp::{host_restarted, only_reads};

/// The revision from which on results say that they are complete.
const MODERN: &str = "2026-07-28";

/// What is open between a client and its host.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    /// The line that began a handshake of an older era, with its id, and the one that completed it.
    initialize: Option<(String, Vec<u8>)>,
    initialized: Option<Vec<u8>>,
    /// The lines that subscribed to resources, with their ids, by resource.
    subscriptions: BTreeMap<String, (String, Vec<u8>)>,
    /// What the client has asked, with its id, in the order it was said.
    pending: Vec<(String, Pending)>,
    /// What the host has asked the client: its own ids by those the client knows.
    questions: HashMap<String, Value>,
    /// Answers of another host to what was only said again.
    unwanted: HashSet<String>,
    /// How many hosts have died.
    deaths: usize,
}

#[derive(Debug)]
enum Pending {
    /// A call of a tool that may have begun something. It is not made again.
    Call { session: Option<String>, is_modern: bool },
    /// Anything else only reads, or does the same when it is done twice. It is asked again once.
    Other { line: Vec<u8>, is_repeated: bool },
}

/// What to say when a host has died.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) to_client: Vec<Vec<u8>>,
    pub(super) to_host: Vec<Vec<u8>>,
}

/// A line that the client has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Anything but an answer, for whichever host there is.
    Request(&'a [u8]),
    /// An answer, for the host that asked.
    Answer(Vec<u8>),
    /// An answer to what nobody asks any more.
    Stray,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    arguments: Option<Arguments>,
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Arguments {
    session_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<String>,
}

impl OpenCalls {
    /// Looks at a line that the client says, before it is passed on.
    pub(super) fn pass<'a>(&mut self, line: &'a [u8]) -> Said<'a> {
        match serde_json::from_slice(line) {
            Ok(Head { id: Some(id), method: None, result, error, .. })
                if result.is_some() || error.is_some() =>
            {
                match self.questions.remove(&known(id)) {
                    Some(_) if self.deaths == 0 => Said::Answer(line.to_vec()),
                    Some(own) => with_id(line, own).map_or(Said::Stray, Said::Answer),
                    None => Said::Stray,
                }
            }
            // Whatever it is, the host says what is wrong with it.
            _ => Said::Request(line),
        }
    }

    /// Notes a line that the host has been sent, and that was not for this one alone.
    pub(super) fn said(&mut self, line: &[u8]) {
        let Ok(Head { id, method: Some(method), params, .. }) = serde_json::from_slice(line) else {
            return;
        };
        let params = params.and_then(|params| serde_json::from_str(params.get()).ok());
        let params: Params<'_> = params.unwrap_or_default();
        match (&*method, id.map(known)) {
            (method, Some(id)) => self.begun(method, id, params, line),
            ("notifications/initialized", None) => self.initialized = Some(line.to_vec()),
            // It is not answered.
            ("notifications/cancelled", None) => {
                if let Some(id) = params.request_id {
                    self.answered(&known(id));
                }
            }
            _ => {}
        }
    }

    fn begun(&mut self, method: &str, id: String, params: Params<'_>, line: &[u8]) {
        match method {
            "initialize" => self.initialize = Some((id.clone(), line.to_vec())),
            "resources/subscribe" => {
                let subscription = (id.clone(), line.to_vec());
                self.subscriptions
                    .extend(params.uri.clone().map(|uri| (uri.into_owned(), subscription)));
            }
            "resources/unsubscribe" => {
                self.subscriptions.remove(params.uri.as_deref().unwrap_or_default());
            }
            _ => {}
        }
        let pending = match method {
            "tools/call" if !params.name.as_deref().is_some_and(only_reads) => Pending::Call {
                session: params.arguments.and_then(|given| given.session_id),
                is_modern: params
                    .meta
                    .and_then(|meta| meta.version)
                    .is_some_and(|version| *version >= *MODERN),
            },
            _ => Pending::Other { line: line.to_vec(), is_repeated: false },
        };
        self.answered(&id);
        self.pending.push((id, pending));
    }

    fn answered(&mut self, id: &str) {
        self.pending.retain(|(known, _)| known != id);
    }

    /// Notes a line that the host has said. Returns it as the client shall hear it, if it shall.
    pub(super) fn heard<'a>(&mut self, line: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let Ok(Head { id, method, params, .. }) = serde_json::from_slice(line) else {
            return Some(line.into());
        };
        match (method.as_deref(), id) {
            (None, Some(id)) => {
                let id = known(id);
                if self.unwanted.remove(&id) {
                    return None;
                }
                self.answered(&id);
            }
            (Some(_), Some(id)) => {
                let own: Value = serde_json::from_str(id.get()).unwrap_or_default();
                let shown = self.shown(&own);
                self.questions.insert(shown.to_string(), own);
                if self.deaths > 0 {
                    return with_id(line, shown).map(Cow::Owned);
                }
            }
            (Some("notifications/cancelled"), None) => {
                let params =
                    params.and_then(|params| serde_json::from_str::<Params<'_>>(params.get()).ok());
                let id = params.and_then(|params| params.request_id);
                let own = id.and_then(|id| serde_json::from_str::<Value>(id.get()).ok());
                if let Some(shown) = own.map(|own| self.shown(&own)) {
                    self.questions.remove(&shown.to_string());
                    if self.deaths > 0 {
                        return with_request_id(line, shown).map(Cow::Owned);
                    }
                }
            }
            _ => {}
        }
        Some(line.into())
    }

    /// The id under which the client knows a question of this host.
    fn shown(&self, own: &Value) -> Value {
        match self.deaths {
            0 => own.clone(),
            deaths => format!("{deaths}:{own}").into(),
        }
    }

    /// Whether the client waits for an answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the client wants to hear of things by itself, so that another host is needed at once.
    pub(super) fn is_listening(&self) -> bool {
        !self.subscriptions.is_empty()
            || self.pending.iter().any(|(_, pending)| matches!(pending, Pending::Other { .. }))
    }

    /// Refuses all that the client waits for.
    pub(super) fn refused(&mut self) -> Vec<Vec<u8>> {
        let message =
            "nobody can serve this request now; the log of the client's MCP servers says why";
        let error = json!({"code": -32603, "message": message});
        let pending = std::mem::take(&mut self.pending);
        pending.iter().filter_map(|(id, _)| answer(id, "error", &error)).collect()
    }

    /// What must be sent to the client now that its host has died, and to another host at the beginning.
    pub(super) fn lost(&mut self) -> Lost {
        let mut lost = Lost::default();
        self.deaths += 1;
        self.unwanted.clear();
        for (id, _) in self.questions.drain() {
            let line = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the server ended"}}}}"#
            );
            lost.to_client.push(line.into_bytes());
        }
        let handshake = self.initialize.as_ref().map(|(id, _)| id.clone()).unwrap_or_default();
        let mut again = Vec::new();
        let mut is_greeted = true;
        for (id, pending) in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Call { session, is_modern } => {
                    let result = host_restarted(session.as_deref(), is_modern);
                    lost.to_client.extend(answer(&id, "result", &result));
                }
                Pending::Other { is_repeated: true, .. } => {
                    // Another host has died of it.
                    let message = "the server ended twice while it was asked this";
                    let error = json!({"code": -32603, "message": message});
                    lost.to_client.extend(answer(&id, "error", &error));
                }
                Pending::Other { line, .. } => {
                    is_greeted &= id != handshake;
                    if id != handshake {
                        again.push(line.clone());
                    }
                    self.pending.push((id, Pending::Other { line, is_repeated: true }));
                }
            }
        }
        // The handshake comes before everything else. One that was answered is only repeated for the host's sake.
        let is_open = |id: &str| self.pending.iter().any(|(known, _)| known == id);
        if let Some((id, line)) = &self.initialize {
            if is_greeted {
                self.unwanted.insert(id.clone());
            }
            lost.to_host.push(line.clone());
        }
        lost.to_host.extend(self.initialized.clone());
        for (id, line) in self.subscriptions.values() {
            if !is_open(id) {
                self.unwanted.insert(id.clone());
                lost.to_host.push(line.clone());
            }
        }
        lost.to_host.append(&mut again);
        lost
    }
}

/// An id, however it is spelled.
fn known(id: &RawValue) -> String {
    serde_json::from_str::<Value>(id.get()).unwrap_or_default().to_string()
}

/// The answer to a request of the client.
fn answer(id: &str, kind: &str, value: &Value) -> Option<Vec<u8>> {
    let id: Value = serde_json::from_str(id).ok()?;
    Some(json!({"jsonrpc": "2.0", "id": id, kind: value}).to_string().into_bytes())
}

/// A message with another id.
fn with_id(line: &[u8], id: Value) -> Option<Vec<u8>> {
    let mut message: Map<String, Value> = serde_json::from_slice(line).ok()?;
    message.insert("id".to_owned(), id);
    serde_json::to_vec(&message).ok()
}

/// A cancellation of another request.
fn with_request_id(line: &[u8], id: Value) -> Option<Vec<u8>> {
    let mut message: Value = serde_json::from_slice(line).ok()?;
    *message.pointer_mut("/params/requestId")? = id;
    serde_json::to_vec(&message).ok()
}

#[cfg(test)]
mod tests;
