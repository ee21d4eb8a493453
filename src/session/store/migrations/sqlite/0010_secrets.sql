-- Secrets that the servers of this store share, such as what they seal questions with.
CREATE TABLE secrets (
    name   TEXT PRIMARY KEY NOT NULL,
    secret BLOB NOT NULL
) STRICT;
