//! What clients of older revisions have sent to one server and is for another, and what they have subscribed to, as SQL.
//! They are those of all tenants.

use crate::session::{
    record::ForwardedMessage,
    store::{SqlStore, sql::Others},
};

/// For how long a message waits for its server, in milliseconds.
const KEPT: i64 = 120_000;

/// How many subscriptions of an MCP session are kept.
const SUBSCRIPTIONS: i64 = 1000;

impl SqlStore {
    /// Whether there can be servers on other machines.
    pub(super) fn is_anywhere(&self) -> bool {
        matches!(self.others, Others::Anywhere(_))
    }

    pub(in crate::session::store) async fn insert_forwarded(
        &self,
        from: &str,
        to: Option<&str>,
        message: &ForwardedMessage,
    ) -> sqlx::Result<()> {
        if !self.is_anywhere() {
            return Ok(());
        }
        self.query(
            "WITH those AS (INSERT INTO forwarded (server, mcp_session, message, posted) \
             SELECT server, $5, $6, {clock} FROM (SELECT $4::text AS server WHERE $4 IS NOT NULL UNION ALL \
             SELECT id FROM servers WHERE $4 IS NULL AND id <> $3 AND server::jsonb ->> 'kind' = 'http' \
             AND until > {clock}) AS targets RETURNING server) \
             SELECT pg_notify('codex_mcp', concat_ws(E'\\n', 'forwarded', '', server, $3::text)) FROM those",
        )
        .bind(from)
        .bind(to)
        .bind(&*message.mcp_session)
        .bind(message.message.as_deref())
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(in crate::session::store) async fn remove_forwarded(
        &self,
        server: &str,
    ) -> sqlx::Result<Vec<ForwardedMessage>> {
        if !self.is_anywhere() {
            return Ok(Vec::new());
        }
        let remove = "DELETE FROM forwarded WHERE server = $3 RETURNING id, mcp_session, message";
        let mut messages = Vec::new();
        for row in self.query(remove).bind(server).all(&self.pool).await? {
            let (mcp_session, message) = (row.get("mcp_session")?, row.get("message")?);
            messages.push((row.get::<i64>("id")?, ForwardedMessage { mcp_session, message }));
        }
        messages.sort_by_key(|(id, _)| *id);
        Ok(messages.into_iter().map(|(_, message)| message).collect())
    }

    pub(in crate::session::store) async fn put_subscription(
        &self,
        mcp_session: &str,
        uri: &str,
        subscribed: bool,
    ) -> sqlx::Result<()> {
        if !self.is_anywhere() {
            return Ok(());
        }
        let put = if subscribed {
            "INSERT INTO subscriptions (mcp_session, uri) SELECT id, $4 FROM handshakes WHERE id = $3 \
             AND (SELECT count(*) FROM subscriptions WHERE mcp_session = $3) < $5 ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM subscriptions WHERE mcp_session = $3 AND uri = $4"
        };
        let put = self.query(put).bind(mcp_session).bind(uri).bind(SUBSCRIPTIONS);
        put.execute(&self.pool).await.map(drop)
    }

    pub(in crate::session::store) async fn read_subscriptions(
        &self,
        mcp_session: &str,
    ) -> sqlx::Result<Vec<String>> {
        if !self.is_anywhere() {
            return Ok(Vec::new());
        }
        let read = "SELECT uri FROM subscriptions WHERE mcp_session = $3 ORDER BY uri";
        let rows = self.query(read).bind(mcp_session).all(&self.pool).await?;
        rows.iter().map(|row| row.get("uri")).collect()
    }

    /// Removes what no server has taken.
    pub(in crate::session::store) async fn clear_forwarded(&self) -> sqlx::Result<()> {
        if !self.is_anywhere() {
            return Ok(());
        }
        let delete = self.query("DELETE FROM forwarded WHERE posted <= {clock_once} - $3");
        delete.bind(KEPT).execute(&self.pool).await.map(drop)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use testkit::Postgres;

    use super::*;
    use crate::session::{
        record::{HandshakeRecord, ServerRecord, after},
        store::{Change, Coordination, Hint, PostgresPool, SessionStore},
    };

    async fn two() -> (SqlStore, SqlStore) {
        let url = Postgres::shared().database().await;
        let pool = PostgresPool::new(&url, None).unwrap();
        let store = SqlStore::in_postgres(&pool, "").await.unwrap();
        (store, SqlStore::in_postgres(&pool, "t").await.unwrap())
    }

    #[tokio::test]
    async fn a_message_is_taken_once_by_each_server_that_it_is_for() {
        let (one, two) = two().await;
        for (id, kind) in [("a", "http"), ("b", "http"), ("c", "http"), ("d", "host")] {
            let server =
                ServerRecord { id: id.into(), kind: kind.into(), ..ServerRecord::default() };
            let time = if id == "c" { Duration::ZERO } else { Duration::from_mins(1) };
            one.announce(&server, time).await.unwrap();
        }
        let message = |text: &str| ForwardedMessage {
            mcp_session: "s".into(),
            message: Some(text.to_owned()),
        };
        // Also to one that is not known: it may just begin.
        one.forward("a", Some("e"), &message("1")).await.unwrap();
        one.forward("a", None, &message("2")).await.unwrap();
        one.forward("a", Some("b"), &ForwardedMessage { message: None, ..message("") })
            .await
            .unwrap();
        let mut took = Vec::new();
        for id in ["a", "b", "b", "c", "d", "e"] {
            let taken = two.take_forwarded(id).await.unwrap();
            took.push(taken.into_iter().map(|taken| taken.message).collect::<Vec<_>>());
        }
        let text = |text: &str| Some(text.to_owned());
        let none = Vec::new();
        assert_eq!(
            took,
            [
                none.clone(),
                vec![text("2"), None],
                none.clone(),
                none.clone(),
                none,
                vec![text("1")]
            ]
        );
    }

    #[tokio::test]
    async fn subscriptions_last_as_long_as_their_handshake() {
        let (one, two) = two().await;
        one.subscribe("h", "u", true).await.unwrap();
        assert!(two.subscriptions("h").await.unwrap().is_empty(), "there is no such handshake");
        let expires_at = after(Timestamp::now(), Duration::from_mins(1));
        let (id, owner, said) = ("h".to_owned(), String::new(), String::new());
        one.keep_handshake(&HandshakeRecord { id, owner, said, expires_at }).await.unwrap();
        for uri in ["u", "v", "u"] {
            one.subscribe("h", uri, true).await.unwrap();
        }
        assert_eq!(two.subscriptions("h").await.unwrap(), ["u", "v"]);
        one.subscribe("h", "u", false).await.unwrap();
        assert_eq!(two.subscriptions("h").await.unwrap(), ["v"]);
        two.forget_handshake("h").await.unwrap();
        assert!(two.subscriptions("h").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_change_is_heard_of_by_the_others_of_its_tenant() {
        let url = Postgres::shared().database().await;
        let pool = PostgresPool::new(&url, None).unwrap();
        let open = async |tenant| SqlStore::in_postgres(&pool, tenant).await.unwrap();
        let (one, two, stranger) = (open("t").await, open("t").await, open("u").await);
        let change = Change::Session("s".parse().unwrap());
        let limit = Duration::from_secs(1);
        let hear = async |store: &SqlStore| tokio::time::timeout(limit, store.hint()).await.ok();
        let (told, by_two, by_one, by_stranger) = tokio::join!(
            async {
                // The connection for it is made once a hint is asked for.
                tokio::time::sleep(limit / 2).await;
                one.tell(&change).await
            },
            hear(&two),
            hear(&one),
            hear(&stranger)
        );
        told.unwrap();
        assert_eq!(by_two, Some(Hint::Changed(change.clone())));
        assert_eq!((by_one, by_stranger), (None, None));
    }
}
