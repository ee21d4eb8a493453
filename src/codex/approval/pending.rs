//! An approval on its way to be answered.

use serde_json::Value;
use tokio::sync::oneshot;

use super::{Answer, ApprovalRequest};

/// An approval that Codex waits for. Dropping it declines it.
#[derive(Debug)]
pub(crate) struct PendingApproval {
    pub(crate) request: ApprovalRequest,
    reply: oneshot::Sender<Value>,
}

impl PendingApproval {
    /// Also returns the receiver of the answer, in Codex's own form.
    pub(crate) fn new(request: ApprovalRequest) -> (Self, oneshot::Receiver<Value>) {
        let (reply, answer) = oneshot::channel();
        (Self { request, reply }, answer)
    }

    /// Returns whether the app-server is still there to be answered.
    pub(crate) fn answer(self, answer: &Answer) -> bool {
        self.reply.send(self.request.answer(answer)).is_ok()
    }
}
