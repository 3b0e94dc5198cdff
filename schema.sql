-- Tidemark: the database as it is today (schema version 6).
--
-- Every instant and every position is a bigint: microseconds since the epoch, one axis for both.
-- A message is cleaned when its position is below a cutoff, so every rule is a comparison.
-- Ids are the app's own text, compared byte by byte: COLLATE "C" everywhere.
-- On Citus, channels, messages, senders, message_keys, recalls, media_refs, conversations, device_marks and clean_requests are
-- distributed by channel and co-located; the others are reference tables. So no table of those is unique without its channel.

CREATE TABLE schema_version (
    version integer NOT NULL,
    CONSTRAINT schema_version_pkey PRIMARY KEY (version)
);
COMMENT ON TABLE schema_version IS 'One row: a process refuses to start on another version.';
INSERT INTO schema_version (version) VALUES (6);

CREATE TABLE apps (
    app_key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    -- AES-GCM under the master key, the app key as associated data: a copied row opens nothing
    secret bytea NOT NULL,
    created_at bigint NOT NULL,
    multi_device_sync boolean NOT NULL DEFAULT true,
    compensation_days smallint NOT NULL DEFAULT 1,
    compensation_time_zone text NOT NULL DEFAULT 'UTC',
    delete_compensated_on_clean boolean NOT NULL DEFAULT false,
    missed_days smallint NOT NULL DEFAULT 7,
    undo_seconds integer NOT NULL DEFAULT 86400,
    clean_rate_limit integer NOT NULL DEFAULT 100,
    max_content_bytes integer NOT NULL DEFAULT 131072,
    signature_max_age_seconds integer NOT NULL DEFAULT 0,
    reject_replayed_nonces boolean NOT NULL DEFAULT false,
    -- a setting that moves floors leaves its mark here: the worker marks the channels after this id due, then clears it
    mark_due_after bigint,
    -- the secret before the last rotation, accepted until then
    previous_secret bytea,
    previous_secret_until bigint NOT NULL DEFAULT 0,
    direct_group_storage boolean NOT NULL DEFAULT true,
    open_storage boolean NOT NULL DEFAULT true,
    -- after how many days rows of side tables go
    device_days integer NOT NULL DEFAULT 90,
    left_days integer NOT NULL DEFAULT 30,
    recall_days integer NOT NULL DEFAULT 30,
    journal_days integer NOT NULL DEFAULT 365,
    token_days integer NOT NULL DEFAULT 365,
    idempotency_hours integer NOT NULL DEFAULT 24,
    -- 0: no maximum age, unless a policy says one
    retention_days integer NOT NULL DEFAULT 0,
    -- whether a user's devices hear of a conversation that he takes from his list, where the call does not say
    sync_conversation_deletion boolean NOT NULL DEFAULT false,
    -- how a Tencent client names the app, and who its admin is; null: it has no Tencent surface
    tencent_sdk_app_id bigint,
    tencent_admin text COLLATE "C" NOT NULL DEFAULT 'administrator',
    -- what UserSigs are signed with, sealed as the secret is, under another name
    tencent_key bytea,
    -- files: the largest one (0: none are taken), their types (*/*: any), and after how long one goes that no message
    -- ever referred to
    media_max_bytes integer NOT NULL DEFAULT 20971520,
    media_types text NOT NULL DEFAULT '*/*',
    media_unused_hours integer NOT NULL DEFAULT 24,
    CONSTRAINT apps_pkey PRIMARY KEY (app_key),
    CONSTRAINT apps_name_size CHECK (length(name) BETWEEN 1 AND 64),
    CONSTRAINT apps_compensation_days_range CHECK (compensation_days BETWEEN 0 AND 7),
    CONSTRAINT apps_missed_days_range CHECK (missed_days BETWEEN 1 AND 7),
    CONSTRAINT apps_undo_seconds_range CHECK (undo_seconds BETWEEN 0 AND 2592000),
    CONSTRAINT apps_clean_rate_limit_range CHECK (clean_rate_limit >= 0),
    CONSTRAINT apps_max_content_bytes_range CHECK (max_content_bytes BETWEEN 1 AND 1048576),
    CONSTRAINT apps_signature_max_age_range CHECK (signature_max_age_seconds >= 0),
    CONSTRAINT apps_device_days_range CHECK (device_days BETWEEN 8 AND 3650),
    CONSTRAINT apps_left_days_range CHECK (left_days BETWEEN 1 AND 3650),
    CONSTRAINT apps_recall_days_range CHECK (recall_days BETWEEN 8 AND 3650),
    CONSTRAINT apps_journal_days_range CHECK (journal_days BETWEEN 31 AND 3650),
    CONSTRAINT apps_token_days_range CHECK (token_days BETWEEN 1 AND 3650),
    CONSTRAINT apps_idempotency_hours_range CHECK (idempotency_hours BETWEEN 1 AND 720),
    CONSTRAINT apps_retention_days_range CHECK (retention_days BETWEEN 0 AND 36500),
    -- a request names its app by this number alone
    CONSTRAINT apps_tencent_sdk_app_id_key UNIQUE (tencent_sdk_app_id),
    CONSTRAINT apps_tencent_sdk_app_id_range CHECK (tencent_sdk_app_id BETWEEN 1 AND 4294967295),
    CONSTRAINT apps_tencent_admin_size CHECK (length(tencent_admin) BETWEEN 1 AND 64),
    CONSTRAINT apps_media_max_bytes_range CHECK (media_max_bytes >= 0),
    CONSTRAINT apps_media_types_size CHECK (length(media_types) BETWEEN 1 AND 1024),
    CONSTRAINT apps_media_unused_hours_range CHECK (media_unused_hours BETWEEN 1 AND 8760)
);
COMMENT ON TABLE apps IS 'A tenant: its secret and its settings. Grants take the row FOR SHARE, what may lower a floor FOR UPDATE.';

CREATE TABLE keys (
    -- SHA-256 of a key of 256 random bits: the key itself is shown once and never stored
    hash bytea NOT NULL,
    kind text NOT NULL,
    app_key text COLLATE "C",
    name text NOT NULL,
    created_at bigint NOT NULL,
    id uuid NOT NULL,
    read_only boolean NOT NULL DEFAULT false,
    last_used_at bigint,
    CONSTRAINT keys_pkey PRIMARY KEY (hash),
    CONSTRAINT keys_kind_known CHECK (kind IN ('admin', 'api')),
    CONSTRAINT keys_api_has_app CHECK (kind = 'admin' OR app_key IS NOT NULL),
    CONSTRAINT keys_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
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

CREATE TABLE channels (
    -- 63 bits of SHA-256 over (app, type, key, attempt): derived, not looked up
    id bigint NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    -- 1 direct, 3 group, 4 open, 6 system
    type smallint NOT NULL,
    -- direct: the two users sorted by bytes; group and open: the id; system: account, user
    key text[] COLLATE "C" NOT NULL,
    last_position bigint NOT NULL DEFAULT 0,
    -- what everybody's cleans took; the settled twins count for the floor
    history_cutoff bigint NOT NULL DEFAULT 0,
    settled_history_cutoff bigint NOT NULL DEFAULT 0,
    sync_cutoff bigint NOT NULL DEFAULT 0,
    settled_sync_cutoff bigint NOT NULL DEFAULT 0,
    -- the grant: messages below may be deleted. Never falls
    reclaimed_to bigint NOT NULL DEFAULT 0,
    -- when to look at the floor again; null: not before something marks the channel due
    next_reclaim_at bigint,
    name text,
    owner text COLLATE "C",
    created_at bigint NOT NULL DEFAULT 0,
    member_count integer NOT NULL DEFAULT 0,
    -- a dismissed group, a destroyed open channel: cleaned by everyone, settled; what is missed stays
    dismissed_at bigint,
    -- open channels alone: microseconds that it lives after its creation, or after its last message
    ttl bigint,
    ttl_from_last_message boolean NOT NULL DEFAULT false,
    -- rises with each recall, under the row's lock
    last_recall bigint NOT NULL DEFAULT 0,
    -- where the last message for every participant stands; null: at last_position. Above it are targeted ones alone
    common_position bigint,
    -- an append looks for the conversations that it brings back; set and cleared under the row's lock
    some_removed boolean NOT NULL DEFAULT false,
    -- the third kind: what cleans gave up of the files; never read where messages are shown
    media_cutoff bigint NOT NULL DEFAULT 0,
    settled_media_cutoff bigint NOT NULL DEFAULT 0,
    -- who wrote all from unseen_from to unseen_to, for everybody but himself; it counts while that is the last position
    unseen_by text COLLATE "C",
    unseen_from bigint,
    unseen_to bigint,
    -- reclaim: until then the channel is its alone who claimed it, and the value says who that is; null: it is free
    reclaim_lease bigint,
    -- since when it has been due, where a visit claimed it and did not come to its end
    due_since bigint,
    -- everything up to here was imported silently: nobody misses it, to nobody is it compensated or unread
    silent_to bigint NOT NULL DEFAULT 0,
    -- no foreign key to apps: a row's second update in a transaction would check it, and lock the app after the channel
    CONSTRAINT channels_pkey PRIMARY KEY (id),
    CONSTRAINT channels_type_known CHECK (type IN (1, 3, 4, 6))
) WITH (fillfactor = 70);
COMMENT ON TABLE channels IS
    'Where messages go. Every append updates last_position, so no index holds it: those updates stay HOT in the spare 30 percent.';
CREATE INDEX channels_due ON channels (next_reclaim_at) WHERE next_reclaim_at IS NOT NULL;
CREATE INDEX channels_due_by_app ON channels (app_key, next_reclaim_at) WHERE next_reclaim_at IS NOT NULL;
CREATE INDEX channels_by_app ON channels (app_key, id);
CREATE INDEX channels_dismissed ON channels (dismissed_at) WHERE dismissed_at IS NOT NULL;

CREATE TABLE messages (
    channel_id bigint NOT NULL,
    position bigint NOT NULL,
    -- bits: 1 stored for history, 2 echoed to the sender, 8 silent (neither missed nor compensated),
    -- 16 may carry metadata
    flags smallint NOT NULL,
    sender text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    content text COLLATE "C" NOT NULL,
    -- null: every participant
    recipients text[] COLLATE "C",
    -- the JSON of the metadata that the sender gave
    metadata text COLLATE "C",
    -- the stamp of its recall: rules can ask what was recalled as of another one
    recall_stamp bigint,
    -- when its sender last changed what it says; null: never
    edited_at bigint,
    CONSTRAINT messages_pkey PRIMARY KEY (channel_id, position)
) PARTITION BY RANGE (position);
COMMENT ON TABLE messages IS
    'One row a message, a partition a month (UTC). Its only DELETE, and the drop of a month, take what is below channels.reclaimed_to.';

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

CREATE TABLE conversations (
    channel_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    -- read from here on
    join_position bigint NOT NULL DEFAULT 0,
    -- null: a participant
    left_position bigint,
    history_cutoff bigint NOT NULL DEFAULT 0,
    settled_history_cutoff bigint NOT NULL DEFAULT 0,
    sync_cutoff bigint NOT NULL DEFAULT 0,
    settled_sync_cutoff bigint NOT NULL DEFAULT 0,
    -- everything up to and including it has been received by a device of the user
    delivered_position bigint NOT NULL DEFAULT 0,
    -- when he joined a group; null where nobody joins
    joined_at bigint,
    left_at bigint,
    read_position bigint NOT NULL DEFAULT 0,
    pinned boolean NOT NULL DEFAULT false,
    muted boolean NOT NULL DEFAULT false,
    archived_at bigint,
    -- rises with each message that the user hides by id, under the row's lock
    last_hide bigint NOT NULL DEFAULT 0,
    -- the message that the user pinned
    pinned_position bigint,
    -- when he last looked at it
    opened_at bigint,
    -- the last message that named him, or that he sent to some: where it is above common_position it is his last one
    targeted_position bigint,
    -- his last message as a list last showed it: lists go on from there, whatever came since
    listed_position bigint,
    -- taken from his list until the next message for him; changed under the channel's lock alone
    removed boolean NOT NULL DEFAULT false,
    -- the channel's last position then: what lies up to it no longer concerns him
    removed_position bigint,
    -- rises with each removal: device_marks.told_removals is the last one told
    removals integer NOT NULL DEFAULT 0,
    -- it is, and his devices are to hear of it
    tell_removed boolean NOT NULL DEFAULT false,
    media_cutoff bigint NOT NULL DEFAULT 0,
    settled_media_cutoff bigint NOT NULL DEFAULT 0,
    CONSTRAINT conversations_pkey PRIMARY KEY (channel_id, user_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE conversations IS 'One user''s view of one channel. Made by the first message or by joining, never by a clean.';
CREATE INDEX conversations_by_user ON conversations (app_key, user_id, channel_id);
CREATE INDEX conversations_by_join ON conversations (channel_id, joined_at, user_id) WHERE joined_at IS NOT NULL;
CREATE INDEX conversations_left ON conversations (left_at) WHERE left_at IS NOT NULL;
CREATE INDEX conversations_removed ON conversations (channel_id, user_id) WHERE removed;

CREATE TABLE device_marks (
    channel_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    -- everything up to and including it has been received by this device
    position bigint NOT NULL DEFAULT 0,
    -- the effective history cutoff that this device knows of
    told_cutoff bigint NOT NULL DEFAULT 0,
    -- the last recall that this device knows of
    told_recall bigint NOT NULL DEFAULT 0,
    -- the last removal from the user's list that this device knows of
    told_removals integer NOT NULL DEFAULT 0,
    -- all marks of a user lie side by side, in the order of his channels: a sync reads them as they lie
    CONSTRAINT device_marks_pkey PRIMARY KEY (user_id, channel_id, device_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE device_marks IS 'What one device of a user has of one channel. No row: it has nothing.';

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
    -- false: a hold covered the message when it was recalled, its content is still to be emptied
    emptied boolean NOT NULL DEFAULT true,
    CONSTRAINT recalls_pkey PRIMARY KEY (channel_id, stamp)
);
COMMENT ON TABLE recalls IS 'From here devices learn what was recalled, for a period.';
CREATE INDEX recalls_by_age ON recalls (created_at);
-- recalled messages whose content a hold keeps
CREATE INDEX recalls_kept ON recalls (channel_id) WHERE NOT emptied;

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

CREATE TABLE clean_requests (
    channel_id bigint NOT NULL,
    id uuid NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    -- the channel need not exist: its type and key are kept for the record
    channel_type smallint NOT NULL,
    channel_key text[] COLLATE "C" NOT NULL,
    -- empty: everyone (no user's id is)
    user_id text COLLATE "C" NOT NULL,
    -- who asked, where that is somebody else than user_id
    operator text COLLATE "C",
    -- min(sentAt * 1000, last_position + 1), fixed at acceptance
    cutoff bigint NOT NULL,
    -- the flag: raises the sync cutoff too
    delete_compensated boolean NOT NULL,
    delete_compensated_from text NOT NULL,
    reason text,
    source text NOT NULL,
    state text NOT NULL DEFAULT 'accepted',
    accepted_at bigint NOT NULL,
    undo_until bigint NOT NULL,
    applied_at bigint,
    settled_at bigint,
    cancelled_at bigint,
    cancelled_by text,
    cancel_reason text,
    -- what apply saw under the lock; the numbers are counted against it afterwards, step by step
    missed_from bigint,
    window_from bigint,
    recall_stamp bigint,
    held boolean,
    -- null: there are no marks to count against, not yet or no more
    counted_to bigint,
    counted_at bigint,
    hidden bigint NOT NULL DEFAULT 0,
    kept_missed bigint NOT NULL DEFAULT 0,
    kept_compensation bigint NOT NULL DEFAULT 0,
    job_id uuid,
    -- raises the media cutoff too; and what went of the files in the end
    delete_media boolean NOT NULL DEFAULT false,
    reclaimed_files bigint NOT NULL DEFAULT 0,
    reclaimed_bytes bigint NOT NULL DEFAULT 0,
    CONSTRAINT clean_requests_pkey PRIMARY KEY (channel_id, id),
    CONSTRAINT clean_requests_state_known CHECK (state IN ('accepted', 'applied', 'settled', 'cancelled')),
    CONSTRAINT clean_requests_flag_from_known CHECK (delete_compensated_from IN ('request', 'app')),
    CONSTRAINT clean_requests_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE clean_requests IS 'The journal: Redis says only which pairs have work, these rows decide.';
-- rules look here for what is in force and not yet applied: those of one user and of everyone; the worker, for what Redis forgot
CREATE INDEX clean_requests_unapplied_by_user ON clean_requests (app_key, user_id, channel_id) WHERE state = 'accepted';
CREATE INDEX clean_requests_by_pair ON clean_requests (channel_id, user_id, cutoff);
-- whether an earlier one of the channel waits. The predicate is another word for accepted: who says that is not offered this
-- index, and who says this is offered no other
CREATE INDEX clean_requests_unapplied ON clean_requests (channel_id, accepted_at)
    WHERE applied_at IS NULL AND cancelled_at IS NULL;
-- what is in force and not settled, of one user and of everyone; cutoff >= 0 is always so: who does not say it is not offered it
CREATE INDEX clean_requests_live ON clean_requests (channel_id, user_id)
    WHERE state IN ('accepted', 'applied') AND cutoff >= 0;
-- never both: by statistics of a quiet time the counter would look through a day's cleans for those that are not counted
CREATE INDEX clean_requests_unsettled ON clean_requests (undo_until) WHERE state = 'applied' AND counted_at IS NOT NULL;
CREATE INDEX clean_requests_ended ON clean_requests (coalesce(settled_at, cancelled_at))
    WHERE state IN ('settled', 'cancelled');
CREATE INDEX clean_requests_uncounted ON clean_requests (channel_id, applied_at)
    WHERE state = 'applied' AND counted_at IS NULL;
-- whose marks go with the next visit of reclaim: of cancelled ones all, of settled ones those below the grant
CREATE INDEX clean_requests_marked ON clean_requests (channel_id, (CASE WHEN state = 'cancelled' THEN 0 ELSE cutoff END))
    WHERE counted_to IS NOT NULL AND state IN ('settled', 'cancelled');
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
    -- of recall-by-sender: go on after this position
    after bigint NOT NULL DEFAULT -1,
    created_at bigint NOT NULL,
    -- a worker that dies lets it go: until then another one leaves it alone
    leased_until bigint NOT NULL DEFAULT 0,
    finished_at bigint,
    cancelled_at bigint,
    cancelled_by text,
    cancel_reason text,
    delete_media boolean NOT NULL DEFAULT false,
    CONSTRAINT jobs_pkey PRIMARY KEY (id),
    CONSTRAINT jobs_kind_known CHECK (kind IN ('clean-user', 'recall-by-sender')),
    CONSTRAINT jobs_state_known CHECK (state IN ('running', 'done', 'cancelled')),
    CONSTRAINT jobs_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
);
COMMENT ON TABLE jobs IS 'Work over many channels or messages, resumable. A finished one goes after journal_days.';
CREATE INDEX jobs_running ON jobs (created_at) WHERE finished_at IS NULL;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

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

CREATE TABLE media (
    -- 122 random bits: the public id says nothing else
    id uuid NOT NULL,
    app_key text COLLATE "C" NOT NULL,
    -- null: the backend, by an API key
    uploader text COLLATE "C",
    type text COLLATE "C" NOT NULL,
    bytes bigint NOT NULL DEFAULT 0,
    sha256 bytea,
    -- the row is there before the object and goes after it: what is neither whole nor gone says so
    state text NOT NULL DEFAULT 'uploading',
    created_at bigint NOT NULL,
    -- when to see whether it may go; null: not before something takes a reference away
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
    -- as the message had them: the message itself may be gone
    flags smallint NOT NULL,
    sender text COLLATE "C" NOT NULL,
    recipients text[] COLLATE "C",
    -- when it was seen that the message is gone; null: it is on disk, or a hold covers it
    gone_at bigint,
    -- those who had deleted the message by its id
    hidden_by text[] COLLATE "C",
    -- of a message that is gone: one who did not give up the file (empty: everyone, in an open channel); null: nobody keeps it
    keeper text COLLATE "C",
    CONSTRAINT media_refs_pkey PRIMARY KEY (channel_id, position, media_id)
);
COMMENT ON TABLE media_refs IS 'Which message says media:[id]. A file goes when nothing here needs it; its rows go with it.';
CREATE INDEX media_refs_by_media ON media_refs (media_id, channel_id, position);
CREATE INDEX media_refs_kept ON media_refs (app_key, media_id) WHERE keeper IS NOT NULL;

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
    -- bytes of messages with indexes and TOAST, of all apps: when it began, and after the last month that was dropped in it
    bytes_before bigint,
    bytes_after bigint,
    dropped_months text[] NOT NULL DEFAULT '{}',
    CONSTRAINT retention_runs_pkey PRIMARY KEY (app_key, started_at),
    CONSTRAINT retention_runs_app_fkey FOREIGN KEY (app_key) REFERENCES apps (app_key)
) WITH (fillfactor = 80);
COMMENT ON TABLE retention_runs IS 'What the retention job did, a row a minute and app: workers add to it. A row goes after seven days.';
CREATE INDEX retention_runs_by_age ON retention_runs (started_at);
