-- name: reserve_positions
-- Positions for a batch: each channel's last position becomes max(last + 1, now) + count - 1, under the row's lock. A
-- message not stored for history goes by time alone, so it makes its channel due.
-- $1 channel ids, sorted; $2 counts; $3 now; $4 when to look again, or null
-- index: channels_pkey
UPDATE channels AS ch
SET last_position = greatest(ch.last_position + 1, $3::bigint) + u.count - 1,
    next_reclaim_at = CASE WHEN u.due IS NULL THEN ch.next_reclaim_at ELSE least(ch.next_reclaim_at, u.due) END
FROM unnest($1::bigint[], $2::integer[], $4::bigint[]) AS u (id, count, due)
WHERE ch.id = u.id
RETURNING ch.id, ch.last_position, pg_current_xact_id()::text AS transaction_id,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock

-- rule: shown
-- The row m stands in the history of v.user_id, cutoffs apart: stored for history, not recalled, and either addressed to
-- him by another or his own and echoed.
m.flags & 5 = 1 AND CASE WHEN m.sender = v.user_id THEN m.flags & 2 = 2
    ELSE m.recipients IS NULL OR v.user_id = ANY (m.recipients) END

-- name: history_page
-- The History rule, newest first: at most $6 messages, none begun after $7 bytes, and then the rest of the last millisecond.
-- $1 app, $2 channel, $3 user, $4 first position, $5 end position
-- index: messages
WITH v AS MATERIALIZED (
    SELECT c.user_id, greatest($4::bigint, c.join_position, c.history_cutoff, ch.history_cutoff, (
        SELECT max(r.cutoff) FROM clean_requests r
        WHERE r.channel_id = $2 AND r.state = 'accepted' AND r.user_id IN ('', c.user_id)
    )) AS first
    FROM conversations c JOIN channels ch ON ch.id = c.channel_id
    WHERE c.channel_id = $2 AND c.user_id = $3 AND c.app_key = $1 AND c.left_position IS NULL
), page AS MATERIALIZED (
    SELECT * FROM (
        SELECT found.*, sum(octet_length(found.content)) OVER (ORDER BY found.position DESC) AS bytes
        FROM v CROSS JOIN LATERAL (
            SELECT m.position, m.sender, m.type, m.content FROM messages m
            WHERE m.channel_id = $2 AND m.position >= v.first AND m.position >= $4 AND m.position < $5
                AND {{messages.shown}}
            ORDER BY m.position DESC LIMIT $6
        ) found
    ) counted
    WHERE bytes - octet_length(content) < $7
), edge AS (
    SELECT min(position) AS position FROM page
)
SELECT position, sender, type, content FROM page
UNION ALL
SELECT m.position, m.sender, m.type, m.content
FROM edge CROSS JOIN v CROSS JOIN LATERAL (
    SELECT m.* FROM messages m
    WHERE m.channel_id = $2 AND m.position >= greatest(v.first, edge.position / 1000 * 1000)
        AND m.position < edge.position AND m.position >= $4 AND m.position < $5 AND {{messages.shown}}
) m
ORDER BY position DESC

-- name: list_months
-- The partitions that there are.
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'messages'::regclass ORDER BY c.relname
