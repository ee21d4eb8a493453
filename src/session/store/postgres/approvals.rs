//! Approvals: each is answered once, from whichever server, and only while its turn's lease is in force.

use std::time::Duration;

use super::{hints::notify, lease::span, open::PostgresStore};
use crate::session::{
    SessionName,
    record::{AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState},
    store::{
        Lease, StoreError,
        rows::{json, millis},
    },
};

/// An approval that can still be answered: its turn's lease is the one it was opened under, and is in force. `$1` is the
/// tenant, `$2` the clock.
macro_rules! open_under_lease {
    () => {
        "approvals.tenant = $1 AND state = 'open' AND until > codex_mcp_clock($2) AND EXISTS (SELECT 1 FROM sessions \
         WHERE sessions.tenant = $1 AND name = session AND lease_owner = owner AND lease_epoch = epoch \
         AND lease_until > codex_mcp_clock($2))"
    };
}

impl PostgresStore {
    pub(super) async fn record_approval(
        &self,
        lease: &Lease,
        approval: &ApprovalRecord,
        time: Duration,
    ) -> Result<(), StoreError> {
        // The session's row is locked, so that the lease cannot be taken over meanwhile.
        let opened = sqlx::query(
            "INSERT INTO approvals (tenant, id, session, owner, epoch, asked_at, until, state, approval) \
             SELECT $1, $6, $2, $3, $4, $7, codex_mcp_clock($5) + $8, 'open', $9 FROM sessions WHERE tenant = $1 \
             AND name = $2 AND lease_owner = $3 AND lease_epoch = $4 AND lease_until > codex_mcp_clock($5) \
             FOR UPDATE",
        )
        .bind(&self.tenant)
        .bind(lease.session.as_str())
        .bind(&self.owner)
        .bind(lease.epoch)
        .bind(self.clock())
        .bind(&approval.approval.id.0)
        .bind(millis(approval.asked_at))
        .bind(span(time))
        .bind(json(approval))
        .execute(&self.pool)
        .await
        .map_err(self.failed("record an approval in"))?;
        if opened.rows_affected() == 1 { Ok(()) } else { Err(Self::lost(lease)) }
    }

    pub(super) async fn record_answer(
        &self,
        id: &ApprovalId,
        answer: &AnswerRecord,
    ) -> Result<Option<SessionName>, StoreError> {
        let answered: Option<String> = sqlx::query_scalar(concat!(
            "UPDATE approvals SET state = 'answered', answer = $4 WHERE id = $3 AND ",
            open_under_lease!(),
            " RETURNING session, ",
            notify!("tenant", "session")
        ))
        .bind(&self.tenant)
        .bind(self.clock())
        .bind(&id.0)
        .bind(json(answer))
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed("answer an approval in"))?;
        Ok(answered.and_then(|session| session.parse().ok()))
    }

    pub(super) async fn record_settlement(
        &self,
        lease: &Lease,
        id: &ApprovalId,
        state: ApprovalState,
    ) -> Result<bool, StoreError> {
        let action = "settle an approval in";
        let [open, answered] = [ApprovalState::Open, ApprovalState::Answered]
            .map(|from| Some(from.as_str()).filter(|_| state.can_follow(from)));
        let settled = sqlx::query(
            "UPDATE approvals SET state = $6 WHERE tenant = $1 AND id = $7 AND session = $2 AND owner = $3 \
             AND epoch = $4 AND (state = $8 OR state = $9) AND EXISTS (SELECT 1 FROM sessions \
             WHERE sessions.tenant = $1 AND name = $2 AND lease_owner = $3 AND lease_epoch = $4 \
             AND lease_until > codex_mcp_clock($5))",
        )
        .bind(&self.tenant)
        .bind(lease.session.as_str())
        .bind(&self.owner)
        .bind(lease.epoch)
        .bind(self.clock())
        .bind(state.as_str())
        .bind(&id.0)
        .bind(open)
        .bind(answered)
        .execute(&self.pool)
        .await
        .map_err(self.failed(action))?;
        if settled.rows_affected() == 1 {
            return Ok(true);
        }
        if self.is_in_force(lease).await.map_err(self.failed(action))? {
            Ok(false)
        } else {
            Err(Self::lost(lease))
        }
    }

    pub(super) async fn read_open_approvals(
        &self,
        session: Option<&SessionName>,
    ) -> Result<Vec<ApprovalRecord>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(concat!(
            "SELECT approval FROM approvals WHERE ($3::text IS NULL OR session = $3) AND ",
            open_under_lease!(),
            " ORDER BY asked_at, id"
        ))
        .bind(&self.tenant)
        .bind(self.clock())
        .bind(session.map(SessionName::as_str))
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("list approvals in"))?;
        // A kind of approval that only a newer server knows is that server's to show.
        Ok(rows.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// The answers given to the approvals of a lease that have not been settled.
    pub(super) async fn unsettled_answers(
        &self,
        lease: &Lease,
    ) -> sqlx::Result<Vec<(ApprovalId, AnswerRecord)>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT id, answer FROM approvals WHERE tenant = $1 AND session = $2 AND epoch = $3 \
             AND state = 'answered'",
        )
        .bind(&self.tenant)
        .bind(lease.session.as_str())
        .bind(lease.epoch)
        .fetch_all(&self.pool)
        .await?;
        let read = |(id, text): (String, String)| {
            Some((ApprovalId(id), serde_json::from_str(&text).ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
