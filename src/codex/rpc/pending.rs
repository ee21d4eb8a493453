//! Requests that wait for their response.

use std::collections::HashMap;

use serde_json::Value;
use tokio::sync::oneshot;

use super::error::RpcError;

type Reply = Result<Value, RpcError>;

/// The open requests of one connection, by id. Once closed it takes no more.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    last_id: u64,
    closed: bool,
}

impl Pending {
    /// Registers a new request. `None` once the connection is closed.
    pub(super) fn register(&mut self) -> Option<(u64, oneshot::Receiver<Reply>)> {
        if self.closed {
            return None;
        }
        self.last_id += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(self.last_id, sender);
        Some((self.last_id, receiver))
    }

    /// Completes a request with its response. An unknown id is ignored.
    pub(super) fn complete(&mut self, id: u64, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&id) {
            // The requester may have stopped waiting.
            let _ = waiting.send(reply);
        }
    }

    /// Forgets a request that nothing waits for any more.
    pub(super) fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// Fails every open request.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_finds_its_request() {
        let mut pending = Pending::default();
        let (first, mut first_reply) = pending.register().unwrap();
        let (second, mut second_reply) = pending.register().unwrap();
        pending.complete(second, Ok(Value::from(2)));
        pending.complete(99, Ok(Value::Null));
        assert_eq!(second_reply.try_recv().unwrap().unwrap(), 2);
        assert!(first_reply.try_recv().is_err());
        pending.forget(first);
        assert!(pending.waiting.is_empty());
    }

    #[test]
    fn closing_tells_everyone_and_takes_no_more() {
        let mut pending = Pending::default();
        let (_, mut reply) = pending.register().unwrap();
        pending.close();
        assert!(reply.try_recv().is_err());
        assert!(pending.register().is_none());
    }
}
