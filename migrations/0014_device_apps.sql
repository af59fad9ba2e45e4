-- How a phone's own tracking app is set: its names of fields, and the secret that it encrypts with.
-- migrate:up
SET LOCAL lock_timeout = '5s';

-- apps: {"transistor": {"root", "fields": {ours: theirs}}}; what is absent is as the app does it by itself.
ALTER TABLE devices
    ADD COLUMN apps jsonb,
    ADD COLUMN owntracks_secret text;
COMMENT ON COLUMN devices.owntracks_secret IS 'sealed';

-- migrate:down
ALTER TABLE devices DROP COLUMN apps, DROP COLUMN owntracks_secret;
