-- Drivers, trucks, customers, and the devices that report for them.
-- migrate:up
SET LOCAL lock_timeout = '5s';

CREATE TABLE drivers (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    name        text NOT NULL CHECK (name <> ''),
    phone       text,
    user_id     uuid,
    created_at  timestamptz NOT NULL,
    archived_at timestamptz,
    version     integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id)
);
CREATE UNIQUE INDEX drivers_user ON drivers (org_id, user_id) WHERE user_id IS NOT NULL;

CREATE TABLE trucks (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    name        text NOT NULL CHECK (name <> ''),
    plate       text,
    created_at  timestamptz NOT NULL,
    archived_at timestamptz,
    version     integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id)
);

CREATE TABLE customers (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    name        text NOT NULL CHECK (name <> ''),
    phone       text,
    email       text,
    created_at  timestamptz NOT NULL,
    archived_at timestamptz,
    version     integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id)
);

-- Only the hash of a device's token is kept. A token is 192 random bits, so a plain SHA-256 of it cannot be guessed back.
CREATE TABLE devices (
    org_id     uuid NOT NULL REFERENCES organisations,
    id         uuid NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    driver_id  uuid NOT NULL,
    truck_id   uuid,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    version    integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, driver_id) REFERENCES drivers (org_id, id),
    FOREIGN KEY (org_id, truck_id) REFERENCES trucks (org_id, id)
);
CREATE INDEX devices_driver ON devices (org_id, driver_id);
CREATE INDEX devices_truck ON devices (org_id, truck_id) WHERE truck_id IS NOT NULL;
-- Every node asks "which of these were withdrawn", over all organisations, without knowing whose they are.
CREATE INDEX devices_by_id ON devices (id);

ALTER TABLE drivers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON drivers USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE trucks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON trucks USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON customers USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON devices USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT, UPDATE, DELETE ON drivers, trucks, customers, devices TO waypost_app, waypost_system;

-- migrate:down
DROP TABLE devices, customers, trucks, drivers;
