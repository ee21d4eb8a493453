-- How turns ended and how long they took, from now on.
ALTER TABLE usage_by_day
    ADD COLUMN failed bigint NOT NULL DEFAULT 0,
    ADD COLUMN interrupted bigint NOT NULL DEFAULT 0,
    ADD COLUMN duration_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN longest_ms bigint NOT NULL DEFAULT 0;

-- What all tenants have used, for the operator.
CREATE INDEX usage_by_day_of_all ON usage_by_day (day);
