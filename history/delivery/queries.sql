-- rule: missed
-- The row m is missed for the user of v: he has not received it, it has not expired, another sent it to him, and it was
-- neither recalled nor imported silently. No cutoff is looked at.
m.position > v.delivered_position AND m.position >= v.missed_from AND m.position >= v.join_position
    AND m.flags & 8 = 0 AND m.sender <> v.user_id AND {{messages.addressed}} AND NOT {{messages.recalled}}

-- rule: compensated
-- The row m is compensation for the user of v: in the window, above his sync cutoffs and his joining, neither recalled nor
-- hidden by id nor silent, and either sent to him by another and not missed, or his own and echoed. A device's mark comes
-- on top where a device asks.
m.position >= v.window_from AND m.position >= v.sync_from AND m.flags & 8 = 0 AND {{messages.addressed}}
    AND NOT {{delivery.missed}} AND NOT {{messages.recalled}} AND NOT {{messages.hidden}}

-- name: sync_page
-- The rules Missed and Compensation for one device, channel by channel, ascending by position: marks, journal and messages
-- in one snapshot. A channel whose last message lies below everything that could be wanted is passed over.
-- $1 app, $2 user, $3 device, $4 missed from, $5 window from, $6 and $7 channel and position to go on after, $8 most
-- messages, $9 bytes after which no further message begins
-- index: conversations_by_user
-- index: messages
WITH v AS MATERIALIZED (
    SELECT c.channel_id, c.user_id, c.delivered_position, c.join_position, ch.type, ch.key,
        coalesce(d.position, 0) AS device_position,
        CASE WHEN c.channel_id = $6 THEN $7::bigint ELSE 0 END AS resume_after,
        greatest(c.join_position, c.sync_cutoff, ch.sync_cutoff, j.sync_cutoff) AS sync_from,
        $4::bigint AS missed_from, $5::bigint AS window_from, c.last_hide, 9223372036854775807 AS recall_stamp
    FROM conversations c
    JOIN channels ch ON ch.id = c.channel_id
    LEFT JOIN device_marks d ON d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3
    LEFT JOIN LATERAL (
        SELECT max(r.cutoff) AS sync_cutoff FROM clean_requests r
        WHERE r.channel_id = c.channel_id AND r.state = 'accepted' AND r.delete_compensated
            AND r.user_id IN ('', c.user_id)
    ) j ON true
    WHERE c.app_key = $1 AND c.user_id = $2 AND c.left_position IS NULL AND c.channel_id >= $6 AND ch.type <> 4
        AND ch.last_position >= least(greatest(c.delivered_position + 1, $4), greatest(coalesce(d.position, 0) + 1, $5))
), page AS (
    SELECT found.*, v.type AS channel_type, v.key AS channel_key,
        sum(found.size) OVER (ORDER BY found.channel_id, found.position) AS bytes
    FROM v CROSS JOIN LATERAL (
        SELECT m.channel_id, m.position, m.sender, m.type, m.content, m.flags, m.metadata, {{delivery.missed}} AS missed,
            {{messages.size}} AS size
        FROM messages m
        WHERE m.channel_id = v.channel_id AND m.position > v.resume_after
            AND m.position >= least(greatest(v.delivered_position + 1, v.missed_from),
                greatest(v.device_position + 1, v.sync_from, v.window_from))
            AND ({{delivery.missed}} OR (m.position > v.device_position AND {{delivery.compensated}}))
        ORDER BY m.position LIMIT $8
    ) found
    ORDER BY found.channel_id, found.position LIMIT $8
)
SELECT channel_id, channel_type, channel_key, position, sender, type, content, flags, metadata, missed
FROM page WHERE bytes - size < $9 ORDER BY channel_id, position

-- name: list_clean_notices
-- Cleans as state: the channels whose effective history cutoff differs from what this device was told.
-- $1 app, $2 user, $3 device, $4 most
-- index: conversations_by_user
SELECT channel_id, type AS channel_type, key AS channel_key, cutoff, for_everyone, told FROM (
    SELECT c.channel_id, ch.type, ch.key, coalesce(d.told_cutoff, 0) AS told,
        greatest(c.history_cutoff, ch.history_cutoff, j.own, j.everyone) AS cutoff,
        greatest(ch.history_cutoff, j.everyone) > greatest(c.history_cutoff, j.own) AS for_everyone
    FROM conversations c
    JOIN channels ch ON ch.id = c.channel_id
    LEFT JOIN device_marks d ON d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3
    LEFT JOIN LATERAL (
        SELECT max(r.cutoff) FILTER (WHERE r.user_id <> '') AS own,
            max(r.cutoff) FILTER (WHERE r.user_id = '') AS everyone
        FROM clean_requests r
        WHERE r.channel_id = c.channel_id AND r.state = 'accepted' AND r.user_id IN ('', c.user_id)
    ) j ON true
    WHERE c.app_key = $1 AND c.user_id = $2 AND c.left_position IS NULL
) effective
WHERE cutoff <> told ORDER BY channel_id LIMIT $4

-- name: update_told
-- The device has received these notices. $1 app, $2 user, $3 device, $4 channel ids, sorted, $5 cutoffs
INSERT INTO device_marks (channel_id, user_id, device_id, told_cutoff)
SELECT c.channel_id, c.user_id, $3, u.cutoff
FROM unnest($4::bigint[], $5::bigint[]) AS u (channel_id, cutoff)
JOIN conversations c ON c.channel_id = u.channel_id AND c.user_id = $2 AND c.app_key = $1
ORDER BY c.channel_id
ON CONFLICT ON CONSTRAINT device_marks_pkey DO UPDATE SET told_cutoff = excluded.told_cutoff

-- name: list_recall_notices
-- Recalls that the device was not told of, of messages that were addressed to the user while he took part, or that he sent:
-- who has left may hold them still, and so may a device that received them before he left and joined anew.
-- $1 app, $2 user, $3 device, $4 most
-- index: conversations_by_user
-- index: recalls_pkey
SELECT r.channel_id, ch.type AS channel_type, ch.key AS channel_key, r.stamp, r.position
FROM conversations c
JOIN channels ch ON ch.id = c.channel_id
LEFT JOIN device_marks d ON d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3
CROSS JOIN LATERAL (
    SELECT r.channel_id, r.stamp, r.position FROM recalls r
    WHERE r.channel_id = c.channel_id AND r.stamp > coalesce(d.told_recall, 0) AND (
        c.user_id = r.sender
        OR ((r.recipients IS NULL OR c.user_id = ANY (r.recipients))
            AND (c.left_position IS NULL OR r.position < c.left_position)
            AND (r.position >= c.join_position OR r.position <= d.position)))
    ORDER BY r.stamp LIMIT $4
) r
WHERE c.app_key = $1 AND c.user_id = $2 AND ch.last_recall > coalesce(d.told_recall, 0)
ORDER BY r.channel_id, r.stamp LIMIT $4

-- name: update_told_recalls
-- The device has received these notices. $1 app, $2 user, $3 device, $4 channel ids, sorted, $5 stamps
INSERT INTO device_marks (channel_id, user_id, device_id, told_recall)
SELECT c.channel_id, c.user_id, $3, u.stamp
FROM unnest($4::bigint[], $5::bigint[]) AS u (channel_id, stamp)
JOIN conversations c ON c.channel_id = u.channel_id AND c.user_id = $2 AND c.app_key = $1
ORDER BY c.channel_id
ON CONFLICT ON CONSTRAINT device_marks_pkey DO UPDATE
SET told_recall = greatest(device_marks.told_recall, excluded.told_recall)

-- name: delete_device_marks
-- A reinstalled device has nothing. $1 app, $2 user, $3 device
DELETE FROM device_marks d USING conversations c
WHERE c.app_key = $1 AND c.user_id = $2 AND d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3

-- name: list_last_positions
-- How far the channels of a user's conversations have come. $1 app, $2 user, $3 channel ids
-- index: conversations_pkey
SELECT c.channel_id, ch.last_position
FROM unnest($3::bigint[]) AS u (channel_id)
JOIN conversations c ON c.channel_id = u.channel_id AND c.user_id = $2 AND c.app_key = $1
JOIN channels ch ON ch.id = c.channel_id

-- name: raise_delivered
-- The users have received everything up to these positions. $1 channel ids, $2 users, $3 positions; sorted by channel, user
-- index: conversations_pkey
UPDATE conversations c SET delivered_position = greatest(c.delivered_position, u.position)
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS u (channel_id, user_id, position)
WHERE c.channel_id = u.channel_id AND c.user_id = u.user_id

-- name: raise_device_marks
-- The device has received everything up to these positions. $1 channel ids, $2 users, $3 devices, $4 positions; sorted
INSERT INTO device_marks (channel_id, user_id, device_id, position)
SELECT u.channel_id, u.user_id, u.device_id, u.position
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS u (channel_id, user_id, device_id, position)
ON CONFLICT ON CONSTRAINT device_marks_pkey DO UPDATE SET position = greatest(device_marks.position, excluded.position)

-- name: mark_due
-- What was acknowledged may go: only a channel that waits for something can be moved by it. In a transaction of its own,
-- after the marks are committed: a run that began before them has set its lease by then, and looks once more.
-- $1 channel ids, sorted; $2 now
-- index: channels_pkey
UPDATE channels ch SET next_reclaim_at = $2::bigint
FROM unnest($1::bigint[]) AS u (id)
WHERE ch.id = u.id AND ch.next_reclaim_at > $2

-- name: touch_device
-- $1 app, $2 user, $3 device, $4 now, $5 seen up to which it is worth a write
INSERT INTO devices AS d (app_key, user_id, device_id, created_at, last_seen_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT ON CONSTRAINT devices_pkey DO UPDATE SET last_seen_at = excluded.last_seen_at WHERE d.last_seen_at <= $5

-- name: list_devices
-- $1 app, $2 user
SELECT device_id, created_at, last_seen_at FROM devices WHERE app_key = $1 AND user_id = $2
ORDER BY last_seen_at DESC, device_id

-- name: delete_device
-- $1 app, $2 user, $3 device
DELETE FROM devices WHERE app_key = $1 AND user_id = $2 AND device_id = $3

-- name: list_conversations
-- A user's conversations, the newest activity first, each with its last visible message and what is unread up to $6.
-- $1 app, $2 user, $3 and $4 last position and channel to go on below, $5 most, $6 most unread, $7 bytes after which no
-- further one begins, $8 now
-- index: conversations_by_user
-- index: messages
WITH v AS MATERIALIZED (
    SELECT c.channel_id, c.user_id, ch.type, ch.key, ch.last_position, c.read_position, c.delivered_position, c.pinned,
        c.muted, c.archived_at, c.last_hide, 9223372036854775807 AS recall_stamp,
        greatest(c.join_position, {{channels.policy_from}}, c.history_cutoff, ch.history_cutoff, (
            SELECT max(r.cutoff) FROM clean_requests r
            WHERE r.channel_id = c.channel_id AND r.state = 'accepted' AND r.user_id IN ('', c.user_id)
        )) AS history_from
    FROM (SELECT $8::bigint AS now) t CROSS JOIN conversations c JOIN channels ch ON ch.id = c.channel_id
    WHERE c.app_key = $1 AND c.user_id = $2 AND c.left_position IS NULL AND ch.dismissed_at IS NULL
        AND (ch.last_position, ch.id) < ($3, $4)
    ORDER BY ch.last_position DESC, ch.id DESC LIMIT $5
), page AS (
    SELECT v.*, last.position, last.sender, last.message_type, last.content, last.flags, last.metadata, unread.count AS unread,
        coalesce(last.size, 0) AS size,
        coalesce(sum(last.size) OVER (ORDER BY v.last_position DESC, v.channel_id DESC), 0) AS bytes
    FROM v
    LEFT JOIN LATERAL (
        SELECT m.position, m.sender, m.type AS message_type, m.content, m.flags, m.metadata, {{messages.size}} AS size
        FROM messages m
        WHERE m.channel_id = v.channel_id AND m.position >= v.history_from AND {{messages.shown}}
        ORDER BY m.position DESC LIMIT 1
    ) last ON true
    CROSS JOIN LATERAL (
        SELECT count(*) FROM (
            SELECT 1 FROM messages m
            WHERE m.channel_id = v.channel_id AND m.position >= v.history_from AND m.position > v.read_position
                AND m.sender <> v.user_id AND {{messages.shown}}
            LIMIT $6
        ) counted
    ) unread
)
SELECT * FROM page WHERE bytes - size < $7 ORDER BY last_position DESC, channel_id DESC

-- name: raise_read
-- $1 app, $2 user, $3 channel, $4 position, or null for all there is
-- index: conversations_pkey
UPDATE conversations c SET read_position = greatest(c.read_position, coalesce($4::bigint, ch.last_position))
FROM channels ch
WHERE c.channel_id = $3 AND c.user_id = $2 AND c.app_key = $1 AND c.left_position IS NULL AND ch.id = c.channel_id
    AND coalesce($4::bigint, 0) <= ch.last_position
