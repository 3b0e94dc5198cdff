-- rule: missed
-- The row m is missed for the user of v: he has not received it, it has not expired, another sent it to him, and it was
-- neither recalled nor imported silently. No cutoff is looked at.
m.position > v.delivered_position AND m.position >= v.missed_from AND m.position >= v.join_position
    AND m.flags & 8 <> 8 AND m.sender <> v.user_id AND {{messages.addressed}} AND NOT {{messages.recalled}}

-- rule: compensated
-- The row m is compensation for the user of v: in the window, above his sync cutoffs and his joining, neither recalled nor
-- hidden by id nor silent, and either sent to him by another and not missed, or his own and echoed. A device's mark comes
-- on top where a device asks.
m.position >= v.window_from AND m.position >= v.sync_from AND m.flags & 8 <> 8 AND {{messages.addressed}}
    AND NOT {{delivery.missed}} AND NOT {{messages.recalled}} AND NOT {{messages.hidden}}

-- rule: waits
-- A clean of the user $2 of the app $1, or of everyone somewhere, waits to be applied.
EXISTS (SELECT 1 FROM clean_requests r WHERE r.app_key = $1 AND r.user_id = '' AND r.state = 'accepted')
    OR EXISTS (SELECT 1 FROM clean_requests r WHERE r.app_key = $1 AND r.user_id = $2 AND r.state = 'accepted')

-- name: list_lacking
-- Where a device may lack something: looked at once, so that what follows looks at these channels alone. Those statements
-- decide, each in its own snapshot; what comes to other channels meanwhile is for the next sync.
-- $1 app, $2 user, $3 device, $4 missed from, $5 window from
-- index: conversations_by_user
-- index: device_marks_pkey
SELECT channel_id, cleans, recalls, removals, messages FROM (
    SELECT c.channel_id, ch.last_recall > coalesce(d.told_recall, 0) AS recalls,
        c.left_position IS NULL AND (greatest(c.history_cutoff, ch.history_cutoff) <> coalesce(d.told_cutoff, 0)
            -- mostly nothing waits, and one look says so for all
            OR CASE WHEN {{delivery.waits}} THEN EXISTS (
                SELECT 1 FROM clean_requests r
                WHERE r.app_key = $1 AND r.user_id = '' AND r.channel_id = c.channel_id AND r.state = 'accepted'
            ) OR EXISTS (
                SELECT 1 FROM clean_requests r
                WHERE r.app_key = $1 AND r.user_id = $2 AND r.channel_id = c.channel_id AND r.state = 'accepted'
            ) END) AS cleans,
        c.tell_removed AND c.removals > coalesce(d.told_removals, 0) AS removals,
        c.left_position IS NULL AND ch.type <> 4 AND ch.last_position > ch.silent_to AND {{messages.ends}}
            > least(greatest(c.delivered_position + 1, $4), greatest(coalesce(d.position, 0) + 1, $5)) AS messages
    FROM (SELECT $2::text AS user_id) t CROSS JOIN conversations c
    JOIN channels ch ON ch.id = c.channel_id
    LEFT JOIN device_marks d ON d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3
    WHERE c.app_key = $1 AND c.user_id = $2
) device
WHERE cleans OR recalls OR removals OR messages

-- name: sync_page
-- The rules Missed and Compensation for one device, channel by channel, ascending by position: marks, journal and messages
-- in one snapshot, in these channels alone. What was imported silently is not looked at.
-- $1 app, $2 user, $3 device, $4 missed from, $5 window from, $6 and $7 channel and position to go on after, $8 most
-- messages, $9 bytes after which no further message begins, $10 channel ids
-- index: conversations_pkey
-- index: messages
WITH v AS MATERIALIZED (
    SELECT c.channel_id, c.user_id, c.delivered_position, c.join_position, ch.type, ch.key,
        coalesce(d.position, 0) AS device_position,
        CASE WHEN c.channel_id = $6 THEN $7::bigint ELSE 0 END AS resume_after,
        greatest(c.join_position, c.sync_cutoff, ch.sync_cutoff, (
            SELECT max(r.cutoff) FROM clean_requests r WHERE r.app_key = c.app_key AND r.channel_id = c.channel_id
                AND r.user_id = '' AND r.state = 'accepted' AND r.delete_compensated
        ), (
            SELECT max(r.cutoff) FROM clean_requests r WHERE r.app_key = c.app_key AND r.channel_id = c.channel_id
                AND r.user_id = c.user_id AND r.state = 'accepted' AND r.delete_compensated
        )) AS sync_from,
        $4::bigint AS missed_from, $5::bigint AS window_from, c.last_hide, 9223372036854775807 AS recall_stamp,
        ch.silent_to, {{messages.ends}} AS ends
    FROM (SELECT $2::text AS user_id) t CROSS JOIN conversations c
    JOIN channels ch ON ch.id = c.channel_id
    LEFT JOIN device_marks d ON d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3
    WHERE c.app_key = $1 AND c.user_id = $2 AND c.channel_id = ANY ($10::bigint[]) AND c.left_position IS NULL
        AND c.channel_id >= $6 AND ch.type <> 4
), page AS (
    SELECT found.*, v.type AS channel_type, v.key AS channel_key,
        sum(found.size) OVER (ORDER BY found.channel_id, found.position) AS bytes
    FROM v CROSS JOIN LATERAL (
        SELECT m.channel_id, m.position, m.sender, m.type, m.content, m.flags, m.metadata, {{delivery.missed}} AS missed,
            {{messages.size}} AS size
        FROM messages m
        WHERE m.channel_id = v.channel_id AND m.position > greatest(v.resume_after, v.silent_to) AND m.position < v.ends
            -- the same for all: older months are not even opened
            AND m.position >= least($4::bigint, $5::bigint)
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
-- Cleans as state: those of these channels whose effective history cutoff differs from what this device was told.
-- $1 app, $2 user, $3 device, $4 most, $5 channel ids
-- index: conversations_pkey
SELECT channel_id, type AS channel_type, key AS channel_key, cutoff, for_everyone, told FROM (
    SELECT c.channel_id, ch.type, ch.key, coalesce(d.told_cutoff, 0) AS told,
        greatest(c.history_cutoff, ch.history_cutoff, j.own, j.everyone) AS cutoff,
        greatest(ch.history_cutoff, j.everyone) > greatest(c.history_cutoff, j.own) AS for_everyone
    FROM conversations c
    JOIN channels ch ON ch.id = c.channel_id
    LEFT JOIN device_marks d ON d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3
    LEFT JOIN LATERAL (
        SELECT (
            SELECT max(r.cutoff) FROM clean_requests r WHERE r.app_key = c.app_key AND r.channel_id = c.channel_id
                AND r.user_id = c.user_id AND r.state = 'accepted'
        ) AS own, (
            SELECT max(r.cutoff) FROM clean_requests r WHERE r.app_key = c.app_key AND r.channel_id = c.channel_id
                AND r.user_id = '' AND r.state = 'accepted'
        ) AS everyone
    ) j ON true
    WHERE c.app_key = $1 AND c.user_id = $2 AND c.channel_id = ANY ($5::bigint[]) AND c.left_position IS NULL
) effective
WHERE cutoff <> told ORDER BY channel_id LIMIT $4

-- name: lock_device_marks
-- What a device has of these channels, made where it is missing: its rows are locked in one order before several statements
-- write them. $1 app, $2 user, $3 device, $4 channel ids, sorted
INSERT INTO device_marks (channel_id, user_id, device_id)
SELECT c.channel_id, c.user_id, $3 FROM unnest($4::bigint[]) AS u (channel_id)
JOIN conversations c ON c.channel_id = u.channel_id AND c.user_id = $2 AND c.app_key = $1
ORDER BY c.channel_id
ON CONFLICT ON CONSTRAINT device_marks_pkey DO UPDATE SET position = device_marks.position

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
-- $1 app, $2 user, $3 device, $4 most, $5 channel ids
-- index: conversations_pkey
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
WHERE c.app_key = $1 AND c.user_id = $2 AND c.channel_id = ANY ($5::bigint[])
    AND ch.last_recall > coalesce(d.told_recall, 0)
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

-- name: mark_waiting_due
-- What was acknowledged may go: only a channel that waits for something can be moved by it. In a transaction of its own,
-- after the marks are committed: a run that began before them has set its lease by then, and looks once more.
-- + 0: never by the index of what is due, whose order of locks is another. $1 channel ids, sorted; $2 now
-- index: channels_pkey
UPDATE channels ch SET next_reclaim_at = $2::bigint
FROM unnest($1::bigint[]) AS u (id)
WHERE ch.id = u.id AND ch.next_reclaim_at + 0 > $2

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

-- rule: activity
-- The position of the last message of the channel ch that concerns the user of c: for everybody, or for him, or his own, since
-- he joined and since he took the conversation from his list. 0 where there is none. It is not looked up: it survives reclaim.
CASE WHEN greatest(coalesce(ch.common_position, ch.last_position), c.targeted_position)
        >= greatest(c.join_position, c.removed_position + 1)
    THEN greatest(coalesce(ch.common_position, ch.last_position), c.targeted_position) ELSE 0 END

-- rule: listed
-- The conversation c stands in its user's list: he takes part, the channel ch has not ended, and he has not removed it.
c.left_position IS NULL AND NOT c.removed AND ch.dismissed_at IS NULL

-- rule: history_from
-- The user of c reads the channel ch from here on, at the instant t.now.
greatest(c.join_position, {{channels.policy_from}}, c.history_cutoff, ch.history_cutoff, (
    SELECT max(r.cutoff) FROM clean_requests r
    WHERE r.app_key = c.app_key AND r.channel_id = c.channel_id AND r.user_id = '' AND r.state = 'accepted'
), (
    SELECT max(r.cutoff) FROM clean_requests r
    WHERE r.app_key = c.app_key AND r.channel_id = c.channel_id AND r.user_id = c.user_id AND r.state = 'accepted'
))

-- name: list_conversations
-- A user's conversations by activity and channel, the newest first: those after a place, or with $5 -1 those before it, the
-- nearest first. Each with its last visible message where $6 says so, and what is unread up to $8: not what was imported
-- silently.
-- $1 app, $2 user, $3 and $4 activity and channel of the place, $5 direction, $7 most, $9 bytes after which no further one
-- begins, $10 now; null or what it has to be: $11 muted, $12 archived, $13 pinned, $14 type, $15 channel
-- index: conversations_by_user
-- index: messages
WITH v AS MATERIALIZED (
    SELECT c.channel_id, c.user_id, ch.type, ch.key, coalesce(c.joined_at, ch.created_at) AS created_at,
        {{delivery.activity}} AS activity, c.listed_position, c.opened_at, c.read_position, c.delivered_position, c.pinned,
        c.muted, c.archived_at, c.pinned_position, c.last_hide, 9223372036854775807 AS recall_stamp, ch.silent_to,
        {{delivery.history_from}} AS history_from, {{messages.ends}} AS ends
    FROM (SELECT $10::bigint AS now, $2::text AS user_id) t CROSS JOIN conversations c JOIN channels ch ON ch.id = c.channel_id
    WHERE c.app_key = $1 AND c.user_id = $2 AND {{delivery.listed}}
        AND ({{delivery.activity}} * $5::bigint, ch.id * $5::bigint) < ($3::bigint * $5::bigint, $4::bigint * $5::bigint)
        AND ($11::boolean IS NULL OR c.muted = $11) AND ($12::boolean IS NULL OR (c.archived_at IS NOT NULL) = $12)
        AND ($13::boolean IS NULL OR c.pinned = $13) AND ($14::smallint IS NULL OR ch.type = $14)
        AND c.channel_id >= coalesce($15::bigint, 0) AND c.channel_id <= coalesce($15, 9223372036854775807)
    ORDER BY {{delivery.activity}} * $5::bigint DESC, ch.id * $5::bigint DESC LIMIT $7
), page AS (
    SELECT v.*, last.position, last.sender, last.message_type, last.content, last.flags, last.metadata, unread.count AS unread,
        pin.position AS pinned_message, coalesce(last.size, 0) AS size,
        coalesce(sum(last.size) OVER (ORDER BY v.activity * $5::bigint DESC, v.channel_id * $5::bigint DESC), 0) AS bytes
    FROM v
    LEFT JOIN LATERAL (
        SELECT m.position, m.sender, m.type AS message_type, m.content, m.flags, m.metadata, {{messages.size}} AS size
        FROM messages m
        WHERE $6::boolean AND m.channel_id = v.channel_id AND m.position >= v.history_from AND m.position < v.ends
            AND {{messages.shown}}
        ORDER BY m.position DESC LIMIT 1
    ) last ON true
    LEFT JOIN LATERAL (
        SELECT m.position FROM messages m
        WHERE m.channel_id = v.channel_id AND m.position = v.pinned_position AND m.position >= v.history_from
            AND {{messages.shown}}
    ) pin ON true
    CROSS JOIN LATERAL (
        SELECT count(*) FROM (
            SELECT 1 FROM messages m
            WHERE m.channel_id = v.channel_id AND m.position >= v.history_from
                AND m.position > greatest(v.read_position, v.silent_to) AND m.position < v.ends
                AND m.flags & 8 <> 8 AND m.sender <> v.user_id AND {{messages.shown}}
            LIMIT $8
        ) counted
    ) unread
)
SELECT * FROM page WHERE bytes - size < $9 ORDER BY activity * $5::bigint DESC, channel_id * $5::bigint DESC

-- name: get_place
-- Where a list goes on that ended at a conversation of the user: where it stood when it was last listed. It need not be on
-- his list any more. $1 app, $2 user, $3 channel
-- index: conversations_pkey
SELECT coalesce(c.listed_position, {{delivery.activity}}) AS position
FROM conversations c JOIN channels ch ON ch.id = c.channel_id
WHERE c.channel_id = $3 AND c.user_id = $2 AND c.app_key = $1

-- name: update_listed
-- Remember where conversations stood on the page that is about to be answered. $1 user, $2 channel ids, sorted; $3 positions
-- index: conversations_pkey
UPDATE conversations c SET listed_position = u.position
FROM unnest($2::bigint[], $3::bigint[]) AS u (channel_id, position)
WHERE c.channel_id = u.channel_id AND c.user_id = $1 AND c.listed_position IS DISTINCT FROM u.position

-- name: is_shown
-- Whether the user may read a message of a conversation on his list. $1 app, $2 user, $3 channel, $4 position, $5 now
-- index: conversations_pkey
-- index: messages
WITH v AS MATERIALIZED (
    SELECT c.channel_id, c.user_id, c.last_hide, 9223372036854775807 AS recall_stamp, {{delivery.history_from}} AS history_from
    FROM (SELECT $5::bigint AS now) t CROSS JOIN conversations c JOIN channels ch ON ch.id = c.channel_id
    WHERE c.channel_id = $3 AND c.user_id = $2 AND c.app_key = $1 AND {{delivery.listed}}
)
SELECT EXISTS (
    SELECT FROM v JOIN messages m ON m.channel_id = $3 AND m.position = $4
    WHERE m.position >= v.history_from AND {{messages.shown}}
)

-- name: update_conversation
-- What the user does with a conversation on his list; null leaves a thing as it is. $1 app, $2 user, $3 channel, $4 pinned,
-- $5 muted, $6 and $7 whether to set when it was archived, and when or null; $8 and $9 the same for the pinned message;
-- $10 when he opened it, $11 whether he has read all there is
-- index: conversations_pkey
UPDATE conversations c SET pinned = coalesce($4, c.pinned), muted = coalesce($5, c.muted),
    archived_at = CASE WHEN $6 THEN $7::bigint ELSE c.archived_at END,
    pinned_position = CASE WHEN $8 THEN $9::bigint ELSE c.pinned_position END,
    opened_at = greatest(c.opened_at, $10::bigint),
    read_position = greatest(c.read_position, CASE WHEN $11 THEN ch.last_position END)
FROM channels ch
WHERE c.channel_id = $3 AND c.user_id = $2 AND c.app_key = $1 AND ch.id = c.channel_id AND {{delivery.listed}}

-- name: list_removable
-- Conversations that a removal would take from the user's list; also where he has left. $1 app, $2 user, $3 channel ids
-- index: conversations_pkey
SELECT channel_id FROM conversations WHERE channel_id = ANY ($3::bigint[]) AND user_id = $2 AND app_key = $1 AND NOT removed

-- name: lock_removable
-- What is removed and what comes back is decided under the channels' locks, and appends have to look from now on.
-- $1 app, $2 user, $3 channel ids, sorted
-- index: channels_pkey
-- index: conversations_pkey
UPDATE channels ch SET some_removed = true
FROM unnest($3::bigint[]) AS u (id) JOIN conversations c ON c.channel_id = u.id AND c.user_id = $2 AND c.app_key = $1
WHERE ch.id = u.id

-- name: remove_conversations
-- Take conversations from the user's list, in a later statement than the locks; also where he has left. One that is gone
-- already is only told of where it was not to be. Muting stays: it is about what comes.
-- $1 app, $2 user, $3 channel ids, sorted; $4 whether to tell his devices, null: as the app's setting has it
-- index: conversations_pkey
UPDATE conversations c SET removed = true, removals = c.removals + 1,
    removed_position = CASE WHEN c.removed THEN c.removed_position ELSE ch.last_position END,
    tell_removed = coalesce($4, a.sync_conversation_deletion),
    pinned = false, archived_at = NULL, pinned_position = NULL, opened_at = NULL
FROM unnest($3::bigint[]) AS u (id)
JOIN conversations before ON before.channel_id = u.id AND before.user_id = $2
JOIN channels ch ON ch.id = u.id
JOIN apps a ON a.app_key = ch.app_key
WHERE c.channel_id = u.id AND c.user_id = $2 AND c.app_key = $1
    AND (NOT before.removed OR (coalesce($4, a.sync_conversation_deletion) AND NOT before.tell_removed))
RETURNING c.channel_id, NOT before.removed AS there

-- name: restore_conversation
-- Put a removed conversation back on the list of its user, empty, under the channel's lock. $1 app, $2 user, $3 channel
-- index: conversations_removed
UPDATE conversations c SET removed = false, tell_removed = false, listed_position = NULL
WHERE c.channel_id = $3 AND c.user_id = $2 AND c.app_key = $1 AND c.removed AND c.left_position IS NULL

-- name: list_removal_notices
-- Conversations that the user took from his list, and that this device was not told of. One that is back is not told.
-- $1 app, $2 user, $3 device, $4 most, $5 channel ids
-- index: conversations_pkey
SELECT c.channel_id, ch.type AS channel_type, ch.key AS channel_key, c.removals
FROM conversations c
JOIN channels ch ON ch.id = c.channel_id
LEFT JOIN device_marks d ON d.channel_id = c.channel_id AND d.user_id = c.user_id AND d.device_id = $3
WHERE c.app_key = $1 AND c.user_id = $2 AND c.channel_id = ANY ($5::bigint[]) AND c.tell_removed
    AND c.removals > coalesce(d.told_removals, 0)
ORDER BY c.channel_id LIMIT $4

-- name: update_told_removals
-- The device has received these notices. $1 app, $2 user, $3 device, $4 channel ids, sorted, $5 removals
INSERT INTO device_marks (channel_id, user_id, device_id, told_removals)
SELECT c.channel_id, c.user_id, $3, least(u.removals, c.removals)
FROM unnest($4::bigint[], $5::bigint[]) AS u (channel_id, removals)
JOIN conversations c ON c.channel_id = u.channel_id AND c.user_id = $2 AND c.app_key = $1
ORDER BY c.channel_id
ON CONFLICT ON CONSTRAINT device_marks_pkey DO UPDATE
SET told_removals = greatest(device_marks.told_removals, excluded.told_removals)

-- name: raise_read
-- $1 app, $2 user, $3 channel, $4 position, or null for all there is; $5 now
-- index: conversations_pkey
UPDATE conversations c SET read_position = greatest(c.read_position, coalesce($4::bigint, ch.last_position)),
    opened_at = greatest(c.opened_at, $5::bigint)
FROM channels ch
WHERE c.channel_id = $3 AND c.user_id = $2 AND c.app_key = $1 AND c.left_position IS NULL AND ch.id = c.channel_id
    AND coalesce($4::bigint, 0) <= ch.last_position
