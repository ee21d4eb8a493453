//! Borrowing a session from its actor, for what is done while no turn runs. Until it comes back the actor does nothing, so what is
//! asked of the session meanwhile waits in the mailbox.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{actor::Actor, loan::Loan, message::Message, queued::answer};
use crate::session::{SessionError, SessionName, rollouts::Known, shared::Shared};

impl Shared {
    /// Borrows a session.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or [`SessionError::Busy`] if a turn runs or waits, on whichever server.
    pub(in crate::session) async fn borrow(
        self: &Arc<Self>,
        name: &SessionName,
    ) -> Result<Loan, SessionError> {
        let lent = self.post(name, |_| {
            let (reply, lent) = oneshot::channel();
            (Message::Lend(reply), lent)
        })?;
        lent.await.unwrap_or(Err(SessionError::ShuttingDown))
    }
}

impl Actor {
    /// Lends the session until it comes back or is given up.
    pub(super) async fn lend(&mut self, reply: oneshot::Sender<Result<Loan, SessionError>>) {
        if self.has_unasked() {
            return answer(reply, Err(SessionError::Busy { name: self.name.clone() }));
        }
        let guard = match self.guard_before(u32::MAX).await {
            Ok(guard) => guard,
            Err(error) => return answer(reply, Err(error)),
        };
        let (back, returned) = oneshot::channel();
        let (loaded, closing) = (self.loaded.take(), self.shared.closing.clone());
        if let Err(Ok(unwanted)) = reply.send(Ok(Loan { guard, loaded, back, closing })) {
            unwanted.give_back();
        }
        match returned.await {
            Ok((guard, loaded)) => (self.lease, self.loaded) = (Some(guard), loaded),
            Err(_) => self.kept = Known::default(),
        }
    }
}
