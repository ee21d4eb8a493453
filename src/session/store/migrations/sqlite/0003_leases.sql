-- Leases have an epoch: a write made under an earlier one changes nothing. Their end is in milliseconds of the store's
-- clock (the time since the machine booted), so leases of before begin anew.
UPDATE sessions SET lease_owner = NULL, lease_until = NULL;
ALTER TABLE sessions ADD COLUMN lease_epoch INTEGER NOT NULL DEFAULT 0;
-- Whether a turn is being opened, runs or ends: then the session neither expires nor is evicted.
ALTER TABLE sessions ADD COLUMN lease_busy INTEGER NOT NULL DEFAULT 0;
-- What the last turn ran with.
ALTER TABLE sessions ADD COLUMN effective TEXT;

-- A session that is removed and made again continues the epochs of the one before.
CREATE TABLE epochs (greatest INTEGER NOT NULL) STRICT;
INSERT INTO epochs VALUES (0);
CREATE TRIGGER epochs_of_removed AFTER DELETE ON sessions BEGIN
    UPDATE epochs SET greatest = max(greatest, OLD.lease_epoch);
END;

-- Places in the queue end by the store's clock too.
DELETE FROM queue;

DROP TABLE errands;

-- What one server asks of the server that runs a session's turn. Taken by it before it acts.
CREATE TABLE control_messages (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    posted  INTEGER NOT NULL,
    message TEXT NOT NULL,
    taken   INTEGER NOT NULL DEFAULT 0,
    outcome TEXT
) STRICT;

CREATE INDEX control_messages_by_session ON control_messages (session, id);

-- What Codex asks. Only one answer wins, whichever server it is given on; the server that runs the turn passes it on.
CREATE TABLE approvals (
    id       TEXT PRIMARY KEY NOT NULL,
    session  TEXT NOT NULL REFERENCES sessions (name) ON DELETE CASCADE,
    owner    TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    state    TEXT NOT NULL,
    approval TEXT NOT NULL,
    answer   TEXT
) STRICT;

CREATE INDEX approvals_by_session ON approvals (session, state);
CREATE INDEX approvals_open ON approvals (asked_at) WHERE state = 'open';
