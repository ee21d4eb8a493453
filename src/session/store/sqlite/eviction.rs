//! Making room: what has expired goes, then what is worth least. Protected sessions stay.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use crate::session::{SessionName, store::rows::millis};

type Tx<'a> = Transaction<'a, Sqlite>;

/// Removes sessions whose time is over.
pub(super) async fn remove_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    clock: i64,
) -> sqlx::Result<Vec<SessionName>> {
    let removed: Vec<(String,)> = sqlx::query_as(
        "DELETE FROM sessions WHERE expires_at <= ? \
         AND NOT (lease_busy AND ifnull(lease_until, 0) > ?) RETURNING name",
    )
    .bind(millis(now))
    .bind(clock)
    .fetch_all(&mut **tx)
    .await?;
    Ok(removed.into_iter().filter_map(|(name,)| name.parse().ok()).collect())
}

/// Removes one session if its time is over.
pub(super) async fn remove_if_expired(
    tx: &mut Tx<'_>,
    name: &SessionName,
    now: Timestamp,
    clock: i64,
) -> sqlx::Result<()> {
    let remove = "DELETE FROM sessions WHERE name = ? AND expires_at <= ? \
                  AND NOT (lease_busy AND ifnull(lease_until, 0) > ?)";
    let removed = sqlx::query(remove).bind(name.as_str()).bind(millis(now)).bind(clock);
    removed.execute(&mut **tx).await.map(drop)
}

/// Removes sessions until there are no more than `cap`, but not the new one. None if that cannot be done.
pub(super) async fn evict(
    tx: &mut Tx<'_>,
    cap: usize,
    new: &SessionName,
    clock: i64,
) -> sqlx::Result<Option<Vec<SessionName>>> {
    let cap = i64::try_from(cap).unwrap_or(i64::MAX);
    let mut evicted = Vec::new();
    while is_over(tx, cap).await? {
        let removed: Option<(String,)> = sqlx::query_as(
            "DELETE FROM sessions WHERE name = (SELECT name FROM sessions \
             WHERE name <> ?2 AND NOT (lease_busy AND ifnull(lease_until, 0) > ?1) \
             ORDER BY automatic DESC, last_accessed_at, name LIMIT 1) RETURNING name",
        )
        .bind(clock)
        .bind(new.as_str())
        .fetch_optional(&mut **tx)
        .await?;
        let Some((name,)) = removed else { return Ok(None) };
        evicted.extend(name.parse());
    }
    Ok(Some(evicted))
}

/// Counts no further than it has to.
async fn is_over(tx: &mut Tx<'_>, cap: i64) -> sqlx::Result<bool> {
    let over: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM sessions LIMIT 1 OFFSET ?")
        .bind(cap)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(over.is_some())
}
