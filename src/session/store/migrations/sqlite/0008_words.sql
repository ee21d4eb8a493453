-- The words of turns that have ended, to be searched: no copy of the texts, and of an answer its first 200,000 characters.
-- Their keys are their own, because VACUUM may renumber the rows of `turns`.
CREATE TABLE turn_keys (
    id      INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    number  INTEGER NOT NULL,
    UNIQUE (session, number),
    FOREIGN KEY (session, number) REFERENCES turns (session, number) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

CREATE VIRTUAL TABLE turn_words USING fts5(
    text, content = '', contentless_delete = 1, tokenize = "unicode61 categories 'L* N* M* Co'"
);

INSERT INTO turn_keys (session, number) SELECT session, number FROM turns WHERE status <> 'running';
INSERT INTO turn_words (rowid, text)
    SELECT id, prompt || ' ' || substr(response, 1, 200000) FROM turn_keys JOIN turns USING (session, number);

CREATE TRIGGER words_of_added AFTER INSERT ON turns WHEN new.status <> 'running' BEGIN
    INSERT INTO turn_keys (session, number) VALUES (new.session, new.number);
    INSERT INTO turn_words (rowid, text)
        SELECT id, new.prompt || ' ' || substr(new.response, 1, 200000) FROM turn_keys
        WHERE session = new.session AND number = new.number;
END;

CREATE TRIGGER words_of_changed AFTER UPDATE OF status, prompt, response ON turns
WHEN new.status <> 'running'
    AND (old.status = 'running' OR old.prompt IS NOT new.prompt OR old.response IS NOT new.response) BEGIN
    DELETE FROM turn_keys WHERE session = new.session AND number = new.number;
    INSERT INTO turn_keys (session, number) VALUES (new.session, new.number);
    INSERT INTO turn_words (rowid, text)
        SELECT id, new.prompt || ' ' || substr(new.response, 1, 200000) FROM turn_keys
        WHERE session = new.session AND number = new.number;
END;

CREATE TRIGGER words_of_removed AFTER DELETE ON turn_keys BEGIN
    DELETE FROM turn_words WHERE rowid = old.id;
END;
