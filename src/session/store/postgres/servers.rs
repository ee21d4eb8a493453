//! The servers of the database, as SQL. They are those of all tenants.

use std::time::Duration;

use super::{lease::span, open::PostgresStore};
use crate::session::{
    record::{SeenServer, ServerRecord},
    store::StoreError,
};

/// For how long a silent server is remembered, in milliseconds.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

impl PostgresStore {
    pub(super) async fn write_server(
        &self,
        server: &ServerRecord,
        time: Duration,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO servers (id, server, seen, until) \
             VALUES ($1, $2, codex_mcp_clock($3), codex_mcp_clock($3) + $4) ON CONFLICT (id) DO UPDATE \
             SET server = excluded.server, seen = excluded.seen, until = excluded.until",
        )
        .bind(&server.id)
        .bind(serde_json::to_string(server).unwrap_or_default())
        .bind(self.clock())
        .bind(span(time))
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(self.failed("write a server in"))
    }

    pub(super) async fn delete_server(&self, id: &str) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM servers WHERE id = $1").bind(id);
        let deleted = delete.execute(&self.pool).await;
        deleted.map(drop).map_err(self.failed("remove a server from"))
    }

    pub(super) async fn read_servers(&self) -> Result<Vec<SeenServer>, StoreError> {
        let rows: Vec<(String, i64, bool)> = sqlx::query_as(
            "SELECT server, codex_mcp_clock($1) - seen, until <= codex_mcp_clock($1) FROM servers",
        )
        .bind(self.clock())
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("list the servers in"))?;
        let seen = |(text, ago, silent): (String, i64, bool)| {
            // One that cannot be read hides no other.
            let server = serde_json::from_str(&text).ok()?;
            let ago = Duration::from_millis(u64::try_from(ago).unwrap_or_default());
            Some(SeenServer { server, ago, silent })
        };
        let mut servers: Vec<SeenServer> = rows.into_iter().filter_map(seen).collect();
        let order = |seen: &SeenServer| (seen.server.machine.clone(), seen.server.started_at);
        servers.sort_by_key(order);
        Ok(servers)
    }

    /// Forgets servers that have been silent for long.
    pub(super) async fn clear_servers(&self) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM servers WHERE until < codex_mcp_clock($1) - $2");
        let deleted = delete.bind(self.clock()).bind(REMEMBERED).execute(&self.pool).await;
        deleted.map(drop).map_err(self.failed("sweep"))
    }
}
