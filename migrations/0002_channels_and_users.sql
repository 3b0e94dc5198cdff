-- Groups, open and system channels; recall, metadata and idempotency keys; users' tokens and devices; keys with scopes.
SET LOCAL lock_timeout = '5s';

ALTER TABLE apps
    ADD COLUMN previous_secret bytea,
    ADD COLUMN previous_secret_until bigint NOT NULL DEFAULT 0,
    ADD COLUMN direct_group_storage boolean NOT NULL DEFAULT true,
    ADD COLUMN open_storage boolean NOT NULL DEFAULT true,
    ADD COLUMN device_days integer NOT NULL DEFAULT 90,
    ADD COLUMN left_days integer NOT NULL DEFAULT 30,
    ADD COLUMN recall_days integer NOT NULL DEFAULT 30,
    ADD COLUMN journal_days integer NOT NULL DEFAULT 365,
    ADD COLUMN token_days integer NOT NULL DEFAULT 365,
    ADD COLUMN idempotency_hours integer NOT NULL DEFAULT 24,
    ADD CONSTRAINT apps_device_days_range CHECK (device_days BETWEEN 8 AND 3650),
    ADD CONSTRAINT apps_left_days_range CHECK (left_days BETWEEN 1 AND 3650),
    ADD CONSTRAINT apps_recall_days_range CHECK (recall_days BETWEEN 8 AND 3650),
    ADD CONSTRAINT apps_journal_days_range CHECK (journal_days BETWEEN 31 AND 3650),
    ADD CONSTRAINT apps_token_days_range CHECK (token_days BETWEEN 1 AND 3650),
    ADD CONSTRAINT apps_idempotency_hours_range CHECK (idempotency_hours BETWEEN 1 AND 720);

ALTER TABLE keys
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN read_only boolean NOT NULL DEFAULT false,
    ADD COLUMN last_used_at bigint;
ALTER TABLE keys ALTER COLUMN id DROP DEFAULT;
COMMENT ON TABLE keys IS 'API keys (one app) and admin keys (one app, or all where app_key is null), hashed.';

CREATE TABLE tokens (
    hash bytea NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT tokens_pkey PRIMARY KEY (hash),
    CONSTRAINT tokens_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE tokens IS 'Access tokens of users, hashed. An expired one goes at the next sweep.';
CREATE INDEX tokens_by_user ON tokens (app_key, user_id);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);

ALTER TABLE channels
    ADD COLUMN name text,
    ADD COLUMN owner text COLLATE "C",
    ADD COLUMN created_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN member_count integer NOT NULL DEFAULT 0,
    -- a dismissed group, a destroyed open channel: cleaned by everyone, settled; what is missed stays
    ADD COLUMN dismissed_at bigint,
    -- open channels alone: microseconds that it lives after its creation, or after its last message
    ADD COLUMN ttl bigint,
    ADD COLUMN ttl_from_last_message boolean NOT NULL DEFAULT false,
    -- rises with each recall, under the row's lock
    ADD COLUMN last_recall bigint NOT NULL DEFAULT 0;

CREATE INDEX channels_dismissed ON channels (dismissed_at) WHERE dismissed_at IS NOT NULL;

ALTER TABLE messages ADD COLUMN metadata text COLLATE "C";

ALTER TABLE conversations
    ADD COLUMN joined_at bigint,
    ADD COLUMN left_at bigint,
    ADD COLUMN read_position bigint NOT NULL DEFAULT 0,
    ADD COLUMN pinned boolean NOT NULL DEFAULT false,
    ADD COLUMN muted boolean NOT NULL DEFAULT false,
    ADD COLUMN archived_at bigint;
CREATE INDEX conversations_by_join ON conversations (channel_id, joined_at, user_id) WHERE joined_at IS NOT NULL;
CREATE INDEX conversations_left ON conversations (left_at) WHERE left_at IS NOT NULL;

ALTER TABLE device_marks ADD COLUMN told_recall bigint NOT NULL DEFAULT 0;

CREATE TABLE devices (
    app_key text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    CONSTRAINT devices_pkey PRIMARY KEY (app_key, user_id, device_id),
    CONSTRAINT devices_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE devices IS 'Installations that have synced. One that is unused for a period goes, with its marks.';
CREATE INDEX devices_by_last_seen ON devices (last_seen_at);
-- devices that are known by their marks alone are seen now
INSERT INTO devices (app_key, user_id, device_id, created_at, last_seen_at)
SELECT DISTINCT c.app_key, d.user_id, d.device_id, t.now, t.now
FROM device_marks d JOIN conversations c ON c.channel_id = d.channel_id AND c.user_id = d.user_id
CROSS JOIN (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) t;

CREATE TABLE message_keys (
    channel_id bigint NOT NULL,
    sender text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT message_keys_pkey PRIMARY KEY (channel_id, sender, key)
);
COMMENT ON TABLE message_keys IS 'Idempotency: the same key of the same sender in the same channel for a while is the same message (setting idempotency_hours).';
CREATE INDEX message_keys_by_expiry ON message_keys (expires_at);

CREATE TABLE recalls (
    channel_id bigint NOT NULL,
    -- increasing under the channel's lock: device_marks.told_recall is the last one told
    stamp bigint NOT NULL,
    position bigint NOT NULL,
    -- as the message had them: the message itself may be gone
    sender text COLLATE "C" NOT NULL,
    recipients text[] COLLATE "C",
    created_at bigint NOT NULL,
    CONSTRAINT recalls_pkey PRIMARY KEY (channel_id, stamp)
);
COMMENT ON TABLE recalls IS 'From here devices learn what was recalled, for a period.';
CREATE INDEX recalls_by_age ON recalls (created_at);

CREATE INDEX clean_requests_settled ON clean_requests (settled_at) WHERE state = 'settled';
