//! How servers keep out of each other's way: leases, queues, control messages and approvals.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Others, Query, Row, SqlStore, span};
use crate::session::{
    SessionName,
    record::{
        AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState, ForwardedMessage, SeenServer,
        ServerRecord, TurnDetails, TurnRecord,
    },
    store::{
        Activity, AdoptedTurn, Change, Claim, ControlMessage, ControlOutcome, Coordination, Hint,
        Inbox, Lease, MessageId, Promise, StoreError, rows::json,
    },
};

#[async_trait]
impl Coordination for SqlStore {
    async fn claim(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        time: Duration,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let action = "lease a session in";
        self.bury_the_dead().await?;
        // A turn that waits asks many times: it blocks no one who writes.
        if turn.is_some() {
            let held = self.held_by_another(name, turn, now).await;
            if let Some(ahead) = held.map_err(self.failed(action))? {
                return Ok(Claim::Held(ahead));
            }
        }
        let mut tx = self.begin(action).await?;
        let claimed = self.acquire(&mut tx, name, turn, time, now).await;
        let claimed = claimed.map_err(self.failed(action))?;
        if matches!(claimed, Claim::Ours { .. }) {
            self.commit_all(tx, action).await?;
        }
        Ok(claimed)
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
        let renew = "UPDATE sessions SET lease_until = {clock} + $6 WHERE {ours}";
        let renew = self.under(lease, renew).bind(span(time)).execute(&self.pool);
        Ok(renew.await.map_err(self.failed("renew a lease in"))? == 1)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let action = "release a lease in";
        // In the usual case no turn was left running.
        let released = self.free(lease, " AND status <> 'running'").execute(&self.pool).await;
        if released.map_err(self.failed(action))? == 1 {
            return Ok(());
        }
        let mut tx = self.begin(action).await?;
        let free = async {
            let lock = self.under(lease, "SELECT name FROM sessions WHERE {ours}{lock}");
            // One that has run out stays for the sweep, which does the same.
            if lock.optional(&mut tx).await?.is_some() {
                self.end_turns(&mut tx, lease.session.as_str()).await?;
                self.free(lease, "").execute(&mut tx).await?;
            }
            Ok(())
        };
        free.await.map_err(self.failed(action))?;
        self.commit_all(tx, action).await
    }

    async fn activity(&self) -> Result<Activity, StoreError> {
        self.bury_the_dead().await?;
        self.count_activity().await.map_err(self.failed("count the turns in"))
    }

    async fn enqueue(
        &self,
        name: &SessionName,
        turn: &TurnRecord,
        promise: Option<&Promise>,
        limit: usize,
        time: Duration,
    ) -> Result<Option<u32>, StoreError> {
        self.insert_queued(name, turn, promise, limit, time).await
    }

    async fn promise(
        &self,
        name: &SessionName,
        turn: u32,
        promise: &Promise,
        details: &TurnDetails,
    ) -> Result<bool, StoreError> {
        self.promise_queued(name, turn, promise, details)
            .await
            .map_err(self.failed("promise a turn in"))
    }

    async fn call_off(
        &self,
        name: &SessionName,
        turn: u32,
        details: &TurnDetails,
    ) -> Result<bool, StoreError> {
        self.cancel_queued(name, turn, details).await.map_err(self.failed("call a turn off in"))
    }

    async fn adopt(&self, runner: &str, time: Duration) -> Result<Vec<AdoptedTurn>, StoreError> {
        self.bury_the_dead().await?;
        // Usually there are none, and asking blocks no one who writes.
        let there = self.query(
            "SELECT EXISTS (SELECT 1 FROM turns WHERE tenant = $1 AND status = 'queued' AND until <= {clock} \
             AND request IS NOT NULL) AS there",
        );
        let row = there.one(&self.pool).await.map_err(self.failed("look for turns in"))?;
        if !row.get::<bool>("there").map_err(self.failed("look for turns in"))? {
            return Ok(Vec::new());
        }
        let adopted = self.adopt_queued(runner, time).await;
        let adopted = adopted.map_err(self.failed("take over a turn in"))?;
        let turns = adopted.into_iter().filter_map(|(session, number, request)| {
            let (session, number) = (session.parse().ok()?, u32::try_from(number).ok()?);
            Some(AdoptedTurn { session, number, request })
        });
        Ok(turns.collect())
    }

    async fn waiting(&self) -> Result<Vec<(SessionName, u32)>, StoreError> {
        let counts = self.query(
            "SELECT session, count(*) AS waiting FROM turns WHERE tenant = $1 AND status = 'queued' GROUP BY session",
        );
        let rows = counts.all(&self.pool).await.map_err(self.failed("count the queued in"))?;
        let counts = rows.iter().filter_map(|row| {
            let session: String = row.get("session").ok()?;
            let waiting: i64 = row.get("waiting").ok()?;
            Some((session.parse().ok()?, waiting.try_into().ok()?))
        });
        Ok(counts.collect())
    }

    async fn renew_places(&self, name: &SessionName, time: Duration) -> Result<(), StoreError> {
        let renew = self
            .query(
                "UPDATE turns SET until = {clock} + $5 WHERE tenant = $1 AND session = $3 AND owner = $4 \
                 AND status = 'queued' AND until > {clock}",
            )
            .bind(name.as_str())
            .bind(&*self.owner)
            .bind(span(time));
        renew.execute(&self.pool).await.map(drop).map_err(self.failed("renew a place in"))
    }

    async fn inbox(&self, lease: &Lease, after: MessageId) -> Result<Inbox, StoreError> {
        let action = "read the inbox in";
        let mut inbox = self.read_inbox(lease, after).await.map_err(self.failed(action))?;
        if inbox.wanted {
            // Not by the dead.
            self.bury_the_dead().await?;
            let others = self.others_before(&self.pool, &lease.session, None).await;
            inbox.wanted = others.map_err(self.failed(action))? > 0;
        }
        Ok(inbox)
    }

    async fn post(
        &self,
        name: &SessionName,
        message: &ControlMessage,
    ) -> Result<MessageId, StoreError> {
        let post = self
            .query(
                "INSERT INTO control_messages (tenant, session, posted, message) VALUES ($1, $3, {clock}, $4) \
                 RETURNING id, {tell}",
            )
            .bind(name.as_str())
            .bind(json(message));
        let posted = async { post.one(&self.pool).await?.get("id") };
        posted.await.map(MessageId).map_err(self.failed("post a message in"))
    }

    async fn take(&self, MessageId(id): MessageId) -> Result<bool, StoreError> {
        let take =
            "UPDATE control_messages SET taken = true WHERE tenant = $1 AND id = $3 AND NOT taken";
        let taken = self.query(take).bind(id).execute(&self.pool).await;
        Ok(taken.map_err(self.failed("take a message in"))? == 1)
    }

    async fn withdraw(&self, MessageId(id): MessageId) -> Result<bool, StoreError> {
        let withdraw = "DELETE FROM control_messages WHERE tenant = $1 AND id = $3 AND NOT taken";
        let withdrawn = self.query(withdraw).bind(id).execute(&self.pool).await;
        Ok(withdrawn.map_err(self.failed("withdraw a message in"))? == 1)
    }

    async fn report(
        &self,
        MessageId(id): MessageId,
        outcome: &ControlOutcome,
    ) -> Result<(), StoreError> {
        let report = "UPDATE control_messages SET outcome = $4 WHERE tenant = $1 AND id = $3";
        let report = self.query(report).bind(id).bind(json(outcome)).execute(&self.pool);
        report.await.map(drop).map_err(self.failed("report an outcome in"))
    }

    async fn outcome(
        &self,
        MessageId(id): MessageId,
    ) -> Result<Option<ControlOutcome>, StoreError> {
        let read = self.query(
            "DELETE FROM control_messages WHERE tenant = $1 AND id = $3 AND outcome IS NOT NULL RETURNING outcome",
        );
        let known = read.bind(id).optional(&self.pool).await;
        let known = known.map_err(self.failed("read an outcome in"))?;
        Ok(known.and_then(|row| serde_json::from_str(&row.get::<String>("outcome").ok()?).ok()))
    }

    async fn open_approval(
        &self,
        lease: &Lease,
        approval: &ApprovalRecord,
        time: Duration,
    ) -> Result<(), StoreError> {
        let opened = self.insert_approval(lease, approval, time).await;
        let opened = opened.map_err(self.failed("record an approval in"))?;
        if opened { Ok(()) } else { Err(Self::lost(lease)) }
    }

    async fn answer_approval(
        &self,
        id: &ApprovalId,
        answer: &AnswerRecord,
    ) -> Result<Option<SessionName>, StoreError> {
        self.bury_the_dead().await?;
        self.write_answer(id, answer).await.map_err(self.failed("answer an approval in"))
    }

    async fn settle_approval(
        &self,
        lease: &Lease,
        id: &ApprovalId,
        state: ApprovalState,
    ) -> Result<bool, StoreError> {
        let action = "settle an approval in";
        if self.write_settlement(lease, id, state).await.map_err(self.failed(action))? {
            return Ok(true);
        }
        let held = self.is_in_force(lease).await.map_err(self.failed(action))?;
        if held { Ok(false) } else { Err(Self::lost(lease)) }
    }

    async fn open_approvals(
        &self,
        session: Option<&SessionName>,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.bury_the_dead().await?;
        self.read_approvals(session).await.map_err(self.failed("list approvals in"))
    }

    async fn announce(&self, server: &ServerRecord, time: Duration) -> Result<(), StoreError> {
        self.write_server(server, time).await.map_err(self.failed("write a server in"))
    }

    async fn leave(&self, id: &str) -> Result<(), StoreError> {
        self.delete_server(id).await.map_err(self.failed("remove a server from"))
    }

    async fn servers(&self) -> Result<Vec<SeenServer>, StoreError> {
        self.read_servers().await.map_err(self.failed("list the servers in"))
    }

    async fn forward(
        &self,
        from: &str,
        to: Option<&str>,
        message: &ForwardedMessage,
    ) -> Result<(), StoreError> {
        self.insert_forwarded(from, to, message).await.map_err(self.failed("forward a message in"))
    }

    async fn take_forwarded(&self, server: &str) -> Result<Vec<ForwardedMessage>, StoreError> {
        self.remove_forwarded(server).await.map_err(self.failed("read forwarded messages in"))
    }

    async fn subscribe(
        &self,
        mcp_session: &str,
        uri: &str,
        subscribed: bool,
    ) -> Result<(), StoreError> {
        let put = self.put_subscription(mcp_session, uri, subscribed).await;
        put.map_err(self.failed("keep a subscription in"))
    }

    async fn subscriptions(&self, mcp_session: &str) -> Result<Vec<String>, StoreError> {
        self.read_subscriptions(mcp_session).await.map_err(self.failed("read the subscriptions in"))
    }

    async fn tell(&self, change: &Change) -> Result<(), StoreError> {
        let Others::Anywhere(_) = self.others else { return Ok(()) };
        let (kind, session) = match change {
            Change::List => ("list", ""),
            Change::Session(name) => ("session", name.as_str()),
        };
        let tell = "SELECT pg_notify('codex_mcp', concat_ws(E'\\n', $3::text, $1::text, $4::text, $5::text))";
        let tell = self.query(tell).bind(kind).bind(session).bind(&*self.owner);
        tell.execute(&self.pool).await.map(drop).map_err(self.failed("tell of a change in"))
    }

    fn has_other_machines(&self) -> bool {
        matches!(self.others, Others::Anywhere(_))
    }

    async fn hint(&self) -> Hint {
        match &self.others {
            Others::Anywhere(hearing) => hearing.hint(&self.tenant, &self.owner).await,
            Others::None | Others::Here(_) => std::future::pending().await,
        }
    }
}

impl SqlStore {
    /// Gives a lease back that is in force.
    fn free(&self, lease: &Lease, condition: &str) -> Query {
        let free = "UPDATE sessions SET lease_owner = NULL, lease_until = NULL, lease_busy = false WHERE {ours}";
        self.under(lease, &format!("{free}{condition} RETURNING {{tell}}"))
    }

    async fn read_inbox(&self, lease: &Lease, after: MessageId) -> sqlx::Result<Inbox> {
        // One question in the usual case, in which the answer is no: a running turn asks several times a second.
        let ask = self.under(
            lease,
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE {ours}) AS held, \
             EXISTS (SELECT 1 FROM turns WHERE tenant = $1 AND session = $3 AND status = 'queued' AND owner <> $4 \
             AND until > {clock}) AS wanted, \
             EXISTS (SELECT 1 FROM control_messages WHERE tenant = $1 AND session = $3 AND id > $6 AND NOT taken) AS unread, \
             EXISTS (SELECT 1 FROM approvals WHERE tenant = $1 AND session = $3 AND epoch = $5 AND state = 'answered') \
             AS answered",
        );
        let row = ask.bind(after.0).one(&self.pool).await?;
        let mut inbox = Inbox::default();
        if !row.get::<bool>("held")? {
            return Ok(inbox);
        }
        inbox.held = true;
        inbox.wanted = row.get("wanted")?;
        if row.get("unread")? {
            inbox.messages = self.unread(&lease.session, after).await?;
        }
        if row.get("answered")? {
            inbox.answers = self.unsettled_answers(lease).await?;
        }
        Ok(inbox)
    }

    /// The messages of a session that no one has taken, after this one.
    async fn unread(
        &self,
        name: &SessionName,
        MessageId(after): MessageId,
    ) -> sqlx::Result<Vec<(MessageId, ControlMessage)>> {
        let read = self
            .query(
                "SELECT id, message FROM control_messages WHERE tenant = $1 AND session = $3 AND id > $4 \
                 AND NOT taken ORDER BY id",
            )
            .bind(name.as_str())
            .bind(after);
        // A newer server's message of a kind we do not know is not ours to guess at.
        let message = |row: &Row| {
            let message = serde_json::from_str(&row.get::<String>("message").ok()?).ok()?;
            Some((MessageId(row.get("id").ok()?), message))
        };
        Ok(read.all(&self.pool).await?.iter().filter_map(message).collect())
    }
}
