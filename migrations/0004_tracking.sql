-- Fixes by time, the newest position of each device and trip. See docs/decisions/0004-fix-keys-and-partitions.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Ties in recorded_at are broken by who was received first.
CREATE SEQUENCE fix_receipts AS bigint;

-- Partitioned by the device's own time, before any repair, since that is what the second unique key holds.
-- No default partition: a fix for a missing week makes its week (waypost_make_fix_partition).
CREATE TABLE fixes (
    org_id      uuid NOT NULL,
    device_id   uuid NOT NULL,
    raw_at      timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    receipt     bigint NOT NULL DEFAULT nextval('fix_receipts'),
    trip_id     uuid,
    driver_id   uuid,
    vehicle_id  uuid NOT NULL,
    latitude_e7  integer NOT NULL,
    longitude_e7 integer NOT NULL,
    accuracy_m  real,
    speed_mps   real,
    heading_deg real,
    altitude_m  real,
    battery_pct real,
    flags       integer NOT NULL DEFAULT 0,
    late        boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (raw_at);
CREATE UNIQUE INDEX fixes_key ON fixes (org_id, device_id, raw_at, latitude_e7, longitude_e7);
CREATE INDEX fixes_track ON fixes (org_id, trip_id, recorded_at, receipt) WHERE trip_id IS NOT NULL;

-- The client's own key: its stream and number, or the id it gave. Small, and pruned after its days are over.
CREATE TABLE fix_keys (
    org_id      uuid NOT NULL,
    device_id   uuid NOT NULL,
    key         text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, device_id, key)
);
CREATE INDEX fix_keys_age ON fix_keys USING brin (received_at);

CREATE TABLE positions (
    org_id      uuid NOT NULL,
    device_id   uuid NOT NULL,
    vehicle_id  uuid NOT NULL,
    trip_id     uuid,
    driver_id   uuid,
    recorded_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    receipt     bigint NOT NULL,
    latitude_e7  integer NOT NULL,
    longitude_e7 integer NOT NULL,
    accuracy_m  real,
    speed_mps   real,
    heading_deg real,
    altitude_m  real,
    battery_pct real,
    PRIMARY KEY (org_id, device_id)
) WITH (fillfactor = 70);

CREATE TABLE trip_positions (
    org_id      uuid NOT NULL,
    trip_id     uuid NOT NULL,
    device_id   uuid NOT NULL,
    vehicle_id  uuid NOT NULL,
    driver_id   uuid,
    recorded_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    receipt     bigint NOT NULL,
    latitude_e7  integer NOT NULL,
    longitude_e7 integer NOT NULL,
    accuracy_m  real,
    speed_mps   real,
    heading_deg real,
    altitude_m  real,
    battery_pct real,
    PRIMARY KEY (org_id, trip_id)
) WITH (fillfactor = 70);

CREATE INDEX positions_vehicle ON positions (org_id, vehicle_id);

ALTER TABLE fixes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON fixes USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE fix_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON fix_keys USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE positions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON positions USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE trip_positions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON trip_positions USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT ON fixes, positions, trip_positions TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON fixes, fix_keys, positions, trip_positions TO waypost_system;
GRANT USAGE ON SEQUENCE fix_receipts TO waypost_system;

-- Make the partition of the (UTC, Monday) week that holds ``moment``. Any number at once; none twice. The run-time
-- roles own no table, so they come through this function. It is made apart and then attached: creating it as a
-- partition would lock out every reader and writer of fixes.
CREATE FUNCTION waypost_make_fix_partition(moment timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC'
    AS $$
DECLARE
    week   timestamptz := date_trunc('week', moment, 'UTC');
    part   text := 'fixes_' || to_char(week, 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('waypost_make_fix_partition'));
    IF to_regclass('public.' || part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE fixes INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
        EXECUTE format('ALTER TABLE fixes ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       part, week, week + interval '7 days');
    END IF;
    RETURN part;
END
$$;
REVOKE EXECUTE ON FUNCTION waypost_make_fix_partition(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waypost_make_fix_partition(timestamptz) TO waypost_system;

SELECT waypost_make_fix_partition(now() + week * interval '7 days') FROM generate_series(-1, 2) AS week;

-- migrate:down
DROP FUNCTION waypost_make_fix_partition(timestamptz);
DROP TABLE trip_positions, positions, fix_keys, fixes;
DROP SEQUENCE fix_receipts;
