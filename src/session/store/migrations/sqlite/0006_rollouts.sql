-- The history of each session's thread, as Codex keeps it, and of the threads that one comes from.
CREATE TABLE rollouts (
    session TEXT NOT NULL REFERENCES sessions (name) ON DELETE CASCADE ON UPDATE CASCADE,
    thread  TEXT NOT NULL,
    place   INTEGER NOT NULL,
    path    TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    turn    INTEGER NOT NULL,
    lacks   TEXT,
    PRIMARY KEY (session, thread)
) STRICT;

-- What was appended after each turn.
CREATE TABLE rollout_parts (
    session TEXT NOT NULL,
    thread  TEXT NOT NULL,
    start   INTEGER NOT NULL,
    data    BLOB NOT NULL,
    PRIMARY KEY (session, thread, start),
    FOREIGN KEY (session, thread) REFERENCES rollouts (session, thread) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;
