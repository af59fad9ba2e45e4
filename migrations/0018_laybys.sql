-- Lay-away agreements. See docs/decisions/0020-money.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- What an organisation made of a trade's defaults; the newest version holds for new agreements.
CREATE TABLE layby_rules (
    org_id     uuid NOT NULL REFERENCES organisations,
    trade      text NOT NULL CHECK (trade <> ''),
    version    integer NOT NULL,
    rules      jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid,
    PRIMARY KEY (org_id, trade, version)
);

-- balance = items + fees + late fees - paid; paid is the sum of the applied parts of the layby's payment rows (R2).
-- next_due_*: the first instalment that is not covered (R5), for lists and sweeps; null when nothing is owed.
CREATE TABLE laybys (
    org_id                 uuid NOT NULL REFERENCES organisations,
    id                     uuid NOT NULL,
    reference              text COLLATE "C" NOT NULL,
    customer_id            uuid NOT NULL,
    status                 text NOT NULL DEFAULT 'active'
                           CHECK (status IN ('active', 'on_hold', 'completed', 'cancelled', 'defaulted')),
    trade                  text NOT NULL,
    jurisdiction           text NOT NULL,
    currency               char(3) NOT NULL,
    items_minor            bigint NOT NULL CHECK (items_minor > 0),
    service_fee_minor      bigint NOT NULL CHECK (service_fee_minor >= 0),
    admin_fee_minor        bigint NOT NULL CHECK (admin_fee_minor >= 0),
    late_fees_minor        bigint NOT NULL DEFAULT 0 CHECK (late_fees_minor >= 0),
    paid_minor             bigint NOT NULL DEFAULT 0,
    deposit_minor          bigint NOT NULL CHECK (deposit_minor >= 0),
    balance_minor          bigint GENERATED ALWAYS AS
        (items_minor + service_fee_minor + admin_fee_minor + late_fees_minor - paid_minor) STORED,
    rhythm                 text NOT NULL CHECK (rhythm IN ('weekly', 'fortnightly', 'monthly', 'custom')),
    start_date             date NOT NULL,
    final_date             date NOT NULL,
    next_due_n             smallint,
    next_due_date          date,
    next_due_minor         bigint,
    terms                  jsonb NOT NULL,
    told_before_at         timestamptz,
    note                   text,
    extensions             smallint NOT NULL DEFAULT 0,
    held_since             date,
    completions            smallint NOT NULL DEFAULT 0,
    completed_at           timestamptz,
    collect_by             date,
    sent_out_at            timestamptz,
    released_at            timestamptz,
    defaulted_at           timestamptz,
    reinstate_until        date,
    cancelled_at           timestamptz,
    cancelled_by           text CHECK (cancelled_by IN ('customer', 'shop', 'goods_gone')),
    cancellation           jsonb,
    cancellation_fee_minor bigint NOT NULL DEFAULT 0 CHECK (cancellation_fee_minor >= 0),
    refund_due_minor       bigint NOT NULL DEFAULT 0 CHECK (refund_due_minor >= 0),
    created_by             uuid,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    version                integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, reference),
    FOREIGN KEY (org_id, customer_id) REFERENCES customers (org_id, id),
    CHECK (paid_minor <= items_minor + service_fee_minor + admin_fee_minor + late_fees_minor),
    CHECK (status <> 'completed' OR (completed_at IS NOT NULL AND collect_by IS NOT NULL)),
    CHECK (status <> 'cancelled' OR (cancelled_at IS NOT NULL AND cancelled_by IS NOT NULL)),
    CHECK (status <> 'defaulted' OR defaulted_at IS NOT NULL),
    CHECK ((status = 'on_hold') = (held_since IS NOT NULL))
);
CREATE INDEX laybys_status ON laybys (org_id, status, id);
CREATE INDEX laybys_customer ON laybys (org_id, customer_id, id);
CREATE INDEX laybys_due ON laybys (org_id, next_due_date, id) WHERE status = 'active';
CREATE INDEX laybys_final ON laybys (org_id, final_date, id) WHERE status = 'active';
CREATE INDEX laybys_to_collect ON laybys (org_id, collect_by, id) WHERE status = 'completed' AND released_at IS NULL;
CREATE INDEX laybys_to_refund ON laybys (org_id, id) WHERE refund_due_minor > 0;
-- Laybys are looked for by the beginning of a customer's name. A column of its own, since row-level security lets no
-- condition with lower() use an index.
ALTER TABLE customers ADD COLUMN name_key text COLLATE "C" GENERATED ALWAYS AS (lower(name)) STORED;
CREATE INDEX customers_name ON customers (org_id, name_key);

CREATE TABLE layby_items (
    org_id           uuid NOT NULL,
    layby_id         uuid NOT NULL,
    n                smallint NOT NULL,
    product          text NOT NULL CHECK (product <> ''),
    name             text NOT NULL CHECK (name <> ''),
    quantity         integer NOT NULL CHECK (quantity > 0),
    unit_price_minor bigint NOT NULL CHECK (unit_price_minor >= 0),
    handed_over      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, layby_id, n),
    FOREIGN KEY (org_id, layby_id) REFERENCES laybys (org_id, id),
    CHECK (handed_over BETWEEN 0 AND quantity)
);
CREATE INDEX layby_items_product ON layby_items (org_id, product, layby_id);

-- agreed_date: the date of the agreement; due_date: the same after holds and extensions. What of it is covered follows
-- from the layby's paid amount, so it is not kept.
CREATE TABLE layby_instalments (
    org_id         uuid NOT NULL,
    layby_id       uuid NOT NULL,
    n              smallint NOT NULL,
    agreed_date    date NOT NULL,
    due_date       date NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor >= 0),
    late_fee_minor bigint NOT NULL DEFAULT 0 CHECK (late_fee_minor >= 0),
    late_fee_at    timestamptz,
    PRIMARY KEY (org_id, layby_id, n),
    FOREIGN KEY (org_id, layby_id) REFERENCES laybys (org_id, id)
);

CREATE TABLE layby_events (
    org_id     uuid NOT NULL,
    layby_id   uuid NOT NULL,
    id         uuid NOT NULL,
    kind       text NOT NULL,
    at         timestamptz NOT NULL,
    actor_name text,
    data       jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (org_id, layby_id, id),
    FOREIGN KEY (org_id, layby_id) REFERENCES laybys (org_id, id)
);

-- What a completed layby became. A reversal voids it; the next completion makes another.
CREATE TABLE layby_orders (
    org_id     uuid NOT NULL,
    id         uuid NOT NULL,
    layby_id   uuid NOT NULL,
    number     text NOT NULL,
    trip_id    uuid,
    created_at timestamptz NOT NULL,
    voided_at  timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, number),
    FOREIGN KEY (org_id, layby_id) REFERENCES laybys (org_id, id)
);
CREATE UNIQUE INDEX layby_orders_one ON layby_orders (org_id, layby_id) WHERE voided_at IS NULL;
CREATE INDEX layby_orders_layby ON layby_orders (org_id, layby_id, id);
CREATE UNIQUE INDEX layby_orders_trip ON layby_orders (org_id, trip_id) WHERE trip_id IS NOT NULL;

-- What was said of an item's stock, each once: ``round`` counts how often the layby was opened again.
CREATE TABLE stock_events (
    org_id   uuid NOT NULL,
    id       uuid NOT NULL,
    layby_id uuid NOT NULL,
    item_n   smallint NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('reserved', 'released', 'sold')),
    round    smallint NOT NULL,
    product  text NOT NULL,
    quantity integer NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, layby_id, item_n, kind, round),
    FOREIGN KEY (org_id, layby_id, item_n) REFERENCES layby_items (org_id, layby_id, n)
);
CREATE INDEX stock_events_product ON stock_events (org_id, product, id);

-- What was said of an instalment, each step once for each due date (R6); instalment 0: of the layby as a whole.
CREATE TABLE layby_notices (
    org_id   uuid NOT NULL,
    layby_id uuid NOT NULL,
    n        smallint NOT NULL,
    step     text NOT NULL,
    due_date date NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (org_id, layby_id, n, step, due_date),
    FOREIGN KEY (org_id, layby_id) REFERENCES laybys (org_id, id)
);

-- How far a sweep of an organisation is; one row a run, so that another goes on where one died.
CREATE TABLE layby_sweeps (
    org_id      uuid NOT NULL REFERENCES organisations,
    name        text NOT NULL,
    due_at      timestamptz NOT NULL,
    after_date  date,
    after_id    uuid,
    seen        bigint NOT NULL DEFAULT 0,
    done        bigint NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (org_id, name, due_at)
);

ALTER TABLE layby_rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON layby_rules USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE laybys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON laybys USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE layby_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON layby_items USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE layby_instalments ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON layby_instalments USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE layby_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON layby_events USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE layby_orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON layby_orders USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE stock_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON stock_events USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE layby_notices ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON layby_notices USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE layby_sweeps ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON layby_sweeps USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT ON layby_rules, layby_events, stock_events, layby_notices TO waypost_app, waypost_system;
GRANT SELECT, INSERT, UPDATE ON laybys, layby_items, layby_instalments, layby_orders, layby_sweeps
    TO waypost_app, waypost_system;
GRANT DELETE ON layby_sweeps TO waypost_system;

-- migrate:down
ALTER TABLE customers DROP COLUMN name_key;
DROP TABLE layby_sweeps, layby_notices, stock_events, layby_orders, layby_events, layby_instalments, layby_items, laybys,
    layby_rules;
