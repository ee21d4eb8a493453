-- The servers of this database: each writes its own row every few seconds. Times are the database's.
CREATE TABLE servers (
    id     text COLLATE "C" PRIMARY KEY,
    server text NOT NULL,
    seen   bigint NOT NULL,
    until  bigint NOT NULL
);

-- The words of a turn, to be searched: letters and digits alone, and of an answer only its beginning, because a vector of
-- words cannot be longer than a megabyte.
CREATE FUNCTION codex_mcp_words(prompt text, response text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT to_tsvector('pg_catalog.simple'::regconfig, regexp_replace(
        left(prompt, 20000) || ' ' || left(response, 100000), '[^[:alnum:]]+', ' ', 'g')) $$;

CREATE INDEX turns_by_words ON turns USING gin (codex_mcp_words(prompt, response)) WHERE status <> 'running';
