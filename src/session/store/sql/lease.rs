//! Taking leases, and freeing what has run out or belonged to the dead.

use std::time::Duration;

use jiff::Timestamp;

use super::{On, Row, SqlStore, Tx, span};
use crate::session::{
    SessionName,
    record::SessionStatus,
    store::{
        Activity, Ahead, Claim, Lease,
        rows::{millis, session},
    },
};

/// The lease of a session as it stands.
struct Standing {
    is_running: bool,
    last_turn: i64,
    /// Whether another owner's lease is in force.
    held: bool,
}

/// How a session's lease stands, for the wall clock `$3`, the session `$4` and the owner `$5`.
const STANDING: &str = "SELECT status, last_turn, {held} AND lease_owner <> $5 AS held FROM sessions \
                        WHERE tenant = $1 AND name = $4 AND {live}";

impl SqlStore {
    /// Whether another owner has the lease of a session, read without blocking anyone: a call that waits asks many times.
    pub(super) async fn held_by_another(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        now: Timestamp,
    ) -> sqlx::Result<Option<Ahead>> {
        let standing = self.standing(STANDING, &self.pool, name, now).await?;
        let Some(standing) = standing.filter(|standing| standing.held) else { return Ok(None) };
        let waiting = self.others_before(&self.pool, name, turn).await?;
        Ok(Some(Ahead { running: standing.is_running, waiting }))
    }

    /// Acquires the lease if no other owner's is in force, and no earlier turn of another owner waits.
    pub(super) async fn acquire(
        &self,
        tx: &mut Tx,
        name: &SessionName,
        turn: Option<u32>,
        time: Duration,
        now: Timestamp,
    ) -> sqlx::Result<Claim> {
        let locked = format!("{STANDING}{{lock}}");
        let Some(standing) = self.standing(&locked, &mut *tx, name, now).await? else {
            return Ok(Claim::Missing);
        };
        let waiting = self.others_before(&mut *tx, name, turn).await?;
        if standing.held || waiting > 0 {
            let running = standing.held && standing.is_running;
            return Ok(Claim::Held(Ahead { running, waiting }));
        }
        self.end_turns(tx, name.as_str()).await?;
        let given = match turn {
            Some(turn) => i64::from(turn),
            None => self.after_all(tx, name, standing.last_turn).await?,
        };
        // Messages for the last turn.
        self.query("DELETE FROM control_messages WHERE tenant = $1 AND session = $3")
            .bind(name.as_str())
            .execute(&mut *tx)
            .await?;
        let row = self
            .query(
                "UPDATE sessions SET lease_owner = $4, lease_until = {clock} + $5, lease_busy = true, \
                 lease_epoch = lease_epoch + 1, lease_turn = $6 WHERE tenant = $1 AND name = $3 \
                 RETURNING lease_epoch, {columns}",
            )
            .bind(name.as_str())
            .bind(&*self.owner)
            .bind(span(time))
            .bind(given)
            .one(tx)
            .await?;
        let lease = Lease { session: name.clone(), epoch: row.get("lease_epoch")? };
        let turn = u32::try_from(given).unwrap_or(u32::MAX);
        Ok(Claim::Ours { lease, record: session(&row)?.map(Box::new), turn })
    }

    /// Ends the leases that have run out, and those of the dead.
    pub(super) async fn free_lapsed(&self, tx: &mut Tx) -> sqlx::Result<()> {
        let lapsed = self.query(
            "SELECT name FROM sessions WHERE tenant = $1 AND lease_owner IS NOT NULL \
             AND (lease_owner = '' OR lease_until <= {clock_once}){skip_locked}",
        );
        for row in lapsed.all(&mut *tx).await? {
            let name: String = row.get("name")?;
            tracing::info!(session = name, "ending a lease whose server is gone");
            self.end_turns(tx, &name).await?;
            self.query(
                "UPDATE sessions SET lease_owner = NULL, lease_until = NULL, lease_busy = false \
                 WHERE tenant = $1 AND name = $3",
            )
            .bind(name)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }

    /// Ends what an earlier holder left: its running turn and the approvals that were open. The session is locked.
    pub(super) async fn end_turns(&self, tx: &mut Tx, name: &str) -> sqlx::Result<()> {
        self.interrupt_turns(tx, name).await?;
        for end in [
            "UPDATE sessions SET status = 'interrupted' WHERE tenant = $1 AND name = $3 AND status = 'running'",
            "UPDATE approvals SET state = 'expired' WHERE tenant = $1 AND session = $3 \
             AND state IN ('open', 'answered')",
        ] {
            self.query(end).bind(name).execute(&mut *tx).await?;
        }
        Ok(())
    }

    pub(super) async fn count_activity(&self) -> sqlx::Result<Activity> {
        let counts = self.query(
            "SELECT (SELECT count(*) FROM sessions WHERE tenant = $1 AND {held} AND lease_busy) AS turns, \
             (SELECT count(*) FROM turns WHERE tenant = $1 AND status = 'queued' AND until > {clock_once}) AS waiting",
        );
        let row = counts.one(&self.pool).await?;
        let count = |column: &str| row.get::<i64>(column).map(i64::unsigned_abs);
        Ok(Activity { turns: count("turns")?, waiting: count("waiting")? })
    }

    /// Whether a lease of ours is in force.
    pub(super) async fn is_in_force(&self, lease: &Lease) -> sqlx::Result<bool> {
        let asked =
            self.under(lease, "SELECT EXISTS (SELECT 1 FROM sessions WHERE {ours}) AS held");
        asked.one(&self.pool).await?.get("held")
    }

    async fn standing(
        &self,
        question: &str,
        on: impl Into<On<'_>>,
        name: &SessionName,
        now: Timestamp,
    ) -> sqlx::Result<Option<Standing>> {
        let asked = self.query(question).bind(millis(now)).bind(name.as_str()).bind(&*self.owner);
        let read = |row: Row| {
            let status: String = row.get("status")?;
            let is_running = status == SessionStatus::Running.as_str();
            Ok(Standing { is_running, last_turn: row.get("last_turn")?, held: row.get("held")? })
        };
        asked.optional(on).await?.map(read).transpose()
    }
}
