-- Invoices between organisations, for trips. See docs/decisions/0020-money.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- number: given when it is issued, gapless in its organisation, kind and year. total = net + tax, of all lines.
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
    UNIQUE (org_id, kind, year, serial),
    FOREIGN KEY (org_id, of_invoice_id) REFERENCES invoices (org_id, id),
    CHECK (counterparty_org_id <> org_id),
    CHECK (total_minor = net_minor + tax_minor),
    CHECK (paid_minor BETWEEN 0 AND total_minor),
    CHECK ((status = 'draft') = (number IS NULL)),
    CHECK (status = 'draft' OR (issue_date IS NOT NULL AND due_date IS NOT NULL)),
    CHECK ((kind = 'credit_note') = (of_invoice_id IS NOT NULL))
);
CREATE INDEX invoices_status ON invoices (org_id, status, id);
CREATE INDEX invoices_counterparty ON invoices (org_id, counterparty_org_id, id);
CREATE INDEX invoices_due ON invoices (org_id, due_date, id)
    WHERE status IN ('issued', 'part_paid') AND kind = 'invoice';
CREATE INDEX invoices_received ON invoices (counterparty_org_id, id) WHERE status <> 'draft';
CREATE INDEX invoices_received_status ON invoices (counterparty_org_id, status, id) WHERE status <> 'draft';
CREATE INDEX invoices_received_due ON invoices (counterparty_org_id, due_date, id)
    WHERE status IN ('issued', 'part_paid') AND kind = 'invoice';
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
    kind   text NOT NULL,
    year   smallint NOT NULL,
    last   integer NOT NULL,
    PRIMARY KEY (org_id, kind, year)
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

-- The other half of what an invoice does: an entry in the books of its counterparty, which are not ours to write. Only
-- for an invoice that the transaction's own organisation has issued to it, to these accounts, once for each key; false:
-- the key is there.
CREATE FUNCTION waypost_post_to_counterparty(
    invoice uuid, entry uuid, entry_key text, entry_kind text, entry_note text, entry_at timestamptz,
    account_ids uuid[], codes text[], kinds text[], amounts bigint[]) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
    AS $$
DECLARE
    issuer uuid := waypost_current_org();
    theirs uuid;
    money  char(3);
BEGIN
    SELECT i.counterparty_org_id, i.currency INTO theirs, money FROM invoices i
     WHERE i.org_id = issuer AND i.id = invoice AND i.status <> 'draft';
    IF theirs IS NULL OR NOT codes <@ ARRAY['payable', 'freight-expense', 'tax-recoverable', 'cash', 'bank'] THEN
        RAISE EXCEPTION 'not an entry for the counterparty of invoice %', invoice
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO journal_entries (org_id, id, key, kind, source_kind, source_id, note, at)
    VALUES (theirs, entry, issuer || '/' || entry_key, entry_kind, 'invoice', invoice, entry_note, entry_at)
    ON CONFLICT (org_id, key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO accounts (org_id, id, code, kind, currency, counterparty_org_id, created_at)
    SELECT theirs, l.account_id, l.code, l.kind, money, CASE l.code WHEN 'payable' THEN issuer END, entry_at
      FROM unnest(account_ids, codes, kinds) AS l (account_id, code, kind)
     WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.org_id = theirs AND a.id = l.account_id)
     ORDER BY l.account_id
    ON CONFLICT DO NOTHING;
    INSERT INTO postings (org_id, entry_id, n, account_id, currency, amount_minor)
    SELECT theirs, entry, l.n, l.account_id, money, l.amount
      FROM unnest(account_ids, amounts) WITH ORDINALITY AS l (account_id, amount, n);
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION waypost_post_to_counterparty FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waypost_post_to_counterparty TO waypost_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON invoices, invoice_lines TO waypost_app, waypost_system;
GRANT SELECT, INSERT, UPDATE ON invoice_counters TO waypost_app, waypost_system;

-- migrate:down
DROP FUNCTION waypost_post_to_counterparty;
DROP TABLE invoice_counters, invoice_lines, invoices;
