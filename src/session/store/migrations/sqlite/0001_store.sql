-- Times are milliseconds since 1970, UTC; those that leases are judged by are of the clock of the machine. What is only
-- ever read whole is JSON. The same tables as in PostgreSQL, but for those that servers on several machines need: the types of
-- the two databases have no common words. The contract runs every verb on both.

-- One row for each tenant, '' for the operator's own. A session that is removed and made again continues the epochs of the
-- one before. The number of sessions is looked at with every new one, and counting takes longer the more there are.
CREATE TABLE tenants (
    tenant   TEXT PRIMARY KEY NOT NULL,
    greatest INTEGER NOT NULL DEFAULT 0,
    sessions INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE sessions (
    tenant           TEXT NOT NULL,
    name             TEXT NOT NULL,
    automatic        INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    last_accessed_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    thread_id        TEXT,
    status           TEXT NOT NULL,
    last_turn        INTEGER NOT NULL,
    settings         TEXT NOT NULL,
    -- The one in the settings, to be searched for.
    directory        TEXT,
    usage            TEXT NOT NULL,
    codex_version    TEXT,
    -- What the last turn ran with.
    effective        TEXT,
    details          TEXT NOT NULL,
    revision         INTEGER NOT NULL,
    -- A lease has an epoch: a write made under an earlier one changes nothing. A dead owner's name is ''.
    lease_owner      TEXT,
    lease_until      INTEGER,
    lease_epoch      INTEGER NOT NULL DEFAULT 0,
    -- Whether a turn is being opened, runs or ends: then the session neither expires nor is evicted.
    lease_busy       INTEGER NOT NULL DEFAULT 0,
    -- The number that was given with it to a turn that has not begun yet.
    lease_turn       INTEGER,
    PRIMARY KEY (tenant, name)
) STRICT;

CREATE INDEX sessions_by_access ON sessions (tenant, last_accessed_at DESC, name);
CREATE INDEX sessions_by_worth ON sessions (tenant, automatic DESC, last_accessed_at, name);
CREATE INDEX sessions_by_expiry ON sessions (tenant, expires_at);
CREATE INDEX sessions_by_thread ON sessions (tenant, thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX sessions_by_lease ON sessions (tenant, lease_until) WHERE lease_owner IS NOT NULL;

CREATE TRIGGER count_of_added AFTER INSERT ON sessions BEGIN
    UPDATE tenants SET sessions = sessions + 1 WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER count_of_removed AFTER DELETE ON sessions BEGIN
    UPDATE tenants SET sessions = sessions - 1, greatest = max(greatest, OLD.lease_epoch) WHERE tenant = OLD.tenant;
END;

CREATE TABLE turns (
    tenant    TEXT NOT NULL,
    session   TEXT NOT NULL,
    number    INTEGER NOT NULL,
    status    TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    prompt    TEXT NOT NULL,
    response  TEXT NOT NULL,
    details   TEXT NOT NULL,
    -- Of one that is queued: who runs it, until when that counts without being renewed, and, if it is to be run whatever
    -- becomes of that one, all that was asked for and what its next owner must be.
    owner     TEXT,
    until     INTEGER,
    request   TEXT,
    runner    TEXT,
    PRIMARY KEY (tenant, session, number),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, name) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

CREATE INDEX turns_queued ON turns (tenant, session, number) WHERE status = 'queued';
CREATE INDEX turns_queued_by_end ON turns (tenant, until) WHERE status = 'queued';

-- What happened in each turn, in order. The text of its answer is in `turns` alone, where it is searched.
CREATE TABLE items (
    tenant  TEXT NOT NULL,
    session TEXT NOT NULL,
    turn    INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    -- The number of its last change: higher than those of all changes of the turn before.
    change  INTEGER NOT NULL,
    item    TEXT NOT NULL,
    PRIMARY KEY (tenant, session, turn, place),
    FOREIGN KEY (tenant, session, turn) REFERENCES turns (tenant, session, number)
        ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

-- The words of turns that have ended, to be searched: no copy of the texts, and of an answer its first 200,000 characters.
-- Their keys are their own, because VACUUM may renumber the rows of `turns`.
CREATE TABLE turn_keys (
    id      INTEGER PRIMARY KEY,
    tenant  TEXT NOT NULL,
    session TEXT NOT NULL,
    number  INTEGER NOT NULL,
    UNIQUE (tenant, session, number),
    FOREIGN KEY (tenant, session, number) REFERENCES turns (tenant, session, number)
        ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

CREATE VIRTUAL TABLE turn_words USING fts5(
    text, content = '', contentless_delete = 1, tokenize = "unicode61 categories 'L* N* M* Co'"
);

CREATE TRIGGER words_of_added AFTER INSERT ON turns WHEN NEW.status NOT IN ('queued', 'running') BEGIN
    INSERT INTO turn_keys (tenant, session, number) VALUES (NEW.tenant, NEW.session, NEW.number);
    INSERT INTO turn_words (rowid, text)
        SELECT id, NEW.prompt || ' ' || substr(NEW.response, 1, 200000) FROM turn_keys
        WHERE tenant = NEW.tenant AND session = NEW.session AND number = NEW.number;
END;

CREATE TRIGGER words_of_changed AFTER UPDATE OF status, prompt, response ON turns
WHEN NEW.status NOT IN ('queued', 'running')
    AND (OLD.status IN ('queued', 'running') OR OLD.prompt IS NOT NEW.prompt OR OLD.response IS NOT NEW.response) BEGIN
    DELETE FROM turn_keys WHERE tenant = NEW.tenant AND session = NEW.session AND number = NEW.number;
    INSERT INTO turn_keys (tenant, session, number) VALUES (NEW.tenant, NEW.session, NEW.number);
    INSERT INTO turn_words (rowid, text)
        SELECT id, NEW.prompt || ' ' || substr(NEW.response, 1, 200000) FROM turn_keys
        WHERE tenant = NEW.tenant AND session = NEW.session AND number = NEW.number;
END;

CREATE TRIGGER words_of_removed AFTER DELETE ON turn_keys BEGIN
    DELETE FROM turn_words WHERE rowid = OLD.id;
END;

-- Tokens by day (UTC) and model. They stay when their sessions go.
CREATE TABLE usage_by_day (
    tenant           TEXT NOT NULL,
    day              TEXT NOT NULL,
    model            TEXT NOT NULL,
    turns            INTEGER NOT NULL,
    input_tokens     INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    total_tokens     INTEGER NOT NULL,
    failed           INTEGER NOT NULL,
    interrupted      INTEGER NOT NULL,
    duration_ms      INTEGER NOT NULL,
    longest_ms       INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, model)
) STRICT;

-- What one server asks of the server that runs a session's turn. Taken by it before it acts.
CREATE TABLE control_messages (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant  TEXT NOT NULL,
    session TEXT NOT NULL,
    posted  INTEGER NOT NULL,
    message TEXT NOT NULL,
    taken   INTEGER NOT NULL DEFAULT 0,
    outcome TEXT
) STRICT;

CREATE INDEX control_messages_by_session ON control_messages (tenant, session, id);

-- What Codex asks. Only one answer wins, whichever server it is given on; the server that runs the turn passes it on.
CREATE TABLE approvals (
    tenant   TEXT NOT NULL,
    id       TEXT NOT NULL,
    session  TEXT NOT NULL,
    owner    TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    state    TEXT NOT NULL,
    approval TEXT NOT NULL,
    answer   TEXT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, name) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

CREATE INDEX approvals_by_session ON approvals (tenant, session, state);
CREATE INDEX approvals_open ON approvals (tenant, asked_at) WHERE state = 'open';

-- The history of each session's thread, as Codex keeps it, and of the threads that one comes from.
CREATE TABLE rollouts (
    tenant  TEXT NOT NULL,
    session TEXT NOT NULL,
    thread  TEXT NOT NULL,
    place   INTEGER NOT NULL,
    path    TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    turn    INTEGER NOT NULL,
    lacks   TEXT,
    PRIMARY KEY (tenant, session, thread),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, name) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

-- What was appended after each turn.
CREATE TABLE rollout_parts (
    tenant  TEXT NOT NULL,
    session TEXT NOT NULL,
    thread  TEXT NOT NULL,
    start   INTEGER NOT NULL,
    data    BLOB NOT NULL,
    PRIMARY KEY (tenant, session, thread, start),
    FOREIGN KEY (tenant, session, thread) REFERENCES rollouts (tenant, session, thread)
        ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

-- Tokens for HTTP. Their secrets are not here.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY NOT NULL,
    tenant     TEXT NOT NULL,
    scope      TEXT NOT NULL,
    hash       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;

-- Secrets that the servers of this store share, such as what they seal questions with.
CREATE TABLE secrets (
    name   TEXT PRIMARY KEY NOT NULL,
    secret BLOB NOT NULL
) STRICT;

-- What clients of older revisions have said when they began, so that another server can go on with them.
CREATE TABLE handshakes (
    id         TEXT PRIMARY KEY NOT NULL,
    owner      TEXT NOT NULL,
    said       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX handshakes_by_end ON handshakes (expires_at);
