//! The statements that write sessions and turns.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::open::{PostgresStore, Tx};
use crate::session::{
    SessionName,
    record::{SessionRecord, SessionStatus, TurnDetails, TurnRecord},
    store::{
        CopiedTurns, Lease, Outcomes,
        rows::{instant, json, millis, session_columns},
    },
};

impl PostgresStore {
    /// Adds a session. Says whether there was none of its name.
    pub(super) async fn insert(&self, tx: &mut Tx<'_>, new: &SessionRecord) -> sqlx::Result<bool> {
        let inserted = sqlx::query(concat!(
            "INSERT INTO sessions (tenant, ",
            session_columns!(),
            ", directory, lease_epoch) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             greatest FROM tenants WHERE tenant = $1 ON CONFLICT DO NOTHING"
        ))
        .bind(&self.tenant)
        .bind(new.name.as_str())
        .bind(new.automatic)
        .bind(millis(new.created_at))
        .bind(millis(new.last_accessed_at))
        .bind(millis(new.expires_at))
        .bind(new.thread_id.as_ref().map(ToString::to_string))
        .bind(new.status.as_str())
        .bind(i64::from(new.turn_count))
        .bind(json(&new.settings))
        .bind(json(&new.usage))
        .bind(&new.codex_version)
        .bind(new.effective.as_ref().map(json))
        .bind(json(&new.details))
        .bind(new.revision)
        .bind(directory(new))
        .execute(&mut **tx)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }

    /// Writes a session under its lease. Says whether the lease is in force and the revision the stored one.
    pub(super) async fn update(
        &self,
        tx: &mut Tx<'_>,
        lease: &Lease,
        record: &SessionRecord,
    ) -> sqlx::Result<bool> {
        let written = sqlx::query(
            "UPDATE sessions SET last_accessed_at = $6, expires_at = $7, thread_id = $8, status = $9, \
             turn_count = $10, settings = $11, usage = $12, codex_version = $13, effective = $14, details = $15, \
             lease_busy = $16, directory = $17, revision = revision + 1 WHERE tenant = $1 AND name = $2 \
             AND revision = $18 AND lease_owner = $3 AND lease_epoch = $4 AND lease_until > codex_mcp_clock($5)",
        )
        .bind(&self.tenant)
        .bind(record.name.as_str())
        .bind(&self.owner)
        .bind(lease.epoch)
        .bind(self.clock())
        .bind(millis(record.last_accessed_at))
        .bind(millis(record.expires_at))
        .bind(record.thread_id.as_ref().map(ToString::to_string))
        .bind(record.status.as_str())
        .bind(i64::from(record.turn_count))
        .bind(json(&record.settings))
        .bind(json(&record.usage))
        .bind(&record.codex_version)
        .bind(record.effective.as_ref().map(json))
        .bind(json(&record.details))
        .bind(record.status == SessionStatus::Running)
        .bind(directory(record))
        .bind(record.revision)
        .execute(&mut **tx)
        .await?;
        Ok(written.rows_affected() == 1)
    }

    /// Writes a session under its lease and the name in `record`, and ends the lease. Says whether the lease is in force
    /// and the revision the stored one. The tenant is locked.
    pub(super) async fn put_renamed(
        &self,
        tx: &mut Tx<'_>,
        lease: &Lease,
        record: &SessionRecord,
    ) -> sqlx::Result<bool> {
        let under_old = SessionRecord { name: lease.session.clone(), ..record.clone() };
        if !self.update(tx, lease, &under_old).await? {
            return Ok(false);
        }
        // An old lease on either name must never look like a new one.
        let greatest: i64 = sqlx::query_scalar(
            "UPDATE tenants SET greatest = greatest(greatest, $2) WHERE tenant = $1 RETURNING greatest",
        )
        .bind(&self.tenant)
        .bind(lease.epoch)
        .fetch_one(&mut **tx)
        .await?;
        // Turns and approvals follow.
        sqlx::query(
            "UPDATE sessions SET name = $3, automatic = $4, lease_epoch = $5, lease_owner = NULL, \
             lease_until = NULL, lease_busy = false WHERE tenant = $1 AND name = $2",
        )
        .bind(&self.tenant)
        .bind(lease.session.as_str())
        .bind(record.name.as_str())
        .bind(record.automatic)
        .bind(greatest)
        .execute(&mut **tx)
        .await?;
        if record.name != lease.session {
            sqlx::query("DELETE FROM control_messages WHERE tenant = $1 AND session = $2")
                .bind(&self.tenant)
                .bind(lease.session.as_str())
                .execute(&mut **tx)
                .await?;
        }
        Ok(true)
    }

    /// Adds a turn or replaces the one of its number. The session's row is locked, so nobody else writes its turns.
    pub(super) async fn put_turn(
        &self,
        tx: &mut Tx<'_>,
        session: &SessionName,
        turn: &TurnRecord,
    ) -> sqlx::Result<()> {
        let before: Option<String> = sqlx::query_scalar(
            "SELECT status FROM turns WHERE tenant = $1 AND session = $2 AND number = $3",
        )
        .bind(&self.tenant)
        .bind(session.as_str())
        .bind(i64::from(turn.number))
        .fetch_optional(&mut **tx)
        .await?;
        sqlx::query(
            "INSERT INTO turns (tenant, session, number, status, timestamp, prompt, response, details) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, session, number) DO UPDATE SET \
             status = excluded.status, prompt = excluded.prompt, response = excluded.response, details = excluded.details",
        )
        .bind(&self.tenant)
        .bind(session.as_str())
        .bind(i64::from(turn.number))
        .bind(turn.status.as_str())
        .bind(millis(turn.timestamp))
        .bind(storable(&turn.prompt))
        .bind(storable(&turn.response))
        .bind(json(&turn.details))
        .execute(&mut **tx)
        .await?;
        let was_running = before.as_deref() == Some(SessionStatus::Running.as_str());
        if was_running && turn.status != SessionStatus::Running {
            self.count_usage(tx, millis(turn.timestamp), turn.status, &turn.details).await?;
        }
        Ok(())
    }

    /// Counts the tokens of a turn that has ended, on the day it began.
    pub(super) async fn count_usage(
        &self,
        tx: &mut Tx<'_>,
        began: i64,
        status: SessionStatus,
        details: &TurnDetails,
    ) -> sqlx::Result<()> {
        let day = instant(began).map(|at| at.to_zoned(TimeZone::UTC).date().to_string());
        let model = details.effective.as_ref().and_then(|with| with.model.clone());
        let usage = details.usage.unwrap_or_default();
        let outcomes = Outcomes::of(status, details.duration_ms);
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO usage_by_day AS known VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (tenant, day, model) DO UPDATE SET turns = known.turns + 1, \
             input_tokens = known.input_tokens + excluded.input_tokens, \
             cached_tokens = known.cached_tokens + excluded.cached_tokens, \
             output_tokens = known.output_tokens + excluded.output_tokens, \
             reasoning_tokens = known.reasoning_tokens + excluded.reasoning_tokens, \
             total_tokens = known.total_tokens + excluded.total_tokens, \
             failed = known.failed + excluded.failed, interrupted = known.interrupted + excluded.interrupted, \
             duration_ms = known.duration_ms + excluded.duration_ms, \
             longest_ms = greatest(known.longest_ms, excluded.longest_ms)",
        )
        .bind(&self.tenant)
        .bind(day.unwrap_or_default())
        .bind(model.unwrap_or_default())
        .bind(count(usage.input_tokens))
        .bind(count(usage.cached_input_tokens))
        .bind(count(usage.output_tokens))
        .bind(count(usage.reasoning_output_tokens))
        .bind(count(usage.total_tokens))
        .bind(count(outcomes.failed))
        .bind(count(outcomes.interrupted))
        .bind(count(outcomes.duration_ms))
        .bind(count(outcomes.longest_ms))
        .execute(&mut **tx)
        .await
        .map(drop)
    }

    /// Removes all turns of a session, and what was asked in them.
    pub(super) async fn clear_turns(
        &self,
        tx: &mut Tx<'_>,
        session: &SessionName,
    ) -> sqlx::Result<()> {
        for clear in [
            "DELETE FROM turns WHERE tenant = $1 AND session = $2",
            "DELETE FROM approvals WHERE tenant = $1 AND session = $2",
        ] {
            sqlx::query(clear).bind(&self.tenant).bind(session.as_str()).execute(&mut **tx).await?;
        }
        Ok(())
    }

    pub(super) async fn copy_turns(
        &self,
        tx: &mut Tx<'_>,
        session: &SessionName,
        copy: CopiedTurns<'_>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO turns (tenant, session, number, status, timestamp, prompt, response, details) \
             SELECT tenant, $2, number, status, timestamp, prompt, response, details \
             FROM turns WHERE tenant = $1 AND session = $3 AND number <= $4",
        )
        .bind(&self.tenant)
        .bind(session.as_str())
        .bind(copy.from.as_str())
        .bind(i64::from(copy.through))
        .execute(&mut **tx)
        .await
        .map(drop)
    }
}

fn directory(record: &SessionRecord) -> Option<String> {
    let directory = record.settings.working_directory.as_ref()?;
    Some(directory.to_string_lossy().into_owned())
}

/// PostgreSQL's texts have no NUL. Its picture takes its place.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{2400}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_nothing_to_change_stays_as_it_is() {
        assert!(matches!(storable("äöü\n"), Cow::Borrowed("äöü\n")));
        assert_eq!(storable("a\0b"), "a\u{2400}b");
    }
}
