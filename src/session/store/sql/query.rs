//! One statement with its arguments, run on either database: the same text, the same rows. It knows no table.
//!
//! What the databases say differently stands in braces, and each database's own file has the words for it.

use sqlx::{
    AssertSqlSafe, ColumnIndex, Database, Decode, PgPool, Postgres, Sqlite, SqlitePool,
    Transaction, Type,
    postgres::{PgArguments, PgRow},
    query::Query as Prepared,
    sqlite::{SqliteArguments, SqliteRow},
};

/// A thing of one of the two databases.
#[derive(Debug)]
pub(in crate::session::store) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

pub(in crate::session::store) type Pool = Either<SqlitePool, PgPool>;
pub(in crate::session::store) type Tx =
    Either<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>;
pub(in crate::session::store) type Row = Either<SqliteRow, PgRow>;

/// Where a statement runs: on any connection, or in a transaction.
#[derive(Debug)]
pub(in crate::session::store) enum On<'c> {
    Pool(&'c Pool),
    Tx(&'c mut Tx),
}

/// The words that stand for what is in braces.
pub(in crate::session::store) type Words = &'static [(&'static str, &'static str)];

/// A statement with its arguments, the first of which is `$1`.
#[derive(Debug)]
pub(in crate::session::store) struct Query {
    sql: String,
    arguments: Vec<Argument>,
}

/// A value as both databases take it.
#[derive(Debug)]
pub(in crate::session::store) enum Argument {
    Flag(bool),
    Number(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
}

/// Runs it, whichever database it is.
macro_rules! run {
    ($query:expr, $on:expr, $how:ident) => {
        match $on.into() {
            On::Pool(Either::Sqlite(pool)) => Either::Sqlite($query.for_sqlite().$how(pool).await?),
            On::Tx(Either::Sqlite(tx)) => {
                Either::Sqlite($query.for_sqlite().$how(&mut **tx).await?)
            }
            On::Pool(Either::Postgres(pool)) => {
                Either::Postgres($query.for_postgres().$how(pool).await?)
            }
            On::Tx(Either::Postgres(tx)) => {
                Either::Postgres($query.for_postgres().$how(&mut **tx).await?)
            }
        }
    };
}

/// The driver's own form of a statement, with its arguments.
macro_rules! bound {
    ($query:expr) => {{
        let prepared = sqlx::query(AssertSqlSafe($query.sql));
        $query.arguments.into_iter().fold(prepared, |prepared, argument| match argument {
            Argument::Flag(flag) => prepared.bind(flag),
            Argument::Number(number) => prepared.bind(number),
            Argument::Text(text) => prepared.bind(text),
            Argument::Bytes(bytes) => prepared.bind(bytes),
        })
    }};
}

impl Query {
    /// A statement in the words of a database.
    pub(in crate::session::store) fn new(sql: &str, words: &[Words]) -> Self {
        Self { sql: in_words(sql, words), arguments: Vec::new() }
    }

    /// The next argument.
    pub(in crate::session::store) fn bind(mut self, argument: impl Into<Argument>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs it and says how many rows it changed.
    pub(in crate::session::store) async fn execute(
        self,
        on: impl Into<On<'_>>,
    ) -> sqlx::Result<u64> {
        Ok(match run!(self, on, execute) {
            Either::Sqlite(done) => done.rows_affected(),
            Either::Postgres(done) => done.rows_affected(),
        })
    }

    /// Its rows.
    pub(in crate::session::store) async fn all(
        self,
        on: impl Into<On<'_>>,
    ) -> sqlx::Result<Vec<Row>> {
        Ok(match run!(self, on, fetch_all) {
            Either::Sqlite(rows) => rows.into_iter().map(Either::Sqlite).collect(),
            Either::Postgres(rows) => rows.into_iter().map(Either::Postgres).collect(),
        })
    }

    /// Its only row, if there is one.
    pub(in crate::session::store) async fn optional(
        self,
        on: impl Into<On<'_>>,
    ) -> sqlx::Result<Option<Row>> {
        Ok(match run!(self, on, fetch_optional) {
            Either::Sqlite(row) => row.map(Either::Sqlite),
            Either::Postgres(row) => row.map(Either::Postgres),
        })
    }

    /// Its only row.
    pub(in crate::session::store) async fn one(self, on: impl Into<On<'_>>) -> sqlx::Result<Row> {
        self.optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    fn for_sqlite(self) -> Prepared<'static, Sqlite, SqliteArguments> {
        bound!(self)
    }

    fn for_postgres(self) -> Prepared<'static, Postgres, PgArguments> {
        bound!(self)
    }
}

impl Row {
    /// A column, by its name or its place.
    pub(in crate::session::store) fn get<'r, T>(
        &'r self,
        column: impl ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    ) -> sqlx::Result<T>
    where
        T: Readable<'r, Sqlite> + Readable<'r, Postgres>,
    {
        use sqlx::Row as _;

        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// What a column of a database can be read as.
pub(in crate::session::store) trait Readable<'r, D: Database>:
    Decode<'r, D> + Type<D>
{
}

impl<'r, D: Database, T: Decode<'r, D> + Type<D>> Readable<'r, D> for T {}

impl<'c> From<&'c Pool> for On<'c> {
    fn from(pool: &'c Pool) -> Self {
        Self::Pool(pool)
    }
}

impl<'c> From<&'c mut Tx> for On<'c> {
    fn from(tx: &'c mut Tx) -> Self {
        Self::Tx(tx)
    }
}

impl From<bool> for Argument {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<u32> for Argument {
    fn from(number: u32) -> Self {
        Self::Number(Some(number.into()))
    }
}

impl From<Option<i64>> for Argument {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Some(text).into()
    }
}

impl From<Option<&str>> for Argument {
    fn from(text: Option<&str>) -> Self {
        text.map(str::to_owned).into()
    }
}

impl From<Option<String>> for Argument {
    /// PostgreSQL's texts have no NUL, and SQLite's functions end at one. Its picture takes its place on both.
    fn from(text: Option<String>) -> Self {
        let visible = |text: String| {
            if text.contains('\0') { text.replace('\0', "\u{2400}") } else { text }
        };
        Self::Text(text.map(visible))
    }
}

impl From<&[u8]> for Argument {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_owned())
    }
}

/// The statement with the words for what is in braces; these may have braces themselves.
fn in_words(sql: &str, words: &[Words]) -> String {
    let mut whole = String::with_capacity(sql.len() * 2);
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        whole.push_str(before);
        let known = words.iter().copied().flatten().find(|(known, _)| *known == name);
        whole.push_str(&known.map(|(_, text)| in_words(text, words)).unwrap_or_default());
        rest = after;
    }
    whole.push_str(rest);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_take_the_place_of_what_is_in_braces() {
        let words: &[Words] = &[&[("live", "until > {clock}")], &[("clock", "$2")]];
        assert_eq!(
            in_words("SELECT 1 WHERE {live} AND {live}{lock}", words),
            "SELECT 1 WHERE until > $2 AND until > $2"
        );
        assert_eq!(in_words("SELECT 1", words), "SELECT 1");
    }

    #[test]
    fn a_text_has_no_nul() {
        let Argument::Text(text) = Argument::from("a\0b") else { panic!("no text") };
        assert_eq!(text.unwrap(), "a\u{2400}b");
    }
}
