-- What every later room leans on: who did what (audit), and the answers of POSTs that may be sent again.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Who did what, when and why. No role at run time may change or delete a row: only the owner's function below forgets.
CREATE TABLE audit_log (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    at           timestamptz NOT NULL,
    actor_id     uuid,
    actor_name   text,
    action       text NOT NULL CHECK (action <> ''),
    subject_kind text NOT NULL,
    subject_id   uuid,
    why          text,
    detail       jsonb NOT NULL DEFAULT '{}',
    request_id   text,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_log_subject ON audit_log (org_id, subject_id, id) WHERE subject_id IS NOT NULL;
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON audit_log USING (org_id = (SELECT waypost_current_org()));
GRANT SELECT, INSERT ON audit_log TO waypost_app, waypost_system;

CREATE FUNCTION waypost_forget_audit(kept interval, at_most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
    AS $$
DECLARE
    gone bigint;
BEGIN
    IF kept < interval '30 days' THEN
        RAISE EXCEPTION 'audit rows are kept for 30 days at least';
    END IF;
    DELETE FROM audit_log WHERE (org_id, id) IN (
        SELECT org_id, id FROM audit_log WHERE at < now() - kept LIMIT at_most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
REVOKE EXECUTE ON FUNCTION waypost_forget_audit(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waypost_forget_audit(interval, integer) TO waypost_system;
CREATE INDEX audit_log_age ON audit_log (at);

-- An answer that was given once, for a request that comes again. Encrypted: some answers hold a token.
CREATE TABLE idempotency_keys (
    org_id     uuid NOT NULL REFERENCES organisations,
    caller_id  uuid NOT NULL,
    key        text NOT NULL,
    mark       bytea NOT NULL,
    status     smallint NOT NULL,
    answer     text NOT NULL,
    etag       text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, caller_id, key)
);
COMMENT ON COLUMN idempotency_keys.answer IS 'sealed';
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON idempotency_keys USING (org_id = (SELECT waypost_current_org()));
GRANT SELECT, INSERT ON idempotency_keys TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO waypost_system;

-- migrate:down
DROP TABLE idempotency_keys, audit_log;
DROP FUNCTION waypost_forget_audit(interval, integer);
