-- What staff must look at. See docs/decisions/0020-money.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

CREATE TABLE alerts (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    kind         text NOT NULL CHECK (kind <> ''),
    key          text NOT NULL CHECK (key <> ''),
    subject_kind text NOT NULL,
    subject_id   uuid,
    facts        jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    resolved_at  timestamptz,
    resolved_by  uuid,
    resolution   text,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, key)
);
CREATE INDEX alerts_open ON alerts (org_id, id) WHERE resolved_at IS NULL;
ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alerts USING (org_id = (SELECT waypost_current_org()));
GRANT SELECT, INSERT ON alerts TO waypost_app, waypost_system;
GRANT UPDATE (resolved_at, resolved_by, resolution) ON alerts TO waypost_app, waypost_system;
GRANT DELETE ON alerts TO waypost_system;

-- migrate:down
DROP TABLE alerts;
