-- Times are milliseconds since 1970, UTC. What is only ever read whole is JSON.
CREATE TABLE sessions (
    name             TEXT PRIMARY KEY NOT NULL,
    automatic        INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    last_accessed_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    thread_id        TEXT,
    status           TEXT NOT NULL,
    turn_count       INTEGER NOT NULL,
    settings         TEXT NOT NULL,
    usage            TEXT NOT NULL,
    codex_version    TEXT,
    revision         INTEGER NOT NULL,
    lease_owner      TEXT,
    lease_until      INTEGER,
    lease_wanted     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX sessions_by_access ON sessions (last_accessed_at DESC, name);
CREATE INDEX sessions_by_worth ON sessions (automatic DESC, last_accessed_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_owner ON sessions (lease_owner) WHERE lease_owner IS NOT NULL;

CREATE TABLE turns (
    session   TEXT NOT NULL REFERENCES sessions (name) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    status    TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    prompt    TEXT NOT NULL,
    response  TEXT NOT NULL,
    details   TEXT NOT NULL,
    UNIQUE (session, number)
) STRICT;
