-- Double entry. See docs/decisions/0020-money.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- An account is made when it is first posted to; its id follows from what it is, so that a posting asks nothing.
-- No posting refers to it by a foreign key: each would lock the same few rows.
CREATE TABLE accounts (
    org_id              uuid NOT NULL REFERENCES organisations,
    id                  uuid NOT NULL,
    code                text NOT NULL CHECK (code <> ''),
    kind                text NOT NULL CHECK (kind IN ('asset', 'liability', 'income', 'expense')),
    currency            char(3) NOT NULL,
    counterparty_org_id uuid REFERENCES organisations,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE NULLS NOT DISTINCT (org_id, code, currency, counterparty_org_id)
);

-- What happened, once: ``key`` names the effect ("payment:…", "layby:…:completed:2").
CREATE TABLE journal_entries (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    key         text NOT NULL CHECK (key <> ''),
    kind        text NOT NULL CHECK (kind <> ''),
    source_kind text NOT NULL,
    source_id   uuid NOT NULL,
    customer_id uuid,
    note        text,
    at          timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, key)
);
CREATE INDEX journal_entries_source ON journal_entries (org_id, source_id, id);

-- A line: debit +, credit -. Never changed, never deleted: no role at run time has the right to.
CREATE TABLE postings (
    org_id       uuid NOT NULL,
    entry_id     uuid NOT NULL,
    n            smallint NOT NULL,
    account_id   uuid NOT NULL,
    currency     char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    customer_id  uuid,
    PRIMARY KEY (org_id, entry_id, n),
    FOREIGN KEY (org_id, entry_id) REFERENCES journal_entries (org_id, id)
);
-- An entry's id is of its time, so this is an account's book in order.
CREATE INDEX postings_account ON postings (org_id, account_id, entry_id, n) INCLUDE (amount_minor);
CREATE INDEX postings_customer ON postings (org_id, customer_id, account_id, entry_id) INCLUDE (amount_minor)
    WHERE customer_id IS NOT NULL;

-- What an account came to with every entry whose id is below ``before_entry``; made a day later by a timed run.
CREATE TABLE account_snapshots (
    org_id        uuid NOT NULL,
    account_id    uuid NOT NULL,
    day           date NOT NULL,
    before_entry  uuid NOT NULL,
    balance_minor bigint NOT NULL,
    PRIMARY KEY (org_id, account_id, day)
);

-- As the tables' owner: it runs at the commit, when the role may be one that does not see these rows (another
-- organisation's, of an invoice), and what it does not see would sum to zero.
CREATE FUNCTION waypost_check_postings() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
    AS $$
BEGIN
    IF EXISTS (SELECT FROM postings WHERE org_id = NEW.org_id AND entry_id = NEW.entry_id
                GROUP BY currency HAVING sum(amount_minor) <> 0) THEN
        RAISE EXCEPTION 'the postings of entry % do not sum to zero', NEW.entry_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_balance';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER postings_balance AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION waypost_check_postings();

ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON accounts USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE journal_entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON journal_entries USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE postings ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON postings USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE account_snapshots ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON account_snapshots USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT ON accounts, journal_entries, postings TO waypost_app, waypost_system;
GRANT SELECT ON account_snapshots TO waypost_app;
GRANT SELECT, INSERT, DELETE ON account_snapshots TO waypost_system;

-- migrate:down
DROP TABLE account_snapshots, postings, journal_entries, accounts;
DROP FUNCTION waypost_check_postings();
