-- Subscribers of ours: what happened, signed, to an address of theirs. See docs/decisions/0023-webhooks.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- events: types, or '*'. secrets is sealed: the present one and those that are still good. failing_since: since then no
-- delivery was taken; failures: how many tries in a row; slow_until: nothing is sent before.
CREATE TABLE webhooks (
    org_id        uuid NOT NULL REFERENCES organisations,
    id            uuid NOT NULL,
    name          text NOT NULL DEFAULT '',
    url           text NOT NULL CHECK (url <> ''),
    events        text[] NOT NULL CHECK (events <> '{}'),
    secrets       text NOT NULL,
    state         text NOT NULL DEFAULT 'on' CHECK (state IN ('on', 'off')),
    off_reason    text,
    off_at        timestamptz,
    failing_since timestamptz,
    failures      integer NOT NULL DEFAULT 0,
    slow_until    timestamptz,
    created_at    timestamptz NOT NULL,
    created_by    uuid,
    archived_at   timestamptz,
    version       integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id)
);
COMMENT ON COLUMN webhooks.secrets IS 'sealed';

-- What happened, as subscribers are told: body is sent as it stands, with each try. key: the outbox row's.
CREATE SEQUENCE webhook_seq;
CREATE TABLE webhook_events (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    seq          bigint NOT NULL DEFAULT nextval('webhook_seq'),
    key          text NOT NULL,
    type         text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   uuid,
    body         text NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, key)
);
CREATE INDEX webhook_events_age ON webhook_events USING brin (created_at);
CREATE INDEX webhook_events_since ON webhook_events (org_id, created_at);

CREATE TABLE webhook_deliveries (
    org_id      uuid NOT NULL,
    id          uuid NOT NULL,
    webhook_id  uuid NOT NULL,
    event_id    uuid NOT NULL,
    state       text NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'failed', 'dead', 'cancelled')),
    reason      text,
    attempt     integer NOT NULL DEFAULT 0,
    budget      integer NOT NULL,
    due_at      timestamptz NOT NULL,
    lease_until timestamptz,
    poked_at    timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, webhook_id, event_id),
    FOREIGN KEY (org_id, webhook_id) REFERENCES webhooks (org_id, id),
    FOREIGN KEY (org_id, event_id) REFERENCES webhook_events (org_id, id),
    CHECK ((state = 'sending') = (lease_until IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_due_of ON webhook_deliveries (org_id, webhook_id, due_at, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_given ON webhook_deliveries (org_id, webhook_id) WHERE state = 'pending' AND poked_at IS NOT NULL;
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (org_id, event_id);
CREATE INDEX webhook_deliveries_leases ON webhook_deliveries (org_id, webhook_id, lease_until) WHERE state = 'sending';
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (org_id, webhook_id, id);

CREATE TABLE webhook_attempts (
    org_id      uuid NOT NULL,
    delivery_id uuid NOT NULL,
    attempt     integer NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    outcome     text,
    reason      text,
    status      integer,
    latency_ms  integer,
    answer      text,
    PRIMARY KEY (org_id, delivery_id, attempt),
    FOREIGN KEY (org_id, delivery_id) REFERENCES webhook_deliveries (org_id, id)
);
COMMENT ON COLUMN webhook_attempts.answer IS 'its first kilobyte';

ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhooks USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE webhook_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_events USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_deliveries USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE webhook_attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_attempts USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT, UPDATE ON webhooks, webhook_deliveries TO waypost_app;
GRANT SELECT, INSERT ON webhook_events TO waypost_app;
GRANT SELECT ON webhook_attempts TO waypost_app;
GRANT USAGE ON SEQUENCE webhook_seq TO waypost_app, waypost_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks, webhook_events, webhook_deliveries, webhook_attempts
    TO waypost_system;

-- migrate:down
DROP TABLE webhook_attempts, webhook_deliveries, webhook_events, webhooks;
DROP SEQUENCE webhook_seq;
