//! What PostgreSQL says in its own words.

use crate::session::store::{
    page::wanted,
    sql::{Dialect, Words},
};

/// PostgreSQL's.
pub(super) const DIALECT: Dialect =
    Dialect { words: WORDS, search: |search| (search.to_owned(), question(search)) };

/// The words of the statements that are PostgreSQL's own. Texts are compared byte by byte, but where letters of any case
/// are the same.
const WORDS: Words = &[
    ("clock", "codex_mcp_clock($2)"),
    // Read once, so that an index can be used.
    ("clock_once", "(SELECT codex_mcp_clock($2))"),
    (
        "items",
        "coalesce(json_agg(json_build_object('place', place, 'change', change, 'item', item)), '[]')::text",
    ),
    ("lock", " FOR UPDATE"),
    ("lock_but_key", " FOR NO KEY UPDATE"),
    ("skip_locked", " FOR UPDATE SKIP LOCKED"),
    // To those who hold or wait for a session. Also those who say it want to know: they may be both.
    ("tell", "pg_notify('codex_mcp', concat_ws(E'\\n', 'inbox', $1::text, $3::text, ''))"),
    ("tell_of_session", "pg_notify('codex_mcp', concat_ws(E'\\n', 'inbox', tenant, session, ''))"),
    (
        "mentioned",
        "position(lower($7) IN lower(name COLLATE \"default\")) > 0 OR EXISTS (SELECT 1 FROM turns \
         WHERE turns.tenant = $1 AND session = name AND position(lower($7) IN lower(prompt)) > 0)",
    ),
    (
        "with_words",
        "SELECT session FROM turns WHERE tenant = $1 AND status NOT IN ('queued', 'running') \
         AND codex_mcp_words(prompt, response) @@ to_tsquery('pg_catalog.simple'::regconfig, $8)",
    ),
];

/// A search for turns that have a word beginning with each of these. `None` if there are none.
fn question(search: &str) -> Option<String> {
    let words: Vec<_> = wanted(search).into_iter().map(|word| format!("{word}:*")).collect();
    (!words.is_empty()).then(|| words.join(" & "))
}
