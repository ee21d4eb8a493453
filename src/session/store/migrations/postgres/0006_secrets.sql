-- Secrets that the servers of this store share, such as what they seal questions with.
CREATE TABLE secrets (
    name   text PRIMARY KEY,
    secret bytea NOT NULL
);
