-- What clients of older revisions have said when they began, so that another server can go on with them.
CREATE TABLE handshakes (
    id         TEXT PRIMARY KEY NOT NULL,
    owner      TEXT NOT NULL,
    said       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX handshakes_by_end ON handshakes (expires_at);
