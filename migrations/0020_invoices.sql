-- Invoices between organisations, for trips. See docs/decisions/0020-money.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- number: given when it is issued, gapless in its organisation and year. total = net + tax, of all lines.
-- kind 'credit_note': takes back the invoice that it names; its amounts are positive, its postings the other way round.
CREATE TABLE invoices (
    org_id              uuid NOT NULL REFERENCES organisations,
    id                  uuid NOT NULL,
    counterparty_org_id uuid NOT NULL REFERENCES organisations,
    kind                text NOT NULL DEFAULT 'invoice' CHECK (kind IN ('invoice', 'credit_note')),
    of_invoice_id       uuid,
    status              text NOT NULL DEFAULT 'draft'
                        CHECK (status IN ('draft', 'issued', 'part_paid', 'paid', 'voided')),
    year                smallint,
    serial              integer,
    number              text,
    currency            char(3) NOT NULL,
    net_minor           bigint NOT NULL DEFAULT 0,
    tax_minor           bigint NOT NULL DEFAULT 0,
    total_minor         bigint NOT NULL DEFAULT 0,
    paid_minor          bigint NOT NULL DEFAULT 0,
    terms_days          smallint NOT NULL DEFAULT 30,
    issue_date          date,
    due_date            date,
    issued_at           timestamptz,
    sent_at             timestamptz,
    paid_at             timestamptz,
    voided_at           timestamptz,
    note                text,
    created_by          uuid,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    version             integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, year, serial),
    FOREIGN KEY (org_id, of_invoice_id) REFERENCES invoices (org_id, id),
    CHECK (counterparty_org_id <> org_id),
    CHECK (total_minor = net_minor + tax_minor),
    CHECK (paid_minor BETWEEN 0 AND total_minor),
    CHECK ((status = 'draft') = (number IS NULL)),
    CHECK (status = 'draft' OR (issue_date IS NOT NULL AND due_date IS NOT NULL))
);
CREATE INDEX invoices_status ON invoices (org_id, status, id);
CREATE INDEX invoices_counterparty ON invoices (org_id, counterparty_org_id, id);
CREATE INDEX invoices_received ON invoices (counterparty_org_id, id) WHERE status <> 'draft';
CREATE INDEX invoices_due ON invoices (org_id, due_date, id) WHERE status IN ('issued', 'part_paid');
CREATE UNIQUE INDEX invoices_one_credit_note ON invoices (org_id, of_invoice_id) WHERE of_invoice_id IS NOT NULL;

CREATE TABLE invoice_lines (
    org_id           uuid NOT NULL,
    invoice_id       uuid NOT NULL,
    n                smallint NOT NULL,
    trip_id          uuid,
    description      text NOT NULL CHECK (description <> ''),
    quantity_milli   bigint NOT NULL CHECK (quantity_milli > 0),
    unit_price_minor bigint NOT NULL,
    tax_bp           integer NOT NULL CHECK (tax_bp BETWEEN 0 AND 10000),
    net_minor        bigint NOT NULL,
    PRIMARY KEY (org_id, invoice_id, n),
    FOREIGN KEY (org_id, invoice_id) REFERENCES invoices (org_id, id),
    FOREIGN KEY (org_id, trip_id) REFERENCES trips (org_id, id)
);
CREATE INDEX invoice_lines_trip ON invoice_lines (org_id, trip_id) WHERE trip_id IS NOT NULL;

CREATE TABLE invoice_counters (
    org_id uuid NOT NULL REFERENCES organisations,
    year   smallint NOT NULL,
    last   integer NOT NULL,
    PRIMARY KEY (org_id, year)
);

ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invoices USING (org_id = (SELECT waypost_current_org()));
CREATE POLICY received ON invoices FOR SELECT
    USING (counterparty_org_id = (SELECT waypost_current_org()) AND status <> 'draft');
ALTER TABLE invoice_lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invoice_lines USING (org_id = (SELECT waypost_current_org()));
CREATE POLICY received ON invoice_lines FOR SELECT
    USING (EXISTS (SELECT FROM invoices i WHERE i.org_id = invoice_lines.org_id AND i.id = invoice_id
                      AND i.counterparty_org_id = (SELECT waypost_current_org()) AND i.status <> 'draft'));
ALTER TABLE invoice_counters ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invoice_counters USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT, UPDATE, DELETE ON invoices, invoice_lines TO waypost_app, waypost_system;
GRANT SELECT, INSERT, UPDATE ON invoice_counters TO waypost_app, waypost_system;

-- migrate:down
DROP TABLE invoice_counters, invoice_lines, invoices;
