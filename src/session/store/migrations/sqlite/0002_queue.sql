-- Calls that wait for a session, in the order in which they came, whichever server they came to.
CREATE TABLE queue (
    ticket  INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    owner   TEXT NOT NULL,
    until   INTEGER NOT NULL
) STRICT;

CREATE INDEX queue_by_session ON queue (session, ticket);

-- What one server asks of the server that runs a session's turn.
CREATE TABLE errands (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    posted  INTEGER NOT NULL,
    errand  TEXT NOT NULL,
    outcome TEXT
) STRICT;

CREATE INDEX errands_by_session ON errands (session, id);

-- Whoever waits has a ticket now.
ALTER TABLE sessions DROP COLUMN lease_wanted;
