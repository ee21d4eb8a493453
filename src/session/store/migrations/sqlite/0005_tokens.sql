-- Tokens for HTTP. Their secrets are not here.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY NOT NULL,
    tenant     TEXT NOT NULL,
    scope      TEXT NOT NULL,
    hash       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;
