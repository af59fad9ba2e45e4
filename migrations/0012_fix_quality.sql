-- What devices sent that was not taken, and how good the rest is. See docs/decisions/0015-data-quality.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- A rejected location as it was sent (its first kilobyte: it may be no text at all), for who has to find out why.
-- more: so many others of its batch were refused for the same reason, and are not kept.
CREATE TABLE fix_rejections (
    org_id      uuid NOT NULL,
    device_id   uuid NOT NULL,
    id          uuid NOT NULL,
    received_at timestamptz NOT NULL,
    source      text NOT NULL,
    reason      text NOT NULL,
    detail      text NOT NULL,
    record      bytea NOT NULL CHECK (octet_length(record) <= 1024),
    more        integer NOT NULL DEFAULT 0 CHECK (more >= 0),
    PRIMARY KEY (org_id, device_id, id)
);
CREATE INDEX fix_rejections_age ON fix_rejections (received_at);

-- The newest that is known of a device, beside its position. heard_at: anything at all from it; heard: how many times;
-- every_s: how often lately. stored_at: the last batch of which a fix was stored. fix_at: the newest
-- stored fix's own time; delay_s: how late that came. doubts: what all fixes of the last batch were flagged with, 0 where
-- one of them was good. ahead_s: how far in the future the last fix was that was refused for that.
CREATE TABLE device_quality (
    org_id          uuid NOT NULL,
    device_id       uuid NOT NULL,
    source          text NOT NULL,
    heard_at        timestamptz NOT NULL,
    heard           bigint NOT NULL,
    every_s         double precision,
    stored_at       timestamptz,
    doubts          integer NOT NULL DEFAULT 0,
    fix_at          timestamptz,
    delay_s         double precision,
    accuracy_m      double precision,
    battery_pct     double precision,
    battery_at      timestamptz,
    clock_offset_ms bigint,
    reason          text,
    rejected_at     timestamptz,
    ahead_s         double precision,
    signal          text,
    signal_at       timestamptz,
    PRIMARY KEY (org_id, device_id)
) WITH (fillfactor = 70);

-- A device's counters, by the (UTC) day of receipt.
CREATE TABLE device_quality_days (
    org_id          uuid NOT NULL,
    device_id       uuid NOT NULL,
    day             date NOT NULL,
    batches         bigint NOT NULL DEFAULT 0,
    accepted        bigint NOT NULL DEFAULT 0,
    duplicates      bigint NOT NULL DEFAULT 0,
    late            bigint NOT NULL DEFAULT 0,
    flagged         bigint NOT NULL DEFAULT 0,
    rejected        bigint NOT NULL DEFAULT 0,
    accuracy_sum_m  double precision NOT NULL DEFAULT 0,
    accuracy_n      bigint NOT NULL DEFAULT 0,
    delay_sum_s     double precision NOT NULL DEFAULT 0,
    delay_max_s     double precision NOT NULL DEFAULT 0,
    battery_min_pct double precision,
    battery_pct     double precision,
    clock_offset_ms bigint,
    PRIMARY KEY (org_id, device_id, day)
) WITH (fillfactor = 70);
-- Not a tree: of today, which no statistics know yet, it would seem to hold next to nothing.
CREATE INDEX device_quality_days_age ON device_quality_days USING brin (day);

-- Of these: how many by each flag and each reason.
CREATE TABLE device_quality_counts (
    org_id    uuid NOT NULL,
    device_id uuid NOT NULL,
    day       date NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('flag', 'reason')),
    what      text NOT NULL,
    count     bigint NOT NULL,
    PRIMARY KEY (org_id, device_id, day, kind, what)
) WITH (fillfactor = 70);
CREATE INDEX device_quality_counts_age ON device_quality_counts USING brin (day);

ALTER TABLE fix_rejections ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON fix_rejections USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE device_quality ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON device_quality USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE device_quality_days ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON device_quality_days USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE device_quality_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON device_quality_counts USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT ON fix_rejections, device_quality, device_quality_days, device_quality_counts TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON fix_rejections, device_quality, device_quality_days, device_quality_counts
    TO waypost_system;

-- migrate:down
DROP TABLE device_quality_counts, device_quality_days, device_quality, fix_rejections;
