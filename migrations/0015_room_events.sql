-- Events that must not be lost between the commit and their room. See docs/decisions/0019-events-promised-in-the-transaction.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- An event of a room, written in the transaction of what it tells, gone once the bus has taken it. Who committed it
-- publishes at once; what is old was left behind, and belongs to whichever relay claims it first. ``head``: the packet
-- up to where epoch and seq stand. One event may go to several rooms under one id, which is what repeats are known by.
CREATE TABLE room_events (
    org_id        uuid NOT NULL REFERENCES organisations,
    room          text NOT NULL CHECK (room <> ''),
    id            uuid NOT NULL,
    name          text NOT NULL CHECK (name <> ''),
    head          bytea NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    PRIMARY KEY (org_id, room, id)
);
CREATE INDEX room_events_order ON room_events (id);
CREATE INDEX room_events_claimed ON room_events (org_id, room, id) WHERE claimed_until IS NOT NULL;

ALTER TABLE room_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON room_events USING (org_id = (SELECT waypost_current_org()));
GRANT INSERT ON room_events TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON room_events TO waypost_system;

-- migrate:down
DROP TABLE room_events;
