//! What a client waits for from its host, and what another host must be told when that one has died. Knows lines of
//! MCP as far as their ids and methods.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

use serde::Deserialize;
use serde_json::{json, value::RawValue};

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
    /// What the client has asked, by id.
    asked: BTreeMap<String, Asked>,
    /// What the host has asked the client, by id.
    questions: HashSet<String>,
    /// Answers of another host to what was only said again.
    unwanted: HashSet<String>,
}

#[derive(Debug)]
enum Asked {
    /// A call of a tool that may have begun something. It is not made again.
    Call { session: Option<String>, is_modern: bool },
    /// Anything else only reads, and can be asked again.
    Other(Vec<u8>),
}

/// What to say when a host has died.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) to_client: Vec<Vec<u8>>,
    pub(super) to_host: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
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
    /// Notes a line that the client has said to its host.
    pub(super) fn said(&mut self, line: &[u8]) {
        let Ok(Head { id, method, params }) = serde_json::from_slice(line) else { return };
        let params = params.and_then(|params| serde_json::from_str(params.get()).ok());
        let params: Params<'_> = params.unwrap_or_default();
        match (method.as_deref(), id.map(|id| id.get().to_owned())) {
            (Some(method), Some(id)) => self.asked(method, id, params, line),
            (Some("notifications/initialized"), None) => self.initialized = Some(line.to_vec()),
            // It is not answered.
            (Some("notifications/cancelled"), None) => {
                if let Some(id) = params.request_id {
                    self.asked.remove(id.get());
                }
            }
            (None, Some(id)) => drop(self.questions.remove(&id)),
            _ => {}
        }
    }

    fn asked(&mut self, method: &str, id: String, params: Params<'_>, line: &[u8]) {
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
        let asked = match method {
            "tools/call" if !params.name.as_deref().is_some_and(only_reads) => Asked::Call {
                session: params.arguments.and_then(|given| given.session_id),
                is_modern: params
                    .meta
                    .and_then(|meta| meta.version)
                    .is_some_and(|version| *version >= *MODERN),
            },
            _ => Asked::Other(line.to_vec()),
        };
        self.asked.insert(id, asked);
    }

    /// Notes a line that the host has said. Returns whether it is for the client.
    pub(super) fn heard(&mut self, line: &[u8]) -> bool {
        let Ok(Head { id, method, params }) = serde_json::from_slice(line) else { return true };
        match (method.as_deref(), id) {
            (None, Some(id)) => {
                if self.unwanted.remove(id.get()) {
                    return false;
                }
                self.asked.remove(id.get());
            }
            (Some(_), Some(id)) => drop(self.questions.insert(id.get().to_owned())),
            (Some("notifications/cancelled"), None) => {
                let params =
                    params.and_then(|params| serde_json::from_str::<Params<'_>>(params.get()).ok());
                if let Some(id) = params.and_then(|params| params.request_id) {
                    self.questions.remove(id.get());
                }
            }
            _ => {}
        }
        true
    }

    /// Whether the client waits for an answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether the client wants to hear of things by itself, so that another host is needed at once.
    pub(super) fn is_listening(&self) -> bool {
        !self.subscriptions.is_empty()
            || self.asked.values().any(|asked| matches!(asked, Asked::Other(_)))
    }

    /// What the client must be told now that its host has died, and another host at the beginning.
    pub(super) fn lost(&mut self) -> Lost {
        let mut lost = Lost::default();
        self.unwanted.clear();
        for id in self.questions.drain() {
            let line = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the server ended"}}}}"#
            );
            lost.to_client.push(line.into_bytes());
        }
        // A handshake that was answered is only repeated for the host's sake.
        let mut again = |id: &String, line: &Vec<u8>, lost: &mut Lost| {
            if !self.asked.contains_key(id) {
                self.unwanted.insert(id.clone());
                lost.to_host.push(line.clone());
            }
        };
        if let Some((id, line)) = &self.initialize {
            again(id, line, &mut lost);
        }
        let before = lost.to_host.len();
        for (id, line) in self.subscriptions.values() {
            again(id, line, &mut lost);
        }
        let mut first = Vec::new();
        self.asked.retain(|id, asked| match asked {
            Asked::Call { session, is_modern } => {
                let result = host_restarted(session.as_deref(), *is_modern);
                let answer = match serde_json::from_str::<&RawValue>(id) {
                    Ok(id) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                    Err(_) => return false,
                };
                lost.to_client.push(answer.to_string().into_bytes());
                false
            }
            Asked::Other(line) => {
                let is_handshake = self.initialize.as_ref().is_some_and(|(known, _)| known == id);
                if is_handshake {
                    first.push(line.clone());
                } else {
                    lost.to_host.push(line.clone());
                }
                true
            }
        });
        // The handshake comes before everything else.
        let place = before + first.len();
        lost.to_host.splice(before..before, first);
        if let Some(line) = &self.initialized {
            lost.to_host.insert(place, line.clone());
        }
        lost
    }
}

#[cfg(test)]
mod tests;
