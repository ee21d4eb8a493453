//! Making room: what has expired goes, then what is worth least.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::rows::millis;
use crate::session::SessionName;

type Tx<'a> = Transaction<'a, Sqlite>;

/// Removes sessions whose time is over, unless a turn runs on them.
pub(super) async fn remove_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> sqlx::Result<Vec<SessionName>> {
    let removed: Vec<(String,)> = sqlx::query_as(
        "DELETE FROM sessions WHERE expires_at <= ?1 \
         AND NOT (status = 'running' AND ifnull(lease_until, 0) > ?1) RETURNING name",
    )
    .bind(millis(now))
    .fetch_all(&mut **tx)
    .await?;
    Ok(removed.into_iter().filter_map(|(name,)| name.parse().ok()).collect())
}

/// Removes sessions until there are no more than `cap`, but not the new one; none if that cannot be done.
pub(super) async fn make_room(
    tx: &mut Tx<'_>,
    cap: usize,
    new: &SessionName,
    now: Timestamp,
) -> sqlx::Result<Option<Vec<SessionName>>> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM sessions").fetch_one(&mut **tx).await?;
    let cap = i64::try_from(cap).unwrap_or(i64::MAX);
    let surplus = count.saturating_sub(cap);
    if surplus <= 0 {
        return Ok(Some(Vec::new()));
    }
    let removed: Vec<(String,)> = sqlx::query_as(
        "DELETE FROM sessions WHERE name IN (SELECT name FROM sessions \
         WHERE name <> ?3 AND NOT (status = 'running' AND ifnull(lease_until, 0) > ?1) \
         ORDER BY automatic DESC, last_accessed_at LIMIT ?2) RETURNING name",
    )
    .bind(millis(now))
    .bind(surplus)
    .bind(new.as_str())
    .fetch_all(&mut **tx)
    .await?;
    let enough = i64::try_from(removed.len()).is_ok_and(|removed| removed == surplus);
    Ok(enough.then(|| removed.into_iter().filter_map(|(name,)| name.parse().ok()).collect()))
}
