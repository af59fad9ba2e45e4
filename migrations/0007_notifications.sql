-- What is to be told and what became of it. See docs/decisions/0008-notifications-deliveries.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- A promise to tell, written in the transaction of what it tells. The relay keeps it; a row that it cannot keep just
-- now waits until due_at and holds up no other.
CREATE TABLE outbox (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    kind         text NOT NULL CHECK (kind <> ''),
    key          text NOT NULL CHECK (key <> ''),
    payload      jsonb NOT NULL,
    request_id   text,
    created_at   timestamptz NOT NULL,
    due_at       timestamptz NOT NULL DEFAULT '-infinity',
    tries        integer NOT NULL DEFAULT 0,
    trouble      text,
    processed_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, key)
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE processed_at IS NULL;
CREATE INDEX outbox_age ON outbox USING brin (processed_at);

-- What to tell one customer, with the facts as they were at the commit.
CREATE TABLE notifications (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    kind         text NOT NULL,
    dedupe_key   text NOT NULL,
    customer_id  uuid NOT NULL,
    recipient    text NOT NULL,
    locale       text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   uuid NOT NULL,
    facts        jsonb NOT NULL,
    valid_until  timestamptz NOT NULL,
    cancelled_at timestamptz,
    request_id   text,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, dedupe_key)
);
CREATE INDEX notifications_subject ON notifications (org_id, subject_id, id);
-- Retention asks for the oldest; rows come in the order of their time, so a range of blocks is enough.
CREATE INDEX notifications_age ON notifications USING brin (created_at);

-- To one address by one channel. attempt counts claims; budget is the claim after which it is given up. due_at: not to
-- be tried (pending), or not to be tried again (in doubt), before. segments and cost come with channels that have them.
CREATE TABLE deliveries (
    org_id          uuid NOT NULL,
    id              uuid NOT NULL,
    notification_id uuid NOT NULL,
    channel         text NOT NULL,
    address         text NOT NULL,
    queue           text NOT NULL CHECK (queue IN ('urgent', 'bulk')),
    state           text NOT NULL CHECK (state IN ('pending', 'sending', 'in_doubt', 'sent', 'delivered', 'undelivered',
                                                   'suppressed', 'cancelled', 'expired', 'failed', 'dead')),
    reason          text,
    attempt         integer NOT NULL DEFAULT 0,
    budget          integer NOT NULL,
    due_at          timestamptz NOT NULL,
    lease_until     timestamptz,
    poked_at        timestamptz,
    provider        text,
    provider_ref    text,
    template        text,
    subject         text,
    body            text,
    html            text,
    request_id      text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, notification_id, channel, address),
    FOREIGN KEY (org_id, notification_id) REFERENCES notifications (org_id, id),
    CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
    CHECK (attempt <= budget)
) WITH (fillfactor = 80);
-- Urgent ones never wait behind bulk: each queue has its own.
CREATE INDEX deliveries_due_urgent ON deliveries (due_at) WHERE state = 'pending' AND queue = 'urgent';
CREATE INDEX deliveries_due_bulk ON deliveries (due_at) WHERE state = 'pending' AND queue = 'bulk';
CREATE INDEX deliveries_leases ON deliveries (lease_until) WHERE state = 'sending';
CREATE INDEX deliveries_doubts ON deliveries (due_at) WHERE state = 'in_doubt';
CREATE INDEX deliveries_console ON deliveries (id) WHERE channel = 'console';
-- Few among many: retention asks which notifications have one, and the operator how many there are.
CREATE INDEX deliveries_unsettled ON deliveries (org_id, notification_id, state)
    WHERE state IN ('pending', 'sending', 'in_doubt', 'dead');
CREATE INDEX deliveries_state ON deliveries (org_id, state, notification_id);

CREATE TABLE attempts (
    org_id      uuid NOT NULL,
    delivery_id uuid NOT NULL,
    attempt     integer NOT NULL,
    provider    text NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    outcome     text CHECK (outcome IN ('accepted', 'not_sent', 'refused', 'unknown')),
    reason      text,
    status      integer,
    latency_ms  integer,
    PRIMARY KEY (org_id, delivery_id, attempt),
    FOREIGN KEY (org_id, delivery_id) REFERENCES deliveries (org_id, id)
);

ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON outbox USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notifications USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON deliveries USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON attempts USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT ON outbox TO waypost_app;
GRANT SELECT ON notifications, attempts TO waypost_app;
GRANT SELECT, UPDATE ON deliveries TO waypost_app;
GRANT UPDATE (valid_until) ON notifications TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox, notifications, deliveries, attempts TO waypost_system;

-- Which processes are at work, of the whole installation: one of the tables without an organisation.
CREATE TABLE heartbeats (
    name       text PRIMARY KEY,
    kind       text NOT NULL,
    host       text NOT NULL,
    pid        integer NOT NULL,
    started_at timestamptz NOT NULL,
    beat_at    timestamptz NOT NULL,
    detail     jsonb NOT NULL DEFAULT '{}'
);
ALTER TABLE heartbeats ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON heartbeats TO waypost_system;

-- migrate:down
DROP TABLE heartbeats, attempts, deliveries, notifications, outbox;
