-- Streets learned from good moving fixes (docs/decisions/0014-learned-streets.md); where tracks from files lie.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- A cell is a square of 1e-4 degree (level 0), 4e-4 (1) or 16e-4 (2), counted from -90, -180; 128 x 128 of them are a
-- block, and cell = row in the block * 128 + column. passes: distinct drives through it, of which the newest two are kept
-- so that one drive counts once however its fixes come in: exact up to two, then perhaps too high.
CREATE TABLE street_cells (
    org_id       uuid NOT NULL REFERENCES organisations,
    level        smallint NOT NULL,
    block_row    smallint NOT NULL,
    block_column smallint NOT NULL,
    cell         smallint NOT NULL,
    passes       smallint NOT NULL,
    last_on      date NOT NULL,
    newest_pass  bigint NOT NULL,
    other_pass   bigint,
    PRIMARY KEY (org_id, level, block_row, block_column, cell)
);

-- How far the fixes are counted, by their receipt numbers: one row of the nil organisation, for the whole house.
CREATE TABLE street_progress (
    org_id  uuid PRIMARY KEY,
    receipt bigint NOT NULL
);

-- Of which times a trip has fixes that came from files: its own run says it of all others. Where to look for its track.
CREATE TABLE imported_spans (
    org_id   uuid NOT NULL,
    trip_id  uuid NOT NULL,
    from_at  timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, trip_id),
    FOREIGN KEY (org_id, trip_id) REFERENCES trips (org_id, id)
);

-- Finds what was received since: a few pages a gigabyte, and next to nothing to keep up while fixes come in.
CREATE INDEX fixes_receipt ON fixes USING brin (receipt) WITH (pages_per_range = 32, autosummarize = on);

ALTER TABLE street_cells ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON street_cells USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE street_progress ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON street_progress USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE imported_spans ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON imported_spans USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT ON street_cells, imported_spans TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON street_cells, street_progress, imported_spans TO waypost_system;
-- To know what is surely committed: the last receipt given out.
GRANT SELECT ON SEQUENCE fix_receipts TO waypost_system;

-- What a BRIN index has not summed up yet is read in whole, and after a burst autovacuum may take its time. The run-time
-- roles own no index, so they come through this function; a week that somebody has locked is left for the next time.
CREATE FUNCTION waypost_sum_up_receipts() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s'
    AS $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'fixes_receipt'::regclass LOOP
        BEGIN
            PERFORM brin_summarize_new_values(part);
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION waypost_sum_up_receipts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waypost_sum_up_receipts() TO waypost_system;

-- migrate:down
DROP FUNCTION waypost_sum_up_receipts();
DROP INDEX fixes_receipt;
DROP TABLE imported_spans, street_progress, street_cells;
REVOKE SELECT ON SEQUENCE fix_receipts FROM waypost_system;
