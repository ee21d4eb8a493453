-- The servers of this database: each writes its own row every few seconds. Times are the database's.
CREATE TABLE servers (
    id     text COLLATE "C" PRIMARY KEY,
    server text NOT NULL,
    seen   bigint NOT NULL,
    until  bigint NOT NULL
);
