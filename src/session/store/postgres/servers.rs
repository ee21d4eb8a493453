//! The servers of the database. They are those of all tenants.

use std::time::Duration;

use crate::session::{
    record::{SeenServer, ServerRecord},
    store::{
        SqlStore,
        rows::json,
        sql::{Row, span},
    },
};

/// For how long a silent server is remembered, in milliseconds.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

impl SqlStore {
    pub(in crate::session::store) async fn write_server(
        &self,
        server: &ServerRecord,
        time: Duration,
    ) -> sqlx::Result<()> {
        if !self.is_anywhere() {
            return Ok(());
        }
        self.query(
            "INSERT INTO servers (id, server, seen, until) VALUES ($3, $4, {clock}, {clock} + $5) \
             ON CONFLICT (id) DO UPDATE SET server = excluded.server, seen = excluded.seen, until = excluded.until",
        )
        .bind(&*server.id)
        .bind(json(server))
        .bind(span(time))
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(in crate::session::store) async fn delete_server(&self, id: &str) -> sqlx::Result<()> {
        if !self.is_anywhere() {
            return Ok(());
        }
        let delete = self.query("DELETE FROM servers WHERE id = $3").bind(id);
        delete.execute(&self.pool).await.map(drop)
    }

    pub(in crate::session::store) async fn read_servers(&self) -> sqlx::Result<Vec<SeenServer>> {
        if !self.is_anywhere() {
            return Ok(Vec::new());
        }
        let read = self
            .query("SELECT server, {clock} - seen AS ago, until <= {clock} AS silent FROM servers");
        let seen = |row: &Row| {
            // One that cannot be read hides no other.
            let server: ServerRecord =
                serde_json::from_str(&row.get::<String>("server").ok()?).ok()?;
            let ago = row.get::<i64>("ago").ok()?.try_into().unwrap_or_default();
            let silent = row.get("silent").ok()?;
            Some(SeenServer { server, ago: Duration::from_millis(ago), silent })
        };
        let mut servers: Vec<_> = read.all(&self.pool).await?.iter().filter_map(seen).collect();
        let order = |seen: &SeenServer| (seen.server.machine.clone(), seen.server.started_at);
        servers.sort_by_key(order);
        Ok(servers)
    }

    /// Forgets servers that have been silent for long.
    pub(in crate::session::store) async fn clear_servers(&self) -> sqlx::Result<()> {
        if !self.is_anywhere() {
            return Ok(());
        }
        let delete = self.query("DELETE FROM servers WHERE until < {clock_once} - $3");
        delete.bind(REMEMBERED).execute(&self.pool).await.map(drop)
    }
}
