-- Receipts, undo, hiding by id, holds, policies, jobs over many channels.
SET LOCAL lock_timeout = '5s';

ALTER TABLE apps
    ADD COLUMN retention_days integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT apps_retention_days_range CHECK (retention_days BETWEEN 0 AND 36500);

-- the stamp of its recall: rules can ask what was recalled as of another one
ALTER TABLE messages ADD COLUMN recall_stamp bigint;
UPDATE messages SET recall_stamp = 0, flags = flags & ~4 WHERE flags & 4 = 4;

-- false: a hold covered the message when it was recalled, its content is still to be emptied
ALTER TABLE recalls ADD COLUMN emptied boolean NOT NULL DEFAULT true;

-- rises with each message that the user hides by id, under the row's lock
ALTER TABLE conversations ADD COLUMN last_hide bigint NOT NULL DEFAULT 0;

CREATE TABLE hidden_messages (
    channel_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    stamp bigint NOT NULL,
    CONSTRAINT hidden_messages_pkey PRIMARY KEY (channel_id, user_id, position)
);
COMMENT ON TABLE hidden_messages IS 'Messages that one user deleted by id. A row goes when its message is reclaimed.';
CREATE INDEX hidden_messages_by_position ON hidden_messages (channel_id, position);

CREATE TABLE holds (
    id uuid NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    -- of a channel: its type and key
    channel_type smallint,
    channel_key text[] COLLATE "C",
    user_id text COLLATE "C",
    reason text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT holds_pkey PRIMARY KEY (id),
    CONSTRAINT holds_kind_known CHECK (kind IN ('app', 'channel', 'user')),
    CONSTRAINT holds_channel_named CHECK ((kind = 'channel') = (channel_key IS NOT NULL)),
    CONSTRAINT holds_user_named CHECK ((kind = 'user') = (user_id IS NOT NULL)),
    CONSTRAINT holds_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE holds IS 'Legal holds: nothing that one covers is deleted or emptied. A row goes when it is released.';
CREATE INDEX holds_by_app ON holds (app_key);

CREATE TABLE policies (
    app_key text COLLATE "C" NOT NULL,
    channel_type smallint NOT NULL,
    -- empty: all channels of the type
    channel_id text COLLATE "C" NOT NULL,
    max_age_days integer NOT NULL,
    CONSTRAINT policies_pkey PRIMARY KEY (app_key, channel_type, channel_id),
    CONSTRAINT policies_type_known CHECK (channel_type IN (1, 3, 4, 6)),
    CONSTRAINT policies_one_channel CHECK (channel_id = '' OR channel_type IN (3, 4)),
    CONSTRAINT policies_max_age_range CHECK (max_age_days BETWEEN 1 AND 36500),
    CONSTRAINT policies_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE policies IS 'Scheduled maximum ages; the most specific wins, then apps.retention_days.';

ALTER TABLE clean_requests
    DROP CONSTRAINT clean_requests_state_known,
    ADD CONSTRAINT clean_requests_state_known CHECK (state IN ('accepted', 'applied', 'settled', 'cancelled')),
    ADD COLUMN cancelled_at bigint,
    ADD COLUMN cancelled_by text,
    ADD COLUMN cancel_reason text,
    -- what apply saw under the lock; the numbers are counted against it afterwards, step by step
    ADD COLUMN missed_from bigint,
    ADD COLUMN window_from bigint,
    ADD COLUMN recall_stamp bigint,
    ADD COLUMN held boolean,
    ADD COLUMN counted_to bigint,
    ADD COLUMN counted_at bigint,
    ADD COLUMN hidden bigint NOT NULL DEFAULT 0,
    ADD COLUMN kept_missed bigint NOT NULL DEFAULT 0,
    ADD COLUMN kept_compensation bigint NOT NULL DEFAULT 0,
    ADD COLUMN job_id uuid;
UPDATE clean_requests SET counted_at = applied_at WHERE state <> 'accepted';
DROP INDEX clean_requests_settled;
CREATE INDEX clean_requests_ended ON clean_requests (coalesce(settled_at, cancelled_at))
    WHERE state IN ('settled', 'cancelled');
CREATE INDEX clean_requests_uncounted ON clean_requests (applied_at) WHERE state = 'applied' AND counted_at IS NULL;
CREATE INDEX clean_requests_by_time ON clean_requests (app_key, accepted_at, id);
CREATE INDEX clean_requests_by_job ON clean_requests (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE clean_marks (
    channel_id bigint NOT NULL,
    request_id uuid NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    history_from bigint NOT NULL,
    sync_from bigint NOT NULL,
    join_position bigint NOT NULL,
    delivered_position bigint NOT NULL,
    last_hide bigint NOT NULL,
    CONSTRAINT clean_marks_pkey PRIMARY KEY (channel_id, request_id, user_id)
);
COMMENT ON TABLE clean_marks IS 'The marks of those whom a request concerns, as apply saw them. Rows go when the request is counted for good.';

CREATE TABLE jobs (
    id uuid NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    state text NOT NULL DEFAULT 'running',
    -- of clean-user: whose channels; of recall-by-sender: whose messages, and where
    user_ids text[] COLLATE "C" NOT NULL,
    channel_id bigint,
    before bigint NOT NULL,
    delete_compensated boolean,
    undo_seconds integer,
    reason text,
    source text NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    -- go on after it: a channel's id, or a position
    after bigint NOT NULL DEFAULT -1,
    created_at bigint NOT NULL,
    -- a worker that dies lets it go: until then another one leaves it alone
    leased_until bigint NOT NULL DEFAULT 0,
    finished_at bigint,
    CONSTRAINT jobs_pkey PRIMARY KEY (id),
    CONSTRAINT jobs_kind_known CHECK (kind IN ('clean-user', 'recall-by-sender')),
    CONSTRAINT jobs_state_known CHECK (state IN ('running', 'done', 'cancelled')),
    CONSTRAINT jobs_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE jobs IS 'Work over many channels or messages, resumable. A finished one goes after journal_days.';
CREATE INDEX jobs_running ON jobs (created_at) WHERE state = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
