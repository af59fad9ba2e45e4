-- Organisations, people, what they may do. Roles first: see docs/decisions/0003-database-roles.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- The organisation of the running transaction; null outside one, so that a forgotten one reads nothing.
CREATE FUNCTION waypost_current_org() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('waypost.org', true), '')::uuid $$;

CREATE TABLE organisations (
    org_id     uuid PRIMARY KEY,
    name       text NOT NULL CHECK (name <> ''),
    settings   jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    version    integer NOT NULL DEFAULT 1
);

-- People may belong to several organisations, so a user has none: one of the tables exempt from leading with org_id.
CREATE TABLE users (
    id            uuid PRIMARY KEY,
    name          text NOT NULL,
    phone         text UNIQUE,
    email         text UNIQUE CHECK (email = lower(email)),
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz,
    CHECK (phone IS NOT NULL OR email IS NOT NULL)
);

CREATE TABLE memberships (
    org_id     uuid NOT NULL REFERENCES organisations,
    user_id    uuid NOT NULL REFERENCES users,
    role       text NOT NULL CHECK (role IN ('owner', 'dispatcher', 'accountant', 'driver', 'viewer')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

ALTER TABLE organisations ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON organisations USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON memberships USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organisation ON users FOR SELECT
    USING (EXISTS (SELECT FROM memberships m WHERE m.user_id = users.id AND m.org_id = (SELECT waypost_current_org())));

GRANT USAGE ON SCHEMA public TO waypost_app, waypost_system;
GRANT SELECT, UPDATE ON organisations TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON memberships TO waypost_app;
GRANT SELECT (id, name, phone, email, created_at, disabled_at) ON users TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON organisations, users, memberships TO waypost_system;

-- migrate:down
DROP TABLE memberships, users, organisations;
DROP FUNCTION waypost_current_org();
