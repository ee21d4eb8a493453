//! Approvals: each is answered once, from whichever server, and only while its turn's lease is in force.

use std::time::Duration;

use super::{Row, SqlStore, span};
use crate::session::{
    SessionName,
    record::{AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState},
    store::{
        Lease,
        rows::{json, millis},
    },
};

/// An approval that can still be answered: its turn's lease is the one it was opened under, and is in force.
const OPEN: &str = "approvals.tenant = $1 AND state = 'open' AND until > {clock} AND EXISTS (SELECT 1 FROM sessions \
                    WHERE sessions.tenant = $1 AND name = session AND lease_owner = owner AND lease_epoch = epoch \
                    AND lease_until > {clock})";

impl SqlStore {
    /// Opens an approval. Says whether the lease is in force; its row is locked, so that it cannot be taken over meanwhile.
    pub(super) async fn insert_approval(
        &self,
        lease: &Lease,
        approval: &ApprovalRecord,
        time: Duration,
    ) -> sqlx::Result<bool> {
        let open = self
            .under(
                lease,
                "INSERT INTO approvals (tenant, id, session, owner, epoch, asked_at, until, state, approval) \
                 SELECT $1, $6, $3, $4, $5, $7, {clock} + $8, 'open', $9 FROM sessions WHERE {ours}{lock}",
            )
            .bind(&*approval.approval.id.0)
            .bind(millis(approval.asked_at))
            .bind(span(time))
            .bind(json(approval));
        Ok(open.execute(&self.pool).await? == 1)
    }

    /// Answers an approval if it is open, and returns its session.
    pub(super) async fn write_answer(
        &self,
        id: &ApprovalId,
        answer: &AnswerRecord,
    ) -> sqlx::Result<Option<SessionName>> {
        let sql = format!(
            "UPDATE approvals SET state = 'answered', answer = $4 WHERE id = $3 AND {OPEN} \
             RETURNING session, {{tell_of_session}}"
        );
        let answered =
            self.query(&sql).bind(&*id.0).bind(json(answer)).optional(&self.pool).await?;
        Ok(answered.and_then(|row| row.get::<String>("session").ok()?.parse().ok()))
    }

    /// Ends an approval that was opened under this lease, if that is in force and the state can follow. Says whether.
    pub(super) async fn write_settlement(
        &self,
        lease: &Lease,
        id: &ApprovalId,
        state: ApprovalState,
    ) -> sqlx::Result<bool> {
        let [open, answered] = [ApprovalState::Open, ApprovalState::Answered]
            .map(|from| Some(from.as_str()).filter(|_| state.can_follow(from)));
        let settle = self
            .under(
                lease,
                "UPDATE approvals SET state = $6 WHERE tenant = $1 AND id = $7 AND session = $3 AND owner = $4 \
                 AND epoch = $5 AND (state = $8 OR state = $9) AND EXISTS (SELECT 1 FROM sessions WHERE {ours})",
            )
            .bind(state.as_str())
            .bind(&*id.0)
            .bind(open)
            .bind(answered);
        Ok(settle.execute(&self.pool).await? == 1)
    }

    pub(super) async fn read_approvals(
        &self,
        session: Option<&SessionName>,
    ) -> sqlx::Result<Vec<ApprovalRecord>> {
        let sql = format!(
            "SELECT approval FROM approvals WHERE ($3 IS NULL OR session = $3) AND {OPEN} ORDER BY asked_at, id"
        );
        let read = self.query(&sql).bind(session.map(SessionName::as_str));
        let rows = read.all(&self.pool).await?;
        // A kind of approval that only a newer server knows is that server's to show.
        let approval = |row: &Row| serde_json::from_str(&row.get::<String>("approval").ok()?).ok();
        Ok(rows.iter().filter_map(approval).collect())
    }

    /// The answers given to the approvals of a lease that have not been settled.
    pub(super) async fn unsettled_answers(
        &self,
        lease: &Lease,
    ) -> sqlx::Result<Vec<(ApprovalId, AnswerRecord)>> {
        let read = self.under(
            lease,
            "SELECT id, answer FROM approvals WHERE tenant = $1 AND session = $3 AND owner = $4 AND epoch = $5 \
             AND state = 'answered'",
        );
        let answer = |row: &Row| {
            let answer = serde_json::from_str(&row.get::<String>("answer").ok()?).ok()?;
            Some((ApprovalId(row.get("id").ok()?), answer))
        };
        Ok(read.all(&self.pool).await?.iter().filter_map(answer).collect())
    }
}
