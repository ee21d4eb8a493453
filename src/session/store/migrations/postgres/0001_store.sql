-- Times are milliseconds since 1970, UTC. What is only ever read whole is JSON, kept as text: its forms of `jsonb` and
-- `json` refuse some of what prompts may have. Names are compared byte by byte, whatever the database's own order.
-- The operator's own sessions have the tenant ''.

-- The clock that leases are judged by: the database's, unless a test brings its own.
CREATE FUNCTION codex_mcp_clock(manual bigint) RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT coalesce(manual, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) $$;

-- One row for each tenant: who adds or removes sessions locks it first. A session that is removed and made again
-- continues the epochs of the one before.
CREATE TABLE tenants (
    tenant   text COLLATE "C" PRIMARY KEY,
    greatest bigint NOT NULL DEFAULT 0
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
    turn_count       bigint NOT NULL,
    settings         text NOT NULL,
    directory        text COLLATE "C",
    usage            text NOT NULL,
    codex_version    text,
    effective        text,
    details          text NOT NULL,
    revision         bigint NOT NULL,
    lease_owner      text COLLATE "C",
    lease_until      bigint,
    lease_epoch      bigint NOT NULL DEFAULT 0,
    lease_busy       boolean NOT NULL DEFAULT false,
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

CREATE TABLE turns (
    tenant    text COLLATE "C" NOT NULL,
    session   text COLLATE "C" NOT NULL,
    number    bigint NOT NULL,
    status    text NOT NULL,
    timestamp bigint NOT NULL,
    prompt    text NOT NULL,
    response  text NOT NULL,
    details   text NOT NULL,
    PRIMARY KEY (tenant, session, number),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, name) ON DELETE CASCADE ON UPDATE CASCADE
);

-- Tokens by day (UTC) and model. They stay when their sessions expire.
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
    PRIMARY KEY (tenant, day, model)
);

-- Calls that wait for a session, in the order in which they came, whichever server they came to.
CREATE TABLE queue (
    ticket  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    owner   text COLLATE "C" NOT NULL,
    until   bigint NOT NULL
);

CREATE INDEX queue_by_session ON queue (tenant, session, ticket);

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

-- Tokens for HTTP. Their secrets are not here.
CREATE TABLE tokens (
    id         text COLLATE "C" PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL,
    scope      text NOT NULL,
    hash       bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint
);
