-- rule: missed
-- The row m is missed for the user of conversation v: he has not received it, it has not expired, another sent it to him,
-- and it was neither recalled nor imported silently. No cutoff is looked at.
m.position > v.delivered_position AND m.position >= v.missed_from AND m.position >= v.join_position
    AND m.flags & 12 = 0 AND m.sender <> v.user_id AND (m.recipients IS NULL OR v.user_id = ANY (m.recipients))

-- rule: compensated
-- The row m is compensation for the user of conversation v: in the window, above his sync cutoffs and his joining, neither
-- recalled nor silent, and either sent to him by another and not missed, or his own and echoed. A device's mark comes on
-- top where a device asks.
m.position >= v.window_from AND m.position >= v.sync_from AND m.flags & 12 = 0 AND CASE WHEN m.sender = v.user_id
    THEN m.flags & 2 = 2
    ELSE (m.recipients IS NULL OR v.user_id = ANY (m.recipients)) AND NOT {{delivery.missed}} END

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
        $4::bigint AS missed_from, $5::bigint AS window_from
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
        sum(octet_length(found.content)) OVER (ORDER BY found.channel_id, found.position) AS bytes
    FROM v CROSS JOIN LATERAL (
        SELECT m.channel_id, m.position, m.sender, m.type, m.content, {{delivery.missed}} AS missed FROM messages m
        WHERE m.channel_id = v.channel_id AND m.position > v.resume_after
            AND m.position >= least(greatest(v.delivered_position + 1, v.missed_from),
                greatest(v.device_position + 1, v.sync_from, v.window_from))
            AND ({{delivery.missed}} OR (m.position > v.device_position AND {{delivery.compensated}}))
        ORDER BY m.position LIMIT $8
    ) found
    ORDER BY found.channel_id, found.position LIMIT $8
)
SELECT channel_id, channel_type, channel_key, position, sender, type, content, missed
FROM page WHERE bytes - octet_length(content) < $9 ORDER BY channel_id, position

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
