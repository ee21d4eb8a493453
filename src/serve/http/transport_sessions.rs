//! The MCP sessions of older-era clients as the SDK has them, when there are other servers: what a client sends may come to
//! any of them. What the SDK asks a client has the id of this server in front, so that the answer finds its way back from
//! wherever it comes; and what any server may have to hear is passed to all.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use rmcp::{
    model::{
        ClientJsonRpcMessage, ClientNotification, ClientRequest, RequestId, ServerJsonRpcMessage,
        ServerNotification,
    },
    transport::streamable_http_server::session::{
        RestoreOutcome, ServerSseMessage, SessionId, SessionManager,
        local::{LocalSessionManager, LocalSessionManagerError},
    },
};

use serde_json::json;

use super::handshakes::SharedHandshakes;
use crate::mcp::SessionError;

/// What the id of a request begins with that another server passes on for a client.
const FORWARDED: &str = "forwarded/";

/// The MCP sessions of one endpoint.
#[derive(Debug)]
pub(super) struct TransportSessions {
    local: LocalSessionManager,
    /// `None` if there are no other servers.
    others: Option<(Arc<str>, SharedHandshakes)>,
}

/// Why a message of a client goes nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    #[error(transparent)]
    Local(#[from] LocalSessionManagerError),
    #[error("the message is for another server, and the store cannot be written")]
    Store(#[source] SessionError),
}

/// Whom a message of a client concerns.
#[derive(Debug, PartialEq)]
enum Concerned {
    /// This server alone.
    Us,
    /// The one that asked.
    Server(String),
    /// Whichever server has the call or the stream.
    All,
}

impl TransportSessions {
    pub(super) fn new(local: LocalSessionManager, handshakes: Option<&SharedHandshakes>) -> Self {
        let others = handshakes.and_then(|shared| Some((shared.server()?.into(), shared.clone())));
        Self { local, others }
    }

    /// Does what another server passes on for a session. No effect if there is none here.
    pub(super) async fn accept_forwarded(&self, id: &str, message: Option<&str>) {
        let id: SessionId = id.into();
        let Some(message) = message else {
            let closed = self.local.close_session(&id).await;
            return tracing::debug!(
                in_order = closed.is_ok(),
                "an MCP session was ended on another server"
            );
        };
        let done = match serde_json::from_str::<ClientJsonRpcMessage>(message) {
            Ok(request @ ClientJsonRpcMessage::Request(_)) => self.ask(&id, request).await,
            Ok(message) => {
                let message = self.untagged(message);
                self.local.accept_message(&id, message).await
            }
            Err(error) => {
                return tracing::warn!(%error, "another server passed on what is no message");
            }
        };
        tracing::debug!(done = done.is_ok(), "another server passed on a message");
    }

    /// Makes a request for a client that has its answer already.
    async fn ask(
        &self,
        id: &SessionId,
        mut request: ClientJsonRpcMessage,
    ) -> Result<(), LocalSessionManagerError> {
        if let ClientJsonRpcMessage::Request(request) = &mut request {
            // Not one that the client has in use here.
            request.id = RequestId::String(format!("{FORWARDED}{}", request.id).into());
        }
        let answers = self.local.create_stream(id, request).await?;
        answers.for_each(async |_| {}).await;
        Ok(())
    }

    /// Subscribes for a client whose stream is here from now on to what it has subscribed to on other servers.
    async fn take_subscriptions(&self, id: &SessionId) {
        let Some((_, shared)) = &self.others else { return };
        for uri in shared.subscriptions(id).await {
            let request = json!({
                "jsonrpc": "2.0", "id": uri, "method": "resources/subscribe", "params": {"uri": uri},
            });
            self.accept_forwarded(id, Some(&request.to_string())).await;
        }
    }

    fn tagged(&self) -> impl Fn(ServerSseMessage) -> ServerSseMessage + Send + Sync + use<> {
        let us = self.others.as_ref().map(|(us, _)| Arc::clone(us));
        move |mut event| {
            if let (Some(us), Some(message)) = (&us, &event.message) {
                event.message = Some(tag(us, message));
            }
            event
        }
    }

    fn untagged(&self, message: ClientJsonRpcMessage) -> ClientJsonRpcMessage {
        match &self.others {
            Some((us, _)) => untag(us, message),
            None => message,
        }
    }
}

/// A message of ours, with this server's id in front of that of a request.
fn tag(us: &str, message: &Arc<ServerJsonRpcMessage>) -> Arc<ServerJsonRpcMessage> {
    let tagged = |id: &RequestId| RequestId::String(format!("{us}/{id}").into());
    let is_ours = match &**message {
        ServerJsonRpcMessage::Request(_) => true,
        ServerJsonRpcMessage::Notification(note) => {
            matches!(note.notification, ServerNotification::CancelledNotification(_))
        }
        ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_) => false,
    };
    if !is_ours {
        return Arc::clone(message);
    }
    let mut message = ServerJsonRpcMessage::clone(message);
    match &mut message {
        ServerJsonRpcMessage::Request(request) => request.id = tagged(&request.id),
        ServerJsonRpcMessage::Notification(note) => {
            if let ServerNotification::CancelledNotification(cancelled) = &mut note.notification {
                let id = &mut cancelled.params.request_id;
                *id = id.as_ref().map(tagged);
            }
        }
        ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_) => {}
    }
    Arc::new(message)
}

/// An answer to what this server has asked, with the id that it asked under.
fn untag(us: &str, mut message: ClientJsonRpcMessage) -> ClientJsonRpcMessage {
    let id = match &mut message {
        ClientJsonRpcMessage::Response(response) => Some(&mut response.id),
        ClientJsonRpcMessage::Error(error) => error.id.as_mut(),
        ClientJsonRpcMessage::Request(_) | ClientJsonRpcMessage::Notification(_) => None,
    };
    if let Some(id) = id
        && let RequestId::String(text) = &*id
        && let Some((server, number)) = text.rsplit_once('/')
        && server == us
    {
        *id = number.parse().map_or_else(|_| RequestId::String(number.into()), RequestId::Number);
    }
    message
}

/// Whom a message concerns.
fn concerned(us: &str, message: &ClientJsonRpcMessage) -> Concerned {
    let id = match message {
        ClientJsonRpcMessage::Response(response) => &response.id,
        ClientJsonRpcMessage::Error(error) => match &error.id {
            Some(id) => id,
            None => return Concerned::Us,
        },
        ClientJsonRpcMessage::Notification(note) => {
            return match note.notification {
                ClientNotification::CancelledNotification(_) => Concerned::All,
                _ => Concerned::Us,
            };
        }
        ClientJsonRpcMessage::Request(request) => {
            return match request.request {
                ClientRequest::SubscribeRequest(_) | ClientRequest::UnsubscribeRequest(_) => {
                    Concerned::All
                }
                _ => Concerned::Us,
            };
        }
    };
    match id {
        RequestId::String(text) => match text.rsplit_once('/') {
            Some((server, _)) if server != us => Concerned::Server(server.to_owned()),
            _ => Concerned::Us,
        },
        RequestId::Number(_) => Concerned::Us,
    }
}

impl SessionManager for TransportSessions {
    type Error = TransportError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        Ok(self.local.create_session().await?)
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        Ok(self.local.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.local.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        Ok(self.local.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        if let Some((us, shared)) = &self.others
            && concerned(us, &message) == Concerned::All
        {
            let kept = shared.keep_subscription(id, &message).await;
            kept.map_err(TransportError::Store)?;
        }
        Ok(self.local.create_stream(id, message).await?.map(self.tagged()))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        let Some((us, shared)) = &self.others else {
            return Ok(self.local.accept_message(id, message).await?);
        };
        let concerned = concerned(us, &message);
        let sent = match &concerned {
            Concerned::Us => Ok(()),
            Concerned::Server(server) => shared.forward(Some(server), id, &message).await,
            Concerned::All => shared.forward(None, id, &message).await,
        };
        sent.map_err(TransportError::Store)?;
        if matches!(concerned, Concerned::Server(_)) {
            return Ok(());
        }
        Ok(self.local.accept_message(id, untag(us, message)).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let stream = self.local.create_standalone_stream(id).await?;
        self.take_subscriptions(id).await;
        Ok(stream.map(self.tagged()))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.local.resume(id, last_event_id).await?.map(self.tagged()))
    }

    async fn restore_session(
        &self,
        id: SessionId,
    ) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        Ok(self.local.restore_session(id).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn said(message: Value) -> ClientJsonRpcMessage {
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn an_answer_finds_its_way_back_and_has_the_id_that_was_asked_under() {
        let question = json!({"jsonrpc": "2.0", "id": 7, "method": "ping"});
        let asked = tag("one", &Arc::new(serde_json::from_value(question).unwrap()));
        let asked = serde_json::to_value(&asked).unwrap();
        assert_eq!(asked["id"], "one/7");
        let answer = || said(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {}}));
        assert_eq!(concerned("one", &answer()), Concerned::Us);
        assert_eq!(concerned("two", &answer()), Concerned::Server("one".to_owned()));
        let answer = serde_json::to_value(untag("one", answer())).unwrap();
        assert_eq!(answer["id"], 7);
        let error = json!({"jsonrpc": "2.0", "id": "one/8", "error": {"code": 1, "message": ""}});
        assert_eq!(concerned("two", &said(error)), Concerned::Server("one".to_owned()));
    }

    #[test]
    fn what_is_taken_back_has_the_id_that_was_asked_under_too() {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
        let note = tag("one", &Arc::new(serde_json::from_value(note).unwrap()));
        assert_eq!(serde_json::to_value(&note).unwrap()["params"]["requestId"], "one/7");
        let news = json!({"jsonrpc": "2.0", "method": "notifications/resources/list_changed"});
        let news = Arc::new(serde_json::from_value(news).unwrap());
        assert!(Arc::ptr_eq(&news, &tag("one", &news)));
    }

    #[test]
    fn a_call_can_be_taken_back_wherever_it_runs() {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
        assert_eq!(concerned("one", &said(note)), Concerned::All);
        let call = json!({"jsonrpc": "2.0", "id": "a/b", "method": "ping"});
        assert_eq!(concerned("one", &said(call)), Concerned::Us);
    }
}
