-- name: delete_lapsed_keys
-- Idempotency keys that hold no longer; one that is claimed anew meanwhile stays. $1 now, $2 most
-- index: message_keys_by_expiry
DELETE FROM message_keys k USING (
    SELECT channel_id, sender, key FROM message_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
) old
WHERE k.channel_id = old.channel_id AND k.sender = old.sender AND k.key = old.key AND k.expires_at <= $1

-- name: delete_old_recalls
-- Recalls that every device had time to hear of. $1 now, $2 most
-- index: recalls_by_age
DELETE FROM recalls r USING (
    SELECT r.channel_id, r.stamp FROM recalls r
    JOIN channels ch ON ch.id = r.channel_id JOIN apps a ON a.app_key = ch.app_key
    WHERE r.created_at <= $1::bigint - a.recall_days * 86400000000 AND r.emptied ORDER BY r.created_at LIMIT $2
) old
WHERE r.channel_id = old.channel_id AND r.stamp = old.stamp

-- name: delete_ended_tokens
-- $1 now, $2 most
-- index: tokens_by_expiry
DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)

-- name: delete_unused_devices
-- Devices that were not seen for the app's deviceDays; one that comes meanwhile stays. $1 now, $2 most
-- index: devices_by_last_seen
DELETE FROM devices d USING (
    SELECT d.app_key, d.user_id, d.device_id, d.last_seen_at FROM devices d JOIN apps a ON a.app_key = d.app_key
    WHERE d.last_seen_at <= $1::bigint - a.device_days * 86400000000 ORDER BY d.last_seen_at LIMIT $2
) old
WHERE d.app_key = old.app_key AND d.user_id = old.user_id AND d.device_id = old.device_id
    AND d.last_seen_at = old.last_seen_at
RETURNING d.app_key, d.user_id, d.device_id

-- name: delete_marks_of_devices
-- What those devices had: one that comes again is new. $1 app keys, $2 users, $3 devices
-- index: conversations_by_user
DELETE FROM device_marks m USING (
    SELECT c.channel_id, c.user_id, u.device_id
    FROM unnest($1::text[], $2::text[], $3::text[]) AS u (app_key, user_id, device_id)
    JOIN conversations c ON c.app_key = u.app_key AND c.user_id = u.user_id
) old
WHERE m.channel_id = old.channel_id AND m.user_id = old.user_id AND m.device_id = old.device_id

-- name: delete_left_conversations
-- Those who left for good: nothing that they had can come back, and joining starts anew. $1 now, $2 most
-- index: conversations_left
DELETE FROM conversations c USING (
    SELECT c.channel_id, c.user_id, c.left_at FROM conversations c JOIN apps a ON a.app_key = c.app_key
    WHERE c.left_at <= $1::bigint - a.left_days * 86400000000 ORDER BY c.left_at LIMIT $2
) old
WHERE c.channel_id = old.channel_id AND c.user_id = old.user_id AND c.left_at = old.left_at
    -- a hold on him covers the channels where he was: this row says which
    AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.app_key = c.app_key AND h.user_id = c.user_id)
RETURNING c.channel_id, c.user_id

-- name: delete_dismissed_conversations
-- Conversations of groups that were dismissed long ago: what was missed there has been received or has expired.
-- $1 now, $2 most
-- index: channels_dismissed
DELETE FROM conversations c USING (
    SELECT c.channel_id, c.user_id FROM channels ch JOIN apps a ON a.app_key = ch.app_key
    JOIN conversations c ON c.channel_id = ch.id
    WHERE ch.type = 3 AND ch.dismissed_at <= $1::bigint - greatest(a.left_days, 8) * 86400000000
        AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.app_key = c.app_key AND h.user_id = c.user_id)
    LIMIT $2
) old
WHERE c.channel_id = old.channel_id AND c.user_id = old.user_id
RETURNING c.channel_id, c.user_id

-- name: delete_marks_of_users
-- $1 channel ids, $2 users
-- index: device_marks_pkey
DELETE FROM device_marks m USING unnest($1::bigint[], $2::text[]) AS u (channel_id, user_id)
WHERE m.channel_id = u.channel_id AND m.user_id = u.user_id

-- name: delete_old_requests
-- Requests that ended longer ago than the app's journalDays: the marks of conversations hold what a settled one did, a
-- cancelled one did nothing. What it was counted against goes before it. $1 now, $2 most
-- index: clean_requests_ended
DELETE FROM clean_requests r USING (
    SELECT r.channel_id, r.id FROM clean_requests r JOIN apps a ON a.app_key = r.app_key
    WHERE r.state IN ('settled', 'cancelled') AND r.counted_to IS NULL
        AND coalesce(r.settled_at, r.cancelled_at) <= $1::bigint - a.journal_days * 86400000000
    ORDER BY coalesce(r.settled_at, r.cancelled_at) LIMIT $2
) old
WHERE r.channel_id = old.channel_id AND r.id = old.id

-- name: delete_old_jobs
-- $1 now, $2 most
-- index: jobs_finished
DELETE FROM jobs WHERE id IN (
    SELECT j.id FROM jobs j JOIN apps a ON a.app_key = j.app_key
    WHERE j.finished_at <= $1::bigint - a.journal_days * 86400000000 ORDER BY j.finished_at LIMIT $2
)

-- name: delete_old_runs
-- Runs of the retention job, seven days after they began. $1 now, $2 most
-- index: retention_runs_by_age
DELETE FROM retention_runs r USING (
    SELECT app_key, started_at FROM retention_runs
    WHERE started_at <= $1::bigint - 7 * 86400000000 ORDER BY started_at LIMIT $2
) old
WHERE r.app_key = old.app_key AND r.started_at = old.started_at
