-- Payments, what providers say of them, and what we ask of providers. See docs/decisions/0020-money.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- A provider's account of an organisation. ``config`` is sealed: its secrets. Of the token in its callbacks' address
-- only the hash is kept. addresses: networks that its callbacks come from, empty: any.
CREATE TABLE payment_providers (
    org_id            uuid NOT NULL REFERENCES organisations,
    id                uuid NOT NULL,
    provider          text NOT NULL CHECK (provider IN ('daraja', 'signed')),
    name              text NOT NULL CHECK (name <> ''),
    config            text NOT NULL,
    token_hash        bytea NOT NULL UNIQUE,
    old_token_hash    bytea UNIQUE,
    old_token_until   timestamptz,
    addresses         text[] NOT NULL DEFAULT '{}',
    check_above_minor bigint,
    currency          char(3) NOT NULL,
    created_at        timestamptz NOT NULL,
    archived_at       timestamptz,
    version           integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id)
);
COMMENT ON COLUMN payment_providers.config IS 'sealed';

-- What a provider sent, as it came, before anything is made of it. disposition null: still to be worked on. body: empty
-- once it has been done or settled for long.
CREATE TABLE callbacks (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    provider_id  uuid NOT NULL,
    prompt_id    uuid,
    road         text NOT NULL CHECK (road IN ('stk', 'validation', 'confirmation', 'reversal', 'signed', 'query',
                                               'statement')),
    body         bytea NOT NULL,
    address      text,
    received_at  timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    tries        integer NOT NULL DEFAULT 0,
    disposition  text CHECK (disposition IN ('applied', 'overpaid', 'credit', 'duplicate', 'failed', 'ignored', 'review',
                                             'unmatched', 'reversed', 'accepted', 'rejected', 'quarantined')),
    detail       text,
    event_id     text,
    receipt      text,
    account_ref  text,
    amount_minor bigint,
    checkout_request_id text,
    payment_id   uuid,
    done_at      timestamptz,
    settled_at   timestamptz,
    settled_by   uuid,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, provider_id) REFERENCES payment_providers (org_id, id)
);
CREATE INDEX callbacks_open ON callbacks (due_at) WHERE disposition IS NULL;
CREATE UNIQUE INDEX callbacks_event ON callbacks (org_id, provider_id, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX callbacks_receipt ON callbacks (org_id, receipt) WHERE receipt IS NOT NULL;
CREATE INDEX callbacks_bodies ON callbacks (done_at) WHERE disposition IS NOT NULL AND body <> '';
CREATE INDEX callbacks_disposition ON callbacks (org_id, disposition, id);
CREATE INDEX callbacks_to_settle ON callbacks (org_id, id)
    WHERE disposition IN ('review', 'quarantined') AND settled_at IS NULL;

-- Money that moved, or that found its place: amount = applied + credit + suspense, so the sum over all rows of each
-- part is what lies there. A refund and a reversal are negative; a row of kind 'credit' (credit is used) or 'assignment'
-- (an unknown payment finds its layby) moves no money. root_id: the payment that it all began with. Rows are never
-- changed but for settled_*, which ends an open question.
CREATE TABLE payments (
    org_id         uuid NOT NULL REFERENCES organisations,
    id             uuid NOT NULL,
    root_id        uuid NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('payment', 'credit', 'assignment', 'refund', 'reversal')),
    method         text NOT NULL CHECK (method IN ('cash', 'card', 'bank', 'mobile', 'other', 'internal')),
    provider       text NOT NULL,
    receipt        text NOT NULL,
    disposition    text NOT NULL CHECK (disposition IN ('applied', 'overpaid', 'credit', 'unmatched', 'reversed', 'refunded')),
    currency       char(3) NOT NULL,
    amount_minor   bigint NOT NULL,
    applied_minor  bigint NOT NULL,
    credit_minor   bigint NOT NULL,
    suspense_minor bigint NOT NULL,
    balance_minor  bigint,
    layby_id       uuid,
    invoice_id     uuid,
    customer_id    uuid,
    account_ref    text,
    payer_mark     bytea,
    payer_hint     text,
    prompt_id      uuid,
    callback_id    uuid,
    note           text,
    paid_at        timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    created_by     uuid,
    settled_at     timestamptz,
    settled_by     uuid,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, provider, receipt),
    FOREIGN KEY (org_id, layby_id) REFERENCES laybys (org_id, id),
    FOREIGN KEY (org_id, customer_id) REFERENCES customers (org_id, id),
    CHECK (amount_minor = applied_minor + credit_minor + suspense_minor),
    CHECK (applied_minor = 0 OR layby_id IS NOT NULL OR invoice_id IS NOT NULL),
    CHECK (layby_id IS NULL OR invoice_id IS NULL),
    CHECK (kind <> 'payment' OR (amount_minor > 0 AND root_id = id)),
    CHECK (kind NOT IN ('refund', 'reversal') OR amount_minor < 0),
    CHECK (kind NOT IN ('credit', 'assignment') OR amount_minor = 0)
);
CREATE INDEX payments_layby ON payments (org_id, layby_id, id) WHERE layby_id IS NOT NULL;
CREATE INDEX payments_invoice ON payments (org_id, invoice_id, id) WHERE invoice_id IS NOT NULL;
CREATE INDEX payments_customer ON payments (org_id, customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX payments_root ON payments (org_id, root_id, id);
CREATE INDEX payments_disposition ON payments (org_id, disposition, id);
CREATE INDEX payments_unmatched ON payments (org_id, id) WHERE disposition = 'unmatched' AND settled_at IS NULL;
CREATE INDEX payments_credit ON payments (org_id, customer_id, root_id) INCLUDE (credit_minor, currency)
    WHERE credit_minor <> 0;
CREATE INDEX payments_suspense ON payments (org_id, currency) INCLUDE (suspense_minor) WHERE suspense_minor <> 0;
CREATE INDEX payments_paid ON payments (org_id, paid_at, id);
CREATE INDEX payments_receipt ON payments (org_id, receipt, id);
CREATE INDEX payments_provider ON payments (org_id, provider, id);
CREATE INDEX payments_method ON payments (org_id, method, id);
CREATE INDEX payments_kind ON payments (org_id, kind, id);
CREATE INDEX payments_payer ON payments (org_id, payer_mark, id) WHERE payer_mark IS NOT NULL;
CREATE UNIQUE INDEX payments_assigned_once ON payments (org_id, root_id) WHERE kind = 'assignment';

-- We ask a customer's phone. The row is there before the provider is asked; one open prompt a layby.
CREATE TABLE prompts (
    org_id              uuid NOT NULL REFERENCES organisations,
    id                  uuid NOT NULL,
    provider_id         uuid NOT NULL,
    layby_id            uuid NOT NULL,
    phone               text NOT NULL,
    currency            char(3) NOT NULL,
    amount_minor        bigint NOT NULL CHECK (amount_minor > 0),
    token_hash          bytea NOT NULL UNIQUE,
    token               text NOT NULL,
    state               text NOT NULL DEFAULT 'queued'
                        CHECK (state IN ('queued', 'asking', 'asked', 'in_doubt', 'paid', 'failed', 'review')),
    merchant_request_id text,
    checkout_request_id text,
    result_code         text,
    result_text         text,
    status_code         text,
    status_at           timestamptz,
    payment_id          uuid,
    asked_at            timestamptz,
    due_at              timestamptz,
    queries             smallint NOT NULL DEFAULT 0,
    tries               smallint NOT NULL DEFAULT 0,
    attempt             integer NOT NULL DEFAULT 0,
    lease_until         timestamptz,
    poked_at            timestamptz,
    request_id          text,
    created_by          uuid,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, layby_id) REFERENCES laybys (org_id, id),
    FOREIGN KEY (org_id, provider_id) REFERENCES payment_providers (org_id, id)
);
COMMENT ON COLUMN prompts.token IS 'sealed';
CREATE UNIQUE INDEX prompts_one_open ON prompts (org_id, layby_id)
    WHERE state IN ('queued', 'asking', 'asked', 'in_doubt');
CREATE INDEX prompts_checkout ON prompts (org_id, checkout_request_id) WHERE checkout_request_id IS NOT NULL;
CREATE INDEX prompts_due ON prompts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX prompts_state ON prompts (org_id, state, id);
CREATE INDEX prompts_phones ON prompts (updated_at) WHERE state IN ('paid', 'failed') AND phone NOT LIKE '…%';
CREATE INDEX prompts_layby ON prompts (org_id, layby_id, id);

-- A provider's CSV, whole, and how far it has been read; each of its lines has one outcome. next_line counts the lines
-- twice: those by which money came are read first, so that what a line takes back is there. sha256: of file and mapping.
CREATE TABLE payment_statements (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    provider_id uuid NOT NULL,
    name        text NOT NULL,
    mapping     jsonb NOT NULL,
    body        bytea NOT NULL,
    sha256      bytea NOT NULL,
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    lines       integer NOT NULL,
    next_line   integer NOT NULL DEFAULT 0,
    counts      jsonb NOT NULL DEFAULT '{}',
    error       text,
    attempt     integer NOT NULL DEFAULT 0,
    tries       smallint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    poked_at    timestamptz,
    first_at    timestamptz,
    last_at     timestamptz,
    created_by  uuid,
    created_at  timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, provider_id, sha256),
    FOREIGN KEY (org_id, provider_id) REFERENCES payment_providers (org_id, id)
);
CREATE INDEX payment_statements_open ON payment_statements (poked_at) WHERE state IN ('queued', 'running');
CREATE INDEX payment_statements_bodies ON payment_statements (finished_at)
    WHERE state IN ('done', 'failed') AND body <> '';
CREATE TABLE statement_lines (
    org_id       uuid NOT NULL,
    statement_id uuid NOT NULL,
    n            integer NOT NULL,
    outcome      text NOT NULL CHECK (outcome IN ('matched', 'booked', 'unmatched', 'review', 'reversed', 'ignored',
                                                  'unreadable')),
    receipt      text,
    amount_minor bigint,
    paid_at      timestamptz,
    payment_id   uuid,
    detail       text,
    PRIMARY KEY (org_id, statement_id, n),
    FOREIGN KEY (org_id, statement_id) REFERENCES payment_statements (org_id, id)
);
CREATE INDEX statement_lines_receipt ON statement_lines (org_id, receipt) WHERE receipt IS NOT NULL;

-- What the nightly comparison found.
CREATE TABLE reconciliations (
    org_id      uuid NOT NULL REFERENCES organisations,
    day         date NOT NULL,
    checked     jsonb NOT NULL,
    sums        jsonb NOT NULL,
    differences integer NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, day)
);

ALTER TABLE payment_providers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON payment_providers USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE callbacks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON callbacks USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON payments USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE prompts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON prompts USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE payment_statements ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON payment_statements USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE statement_lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON statement_lines USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE reconciliations ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON reconciliations USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT ON payments TO waypost_app, waypost_system;
GRANT UPDATE (settled_at, settled_by) ON payments TO waypost_app, waypost_system;
GRANT SELECT, INSERT, UPDATE ON payment_providers, callbacks, prompts, payment_statements TO waypost_app, waypost_system;
GRANT SELECT, INSERT ON statement_lines TO waypost_app, waypost_system;
GRANT SELECT, INSERT, UPDATE ON reconciliations TO waypost_app, waypost_system;

-- migrate:down
DROP TABLE reconciliations, statement_lines, payment_statements, prompts, payments, callbacks, payment_providers;
