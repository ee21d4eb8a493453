//! Who may run a turn: taking a lease, and cleaning up after the dead.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::{open::SqliteStore, rows::millis};
use crate::session::{
    SessionName,
    store::{Ahead, Ticket},
};

type Tx<'a> = Transaction<'a, Sqlite>;

/// What stands in the way of a claim.
pub(super) enum Lease {
    Ours,
    Theirs(Ahead),
    NoSession,
}

impl SqliteStore {
    /// Takes a lease that is free, run out, ours, or a dead owner's, if nobody else comes first.
    pub(super) async fn take_lease(
        &self,
        tx: &mut Tx<'_>,
        name: &SessionName,
        ticket: Option<Ticket>,
        until: Timestamp,
        now: Timestamp,
    ) -> sqlx::Result<Lease> {
        let holder: Option<(Option<String>, Option<i64>, String)> =
            sqlx::query_as("SELECT lease_owner, lease_until, status FROM sessions WHERE name = ?")
                .bind(name.as_str())
                .fetch_optional(&mut **tx)
                .await?;
        let Some((owner, held_until, status)) = holder else { return Ok(Lease::NoSession) };
        let waiting = self.others_before(tx, name, ticket, now).await?;
        match owner {
            Some(owner) if owner != self.owner.id() => {
                let has_run_out = held_until.is_none_or(|until| until <= millis(now));
                if !has_run_out && !self.owner.is_dead(&owner) {
                    return Ok(Lease::Theirs(Ahead { running: status == "running", waiting }));
                }
                end_turns_of(tx, &owner, Some(name)).await?;
            }
            Some(_) => {}
            // Nobody holds it, so a turn that seems to run was left by somebody who lost the lease.
            None => interrupt_turns(tx, name.as_str()).await?,
        }
        if waiting > 0 {
            return Ok(Lease::Theirs(Ahead { running: false, waiting }));
        }
        self.begin_anew(tx, name, ticket).await?;
        let take = "UPDATE sessions SET lease_owner = ?, lease_until = ? WHERE name = ?";
        sqlx::query(take)
            .bind(self.owner.id())
            .bind(millis(until))
            .bind(name.as_str())
            .execute(&mut **tx)
            .await?;
        Ok(Lease::Ours)
    }

    /// Frees what owners that are gone have left.
    pub(super) async fn free_the_dead(&self, tx: &mut Tx<'_>) -> sqlx::Result<()> {
        let owners: Vec<(String,)> = sqlx::query_as(
            "SELECT DISTINCT lease_owner FROM sessions WHERE lease_owner IS NOT NULL",
        )
        .fetch_all(&mut **tx)
        .await?;
        for (owner,) in owners {
            if self.owner.is_dead(&owner) {
                end_turns_of(tx, &owner, None).await?;
            }
        }
        Ok(())
    }
}

/// Marks the turns an owner left running as interrupted and gives up its leases: of one session, or
/// of all.
async fn end_turns_of(
    tx: &mut Tx<'_>,
    owner: &str,
    only: Option<&SessionName>,
) -> sqlx::Result<()> {
    let held: Vec<(String,)> = sqlx::query_as(
        "SELECT name FROM sessions WHERE lease_owner = ?1 AND (?2 IS NULL OR name = ?2)",
    )
    .bind(owner)
    .bind(only.map(SessionName::as_str))
    .fetch_all(&mut **tx)
    .await?;
    for (name,) in held {
        tracing::info!(session = name, "taking over from a server that is gone");
        interrupt_turns(tx, &name).await?;
        let free = "UPDATE sessions SET lease_owner = NULL, lease_until = NULL WHERE name = ?";
        sqlx::query(free).bind(name).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn interrupt_turns(tx: &mut Tx<'_>, name: &str) -> sqlx::Result<()> {
    for end in [
        "UPDATE turns SET status = 'interrupted' WHERE session = ? AND status = 'running'",
        "UPDATE sessions SET status = 'interrupted' WHERE name = ? AND status = 'running'",
    ] {
        sqlx::query(end).bind(name).execute(&mut **tx).await?;
    }
    Ok(())
}
