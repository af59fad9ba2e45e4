-- What the group commit keeps of each device from one batch to the next, and the constants by which times were repaired.
-- See docs/decisions/0013-group-commit.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- One row a device; its lock is the device's turn. ``state``: the last fixes by their own time and what follows from
-- them for the next ones (tracking/trail.py, in msgpack); NULL: to be read from the fixes themselves.
CREATE TABLE device_tracks (
    org_id        uuid NOT NULL,
    device_id     uuid NOT NULL,
    newest_raw_ms bigint,
    state         bytea,
    PRIMARY KEY (org_id, device_id)
) WITH (fillfactor = 50);
ALTER TABLE device_tracks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON device_tracks USING (org_id = (SELECT waypost_current_org()));
GRANT SELECT, INSERT, UPDATE, DELETE ON device_tracks TO waypost_system;

-- What the device itself said, ms since 1970, where a constant made a time of it (week rollover, 2001 epoch, seconds).
ALTER TABLE fixes ADD COLUMN raw_ms bigint;

-- Ties of recorded_at are broken by the device's own time and by place, so that the order of arrival decides nothing.
ALTER TABLE positions ADD COLUMN raw_at timestamptz, ALTER COLUMN receipt DROP NOT NULL;
ALTER TABLE trip_positions ADD COLUMN raw_at timestamptz, ALTER COLUMN receipt DROP NOT NULL;

-- migrate:down
ALTER TABLE trip_positions DROP COLUMN raw_at;
ALTER TABLE positions DROP COLUMN raw_at;
ALTER TABLE fixes DROP COLUMN raw_ms;
DROP TABLE device_tracks;
