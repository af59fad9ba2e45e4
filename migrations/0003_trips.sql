-- Trips and what happened on them. A trip's row belongs to the sending organisation; the receiving one may read it.
-- migrate:up
SET LOCAL lock_timeout = '5s';

CREATE TABLE trips (
    org_id             uuid NOT NULL REFERENCES organisations,
    id                 uuid NOT NULL,
    destination_org_id uuid REFERENCES organisations,
    reference          text NOT NULL CHECK (reference <> ''),
    status             text NOT NULL DEFAULT 'planned'
                       CHECK (status IN ('planned', 'started', 'completed', 'cancelled')),
    driver_id          uuid,
    truck_id           uuid,
    customer_id        uuid,
    origin             text,
    destination        text,
    planned_start_at   timestamptz,
    started_at         timestamptz,
    completed_at       timestamptz,
    cancelled_at       timestamptz,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, driver_id) REFERENCES drivers (org_id, id),
    FOREIGN KEY (org_id, truck_id) REFERENCES trucks (org_id, id),
    FOREIGN KEY (org_id, customer_id) REFERENCES customers (org_id, id),
    CHECK (destination_org_id <> org_id),
    CHECK (status <> 'started' OR (started_at IS NOT NULL AND driver_id IS NOT NULL)),
    CHECK (status <> 'completed' OR completed_at IS NOT NULL),
    CHECK (status <> 'cancelled' OR cancelled_at IS NOT NULL)
);
-- The rule "one running trip a driver" is this index, not a check in code: two starts at once cannot both win.
CREATE UNIQUE INDEX trips_one_running ON trips (org_id, driver_id) WHERE status = 'started';
CREATE INDEX trips_status ON trips (org_id, status, id);
CREATE INDEX trips_received ON trips (destination_org_id, id) WHERE destination_org_id IS NOT NULL;
-- "Which trip was this driver running at that time": the batch's own question.
CREATE INDEX trips_run ON trips (org_id, driver_id, started_at) WHERE started_at IS NOT NULL;

CREATE TABLE trip_events (
    org_id     uuid NOT NULL,
    trip_id    uuid NOT NULL,
    id         uuid NOT NULL,
    kind       text NOT NULL,
    at         timestamptz NOT NULL,
    actor_name text,
    data       jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (org_id, trip_id, id),
    FOREIGN KEY (org_id, trip_id) REFERENCES trips (org_id, id)
);

ALTER TABLE trips ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON trips USING (org_id = (SELECT waypost_current_org()));
CREATE POLICY received ON trips FOR SELECT USING (destination_org_id = (SELECT waypost_current_org()));
ALTER TABLE trip_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON trip_events USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT, UPDATE ON trips TO waypost_app, waypost_system;
GRANT SELECT, INSERT ON trip_events TO waypost_app, waypost_system;

-- migrate:down
DROP TABLE trip_events, trips;
