//! Waiting for a database that goes on with what it was told after whoever told it has gone.

use std::time::Duration;

/// The queries under way, but for this one.
const BUSY: &str = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                    AND pid <> pg_backend_pid() AND state = 'active'";

/// Gives it time to finish.
pub(super) async fn settle(url: &str) {
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if testkit::Postgres::execute(url, BUSY).await == 0 {
            return;
        }
    }
}
