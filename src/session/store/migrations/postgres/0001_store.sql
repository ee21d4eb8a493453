-- Times are milliseconds since 1970, UTC. What is only ever read whole is JSON, kept as text: its forms of `jsonb` and
-- `json` refuse some of what prompts may have. Names are compared byte by byte, whatever the database's own order.

-- The clock that leases are judged by: the database's, unless a test brings its own.
CREATE FUNCTION codex_mcp_clock(manual bigint) RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT coalesce(manual, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) $$;

-- One row for each tenant, '' for the operator's own: who adds or removes sessions locks it first. A session that is removed
-- and made again continues the epochs of the one before. The number of sessions is looked at with every new one, and
-- counting takes longer the more there are.
CREATE TABLE tenants (
    tenant   text COLLATE "C" PRIMARY KEY,
    greatest bigint NOT NULL DEFAULT 0,
    sessions bigint NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
    tenant           text COLLATE "C" NOT NULL,
    name             text COLLATE "C" NOT NULL,
    automatic        boolean NOT NULL,
    created_at       bigint NOT NULL,
    last_accessed_at bigint NOT NULL,
    expires_at       bigint NOT NULL,
    thread_id        text COLLATE "C",
    status           text NOT NULL,
    last_turn        bigint NOT NULL,
    settings         text NOT NULL,
    -- The one in the settings, to be searched for.
    directory        text COLLATE "C",
    usage            text NOT NULL,
    codex_version    text,
    -- What the last turn ran with.
    effective        text,
    details          text NOT NULL,
    revision         bigint NOT NULL,
    -- A lease has an epoch: a write made under an earlier one changes nothing.
    lease_owner      text COLLATE "C",
    lease_until      bigint,
    lease_epoch      bigint NOT NULL DEFAULT 0,
    -- Whether a turn is being opened, runs or ends: then the session neither expires nor is evicted.
    lease_busy       boolean NOT NULL DEFAULT false,
    -- The number that was given with it to a turn that has not begun yet.
    lease_turn       bigint,
    PRIMARY KEY (tenant, name)
);

CREATE INDEX sessions_by_access ON sessions (tenant, last_accessed_at DESC, name);
CREATE INDEX sessions_by_worth ON sessions (tenant, automatic DESC, last_accessed_at, name);
CREATE INDEX sessions_by_expiry ON sessions (tenant, expires_at);
CREATE INDEX sessions_by_thread ON sessions (tenant, thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX sessions_by_lease ON sessions (tenant, lease_until) WHERE lease_owner IS NOT NULL;

CREATE FUNCTION codex_mcp_keep_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET greatest = greatest(tenants.greatest, OLD.lease_epoch) WHERE tenant = OLD.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER epochs_of_removed AFTER DELETE ON sessions
    FOR EACH ROW EXECUTE FUNCTION codex_mcp_keep_epoch();

CREATE FUNCTION codex_mcp_count_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET sessions = tenants.sessions + CASE TG_OP WHEN 'INSERT' THEN changed.count ELSE -changed.count END
        FROM (SELECT tenant, count(*) FROM moved GROUP BY tenant) AS changed WHERE tenants.tenant = changed.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER count_of_added AFTER INSERT ON sessions REFERENCING NEW TABLE AS moved
    FOR EACH STATEMENT EXECUTE FUNCTION codex_mcp_count_sessions();
CREATE TRIGGER count_of_removed AFTER DELETE ON sessions REFERENCING OLD TABLE AS moved
    FOR EACH STATEMENT EXECUTE FUNCTION codex_mcp_count_sessions();

CREATE TABLE turns (
    tenant    text COLLATE "C" NOT NULL,
    session   text COLLATE "C" NOT NULL,
    number    bigint NOT NULL,
    status    text NOT NULL,
    timestamp bigint NOT NULL,
    prompt    text NOT NULL,
    response  text NOT NULL,
    details   text NOT NULL,
    -- Of one that is queued: who runs it, until when that counts without being renewed, and, if it is to be run whatever
    -- becomes of that one, all that was asked for and what its next owner must be.
    owner     text COLLATE "C",
    until     bigint,
    request   text,
    runner    text,
    PRIMARY KEY (tenant, session, number),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, name) ON DELETE CASCADE ON UPDATE CASCADE
);

-- What happened in each turn, in order. The text of its answer is in `turns` alone, where it is searched.
CREATE TABLE items (
    tenant  text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    turn    bigint NOT NULL,
    place   bigint NOT NULL,
    -- The number of its last change: higher than those of all changes of the turn before.
    change  bigint NOT NULL,
    item    text NOT NULL,
    PRIMARY KEY (tenant, session, turn, place),
    FOREIGN KEY (tenant, session, turn) REFERENCES turns (tenant, session, number)
        ON DELETE CASCADE ON UPDATE CASCADE
);

-- The words of a turn, to be searched: letters and digits alone, and of an answer only its beginning, because a vector of
-- words cannot be longer than a megabyte.
CREATE FUNCTION codex_mcp_words(prompt text, response text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT to_tsvector('pg_catalog.simple'::regconfig, regexp_replace(
        left(prompt, 20000) || ' ' || left(response, 100000), '[^[:alnum:]]+', ' ', 'g')) $$;

CREATE INDEX turns_by_words ON turns USING gin (codex_mcp_words(prompt, response)) WHERE status NOT IN ('queued', 'running');

CREATE INDEX turns_queued ON turns (tenant, session, number) WHERE status = 'queued';
CREATE INDEX turns_queued_by_end ON turns (tenant, until) WHERE status = 'queued';

-- Tokens by day (UTC) and model. They stay when their sessions go.
CREATE TABLE usage_by_day (
    tenant           text COLLATE "C" NOT NULL,
    day              text COLLATE "C" NOT NULL,
    model            text COLLATE "C" NOT NULL,
    turns            bigint NOT NULL,
    input_tokens     bigint NOT NULL,
    cached_tokens    bigint NOT NULL,
    output_tokens    bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    total_tokens     bigint NOT NULL,
    failed           bigint NOT NULL,
    interrupted      bigint NOT NULL,
    duration_ms      bigint NOT NULL,
    longest_ms       bigint NOT NULL,
    PRIMARY KEY (tenant, day, model)
);

-- What all tenants have used, for the operator.
CREATE INDEX usage_by_day_of_all ON usage_by_day (day);

-- What one server asks of the server that runs a session's turn. Taken by it before it acts.
CREATE TABLE control_messages (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    posted  bigint NOT NULL,
    message text NOT NULL,
    taken   boolean NOT NULL DEFAULT false,
    outcome text
);

CREATE INDEX control_messages_by_session ON control_messages (tenant, session, id);
CREATE INDEX control_messages_by_age ON control_messages (tenant, posted);

-- What Codex asks. Only one answer wins, whichever server it is given on; the server that runs the turn passes it on.
CREATE TABLE approvals (
    tenant   text COLLATE "C" NOT NULL,
    id       text COLLATE "C" NOT NULL,
    session  text COLLATE "C" NOT NULL,
    owner    text COLLATE "C" NOT NULL,
    epoch    bigint NOT NULL,
    asked_at bigint NOT NULL,
    until    bigint NOT NULL,
    state    text NOT NULL,
    approval text NOT NULL,
    answer   text,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, name) ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX approvals_by_session ON approvals (tenant, session, state);
CREATE INDEX approvals_open ON approvals (tenant, asked_at) WHERE state = 'open';

-- The history of each session's thread, as Codex keeps it, and of the threads that one comes from.
CREATE TABLE rollouts (
    tenant  text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    thread  text COLLATE "C" NOT NULL,
    place   bigint NOT NULL,
    path    text NOT NULL,
    bytes   bigint NOT NULL,
    digest  text NOT NULL,
    turn    bigint NOT NULL,
    lacks   text,
    PRIMARY KEY (tenant, session, thread),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, name) ON DELETE CASCADE ON UPDATE CASCADE
);

-- What was appended after each turn.
CREATE TABLE rollout_parts (
    tenant  text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    thread  text COLLATE "C" NOT NULL,
    start   bigint NOT NULL,
    data    bytea NOT NULL,
    PRIMARY KEY (tenant, session, thread, start),
    FOREIGN KEY (tenant, session, thread) REFERENCES rollouts (tenant, session, thread)
        ON DELETE CASCADE ON UPDATE CASCADE
);

-- It is compressed already.
ALTER TABLE rollout_parts ALTER COLUMN data SET STORAGE EXTERNAL;

-- Tokens for HTTP. Their secrets are not here.
CREATE TABLE tokens (
    id         text COLLATE "C" PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL,
    scope      text NOT NULL,
    hash       bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint
);

-- Secrets that the servers of this store share, such as what they seal questions with.
CREATE TABLE secrets (
    name   text PRIMARY KEY,
    secret bytea NOT NULL
);

-- What clients of older revisions have said when they began, so that another server can go on with them.
CREATE TABLE handshakes (
    id         text COLLATE "C" PRIMARY KEY,
    owner      text NOT NULL,
    said       text NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX handshakes_by_end ON handshakes (expires_at);

-- The servers of this database: each writes its own row every few seconds. Times are the database's.
CREATE TABLE servers (
    id     text COLLATE "C" PRIMARY KEY,
    server text NOT NULL,
    seen   bigint NOT NULL,
    until  bigint NOT NULL
);

-- What clients of older revisions have sent to one server and is for another.
CREATE TABLE forwarded (
    id          bigserial PRIMARY KEY,
    server      text COLLATE "C" NOT NULL,
    mcp_session text COLLATE "C" NOT NULL,
    -- NULL: the client has ended the session.
    message     text,
    posted      bigint NOT NULL
);

CREATE INDEX forwarded_by_server ON forwarded (server, id);
CREATE INDEX forwarded_by_age ON forwarded (posted);

-- The resources that clients of older revisions have subscribed to, for the server that has their stream.
CREATE TABLE subscriptions (
    mcp_session text COLLATE "C" NOT NULL REFERENCES handshakes (id) ON DELETE CASCADE,
    uri         text NOT NULL,
    PRIMARY KEY (mcp_session, uri)
);
