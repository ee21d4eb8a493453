//! Approvals: each is answered once, from whichever server, and only while its turn's lease is in force.

use std::time::Duration;

use super::open::SqliteStore;
use crate::session::{
    SessionName,
    record::{AnswerRecord, ApprovalId, ApprovalRecord, ApprovalState},
    store::{
        Lease, StoreError,
        rows::{json, millis},
    },
};

/// An approval that can still be answered: its turn's lease is the one it was opened under, and is in force.
macro_rules! open_under_lease {
    ($clock:literal) => {
        concat!(
            "state = 'open' AND until > ",
            $clock,
            " AND EXISTS (SELECT 1 FROM sessions WHERE name = session AND lease_owner = owner \
             AND lease_epoch = epoch AND lease_until > ",
            $clock,
            ")"
        )
    };
}

impl SqliteStore {
    pub(super) async fn record_approval(
        &self,
        lease: &Lease,
        approval: &ApprovalRecord,
        time: Duration,
    ) -> Result<(), StoreError> {
        let opened = sqlx::query(
            "INSERT INTO approvals (id, session, owner, epoch, asked_at, until, state, approval) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'open', ?7 WHERE EXISTS (SELECT 1 FROM sessions WHERE \
             name = ?2 AND lease_owner = ?3 AND lease_epoch = ?4 AND lease_until > ?8)",
        )
        .bind(&approval.approval.id.0)
        .bind(lease.session.as_str())
        .bind(self.owner.id())
        .bind(lease.epoch)
        .bind(millis(approval.asked_at))
        .bind(self.clock.after(time))
        .bind(json(approval))
        .bind(self.clock.now())
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
        let action = "answer an approval in";
        let owner: Option<(String,)> = sqlx::query_as("SELECT owner FROM approvals WHERE id = ?")
            .bind(&id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(self.failed(action))?;
        if owner.is_none_or(|(owner,)| self.owner.is_dead(&owner)) {
            return Ok(None);
        }
        let answered: Option<(String,)> = sqlx::query_as(concat!(
            "UPDATE approvals SET state = 'answered', answer = ?1 WHERE id = ?2 AND ",
            open_under_lease!("?3"),
            " RETURNING session"
        ))
        .bind(json(answer))
        .bind(&id.0)
        .bind(self.clock.now())
        .fetch_optional(&self.pool)
        .await
        .map_err(self.failed(action))?;
        Ok(answered.and_then(|(session,)| session.parse().ok()))
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
            "UPDATE approvals SET state = ?1 WHERE id = ?2 AND session = ?8 AND owner = ?3 \
             AND epoch = ?4 AND state IN (?6, ?7) AND EXISTS (SELECT 1 FROM sessions WHERE name = session \
             AND lease_owner = ?3 AND lease_epoch = ?4 AND lease_until > ?5)",
        )
        .bind(state.as_str())
        .bind(&id.0)
        .bind(self.owner.id())
        .bind(lease.epoch)
        .bind(self.clock.now())
        .bind(open)
        .bind(answered)
        .bind(lease.session.as_str())
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
        let rows: Vec<(String, String)> = sqlx::query_as(concat!(
            "SELECT owner, approval FROM approvals WHERE (?2 IS NULL OR session = ?2) AND ",
            open_under_lease!("?1"),
            " ORDER BY asked_at, id"
        ))
        .bind(self.clock.now())
        .bind(session.map(SessionName::as_str))
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("list approvals in"))?;
        let alive = rows.into_iter().filter(|(owner, _)| !self.owner.is_dead(owner));
        // A kind of approval that only a newer server knows is that server's to show.
        Ok(alive.filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect())
    }

    /// The answers given to the approvals of a lease that have not been settled.
    pub(super) async fn unsettled_answers(
        &self,
        lease: &Lease,
    ) -> sqlx::Result<Vec<(ApprovalId, AnswerRecord)>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT id, answer FROM approvals WHERE session = ? AND epoch = ? AND state = 'answered'",
        )
        .bind(lease.session.as_str())
        .bind(lease.epoch)
        .fetch_all(&self.pool)
        .await?;
        let read = |(id, text): (String, String)| {
            Some((ApprovalId(id), serde_json::from_str(&text).ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Whether a lease of ours is in force.
    pub(super) async fn is_in_force(&self, lease: &Lease) -> sqlx::Result<bool> {
        let held: Option<(i64,)> = sqlx::query_as(
            "SELECT 1 FROM sessions WHERE name = ? AND lease_owner = ? AND lease_epoch = ? AND lease_until > ?",
        )
        .bind(lease.session.as_str())
        .bind(self.owner.id())
        .bind(lease.epoch)
        .bind(self.clock.now())
        .fetch_optional(&self.pool)
        .await?;
        Ok(held.is_some())
    }
}
