-- What other systems' clients ask for: conversations to pin in, open and take from one's list; edits. Runs of retention. And
-- files that messages refer to.
SET LOCAL lock_timeout = '5s';

ALTER TABLE apps
    -- whether a user's devices hear of a conversation that he takes from his list, where the call does not say
    ADD COLUMN sync_conversation_deletion boolean NOT NULL DEFAULT false;

ALTER TABLE channels
    -- where the last message for every participant stands; null: at last_position. Above it are targeted ones alone
    ADD COLUMN common_position bigint,
    -- an append looks for the conversations that it brings back; set and cleared under the row's lock
    ADD COLUMN some_removed boolean NOT NULL DEFAULT false;

ALTER TABLE conversations
    -- the message that the user pinned
    ADD COLUMN pinned_position bigint,
    -- when he last looked at it
    ADD COLUMN opened_at bigint,
    -- the last message that named him, or that he sent to some: where it is above common_position it is his last one
    ADD COLUMN targeted_position bigint,
    -- his last message as a list last showed it: lists go on from there, whatever came since
    ADD COLUMN listed_position bigint,
    -- taken from his list until the next message for him; changed under the channel's lock alone
    ADD COLUMN removed boolean NOT NULL DEFAULT false,
    -- the channel's last position then: what lies up to it no longer concerns him
    ADD COLUMN removed_position bigint,
    -- rises with each removal: device_marks.told_removals is the last one told
    ADD COLUMN removals integer NOT NULL DEFAULT 0,
    -- it is, and his devices are to hear of it
    ADD COLUMN tell_removed boolean NOT NULL DEFAULT false;
CREATE INDEX conversations_removed ON conversations (channel_id, user_id) WHERE removed;

ALTER TABLE device_marks
    -- the last removal from the user's list that this device knows of
    ADD COLUMN told_removals integer NOT NULL DEFAULT 0;

-- when its sender last changed what it says; null: never
ALTER TABLE messages ADD COLUMN edited_at bigint;

CREATE TABLE retention_runs (
    app_key text COLLATE "C" NOT NULL,
    -- the minute of the job that it is about
    started_at bigint NOT NULL,
    -- channels that were due when it began, and after its last visit; counted up to a limit
    due integer NOT NULL,
    remaining integer NOT NULL,
    -- for how long the first of these has been due, in microseconds
    backlog_age bigint NOT NULL,
    -- channels visited to their end, and left before it
    done integer NOT NULL DEFAULT 0,
    unfinished integer NOT NULL DEFAULT 0,
    -- messages that went, and that came in
    deleted bigint NOT NULL DEFAULT 0,
    appended bigint NOT NULL DEFAULT 0,
    CONSTRAINT retention_runs_pkey PRIMARY KEY (app_key, started_at),
    CONSTRAINT retention_runs_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
) WITH (fillfactor = 80);
COMMENT ON TABLE retention_runs IS 'What the retention job did, a row a minute and app: workers add to it. A row goes after seven days.';
CREATE INDEX retention_runs_by_age ON retention_runs (started_at);

-- so that the backlog of an app is measured without a look at those of others
CREATE INDEX channels_due_by_app ON channels (app_key, next_reclaim_at) WHERE next_reclaim_at IS NOT NULL;

ALTER TABLE jobs
    ADD COLUMN cancelled_at bigint,
    ADD COLUMN cancelled_by text,
    ADD COLUMN cancel_reason text;
-- a cancelled job is worked on as well, until it is undone
DROP INDEX jobs_running;
CREATE INDEX jobs_running ON jobs (created_at) WHERE finished_at IS NULL;

ALTER TABLE apps
    -- how a Tencent client names the app, and who its admin is; null: it has no Tencent surface
    ADD COLUMN tencent_sdk_app_id bigint,
    ADD COLUMN tencent_admin text COLLATE "C" NOT NULL DEFAULT 'administrator',
    -- what UserSigs are signed with, sealed as the secret is, under another name
    ADD COLUMN tencent_key bytea,
    -- a request names its app by this number alone
    ADD CONSTRAINT apps_tencent_sdk_app_id_key UNIQUE (tencent_sdk_app_id),
    ADD CONSTRAINT apps_tencent_sdk_app_id_range CHECK (tencent_sdk_app_id BETWEEN 1 AND 4294967295),
    ADD CONSTRAINT apps_tencent_admin_size CHECK (length(tencent_admin) BETWEEN 1 AND 64);


CREATE TABLE senders (
    channel_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    -- he wrote nothing there later than a day after it
    position bigint NOT NULL,
    CONSTRAINT senders_pkey PRIMARY KEY (channel_id, user_id)
);
COMMENT ON TABLE senders IS
    'Who wrote in a group or an open channel, exact to a day: a hold on him covers it. A row goes when all that he wrote is gone.';
CREATE INDEX senders_by_position ON senders (channel_id, position);

INSERT INTO senders (channel_id, user_id, position)
SELECT m.channel_id, m.sender, max(m.position) FROM messages m JOIN channels ch ON ch.id = m.channel_id
WHERE ch.type IN (3, 4) GROUP BY m.channel_id, m.sender;

-- a request that the sweep deleted took its marks with it only later
DELETE FROM clean_marks k WHERE NOT EXISTS (
    SELECT 1 FROM clean_requests r WHERE r.channel_id = k.channel_id AND r.id = k.request_id);
UPDATE clean_requests r SET counted_to = NULL WHERE counted_to IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM clean_marks k WHERE k.channel_id = r.channel_id AND k.request_id = r.id)
    AND (state <> 'applied' OR counted_at IS NOT NULL);
-- whose marks go with the next visit of reclaim: of cancelled ones all, of settled ones those below the grant
CREATE INDEX clean_requests_marked ON clean_requests (channel_id, (CASE WHEN state = 'cancelled' THEN 0 ELSE cutoff END))
    WHERE counted_to IS NOT NULL AND state IN ('settled', 'cancelled');

CREATE TABLE job_steps (
    job_id uuid NOT NULL,
    number integer NOT NULL,
    channel_ids bigint[] NOT NULL,
    -- what commits in these channels after the job was accepted lies at or above
    befores bigint[] NOT NULL,
    CONSTRAINT job_steps_pkey PRIMARY KEY (job_id, number),
    CONSTRAINT job_steps_job_fkey FOREIGN KEY (job_id) REFERENCES jobs (id)
);
COMMENT ON TABLE job_steps IS 'What a clean of a user has still to do. A row goes when its step is done, or its job is cancelled.';
-- jobs that run: as they were accepted, before one instant in every channel
INSERT INTO job_steps (job_id, number, channel_ids, befores)
SELECT id, step, array_agg(channel_id ORDER BY channel_id), array_agg(before ORDER BY channel_id)
FROM (
    SELECT j.id, j.before, c.channel_id, (row_number() OVER (PARTITION BY j.id ORDER BY c.channel_id) - 1) / 500 AS step
    FROM jobs j JOIN conversations c ON c.app_key = j.app_key AND c.user_id = j.user_ids[1]
    WHERE j.kind = 'clean-user' AND j.state = 'running' AND c.left_position IS NULL AND c.channel_id > j.after
) numbered
GROUP BY id, step;
UPDATE jobs j SET total = done + (SELECT coalesce(sum(cardinality(s.channel_ids)), 0) FROM job_steps s WHERE s.job_id = j.id)
WHERE j.kind = 'clean-user' AND j.state = 'running';

-- files: the largest one (0: none are taken), their types (*/*: any), and after how long one goes that no message
-- ever referred to
ALTER TABLE apps
    ADD COLUMN media_max_bytes integer NOT NULL DEFAULT 20971520,
    ADD COLUMN media_types text NOT NULL DEFAULT '*/*',
    ADD COLUMN media_unused_hours integer NOT NULL DEFAULT 24,
    ADD CONSTRAINT apps_media_max_bytes_range CHECK (media_max_bytes >= 0),
    ADD CONSTRAINT apps_media_types_size CHECK (length(media_types) BETWEEN 1 AND 1024),
    ADD CONSTRAINT apps_media_unused_hours_range CHECK (media_unused_hours BETWEEN 1 AND 8760);

-- what cleans gave up of the files
ALTER TABLE channels
    ADD COLUMN media_cutoff bigint NOT NULL DEFAULT 0,
    ADD COLUMN settled_media_cutoff bigint NOT NULL DEFAULT 0;
ALTER TABLE conversations
    ADD COLUMN media_cutoff bigint NOT NULL DEFAULT 0,
    ADD COLUMN settled_media_cutoff bigint NOT NULL DEFAULT 0;
ALTER TABLE clean_requests
    ADD COLUMN delete_media boolean NOT NULL DEFAULT false,
    ADD COLUMN reclaimed_files bigint NOT NULL DEFAULT 0,
    ADD COLUMN reclaimed_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN delete_media boolean NOT NULL DEFAULT false;

CREATE TABLE media (
    id uuid NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    uploader text COLLATE "C",
    type text COLLATE "C" NOT NULL,
    bytes bigint NOT NULL DEFAULT 0,
    sha256 bytea,
    state text NOT NULL DEFAULT 'uploading',
    created_at bigint NOT NULL,
    look_at bigint,
    CONSTRAINT media_pkey PRIMARY KEY (id),
    CONSTRAINT media_state_known CHECK (state IN ('uploading', 'ready', 'deleting')),
    CONSTRAINT media_whole CHECK (state <> 'ready' OR sha256 IS NOT NULL),
    CONSTRAINT media_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE media IS 'Files; their bytes are in the object store. Sends share the row, what deletes it locks it.';
CREATE INDEX media_due ON media (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX media_by_app ON media (app_key, id);

CREATE TABLE media_refs (
    channel_id bigint NOT NULL,
    position bigint NOT NULL,
    media_id uuid NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    flags smallint NOT NULL,
    sender text COLLATE "C" NOT NULL,
    recipients text[] COLLATE "C",
    gone_at bigint,
    hidden_by text[] COLLATE "C",
    keeper text COLLATE "C",
    CONSTRAINT media_refs_pkey PRIMARY KEY (channel_id, position, media_id)
);
COMMENT ON TABLE media_refs IS 'Which message says media:[id]. A file goes when nothing here needs it; its rows go with it.';
CREATE INDEX media_refs_by_media ON media_refs (media_id, channel_id, position);
CREATE INDEX media_refs_kept ON media_refs (app_key, media_id) WHERE keeper IS NOT NULL;

CREATE TABLE instances (
    app_key text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    -- SHA-256 of its token of 256 random bits, shown once and never stored; null: only its app's keys open it
    hash bytea,
    connected boolean NOT NULL DEFAULT true,
    created_at bigint NOT NULL,
    CONSTRAINT instances_pkey PRIMARY KEY (app_key, user_id),
    -- a request shows its token alone
    CONSTRAINT instances_hash_key UNIQUE (hash),
    CONSTRAINT instances_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE instances IS 'RyzeAPI''s instances: users with a token of their own, or who are switched off. A row stays as long as its app.';
