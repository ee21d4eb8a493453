-- In the order in which servers at work lock them.
LOCK TABLE tenants, sessions, queue, control_messages IN ACCESS EXCLUSIVE MODE;

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

-- How many sessions each tenant has: the cap is looked at with every new one, and counting takes longer the more there are.
ALTER TABLE tenants ADD COLUMN sessions bigint NOT NULL DEFAULT 0;
UPDATE tenants SET sessions = (SELECT count(*) FROM sessions WHERE sessions.tenant = tenants.tenant);

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

-- What the sweep removes.
CREATE INDEX queue_by_end ON queue (tenant, until);
CREATE INDEX control_messages_by_age ON control_messages (tenant, posted);

-- What clients of older revisions have said when they began, so that another server can go on with them.
CREATE TABLE handshakes (
    id         text COLLATE "C" PRIMARY KEY,
    owner      text NOT NULL,
    said       text NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX handshakes_by_end ON handshakes (expires_at);
