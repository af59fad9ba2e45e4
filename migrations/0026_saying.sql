-- What is said and to whom: an organisation's logo. See docs/decisions/0022-telling.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Former ones stay for a while: e-mails that were sent show them. key: of the public address, unguessable.
CREATE TABLE organisation_logos (
    org_id     uuid NOT NULL REFERENCES organisations (org_id),
    key        text NOT NULL UNIQUE CHECK (key ~ '^[A-Za-z0-9_-]{32}$'),
    png        bytea NOT NULL CHECK (length(png) <= 1048576),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, key)
);
ALTER TABLE organisation_logos ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON organisation_logos USING (org_id = (SELECT waypost_current_org()));
GRANT SELECT, INSERT, DELETE ON organisation_logos TO waypost_app, waypost_system;

-- Who opted out lately: suppressions that people made, and kinds that they switched off by a link.
CREATE INDEX suppressions_since ON suppressions (since);
CREATE INDEX preferences_by_link ON preferences (changed_at)
    WHERE NOT wanted AND source IN ('unsubscribe_page', 'one_click');

-- migrate:down
DROP INDEX preferences_by_link, suppressions_since;
DROP TABLE organisation_logos;
