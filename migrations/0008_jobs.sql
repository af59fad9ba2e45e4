-- Jobs with their files, and timed runs. See docs/decisions/0009-jobs-and-timed-runs.md.
-- migrate:up
SET LOCAL lock_timeout = '5s';

CREATE TABLE jobs (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    kind        text NOT NULL CHECK (kind <> ''),
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    user_id     uuid NOT NULL REFERENCES users,
    reason      text,
    params      jsonb NOT NULL DEFAULT '{}',
    -- Where the next chunk goes on, and its number; both commit with the chunk.
    cursor      jsonb,
    next_chunk  integer NOT NULL DEFAULT 0,
    rows_done   bigint NOT NULL DEFAULT 0,
    rows_total  bigint,
    written     boolean NOT NULL DEFAULT false,  -- every row is in a chunk; what is left is to seal the file
    -- The fence: a worker that lost its lease writes nothing more. tries: claims since a chunk was last kept.
    attempt     integer NOT NULL DEFAULT 0,
    tries       integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    poked_at    timestamptz,  -- when the queue was last told that it is due
    cancel_requested_at timestamptz,
    file_name   text,
    file_type   text,
    file_size   bigint NOT NULL DEFAULT 0,
    file_sha256 bytea,
    file_gone   boolean NOT NULL DEFAULT false,
    expires_at  timestamptz,
    error       text,
    request_id  text,
    created_at  timestamptz NOT NULL,
    started_at  timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK (state IN ('queued', 'running') = (finished_at IS NULL)),
    CHECK (state <> 'done' OR (file_sha256 IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK (state <> 'failed' OR error IS NOT NULL)
);
CREATE INDEX jobs_open ON jobs (org_id, id) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_own ON jobs (org_id, user_id, id);
CREATE INDEX jobs_expiry ON jobs (expires_at) WHERE NOT file_gone;
CREATE INDEX jobs_age ON jobs (finished_at) WHERE finished_at IS NOT NULL;

-- A job's file while it grows and afterwards: any node can go on with it and serve it.
CREATE TABLE job_chunks (
    org_id  uuid NOT NULL,
    job_id  uuid NOT NULL,
    n       integer NOT NULL,
    size    integer NOT NULL,
    bytes   bytea NOT NULL,
    PRIMARY KEY (org_id, job_id, n),
    FOREIGN KEY (org_id, job_id) REFERENCES jobs (org_id, id) ON DELETE CASCADE
);
ALTER TABLE job_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;  -- compressed by us already

-- A timed run that is due, was done, or is at work. The nil organisation stands for runs that are of the whole house.
CREATE TABLE scheduled_runs (
    org_id      uuid NOT NULL,
    name        text NOT NULL,
    due_at      timestamptz NOT NULL,
    attempt     integer NOT NULL DEFAULT 0,
    tries       integer NOT NULL DEFAULT 0,  -- claims, without those whose worker was asked to stop
    lease_until timestamptz,
    outcome     text CHECK (outcome IN ('done', 'skipped', 'failed')),
    detail      text,
    started_at  timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (org_id, name, due_at),
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);
CREATE INDEX scheduled_runs_open ON scheduled_runs (due_at) WHERE outcome IS NULL;
CREATE INDEX scheduled_runs_age ON scheduled_runs (finished_at) WHERE finished_at IS NOT NULL;

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON jobs USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE job_chunks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON job_chunks USING (org_id = (SELECT waypost_current_org()));
ALTER TABLE scheduled_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON scheduled_runs USING (org_id = (SELECT waypost_current_org()));

GRANT SELECT, INSERT, UPDATE ON jobs TO waypost_app;
GRANT SELECT, INSERT, DELETE ON job_chunks TO waypost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs, job_chunks, scheduled_runs TO waypost_system;

-- Drop the oldest week of fixes that ended before ``before``; its name, or null when there is none. One a call, so that
-- a caller commits in between; it rather gives up (lock_not_available) than lets readers and writers queue behind it.
CREATE FUNCTION waypost_drop_fix_partition(before timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '300ms'
    AS $$
DECLARE
    part text;
BEGIN
    IF before IS NULL OR before > now() - interval '1 day' THEN
        RAISE EXCEPTION 'only weeks that have ended are dropped';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('waypost_make_fix_partition'));
    SELECT c.relname INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'public.fixes'::regclass
       AND c.relname < 'fixes_' || to_char(date_trunc('week', before, 'UTC'), 'YYYYMMDD')
     ORDER BY c.relname LIMIT 1;
    IF part IS NOT NULL THEN
        EXECUTE format('DROP TABLE %I', part);
    END IF;
    RETURN part;
END
$$;
REVOKE EXECUTE ON FUNCTION waypost_drop_fix_partition(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waypost_drop_fix_partition(timestamptz) TO waypost_system;

-- The server's own analyser looks at each week, but never at the table of all weeks. From PostgreSQL 18 on that can be
-- asked for alone, a sample of it all; before, every week is looked at too. A week that is to be made waits meanwhile.
CREATE FUNCTION waypost_analyse() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s'
    AS $$
BEGIN
    EXECUTE 'ANALYZE ' || CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'ONLY ' ELSE '' END
        || 'fixes';
END
$$;
REVOKE EXECUTE ON FUNCTION waypost_analyse() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waypost_analyse() TO waypost_system;

-- migrate:down
DROP FUNCTION waypost_analyse();
DROP FUNCTION waypost_drop_fix_partition(timestamptz);
DROP TABLE scheduled_runs, job_chunks, jobs;
