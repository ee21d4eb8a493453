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
