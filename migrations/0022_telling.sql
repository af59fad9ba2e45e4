-- By whom, by which way, in whose words and when customers and staff are told. See docs/decisions/0022-telling.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- user_id: a member of staff is told, in place of a customer. sensitive: the words are not kept.
ALTER TABLE notifications
    ALTER COLUMN customer_id DROP NOT NULL,
    ADD COLUMN user_id     uuid,
    ADD COLUMN resent_from uuid,
    ADD COLUMN time_zone   text,
    ADD CONSTRAINT notifications_one_recipient CHECK (customer_id IS NULL OR user_id IS NULL);
CREATE INDEX notifications_customer ON notifications (org_id, customer_id, id) WHERE customer_id IS NOT NULL;

-- sender: our number or address that it went out from. instead_of: the delivery that could not tell. error: the first
-- that a receipt named. read_at: of the channel in_app, whose rows are a person's inbox (address: their id).
ALTER TABLE deliveries
    ADD COLUMN provider_id   uuid,
    ADD COLUMN sender        text,
    ADD COLUMN segments      smallint,
    ADD COLUMN cost          numeric(18, 6),
    ADD COLUMN cost_currency char(3),
    ADD COLUMN error         text,
    ADD COLUMN sent_at       timestamptz,
    ADD COLUMN told_at       timestamptz,
    ADD COLUMN instead_of    uuid,
    ADD COLUMN held          integer NOT NULL DEFAULT 0,
    ADD COLUMN repeatable    boolean NOT NULL DEFAULT false,
    ADD COLUMN read_at       timestamptz,
    ADD COLUMN inbox_seq     bigint,
    ADD COLUMN follow_at     timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN deliveries.repeatable IS 'its gateway drops a repeat, so what is in doubt may go out again by itself';
COMMENT ON COLUMN deliveries.told_at IS 'when a receipt said delivered or undelivered';
CREATE INDEX deliveries_provider_ref ON deliveries (org_id, provider_id, provider_ref) WHERE provider_ref IS NOT NULL;
COMMENT ON COLUMN deliveries.follow_at IS 'when to see whether another way must tell it; infinity: that was seen to';
CREATE UNIQUE INDEX deliveries_inbox ON deliveries (org_id, address, inbox_seq) WHERE channel = 'in_app';
CREATE INDEX deliveries_follow ON deliveries (follow_at)
    WHERE state IN ('suppressed', 'undelivered', 'failed', 'dead', 'in_doubt') AND follow_at < 'infinity';
-- Each organisation gets its share of a pass, however much another has due.
CREATE INDEX outbox_waiting_of ON outbox (org_id, id) WHERE processed_at IS NULL;
CREATE INDEX deliveries_due_urgent_of ON deliveries (org_id, due_at) WHERE state = 'pending' AND queue = 'urgent';
CREATE INDEX deliveries_due_bulk_of ON deliveries (org_id, due_at) WHERE state = 'pending' AND queue = 'bulk';
CREATE INDEX deliveries_unread ON deliveries (org_id, address) WHERE channel = 'in_app' AND read_at IS NULL;
CREATE INDEX deliveries_state_id ON deliveries (org_id, state, id);
CREATE INDEX deliveries_to ON deliveries (org_id, channel, address, id);
CREATE INDEX deliveries_lookups ON deliveries (updated_at) WHERE state = 'in_doubt' AND provider = 'twilio';
ALTER TABLE attempts ADD COLUMN provider_id uuid;

-- The number of the newest item of a person's inbox. Held until the commit, so numbers come in the order of commits.
CREATE TABLE inbox_heads (
    org_id  uuid NOT NULL REFERENCES organisations,
    user_id uuid NOT NULL,
    newest  bigint NOT NULL,
    PRIMARY KEY (org_id, user_id)
) WITH (fillfactor = 50);
ALTER TABLE inbox_heads ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON inbox_heads USING (org_id = (SELECT waypost_current_org()));
GRANT SELECT ON inbox_heads TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON inbox_heads TO waypost_system;

-- A way out: an account with a provider of SMS, a mail server, an Apprise address. config is sealed.
CREATE TABLE message_providers (
    org_id          uuid NOT NULL REFERENCES organisations,
    id              uuid NOT NULL,
    channel         text NOT NULL CHECK (channel IN ('sms', 'email', 'other')),
    provider        text NOT NULL CHECK (provider IN ('twilio', 'africastalking', 'http', 'smtp', 'apprise')),
    name            text NOT NULL CHECK (name <> ''),
    config          text NOT NULL,
    sender          text NOT NULL DEFAULT '',
    weight          smallint NOT NULL DEFAULT 100 CHECK (weight BETWEEN 0 AND 100),
    price           numeric(12, 6) CHECK (price >= 0),
    price_currency  char(3),
    a_minute        integer CHECK (a_minute > 0),
    addresses       text[] NOT NULL DEFAULT '{}',
    token_hash      bytea NOT NULL UNIQUE,
    old_token_hash  bytea UNIQUE,
    old_token_until timestamptz,
    created_at      timestamptz NOT NULL,
    archived_at     timestamptz,
    version         integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    CHECK ((price IS NULL) = (price_currency IS NULL))
);
COMMENT ON COLUMN message_providers.config IS 'sealed';
COMMENT ON COLUMN message_providers.price IS 'of one part of an SMS, or of one message';
COMMENT ON COLUMN message_providers.weight IS '0: only when no other is well';

-- How a provider does, as a worker saw it last; for people to see. Each worker has a breaker of its own.
CREATE TABLE provider_health (
    org_id      uuid NOT NULL,
    provider_id uuid NOT NULL,
    state       text NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    since       timestamptz NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (org_id, provider_id)
);

-- What a provider said later of a message, as it came. disposition null: still to be worked on.
CREATE TABLE receipts (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    provider_id  uuid NOT NULL,
    road         text NOT NULL CHECK (road IN ('status', 'inbound', 'bounce', 'opt_out')),
    provider_ref text NOT NULL DEFAULT '',
    status       text NOT NULL DEFAULT '',
    delivery_id  uuid,
    body         bytea NOT NULL,
    query        text NOT NULL DEFAULT '',
    body_hash    bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    tries        integer NOT NULL DEFAULT 0,
    disposition  text CHECK (disposition IN ('applied', 'stale', 'ignored', 'unknown', 'quarantined')),
    detail       text,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, provider_id, road, provider_ref, status, body_hash)
);
CREATE INDEX receipts_open ON receipts (due_at) WHERE disposition IS NULL;
CREATE INDEX receipts_delivery ON receipts (org_id, delivery_id, id) WHERE delivery_id IS NOT NULL;
CREATE INDEX receipts_age ON receipts USING brin (received_at);

CREATE TABLE inbound_messages (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    provider_id  uuid NOT NULL,
    provider_ref text NOT NULL,
    from_address text NOT NULL,
    to_address   text NOT NULL,
    body         text NOT NULL,
    meant        text CHECK (meant IN ('stop', 'start', 'help')),
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, provider_id, provider_ref)
);
CREATE INDEX inbound_messages_from ON inbound_messages (org_id, from_address, id);

-- Who must not be written to. sender '': by none of our numbers. One that has ended stays, so that it is known; who was
-- stopped for two reasons is so until both have ended.
CREATE TABLE suppressions (
    org_id     uuid NOT NULL REFERENCES organisations,
    id         uuid NOT NULL,
    channel    text NOT NULL,
    sender     text NOT NULL DEFAULT '',
    address    text NOT NULL CHECK (address <> ''),
    reason     text NOT NULL CHECK (reason IN ('stop', 'unsubscribed', 'hard_bounce', 'soft_bounces', 'complaint',
                                               'opted_out', 'bad_address', 'staff')),
    source     text NOT NULL,
    detail     text,
    since      timestamptz NOT NULL,
    ended_at   timestamptz,
    ended_by   uuid,
    ended_why  text,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX suppressions_present ON suppressions (org_id, channel, address, sender, reason)
    WHERE ended_at IS NULL;

CREATE TABLE bounces (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    channel     text NOT NULL,
    address     text NOT NULL,
    hard        boolean NOT NULL,
    code        text,
    at          timestamptz NOT NULL,
    delivery_id uuid,
    forgotten   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, id)
);
COMMENT ON COLUMN bounces.forgotten IS 'something has arrived since, or a person says that the address is good';
CREATE INDEX bounces_address ON bounces (org_id, channel, address, at);
CREATE UNIQUE INDEX bounces_once ON bounces (org_id, delivery_id) WHERE delivery_id IS NOT NULL;

-- Who wants what: a customer's, a member's of staff, or (both null) the organisation's own. '*': any.
CREATE TABLE preferences (
    org_id      uuid NOT NULL REFERENCES organisations,
    customer_id uuid,
    user_id     uuid,
    kind        text NOT NULL DEFAULT '*',
    channel     text NOT NULL DEFAULT '*',
    wanted      boolean NOT NULL,
    source      text NOT NULL,
    changed_at  timestamptz NOT NULL,
    changed_by  uuid,
    CHECK (customer_id IS NULL OR user_id IS NULL),
    UNIQUE NULLS NOT DISTINCT (org_id, customer_id, user_id, kind, channel)
);

-- An organisation's own words; a version is never changed.
CREATE TABLE templates (
    org_id     uuid NOT NULL REFERENCES organisations,
    kind       text NOT NULL,
    channel    text NOT NULL,
    locale     text NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    subject    text NOT NULL DEFAULT '',
    body       text NOT NULL,
    note       text,
    created_at timestamptz NOT NULL,
    created_by uuid,
    PRIMARY KEY (org_id, kind, channel, locale, version)
);
-- Which one is used; version null: Waypost's.
CREATE TABLE template_choices (
    org_id     uuid NOT NULL,
    kind       text NOT NULL,
    channel    text NOT NULL,
    locale     text NOT NULL,
    version    integer,
    changed_at timestamptz NOT NULL,
    changed_by uuid,
    PRIMARY KEY (org_id, kind, channel, locale)
);

-- What a day's messages cost. slot: several rows for one, so that workers do not wait for each other.
CREATE TABLE message_spend (
    org_id      uuid NOT NULL REFERENCES organisations,
    day         date NOT NULL,
    channel     text NOT NULL,
    provider_id uuid NOT NULL,
    currency    text NOT NULL DEFAULT '',
    slot        smallint NOT NULL,
    messages    bigint NOT NULL,
    segments    bigint NOT NULL,
    cost        numeric(18, 6) NOT NULL,
    PRIMARY KEY (org_id, day, channel, provider_id, currency, slot)
);

-- A browser that may be pushed to. endpoint_hash: an endpoint is long. keys is sealed.
CREATE TABLE push_subscriptions (
    org_id        uuid NOT NULL REFERENCES organisations,
    id            uuid NOT NULL,
    user_id       uuid,
    customer_id   uuid,
    endpoint      text NOT NULL,
    endpoint_hash bytea NOT NULL,
    keys          text NOT NULL,
    agent         text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    last_sent_at  timestamptz,
    ended_at      timestamptz,
    ended_why     text,
    PRIMARY KEY (org_id, id),
    CHECK ((customer_id IS NULL) <> (user_id IS NULL))
);
COMMENT ON COLUMN push_subscriptions.keys IS 'sealed';
CREATE UNIQUE INDEX push_subscriptions_endpoint ON push_subscriptions (org_id, endpoint_hash) WHERE ended_at IS NULL;
CREATE INDEX push_subscriptions_user ON push_subscriptions (org_id, user_id) WHERE ended_at IS NULL AND user_id IS NOT NULL;
CREATE INDEX push_subscriptions_customer ON push_subscriptions (org_id, customer_id)
    WHERE ended_at IS NULL AND customer_id IS NOT NULL;

-- Keys that the installation makes for itself, such as that of its web push. Without an organisation. value is sealed.
CREATE TABLE house_keys (
    name       text PRIMARY KEY,
    value      text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON COLUMN house_keys.value IS 'sealed';
ALTER TABLE house_keys ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON house_keys TO waypost_system;

ALTER TABLE alerts ADD COLUMN digested_at timestamptz;
CREATE INDEX alerts_to_digest ON alerts (org_id, id) WHERE digested_at IS NULL AND resolved_at IS NULL;
GRANT UPDATE (digested_at) ON alerts TO waypost_system;

ALTER TABLE message_providers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON message_providers USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE provider_health ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON provider_health USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE receipts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON receipts USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE inbound_messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON inbound_messages USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE suppressions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON suppressions USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE bounces ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON bounces USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE preferences ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON preferences USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE templates ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON templates USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE template_choices ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON template_choices USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE message_spend ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON message_spend USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE push_subscriptions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON push_subscriptions USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT, UPDATE ON message_providers, suppressions, preferences, template_choices, push_subscriptions
    TO waypost_app;
GRANT DELETE ON preferences TO waypost_app;
GRANT UPDATE (forgotten) ON bounces TO waypost_app;
GRANT SELECT, INSERT ON templates TO waypost_app;
GRANT SELECT ON provider_health, receipts, inbound_messages, bounces, message_spend TO waypost_app;
GRANT INSERT ON notifications TO waypost_app;
GRANT INSERT ON deliveries TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON message_providers, provider_health, receipts, inbound_messages, suppressions,
    bounces, preferences, templates, template_choices, message_spend, push_subscriptions TO waypost_system;

-- migrate:down
ALTER TABLE alerts DROP COLUMN digested_at;
DROP TABLE house_keys, push_subscriptions, message_spend, template_choices, templates, preferences, bounces,
    suppressions, inbound_messages, receipts, provider_health, message_providers;
REVOKE INSERT ON notifications, deliveries FROM waypost_app;
ALTER TABLE attempts DROP COLUMN provider_id;
DROP TABLE inbox_heads;
DROP INDEX deliveries_lookups, deliveries_state_id, deliveries_to, deliveries_unread, deliveries_inbox, deliveries_provider_ref, deliveries_follow,
    deliveries_due_urgent_of, deliveries_due_bulk_of, outbox_waiting_of;
ALTER TABLE deliveries DROP COLUMN provider_id, DROP COLUMN sender, DROP COLUMN segments, DROP COLUMN cost,
    DROP COLUMN cost_currency, DROP COLUMN error, DROP COLUMN sent_at, DROP COLUMN told_at, DROP COLUMN instead_of,
    DROP COLUMN held, DROP COLUMN repeatable,
    DROP COLUMN read_at, DROP COLUMN inbox_seq, DROP COLUMN follow_at;
DROP INDEX notifications_customer;
DELETE FROM attempts WHERE (org_id, delivery_id) IN (SELECT d.org_id, d.id FROM deliveries d JOIN notifications n
    ON n.org_id = d.org_id AND n.id = d.notification_id WHERE n.customer_id IS NULL);
DELETE FROM deliveries WHERE (org_id, notification_id) IN (SELECT org_id, id FROM notifications
    WHERE customer_id IS NULL);
DELETE FROM notifications WHERE customer_id IS NULL;
ALTER TABLE notifications DROP CONSTRAINT notifications_one_recipient, DROP COLUMN user_id, DROP COLUMN resent_from,
    DROP COLUMN time_zone, ALTER COLUMN customer_id SET NOT NULL;
