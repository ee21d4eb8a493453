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

-- The resources that clients of older revisions have subscribed to, for whichever server has their stream.
CREATE TABLE subscriptions (
    mcp_session text COLLATE "C" NOT NULL REFERENCES handshakes (id) ON DELETE CASCADE,
    uri         text NOT NULL,
    PRIMARY KEY (mcp_session, uri)
);
