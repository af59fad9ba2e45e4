-- A driver's own trips, page by page.
-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY IF NOT EXISTS trips_driver ON trips (org_id, driver_id, id) WHERE driver_id IS NOT NULL;

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY IF EXISTS trips_driver;
