-- All else of a session, which nothing searches by.
ALTER TABLE sessions ADD COLUMN details TEXT NOT NULL DEFAULT '{}';

-- Tokens by day (UTC) and model. They stay when their sessions expire.
CREATE TABLE usage_by_day (
    day              TEXT NOT NULL,
    model            TEXT NOT NULL,
    turns            INTEGER NOT NULL,
    input_tokens     INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    total_tokens     INTEGER NOT NULL,
    PRIMARY KEY (day, model)
) STRICT;

-- A turn counts when it ends, whoever ends it. Copies of turns are not counted: they are added, not ended.
CREATE TRIGGER usage_of_ended AFTER UPDATE OF status ON turns
WHEN OLD.status = 'running' AND NEW.status <> 'running' AND json_valid(NEW.details) BEGIN
    INSERT INTO usage_by_day VALUES (
        strftime('%Y-%m-%d', NEW.timestamp / 1000, 'unixepoch'),
        ifnull(NEW.details ->> '$.model', ''),
        1,
        ifnull(NEW.details ->> '$.usage.inputTokens', 0),
        ifnull(NEW.details ->> '$.usage.cachedInputTokens', 0),
        ifnull(NEW.details ->> '$.usage.outputTokens', 0),
        ifnull(NEW.details ->> '$.usage.reasoningOutputTokens', 0),
        ifnull(NEW.details ->> '$.usage.totalTokens', 0)
    ) ON CONFLICT (day, model) DO UPDATE SET
        turns = turns + 1,
        input_tokens = input_tokens + excluded.input_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
        total_tokens = total_tokens + excluded.total_tokens;
END;
