-- Staff ask a provider to take a payment back. See docs/decisions/0020-money.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- payment_id: the payment itself; receipt: the provider's name of it; reversal_id: the row that undid it. conversation_id,
-- originator_id: the provider's names of the request. request_id: of ours, for the logs.
CREATE TABLE reversal_requests (
    org_id          uuid NOT NULL REFERENCES organisations,
    id              uuid NOT NULL,
    provider_id     uuid NOT NULL,
    payment_id      uuid NOT NULL,
    receipt         text NOT NULL,
    currency        char(3) NOT NULL,
    amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
    reason          text NOT NULL,
    token_hash      bytea NOT NULL UNIQUE,
    token           text NOT NULL,
    state           text NOT NULL DEFAULT 'queued'
                    CHECK (state IN ('queued', 'asking', 'asked', 'in_doubt', 'reversed', 'failed', 'review')),
    conversation_id text,
    originator_id   text,
    result_code     text,
    result_text     text,
    reversal_id     uuid,
    asked_at        timestamptz,
    due_at          timestamptz,
    tries           smallint NOT NULL DEFAULT 0,
    attempt         integer NOT NULL DEFAULT 0,
    lease_until     timestamptz,
    poked_at        timestamptz,
    request_id      text,
    created_by      uuid,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, payment_id) REFERENCES payments (org_id, id),
    FOREIGN KEY (org_id, provider_id) REFERENCES payment_providers (org_id, id)
);
COMMENT ON COLUMN reversal_requests.token IS 'sealed';
CREATE UNIQUE INDEX reversal_requests_one_open ON reversal_requests (org_id, payment_id)
    WHERE state IN ('queued', 'asking', 'asked', 'in_doubt', 'review');
CREATE INDEX reversal_requests_due ON reversal_requests (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX reversal_requests_payment ON reversal_requests (org_id, payment_id, id);
ALTER TABLE reversal_requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON reversal_requests USING (org_id = (SELECT waypost_current_org()));
GRANT SELECT, INSERT, UPDATE ON reversal_requests TO waypost_app, waypost_system;

-- What came to the address of such a request, and the question that is left of one. 'timeout': the provider's queue gave up.
ALTER TABLE callbacks
    ADD COLUMN reversal_request_id uuid,
    DROP CONSTRAINT callbacks_road_check,
    ADD CONSTRAINT callbacks_road_check CHECK (road IN ('stk', 'validation', 'confirmation', 'reversal', 'timeout',
                                                        'signed', 'query', 'statement')) NOT VALID;
ALTER TABLE callbacks VALIDATE CONSTRAINT callbacks_road_check;
CREATE INDEX callbacks_reversal ON callbacks (org_id, reversal_request_id) WHERE reversal_request_id IS NOT NULL;

-- Where payments that nobody prompted are reported, told to the provider by us: the token of those addresses, and how
-- that stands.
ALTER TABLE payment_providers
    ADD COLUMN c2b_token_hash  bytea UNIQUE,
    ADD COLUMN c2b_token       text,
    ADD COLUMN c2b_state       text CHECK (c2b_state IN ('queued', 'asking', 'registered', 'failed')),
    ADD COLUMN c2b_text        text,
    ADD COLUMN c2b_at          timestamptz,
    ADD COLUMN c2b_due_at      timestamptz,
    ADD COLUMN c2b_tries       smallint NOT NULL DEFAULT 0,
    ADD COLUMN c2b_attempt     integer NOT NULL DEFAULT 0,
    ADD COLUMN c2b_lease_until timestamptz,
    ADD COLUMN c2b_poked_at    timestamptz;
COMMENT ON COLUMN payment_providers.c2b_token IS 'sealed';
CREATE INDEX payment_providers_c2b_due ON payment_providers (c2b_due_at) WHERE c2b_due_at IS NOT NULL;

-- migrate:down
DROP INDEX payment_providers_c2b_due;
ALTER TABLE payment_providers
    DROP COLUMN c2b_token_hash, DROP COLUMN c2b_token, DROP COLUMN c2b_state, DROP COLUMN c2b_text, DROP COLUMN c2b_at,
    DROP COLUMN c2b_due_at, DROP COLUMN c2b_tries, DROP COLUMN c2b_attempt, DROP COLUMN c2b_lease_until,
    DROP COLUMN c2b_poked_at;
DROP INDEX callbacks_reversal;
DELETE FROM callbacks WHERE road = 'timeout';
ALTER TABLE callbacks
    DROP COLUMN reversal_request_id,
    DROP CONSTRAINT callbacks_road_check,
    ADD CONSTRAINT callbacks_road_check CHECK (road IN ('stk', 'validation', 'confirmation', 'reversal', 'signed',
                                                        'query', 'statement'));
DROP TABLE reversal_requests;
