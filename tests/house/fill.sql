-- Leases are shared by many channels, users have a hundred conversations, most of the journal is settled.
-- {noon}: a position, {many}: how many channels.
INSERT INTO apps (app_key, name, secret, created_at) SELECT 'app' || n, 'a', '', 0 FROM generate_series(0, 499) n;
INSERT INTO channels (id, app_key, type, key, last_position, next_reclaim_at)
    SELECT n, 'app' || n % 500, 1, '{a,b}', {noon}, CASE WHEN n % 20 = 0 THEN n % 1000 END FROM generate_series(1, {many}) n;
INSERT INTO conversations (channel_id, user_id, app_key, joined_at, left_position, left_at, removed)
    SELECT n, 'user' || n % (1 + {many} / 100), 'app1', CASE WHEN n % 2 = 0 THEN n END,
        CASE WHEN n % 10 = 0 THEN 1 END, CASE WHEN n % 10 = 0 THEN {noon} + n END, n % 3 = 0
    FROM generate_series(1, {many}) n;
INSERT INTO conversations (channel_id, user_id, app_key, joined_at)
    SELECT 2, 'member' || n, 'app1', n FROM generate_series(1, {many} / 100) n;
INSERT INTO senders SELECT n % (1 + {many} / 20), 'user' || n, n FROM generate_series(1, {many}) n;
INSERT INTO device_marks (channel_id, user_id, device_id)
    SELECT n, 'user' || n % (1 + {many} / 100), 'd' FROM generate_series(1, {many}, 2) n;
INSERT INTO devices (app_key, user_id, device_id, created_at, last_seen_at)
    SELECT 'app1', 'user' || n, 'd', 0, {noon} + n FROM generate_series(1, {many}, 5) n;
INSERT INTO tokens (hash, app_key, user_id, created_at, expires_at)
    SELECT n::text::bytea, 'app1', 'user' || n % (1 + {many} / 100), 0, {noon} + n FROM generate_series(1, {many}, 5) n;
INSERT INTO message_keys (channel_id, sender, key, position, expires_at)
    SELECT n % (1 + {many} / 20), 'a', n::text, n, {noon} + n FROM generate_series(1, {many}, 2) n;
INSERT INTO recalls (channel_id, stamp, position, sender, created_at)
    SELECT n % (1 + {many} / 20), n, n, 'a', {noon} + n FROM generate_series(1, {many}, 2) n;
INSERT INTO hidden_messages SELECT n % (1 + {many} / 20), 'user' || n % 9, {noon} + n, 1 FROM generate_series(1, {many}, 2) n;
INSERT INTO holds
    SELECT gen_random_uuid(), 'app' || n % 500, 'user', NULL, NULL, 'user' || n, 'r', n FROM generate_series(1, {many} / 50) n;
INSERT INTO policies SELECT 'app' || n % 500, 3, 'g' || n, 1 FROM generate_series(1, {many} / 20) n;
INSERT INTO jobs (id, app_key, kind, state, user_ids, before, source, created_at, finished_at)
    SELECT gen_random_uuid(), 'app1', 'clean-user', 'done', '{u}', 1, 's', {noon} + n, {noon} + n
    FROM generate_series(1, {many}, 50) n;
INSERT INTO retention_runs (app_key, started_at, due, remaining, backlog_age)
    SELECT 'app' || n % 500, {noon} + n / 500 * 60000000::bigint, 0, 0, 0 FROM generate_series(1, {many}) n;
INSERT INTO job_steps SELECT j.id, n, '{1,2}', '{1,1}' FROM jobs j, generate_series(1, 9) n;
INSERT INTO messages SELECT n % (1 + {many} / 20), {noon} + n, 1, 'a', 't', 'c', NULL FROM generate_series(1, {many}) n;
INSERT INTO clean_requests
    SELECT n % (1 + {many} / 20), gen_random_uuid(), 'app1', 1, '{a,b}', 'user' || n % 9, NULL, 1, false, 'app', NULL, 's',
    CASE n / 2 % 10 WHEN 0 THEN 'accepted' WHEN 1 THEN 'applied' ELSE 'settled' END, 1, {noon} + n,
    CASE WHEN n / 2 % 10 > 0 THEN {noon} + n END,
    CASE WHEN n / 2 % 10 > 1 THEN {noon} + n END
    FROM generate_series(1, {many}, 2) n;
UPDATE clean_requests SET counted_at = 1, counted_to = 1 WHERE state <> 'accepted';
INSERT INTO clean_marks SELECT channel_id, id, 'user' || n, 1, 1, 1, 1, 0 FROM clean_requests, generate_series(1, 3) n;
INSERT INTO media (id, app_key, uploader, type, bytes, sha256, state, created_at, look_at)
    SELECT md5(n::text)::uuid, 'app' || n % 500, 'user' || n % 99, 'image/png', n, '', 'ready', n,
    CASE WHEN n % 20 = 0 THEN {noon} + n END FROM generate_series(1, {many}) n;
INSERT INTO media_refs (channel_id, position, media_id, app_key, flags, sender, gone_at, hidden_by, keeper)
    SELECT n % (1 + {many} / 20), {noon} + n, md5(n::text)::uuid, 'app' || n % 500, 1, 'a',
    CASE WHEN n % 4 = 0 THEN 1 END, CASE WHEN n % 4 = 0 THEN '{}'::text[] END, CASE WHEN n % 8 = 0 THEN 'b' END
    FROM generate_series(1, {many}) n;
ANALYZE;
