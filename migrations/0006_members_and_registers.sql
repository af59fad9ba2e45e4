-- Sessions, invitations, and what the registers need to be kept by people. See docs/decisions/0010-sessions-and-assignments.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- One sign-in of one person, in one browser or app: what its access tokens speak for and its refresh tokens go on with.
CREATE TABLE sessions (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    user_id      uuid NOT NULL REFERENCES users,
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text,
    user_agent   text,
    PRIMARY KEY (org_id, id),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_member ON sessions (org_id, user_id, last_seen_at);
CREATE INDEX sessions_person ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_over ON sessions (least(ended_at, expires_at));

-- Hashes only. All refresh tokens of a session are one family: each is exchanged for the next.
CREATE TABLE refresh_tokens (
    org_id       uuid NOT NULL,
    session_id   uuid NOT NULL,
    token_hash   bytea NOT NULL PRIMARY KEY,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    exchanged_at timestamptz,
    FOREIGN KEY (org_id, session_id) REFERENCES sessions (org_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (org_id, session_id);
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);

CREATE TABLE invitations (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    name         text NOT NULL CHECK (name <> ''),
    phone        text,
    email        text CHECK (email = lower(email)),
    role         text NOT NULL CHECK (role IN ('owner', 'dispatcher', 'accountant', 'driver', 'viewer')),
    token_hash   bytea NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    invited_by   uuid NOT NULL REFERENCES users,
    accepted_at  timestamptz,
    withdrawn_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK ((phone IS NULL) <> (email IS NULL))
);
CREATE INDEX invitations_open ON invitations (org_id, id) WHERE accepted_at IS NULL AND withdrawn_at IS NULL;
-- One waits at an address, and no second.
CREATE UNIQUE INDEX invitations_to_phone ON invitations (org_id, phone)
    WHERE accepted_at IS NULL AND withdrawn_at IS NULL AND phone IS NOT NULL;
CREATE UNIQUE INDEX invitations_to_email ON invitations (org_id, email)
    WHERE accepted_at IS NULL AND withdrawn_at IS NULL AND email IS NOT NULL;
CREATE INDEX invitations_age ON invitations (expires_at);

ALTER TABLE memberships ADD COLUMN version integer NOT NULL DEFAULT 1;
CREATE INDEX memberships_role ON memberships (org_id, role, user_id);

ALTER TABLE customers ADD COLUMN locale text, ADD COLUMN time_zone text;

-- Every list shows what is in use, or what was put away, in the order of its ids.
CREATE INDEX drivers_archived ON drivers (org_id, (archived_at IS NOT NULL), id);
CREATE INDEX trucks_archived ON trucks (org_id, (archived_at IS NOT NULL), id);
CREATE INDEX customers_archived ON customers (org_id, (archived_at IS NOT NULL), id);
CREATE INDEX audit_log_action ON audit_log (org_id, action, id);
-- "Is this driver, or truck, on the road?" (A driver's is trips_one_running.)
CREATE INDEX trips_truck_running ON trips (org_id, truck_id) WHERE status = 'started' AND truck_id IS NOT NULL;

-- While a new token is on its way to a phone the old one goes on.
ALTER TABLE devices
    ADD COLUMN old_token_hash bytea UNIQUE,
    ADD COLUMN old_token_until timestamptz,
    ADD COLUMN last_seen_at timestamptz,
    ADD CONSTRAINT devices_old_token CHECK ((old_token_hash IS NULL) = (old_token_until IS NULL));
CREATE INDEX devices_of_driver ON devices (org_id, driver_id, id);
CREATE INDEX devices_in_truck ON devices (org_id, truck_id, id) WHERE truck_id IS NOT NULL;
CREATE INDEX devices_revoked ON devices (org_id, (revoked_at IS NOT NULL), id);
DROP INDEX devices_driver, devices_truck;

-- Whose phone it was, and in which truck, from from_at up to, not including, until_at (null: still). The first one also
-- stands for all time before it.
CREATE TABLE device_assignments (
    org_id    uuid NOT NULL,
    device_id uuid NOT NULL,
    driver_id uuid NOT NULL,
    truck_id  uuid,
    from_at   timestamptz NOT NULL,
    until_at  timestamptz,
    PRIMARY KEY (org_id, device_id, from_at),
    FOREIGN KEY (org_id, device_id) REFERENCES devices (org_id, id),
    FOREIGN KEY (org_id, driver_id) REFERENCES drivers (org_id, id),
    FOREIGN KEY (org_id, truck_id) REFERENCES trucks (org_id, id),
    CHECK (until_at > from_at)
);
CREATE UNIQUE INDEX device_assignments_now ON device_assignments (org_id, device_id) WHERE until_at IS NULL;
INSERT INTO device_assignments (org_id, device_id, driver_id, truck_id, from_at)
SELECT org_id, id, driver_id, truck_id, created_at FROM devices;

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON sessions USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON refresh_tokens USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invitations USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE device_assignments ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON device_assignments USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, UPDATE ON sessions TO waypost_app;
GRANT SELECT, INSERT, UPDATE ON invitations, device_assignments TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, refresh_tokens, invitations, device_assignments TO waypost_system;

-- migrate:down
DROP TABLE device_assignments, invitations, refresh_tokens, sessions;
CREATE INDEX devices_driver ON devices (org_id, driver_id);
CREATE INDEX devices_truck ON devices (org_id, truck_id) WHERE truck_id IS NOT NULL;
DROP INDEX devices_of_driver, devices_in_truck, devices_revoked;
ALTER TABLE devices DROP COLUMN old_token_hash, DROP COLUMN old_token_until, DROP COLUMN last_seen_at;
DROP INDEX trips_truck_running, audit_log_action, customers_archived, trucks_archived, drivers_archived, memberships_role;
ALTER TABLE customers DROP COLUMN locale, DROP COLUMN time_zone;
ALTER TABLE memberships DROP COLUMN version;
