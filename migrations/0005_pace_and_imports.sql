-- Reads that do not look through what a user wrote himself, one owner a channel for reclaim, how long a channel has been due,
-- what dropped months gave back, and what was imported.
SET LOCAL lock_timeout = '5s';

ALTER TABLE channels
    -- who wrote all from unseen_from to unseen_to, for everybody but himself; it counts while that is the last position
    ADD COLUMN unseen_by text COLLATE "C",
    ADD COLUMN unseen_from bigint,
    ADD COLUMN unseen_to bigint,
    -- a row's second update in a transaction checked it, and so locked the app after the channel: deadlocks
    DROP CONSTRAINT channels_app_fkey,
    -- reclaim: until then the channel is its alone who claimed it, and the value says who that is; null: it is free
    ADD COLUMN reclaim_lease bigint,
    -- since when it has been due, where a visit claimed it and did not come to its end
    ADD COLUMN due_since bigint,
    -- everything up to here was imported silently: nobody misses it, to nobody is it compensated or unread
    ADD COLUMN silent_to bigint NOT NULL DEFAULT 0;

ALTER TABLE retention_runs
    -- bytes of messages with indexes and TOAST, of all apps: when it began, and after the last month that was dropped in it
    ADD COLUMN bytes_before bigint,
    ADD COLUMN bytes_after bigint,
    ADD COLUMN dropped_months text[] NOT NULL DEFAULT '{}';

-- a sync asks for those of one user and of everyone
CREATE INDEX clean_requests_unapplied_by_user ON clean_requests (app_key, user_id, channel_id) WHERE state = 'accepted';

COMMENT ON TABLE messages IS
    'One row a message, a partition a month (UTC). Its only DELETE, and the drop of a month, take what is below channels.reclaimed_to.';
