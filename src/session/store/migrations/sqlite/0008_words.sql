-- The words of turns that have ended, to be searched. It has no copy of the texts, and answers only as far as
-- their first 200,000 characters.
CREATE VIRTUAL TABLE turn_words USING fts5(text, content = '', contentless_delete = 1, detail = none);

INSERT INTO turn_words (rowid, text)
    SELECT rowid, prompt || ' ' || substr(response, 1, 200000) FROM turns WHERE status <> 'running';

CREATE TRIGGER words_of_added AFTER INSERT ON turns WHEN new.status <> 'running' BEGIN
    INSERT INTO turn_words (rowid, text) VALUES (new.rowid, new.prompt || ' ' || substr(new.response, 1, 200000));
END;

CREATE TRIGGER words_of_changed AFTER UPDATE OF status, prompt, response ON turns
WHEN new.status <> 'running'
    AND (old.status = 'running' OR old.prompt IS NOT new.prompt OR old.response IS NOT new.response) BEGIN
    INSERT OR REPLACE INTO turn_words (rowid, text)
        VALUES (new.rowid, new.prompt || ' ' || substr(new.response, 1, 200000));
END;

CREATE TRIGGER words_of_removed AFTER DELETE ON turns BEGIN
    DELETE FROM turn_words WHERE rowid = old.rowid;
END;
