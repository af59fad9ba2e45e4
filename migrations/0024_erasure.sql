-- A person's right to be forgotten, in what nobody may change otherwise. See docs/notifications.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Words alone: no amount, no date, no id and no key of the books. ids: of the person and of what is theirs; theirs: a
-- pattern of their name and addresses, taken out of their rows; anywhere: of addresses that are nobody else's.
CREATE FUNCTION waypost_erase_words(org uuid, ids uuid[], theirs text, anywhere text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
    AS $$
DECLARE
    gone bigint := 0;
    n    bigint;
    mark CONSTANT text := '(erased)';
BEGIN
    IF org IS NULL OR cardinality(ids) = 0 OR theirs = '' OR anywhere = '' THEN
        RAISE EXCEPTION 'whose words are erased must be said';
    END IF;
    UPDATE audit_log SET why = regexp_replace(why, theirs, mark, 'gi'),
           detail = regexp_replace(detail::text, theirs, mark, 'gi')::jsonb
     WHERE org_id = org AND subject_id = ANY(ids) AND (why ~* theirs OR detail::text ~* theirs);
    GET DIAGNOSTICS n = ROW_COUNT;
    gone := gone + n;
    UPDATE audit_log SET why = regexp_replace(why, anywhere, mark, 'gi'),
           detail = regexp_replace(detail::text, anywhere, mark, 'gi')::jsonb
     WHERE org_id = org AND (why ~* anywhere OR detail::text ~* anywhere);
    GET DIAGNOSTICS n = ROW_COUNT;
    gone := gone + n;
    UPDATE trip_events SET data = regexp_replace(data::text, theirs, mark, 'gi')::jsonb
     WHERE org_id = org AND trip_id = ANY(ids) AND data::text ~* theirs;
    GET DIAGNOSTICS n = ROW_COUNT;
    gone := gone + n;
    UPDATE layby_events SET data = regexp_replace(data::text, theirs, mark, 'gi')::jsonb
     WHERE org_id = org AND layby_id = ANY(ids) AND data::text ~* theirs;
    GET DIAGNOSTICS n = ROW_COUNT;
    gone := gone + n;
    UPDATE journal_entries SET note = regexp_replace(note, theirs, mark, 'gi')
     WHERE org_id = org AND (customer_id = ANY(ids) OR source_id = ANY(ids)) AND note ~* theirs;
    GET DIAGNOSTICS n = ROW_COUNT;
    gone := gone + n;
    UPDATE statement_lines SET detail = regexp_replace(detail, theirs, mark, 'gi')
     WHERE org_id = org AND payment_id = ANY(ids) AND detail ~* theirs;
    GET DIAGNOSTICS n = ROW_COUNT;
    gone := gone + n;
    UPDATE payments SET payer_mark = NULL, payer_hint = NULL,
           account_ref = regexp_replace(account_ref, theirs, mark, 'gi'), note = regexp_replace(note, theirs, mark, 'gi')
     WHERE org_id = org AND (id = ANY(ids) OR account_ref ~* anywhere OR note ~* anywhere)
       AND (payer_mark IS NOT NULL OR payer_hint IS NOT NULL OR account_ref ~* theirs OR note ~* theirs);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN gone + n;
END
$$;
REVOKE EXECUTE ON FUNCTION waypost_erase_words(uuid, uuid[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waypost_erase_words(uuid, uuid[], text, text) TO waypost_system;
GRANT UPDATE (facts) ON alerts TO waypost_system;

-- migrate:down
REVOKE UPDATE (facts) ON alerts FROM waypost_system;
DROP FUNCTION waypost_erase_words(uuid, uuid[], text, text);
