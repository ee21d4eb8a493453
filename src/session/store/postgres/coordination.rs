//! Leases, queues, control messages and approvals, as SQL.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;

use super::{
    hints::{Heard, notify},
    lease::span,
    open::PostgresStore,
};
use crate::session::{
    SessionName,
    record::{
        AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState, ForwardedMessage, SeenServer,
        ServerRecord,
    },
    store::{
        Activity, Change, Claim, ControlMessage, ControlOutcome, Coordination, Hint, Inbox, Lease,
        MessageId, StoreError, Ticket,
    },
};

#[async_trait]
impl Coordination for PostgresStore {
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
            "UPDATE sessions SET lease_until = codex_mcp_clock($5) + $6 WHERE tenant = $1 AND name = $2 \
             AND lease_owner = $3 AND lease_epoch = $4 AND lease_until > codex_mcp_clock($5)",
        )
        .bind(&self.tenant)
        .bind(lease.session.as_str())
        .bind(&self.owner)
        .bind(lease.epoch)
        .bind(self.clock())
        .bind(span(time))
        .execute(&self.pool)
        .await
        .map_err(self.failed("renew a lease in"))?;
        Ok(renewed.rows_affected() == 1)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        sqlx::query(concat!(
            // One that has run out stays for the sweep, which ends the turn that was left running.
            "UPDATE sessions SET lease_owner = NULL, lease_until = NULL, lease_busy = false WHERE tenant = $1 \
             AND name = $2 AND lease_owner = $3 AND lease_epoch = $4 AND lease_until > codex_mcp_clock($5) RETURNING ",
            notify!("tenant", "name")
        ))
        .bind(&self.tenant)
        .bind(lease.session.as_str())
        .bind(&self.owner)
        .bind(lease.epoch)
        .bind(self.clock())
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
                "SELECT EXISTS (SELECT 1 FROM sessions WHERE tenant = $1 AND name = $2 AND lease_owner = $3 \
                 AND lease_epoch = $4 AND lease_until > codex_mcp_clock($5)), \
                 EXISTS (SELECT 1 FROM queue WHERE tenant = $1 AND session = $2 AND owner <> $3 \
                 AND until > codex_mcp_clock($5)), \
                 EXISTS (SELECT 1 FROM control_messages WHERE tenant = $1 AND session = $2 AND id > $6 AND NOT taken), \
                 EXISTS (SELECT 1 FROM approvals WHERE tenant = $1 AND session = $2 AND epoch = $4 AND state = 'answered')",
            )
            .bind(&self.tenant)
            .bind(lease.session.as_str())
            .bind(&self.owner)
            .bind(lease.epoch)
            .bind(self.clock())
            .bind(after.0)
            .fetch_one(&self.pool)
            .await?;
            let mut inbox = Inbox { held, ..Inbox::default() };
            inbox.wanted = held && wanted;
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

    async fn announce(&self, server: &ServerRecord, time: Duration) -> Result<(), StoreError> {
        self.write_server(server, time).await
    }

    async fn leave(&self, id: &str) -> Result<(), StoreError> {
        self.delete_server(id).await
    }

    async fn servers(&self) -> Result<Vec<SeenServer>, StoreError> {
        self.read_servers().await
    }

    async fn forward(
        &self,
        from: &str,
        to: Option<&str>,
        message: &ForwardedMessage,
    ) -> Result<(), StoreError> {
        self.insert_forwarded(from, to, message).await
    }

    async fn take_forwarded(&self, server: &str) -> Result<Vec<ForwardedMessage>, StoreError> {
        self.remove_forwarded(server).await
    }

    async fn subscribe(
        &self,
        mcp_session: &str,
        uri: &str,
        subscribed: bool,
    ) -> Result<(), StoreError> {
        self.put_subscription(mcp_session, uri, subscribed).await
    }

    async fn subscriptions(&self, mcp_session: &str) -> Result<Vec<String>, StoreError> {
        self.read_subscriptions(mcp_session).await
    }

    async fn tell(&self, change: &Change) -> Result<(), StoreError> {
        let (kind, session) = match change {
            Change::List => ("list", ""),
            Change::Session(name) => ("session", name.as_str()),
        };
        sqlx::query(concat!("SELECT ", notify!("$1::text", "$2::text", "$3::text", "$4::text")))
            .bind(kind)
            .bind(&self.tenant)
            .bind(session)
            .bind(&self.owner)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(self.failed("tell of a change in"))
    }

    fn has_other_machines(&self) -> bool {
        true
    }

    async fn hint(&self) -> Hint {
        let mut heard = self.heard.lock().await;
        loop {
            let hint = tokio::select! {
                hint = heard.recv() => hint,
                () = self.hints.listen() => continue,
            };
            match hint {
                Ok(heard) => {
                    if let Some(hint) = self.hint_of(heard) {
                        return hint;
                    }
                }
                // Who lags behind finds out when the store is asked.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl PostgresStore {
    /// What of that is for this owner.
    fn hint_of(&self, heard: Heard) -> Option<Hint> {
        let Heard { kind, tenant, subject, owner } = heard;
        match &*kind {
            "forwarded" => Some(Hint::Forwarded(subject)),
            _ if tenant != self.tenant => None,
            "inbox" => Some(Hint::Inbox(subject.parse().ok()?)),
            // It knows what it has done itself.
            _ if owner == self.owner => None,
            "list" => Some(Hint::Changed(Change::List)),
            "session" => Some(Hint::Changed(Change::Session(subject.parse().ok()?))),
            _ => None,
        }
    }
}
