-- What other systems' clients ask for: conversations to pin in, open and take from one's list; edits. And runs of retention.
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
