//! Tokens by day and model. They stay when their sessions go.

use jiff::{civil::Date, tz::TimeZone};

use super::{SqlStore, Tx, number};
use crate::session::{
    record::{SessionStatus, TurnDetails},
    store::{
        DailyUsage, Outcomes, StoreError,
        rows::{instant, usage},
    },
};

impl SqlStore {
    /// Counts the tokens of a turn that has ended, on the day it began.
    pub(super) async fn count_usage(
        &self,
        tx: &mut Tx,
        began: i64,
        status: SessionStatus,
        details: &TurnDetails,
    ) -> sqlx::Result<()> {
        let day = instant(began).map(|at| at.to_zoned(TimeZone::UTC).date().to_string());
        let model = details.effective.as_ref().and_then(|with| with.model.clone());
        let usage = details.usage.unwrap_or_default();
        let outcomes = Outcomes::of(status, details.duration_ms);
        self.query(
            "INSERT INTO usage_by_day AS known (tenant, day, model, turns, input_tokens, cached_tokens, output_tokens, \
             reasoning_tokens, total_tokens, failed, interrupted, duration_ms, longest_ms) \
             VALUES ($1, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11, $12, $12) \
             ON CONFLICT (tenant, day, model) DO UPDATE SET turns = known.turns + 1, \
             input_tokens = known.input_tokens + excluded.input_tokens, \
             cached_tokens = known.cached_tokens + excluded.cached_tokens, \
             output_tokens = known.output_tokens + excluded.output_tokens, \
             reasoning_tokens = known.reasoning_tokens + excluded.reasoning_tokens, \
             total_tokens = known.total_tokens + excluded.total_tokens, \
             failed = known.failed + excluded.failed, interrupted = known.interrupted + excluded.interrupted, \
             duration_ms = known.duration_ms + excluded.duration_ms, longest_ms = CASE \
             WHEN known.longest_ms > excluded.longest_ms THEN known.longest_ms ELSE excluded.longest_ms END",
        )
        .bind(day.unwrap_or_default())
        .bind(model.unwrap_or_default())
        .bind(number(usage.input_tokens))
        .bind(number(usage.cached_input_tokens))
        .bind(number(usage.output_tokens))
        .bind(number(usage.reasoning_output_tokens))
        .bind(number(usage.total_tokens))
        .bind(number(outcomes.failed))
        .bind(number(outcomes.interrupted))
        .bind(number(outcomes.duration_ms))
        .execute(tx)
        .await
        .map(drop)
    }

    /// The usage since a day with the tenant it is of: of this one, or of all there are in the database.
    pub(super) async fn read_usage(
        &self,
        since: Date,
        of_all: bool,
    ) -> Result<Vec<(String, DailyUsage)>, StoreError> {
        let read = self.query(
            "SELECT * FROM usage_by_day WHERE (tenant = $1 OR $4) AND day >= $3 ORDER BY day DESC, tenant, model",
        );
        let read = read.bind(since.to_string()).bind(of_all).all(&self.pool).await;
        let rows = read.map_err(self.failed("read the usage in"))?;
        // A day that cannot be read hides no other.
        Ok(rows.iter().filter_map(usage).collect())
    }
}
