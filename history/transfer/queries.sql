-- name: share_months
-- Nobody drops these months before the transaction ends; a drop that has begun is waited for. $1 their numbers, sorted
SELECT pg_advisory_xact_lock_shared({{messages.month_locks}}, u.number) FROM unnest($1::int[]) AS u (number)

-- name: list_stands
-- Where channels stand; one that has ended is left out. $1 channel ids, $2 now
-- index: channels_pkey
SELECT ch.id, ch.last_position, ch.common_position, ch.silent_to, ch.some_removed
FROM (SELECT u.id, $2::bigint AS now FROM unnest($1::bigint[]) AS u (id)) t JOIN channels ch ON ch.id = t.id
WHERE NOT {{channels.ended}}

-- name: lock_stands
-- The same under their locks: nothing else gets a position there until the commit. $1 channel ids, sorted; $2 now
-- index: channels_pkey
UPDATE channels ch SET last_recall = ch.last_recall
FROM (SELECT u.id, $2::bigint AS now FROM unnest($1::bigint[]) AS u (id)) t WHERE ch.id = t.id AND NOT {{channels.ended}}
RETURNING ch.id, ch.last_position, ch.common_position, ch.silent_to, ch.some_removed,
    pg_current_xact_id()::text AS transaction_id

-- name: list_runs
-- Where the positions begin that are taken without a gap up to a channel's last one: read downwards from that, and no further
-- than the first gap. $1 channel ids, $2 lowest and $3 last positions
-- index: messages
SELECT u.id, found.position
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (id, low, last) CROSS JOIN LATERAL (
    SELECT stored.position, stored.number FROM (
        SELECT m.position, row_number() OVER down AS number, lead(m.position) OVER down AS below
        FROM messages m WHERE m.channel_id = u.id AND m.position >= u.low AND m.position <= u.last
        WINDOW down AS (ORDER BY m.position DESC)
    ) stored
    WHERE stored.below IS DISTINCT FROM stored.position - 1 ORDER BY stored.position DESC LIMIT 1
) found
WHERE found.position + found.number - 1 = u.last

-- name: move_channels
-- What reserve_positions does, where the positions are known. What was imported may be too old at once, or soon: its channel
-- is looked at then. $1 channel ids, sorted; $2 first and $3 last new positions; $4 common positions or null; $5 up to where
-- all is silent; $6 when to look again, or null; $7 when to look where perhaps nobody is there for it
-- index: channels_pkey
UPDATE channels ch SET last_position = u.last, common_position = u.common, silent_to = u.silent_to,
    next_reclaim_at = least(ch.next_reclaim_at, u.due, u.first + {{channels.max_age}} + 1,
        CASE WHEN ch.type = 3 AND ch.member_count < 2 THEN $7::bigint END)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS u (id, first, last, common, silent_to, due)
WHERE ch.id = u.id

-- name: list_known_keys
-- Which messages these keys stand for now. $1 channel ids, $2 senders, $3 keys, $4 now
-- index: message_keys_pkey
SELECT k.channel_id, k.sender, k.key, k.position
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (channel_id, sender, key)
JOIN message_keys k ON k.channel_id = u.channel_id AND k.sender = u.sender AND k.key = u.key
WHERE k.expires_at > $4

-- name: list_there
-- Which of these messages are on disk. $1 channel ids, $2 positions
-- index: messages
SELECT m.channel_id, m.position FROM unnest($1::bigint[], $2::bigint[]) AS u (channel_id, position)
JOIN messages m ON m.channel_id = u.channel_id AND m.position = u.position

-- name: delete_keys
-- Keys that were claimed for lines that are refused after all. $1 channel ids, $2 senders, $3 keys; sorted
-- index: message_keys_pkey
DELETE FROM message_keys k USING unnest($1::bigint[], $2::text[], $3::text[]) AS u (channel_id, sender, key)
WHERE k.channel_id = u.channel_id AND k.sender = u.sender AND k.key = u.key

-- rule: everyone_from
-- From here on the channel ch shows its messages, whoever asks, at the instant t.now; no user's id is that of t.
greatest(ch.reclaimed_to, {{messages.history_from}})

-- rule: somebody_from
-- From here on some participant of the channel ch may read, at the instant $5; null where it has none.
SELECT min({{messages.history_from}})
FROM conversations c CROSS JOIN LATERAL (SELECT c.user_id, $5::bigint AS now) t
WHERE c.channel_id = ch.id AND c.left_position IS NULL

-- name: list_sources
-- The channels of an app in the order of their ids, and from where on somebody may still read each.
-- $1 app, $2 after this id, $3 types, $4 one channel or null, $5 now, $6 most
-- index: channels_by_app
SELECT ch.id, ch.type, ch.key, greatest({{transfer.everyone_from}}, {{transfer.somebody_from}}) AS first
FROM (
    SELECT * FROM channels WHERE app_key = $1 AND id > $2 AND type = ANY ($3::smallint[])
        AND id >= coalesce($4::bigint, 0) AND id <= coalesce($4, 9223372036854775807)
    ORDER BY id LIMIT $6
) ch
CROSS JOIN (SELECT '' AS user_id, $5::bigint AS now) t
LEFT JOIN conversations c ON c.channel_id = ch.id AND c.user_id = t.user_id
ORDER BY ch.id

-- name: list_lines
-- History of some channels, oldest first: at most $4 messages of each, none begun after $5 bytes of all. What was recalled is
-- not in it, nor what everyone deleted by its id who might read it.
-- $1 channel ids, $2 first positions, $3 end position
-- index: messages
SELECT * FROM (
    SELECT found.*, sum(found.size) OVER (ORDER BY found.channel_id, found.position) AS bytes
    FROM unnest($1::bigint[], $2::bigint[]) AS u (channel_id, first) CROSS JOIN LATERAL (
        SELECT m.channel_id, m.position, m.sender, m.type, m.content, m.flags, m.recipients, m.metadata, {{messages.size}} AS size
        FROM messages m
        WHERE m.channel_id = u.channel_id AND m.position >= u.first AND m.position < $3
            AND m.flags & 1 = 1 AND m.recall_stamp IS NULL
            AND (NOT EXISTS (SELECT 1 FROM hidden_messages h WHERE h.channel_id = m.channel_id AND h.position = m.position)
                OR EXISTS (
                    SELECT 1 FROM (
                        SELECT c.user_id, c.last_hide, 9223372036854775807 AS recall_stamp FROM conversations c
                        WHERE c.channel_id = m.channel_id AND c.left_position IS NULL
                    ) v WHERE {{messages.shown}}
                ))
        ORDER BY m.position LIMIT $4
    ) found
) counted
WHERE bytes - size < $5 ORDER BY channel_id, position
