-- What runs towards an organisation now, however many trips it has received.
-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY IF NOT EXISTS trips_coming ON trips (destination_org_id)
    WHERE status = 'started' AND destination_org_id IS NOT NULL;

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY IF EXISTS trips_coming;
