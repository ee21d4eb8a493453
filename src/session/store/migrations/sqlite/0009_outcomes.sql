-- How turns ended and how long they took, from now on.
ALTER TABLE usage_by_day ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_day ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_day ADD COLUMN duration_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_day ADD COLUMN longest_ms INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER usage_of_ended;

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
        ifnull(NEW.details ->> '$.usage.totalTokens', 0),
        NEW.status = 'failed',
        NEW.status = 'interrupted',
        ifnull(NEW.details ->> '$.durationMs', 0),
        ifnull(NEW.details ->> '$.durationMs', 0)
    ) ON CONFLICT (day, model) DO UPDATE SET
        turns = turns + 1,
        input_tokens = input_tokens + excluded.input_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        failed = failed + excluded.failed,
        interrupted = interrupted + excluded.interrupted,
        duration_ms = duration_ms + excluded.duration_ms,
        longest_ms = max(longest_ms, excluded.longest_ms);
END;
