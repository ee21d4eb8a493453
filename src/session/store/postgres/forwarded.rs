//! What clients of older revisions have sent to one server and is for another, and what they have subscribed to, as SQL.
//! They are those of all tenants.

use super::{hints::notify, open::PostgresStore};
use crate::session::{record::ForwardedMessage, store::StoreError};

/// For how long a message waits for its server, in milliseconds.
const KEPT: i64 = 120_000;

/// How many subscriptions of an MCP session are kept.
const SUBSCRIPTIONS: i64 = 1000;

impl PostgresStore {
    pub(super) async fn insert_forwarded(
        &self,
        from: &str,
        to: Option<&str>,
        message: &ForwardedMessage,
    ) -> Result<(), StoreError> {
        sqlx::query(concat!(
            "WITH those AS (INSERT INTO forwarded (server, mcp_session, message, posted) \
             SELECT server, $3, $4, codex_mcp_clock($5) FROM (SELECT $2::text AS server WHERE $2 IS NOT NULL UNION ALL \
             SELECT id FROM servers WHERE $2 IS NULL AND id <> $1 AND server::jsonb ->> 'kind' = 'http' AND until > codex_mcp_clock($5)) AS targets \
             RETURNING server) SELECT ",
            notify!("'forwarded'", "''", "server", "$1"),
            " FROM those"
        ))
        .bind(from)
        .bind(to)
        .bind(&message.mcp_session)
        .bind(&message.message)
        .bind(self.clock())
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(self.failed("forward a message in"))
    }

    pub(super) async fn remove_forwarded(
        &self,
        server: &str,
    ) -> Result<Vec<ForwardedMessage>, StoreError> {
        let mut rows: Vec<(i64, String, Option<String>)> = sqlx::query_as(
            "DELETE FROM forwarded WHERE server = $1 RETURNING id, mcp_session, message",
        )
        .bind(server)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read forwarded messages in"))?;
        rows.sort_by_key(|(id, ..)| *id);
        let message = |(_, mcp_session, message)| ForwardedMessage { mcp_session, message };
        Ok(rows.into_iter().map(message).collect())
    }

    pub(super) async fn put_subscription(
        &self,
        mcp_session: &str,
        uri: &str,
        subscribed: bool,
    ) -> Result<(), StoreError> {
        let put = if subscribed {
            sqlx::query(
                "INSERT INTO subscriptions (mcp_session, uri) SELECT id, $2 FROM handshakes WHERE id = $1 \
                 AND (SELECT count(*) FROM subscriptions WHERE mcp_session = $1) < $3 ON CONFLICT DO NOTHING",
            )
            .bind(mcp_session)
            .bind(uri)
            .bind(SUBSCRIPTIONS)
        } else {
            sqlx::query("DELETE FROM subscriptions WHERE mcp_session = $1 AND uri = $2")
                .bind(mcp_session)
                .bind(uri)
        };
        put.execute(&self.pool).await.map(drop).map_err(self.failed("keep a subscription in"))
    }

    pub(super) async fn read_subscriptions(
        &self,
        mcp_session: &str,
    ) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT uri FROM subscriptions WHERE mcp_session = $1 ORDER BY uri")
            .bind(mcp_session)
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed("read the subscriptions in"))
    }

    /// Removes what no server has taken.
    pub(super) async fn clear_forwarded(&self) -> Result<(), StoreError> {
        let delete = "DELETE FROM forwarded WHERE posted <= (SELECT codex_mcp_clock($1)) - $2";
        let deleted = sqlx::query(delete).bind(self.clock()).bind(KEPT).execute(&self.pool).await;
        deleted.map(drop).map_err(self.failed("sweep"))
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

    async fn two() -> (PostgresStore, PostgresStore) {
        let url = Postgres::shared().database().await;
        let pool = PostgresPool::new(&url, None).unwrap();
        let store = PostgresStore::open(&pool, "").await.unwrap();
        (store, PostgresStore::open(&pool, "t").await.unwrap())
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
        // Also to one that nobody knows: it may just begin.
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
        let open = async |tenant| PostgresStore::open(&pool, tenant).await.unwrap();
        let (one, two, stranger) = (open("t").await, open("t").await, open("u").await);
        let change = Change::Session("s".parse().unwrap());
        let limit = Duration::from_secs(1);
        let hear =
            async |store: &PostgresStore| tokio::time::timeout(limit, store.hint()).await.ok();
        let (told, by_two, by_one, by_stranger) = tokio::join!(
            async {
                // The connection for it is made once somebody wants to hear.
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
