//! Leases, queues, control messages and approvals, as SQL.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::open::SqliteStore;
use crate::session::{
    SessionName,
    record::{AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState},
    store::{
        Activity, Claim, ControlMessage, ControlOutcome, Coordination, Hint, Inbox, Lease,
        MessageId, StoreError, Ticket,
    },
};

#[async_trait]
impl Coordination for SqliteStore {
    async fn claim(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        time: Duration,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let action = "lease a session in";
        // A call that waits asks many times: it blocks nobody who writes.
        if ticket.is_some() {
            let held = self.held_by_another(name, ticket, now).await;
            if let Some(ahead) = held.map_err(self.failed(action))? {
                return Ok(Claim::Held(ahead));
            }
        }
        let mut tx = self.begin(action).await?;
        let claimed = self.acquire(&mut tx, name, ticket, time, now).await;
        let claimed = claimed.map_err(self.failed(action))?;
        if matches!(claimed, Claim::Ours { .. }) {
            tx.commit().await.map_err(self.failed(action))?;
        }
        Ok(claimed)
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
        let renewed = sqlx::query(
            "UPDATE sessions SET lease_until = ? \
             WHERE name = ? AND lease_owner = ? AND lease_epoch = ? AND lease_until > ?",
        )
        .bind(self.clock.after(time))
        .bind(lease.session.as_str())
        .bind(self.owner.id())
        .bind(lease.epoch)
        .bind(self.clock.now())
        .execute(&self.pool)
        .await
        .map_err(self.failed("renew a lease in"))?;
        Ok(renewed.rows_affected() == 1)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        sqlx::query(
            // One that has run out stays for the sweep, which ends the turn that was left running.
            "UPDATE sessions SET lease_owner = NULL, lease_until = NULL, lease_busy = 0 \
             WHERE name = ? AND lease_owner = ? AND lease_epoch = ? AND lease_until > ?",
        )
        .bind(lease.session.as_str())
        .bind(self.owner.id())
        .bind(lease.epoch)
        .bind(self.clock.now())
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(self.failed("release a lease in"))
    }

    async fn activity(&self) -> Result<Activity, StoreError> {
        self.count_activity().await.map_err(self.failed("count the turns in"))
    }

    async fn enqueue(
        &self,
        name: &SessionName,
        limit: usize,
        time: Duration,
    ) -> Result<Option<Ticket>, StoreError> {
        self.take_place(name, limit, time).await
    }

    async fn renew_places(&self, name: &SessionName, time: Duration) -> Result<(), StoreError> {
        self.prolong_places(name, time).await
    }

    async fn dequeue(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.give_up_place(ticket).await
    }

    async fn inbox(&self, lease: &Lease, after: MessageId) -> Result<Inbox, StoreError> {
        let read = async {
            // One question in the usual case, in which the answer is no: a running turn asks several times a second.
            let (held, wanted, unread, answered): (bool, bool, bool, bool) = sqlx::query_as(
                "SELECT EXISTS (SELECT 1 FROM sessions WHERE name = ?1 AND lease_owner = ?2 \
                 AND lease_epoch = ?3 AND lease_until > ?4), \
                 EXISTS (SELECT 1 FROM queue WHERE session = ?1 AND owner <> ?2 AND until > ?4), \
                 EXISTS (SELECT 1 FROM control_messages WHERE session = ?1 AND id > ?5 AND taken = 0), \
                 EXISTS (SELECT 1 FROM approvals WHERE session = ?1 AND epoch = ?3 AND state = 'answered')",
            )
            .bind(lease.session.as_str())
            .bind(self.owner.id())
            .bind(lease.epoch)
            .bind(self.clock.now())
            .bind(after.0)
            .fetch_one(&self.pool)
            .await?;
            let mut inbox = Inbox { held, ..Inbox::default() };
            if held && wanted {
                inbox.wanted = self.others_before(&self.pool, &lease.session, None).await? > 0;
            }
            if held && unread {
                inbox.messages = self.unread(&lease.session, after).await?;
            }
            if held && answered {
                inbox.answers = self.unsettled_answers(lease).await?;
            }
            Ok(inbox)
        };
        read.await.map_err(self.failed("read the inbox in"))
    }

    async fn post(
        &self,
        name: &SessionName,
        message: &ControlMessage,
    ) -> Result<MessageId, StoreError> {
        self.post_message(name, message).await
    }

    async fn take(&self, id: MessageId) -> Result<bool, StoreError> {
        self.take_message(id).await
    }

    async fn withdraw(&self, id: MessageId) -> Result<bool, StoreError> {
        self.withdraw_message(id).await
    }

    async fn report(&self, id: MessageId, outcome: &ControlOutcome) -> Result<(), StoreError> {
        self.report_outcome(id, outcome).await
    }

    async fn outcome(&self, id: MessageId) -> Result<Option<ControlOutcome>, StoreError> {
        self.read_outcome(id).await
    }

    async fn open_approval(
        &self,
        lease: &Lease,
        approval: &ApprovalRecord,
        time: Duration,
    ) -> Result<(), StoreError> {
        self.record_approval(lease, approval, time).await
    }

    async fn answer_approval(
        &self,
        id: &ApprovalId,
        answer: &AnswerRecord,
    ) -> Result<Option<SessionName>, StoreError> {
        self.record_answer(id, answer).await
    }

    async fn settle_approval(
        &self,
        lease: &Lease,
        id: &ApprovalId,
        state: ApprovalState,
    ) -> Result<bool, StoreError> {
        self.record_settlement(lease, id, state).await
    }

    async fn open_approvals(
        &self,
        session: Option<&SessionName>,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.read_open_approvals(session).await
    }

    async fn hint(&self) -> Hint {
        std::future::pending().await
    }
}
