-- One policy for who reads a trip. Two of them are an OR beside the query's own `org_id = $1`, and the planner then takes
-- the organisation's share of the table twice: it expects few rows, and sorts all of the organisation's instead of
-- reading a page in the index's order. A function it cannot look into leaves its estimate alone.
-- migrate:up
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION waypost_is_party(viewer uuid, sender uuid, receiver uuid) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1
    AS $$ BEGIN RETURN coalesce(viewer = sender OR viewer = receiver, false); END $$;

DROP POLICY own ON trips;
DROP POLICY received ON trips;
CREATE POLICY seen ON trips FOR SELECT
    USING (waypost_is_party((SELECT waypost_current_org()), org_id, destination_org_id));
CREATE POLICY added ON trips FOR INSERT WITH CHECK (org_id = (SELECT waypost_current_org()));
CREATE POLICY changed ON trips FOR UPDATE USING (org_id = (SELECT waypost_current_org()));

-- migrate:down
DROP POLICY seen ON trips;
DROP POLICY added ON trips;
DROP POLICY changed ON trips;
CREATE POLICY own ON trips USING (org_id = (SELECT waypost_current_org()));
CREATE POLICY received ON trips FOR SELECT USING (destination_org_id = (SELECT waypost_current_org()));
DROP FUNCTION waypost_is_party(uuid, uuid, uuid);
