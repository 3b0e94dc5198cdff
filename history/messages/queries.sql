-- name: reserve_positions
-- Positions for a batch: each channel's last position becomes max(last + 1, now) + count - 1, under the row's lock. A
-- message not stored for history goes by time alone, so it makes its channel due. So does one that perhaps nobody needs, as
-- in a group with a single member or none: no event will come for it. A channel that has ended is passed over.
-- $1 channel ids, sorted; $2 counts; $3 now; $4 when to look again, or null; $5 how many at the end are targeted; $6 and $7
-- who wrote the last ones for everybody but himself, or null, and how many in a row
-- index: channels_pkey
UPDATE channels AS ch
SET last_position = greatest(ch.last_position + 1, t.now) + t.count - 1,
    common_position = CASE WHEN t.targeted = t.count THEN coalesce(ch.common_position, ch.last_position)
        WHEN t.targeted > 0 THEN greatest(ch.last_position + 1, t.now) + t.count - 1 - t.targeted END,
    unseen_by = t.writer,
    unseen_from = CASE WHEN t.written = t.count AND ch.unseen_by = t.writer AND ch.unseen_to = ch.last_position
        THEN ch.unseen_from WHEN t.writer IS NOT NULL THEN greatest(ch.last_position + 1, t.now) + t.count - t.written END,
    unseen_to = CASE WHEN t.writer IS NOT NULL THEN greatest(ch.last_position + 1, t.now) + t.count - 1 END,
    next_reclaim_at = CASE WHEN t.due IS NULL AND NOT (ch.type = 3 AND ch.member_count < 2) THEN ch.next_reclaim_at
        ELSE least(ch.next_reclaim_at, coalesce(t.due, t.now + 86400000000)) END
FROM (
    SELECT u.*, $3::bigint AS now
    FROM unnest($1::bigint[], $2::integer[], $4::bigint[], $5::integer[], $6::text[], $7::integer[])
        AS u (id, count, due, targeted, writer, written)
) t
WHERE ch.id = t.id AND NOT {{channels.ended}}
RETURNING ch.id, ch.last_position, ch.some_removed, pg_current_xact_id()::text AS transaction_id,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock

-- name: list_removed
-- Who removed these conversations from their lists and takes part: a message for everybody brings them back. Removing takes
-- the channel's lock, which the caller has. $1 channel ids
-- index: conversations_removed
SELECT channel_id, user_id FROM conversations WHERE channel_id = ANY ($1::bigint[]) AND removed AND left_position IS NULL

-- name: update_noted
-- What lists must know of new messages: the last targeted one of those whom it names and of its sender, and that a
-- conversation is back. One statement, because its locks have one order. $1 channel ids, $2 users, $3 positions or null,
-- $4 whether it is back; sorted
-- index: conversations_pkey
UPDATE conversations c SET targeted_position = greatest(c.targeted_position, u.position),
    removed = c.removed AND NOT u.back, tell_removed = c.tell_removed AND NOT u.back
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[]) AS u (channel_id, user_id, position, back)
WHERE c.channel_id = u.channel_id AND c.user_id = u.user_id AND c.left_position IS NULL

-- name: update_some_removed
-- Where all are back, appends need not look any more. LIMIT: asked for each, never by a look through all that are removed
-- anywhere. $1 channel ids, sorted
-- index: channels_pkey
UPDATE channels ch SET some_removed = false FROM unnest($1::bigint[]) AS u (id)
WHERE ch.id = u.id AND (
    SELECT c.channel_id FROM conversations c WHERE c.channel_id = u.id AND c.removed AND c.left_position IS NULL LIMIT 1
) IS NULL

-- rule: recalled
-- The row m was recalled, as of v.recall_stamp (9223372036854775807: now).
coalesce(m.recall_stamp <= v.recall_stamp, false)

-- rule: hidden
-- The user of v deleted the row m by its id, as of v.last_hide. Who never did so is not looked up.
v.last_hide > 0 AND EXISTS (
    SELECT 1 FROM hidden_messages h
    WHERE h.channel_id = m.channel_id AND h.user_id = v.user_id AND h.position = m.position AND h.stamp <= v.last_hide
)

-- rule: addressed
-- The row m is for the user of v: sent to him by another, or his own and echoed.
CASE WHEN m.sender = v.user_id THEN m.flags & 2 <> 0 ELSE m.recipients IS NULL OR v.user_id = ANY (m.recipients) END

-- rule: shown
-- The row m stands in the history of v.user_id, cutoffs apart: stored for history, addressed to him, neither recalled nor
-- hidden by id.
m.flags & 1 <> 0 AND {{messages.addressed}} AND NOT {{messages.recalled}} AND NOT {{messages.hidden}}

-- rule: history_from
-- From here on t.user_id may read the channel ch at the instant t.now, if he may at all: above everything that cleaned it,
-- live requests that are not yet applied included, not too old, and not in a channel that has lived its time. c is his
-- conversation there, all null where he has none; empty, he is everyone.
greatest({{channels.policy_from}}, c.join_position, c.history_cutoff, ch.history_cutoff, (
    SELECT max(r.cutoff) FROM clean_requests r
    WHERE r.app_key = ch.app_key AND r.channel_id = ch.id AND r.state = 'accepted' AND r.user_id = ''
), (
    SELECT max(r.cutoff) FROM clean_requests r
    WHERE r.app_key = ch.app_key AND r.channel_id = ch.id AND r.state = 'accepted' AND r.user_id = t.user_id
), CASE WHEN {{channels.expired}} THEN ch.last_position + 1 END)

-- rule: ends
-- No message of the channel ch from here on is for t.user_id: those are all his own, without echo, or name others. c is his
-- conversation there, all null where he has none. So a read does not look through them, however many they are.
CASE WHEN ch.unseen_by = t.user_id AND ch.unseen_to = ch.last_position THEN ch.unseen_from
    ELSE greatest(coalesce(ch.common_position, ch.last_position), c.targeted_position) + 1 END

-- rule: reads
-- The user of t reads the channel ch: c is his conversation there, all null where he has none. In an open channel everybody
-- reads, by the channel's cutoffs alone.
ch.type = 4 OR (c.user_id IS NOT NULL AND c.left_position IS NULL)

-- rule: reader
-- How the user $3 of the app $1 reads the channel $2 at the instant $4; no row where he does not.
SELECT t.user_id, 9223372036854775807 AS recall_stamp, coalesce(c.last_hide, 0) AS last_hide, ch.type AS channel_type,
    ch.key AS channel_key, {{messages.history_from}} AS first, {{messages.ends}} AS ends
FROM (SELECT $3::text AS user_id, $4::bigint AS now) t CROSS JOIN channels ch
LEFT JOIN conversations c ON c.channel_id = ch.id AND c.user_id = t.user_id
WHERE ch.id = $2 AND ch.app_key = $1 AND {{messages.reads}}

-- rule: size
-- The bytes that the row m brings to a page, before they are JSON.
octet_length(m.content) + coalesce(octet_length(m.metadata), 0)

-- name: history_page
-- The History rule, newest first: at most $7 messages, none begun after $8 bytes, and then the rest of the last millisecond.
-- $1 app, $2 channel, $3 user, $4 now, $5 first position, $6 end position; $9 whether what was recalled comes too, without
-- what it said
-- index: messages
WITH v AS MATERIALIZED (
    SELECT reader.user_id, reader.last_hide, reader.first, reader.ends, CASE WHEN $9 THEN -1 ELSE reader.recall_stamp END AS recall_stamp
    FROM {{messages.reader}} reader
), page AS MATERIALIZED (
    SELECT * FROM (
        SELECT found.*, sum(found.size) OVER (ORDER BY found.position DESC) AS bytes
        FROM v CROSS JOIN LATERAL (
            SELECT m.position, m.sender, m.type, m.content, m.flags, m.metadata, m.edited_at, m.recall_stamp,
                {{messages.size}} AS size
            FROM messages m
            WHERE m.channel_id = $2 AND m.position >= v.first AND m.position >= $5 AND m.position < $6
                AND m.position < v.ends AND {{messages.shown}}
            ORDER BY m.position DESC LIMIT $7
        ) found
    ) counted
    WHERE bytes - size < $8
), edge AS (
    SELECT min(position) AS position FROM page
)
SELECT position, sender, type, flags, edited_at, recall_stamp IS NOT NULL AS recalled,
    CASE WHEN recall_stamp IS NULL THEN content ELSE '' END AS content, CASE WHEN recall_stamp IS NULL THEN metadata END AS metadata
FROM page
UNION ALL
SELECT m.position, m.sender, m.type, m.flags, m.edited_at, m.recall_stamp IS NOT NULL,
    CASE WHEN m.recall_stamp IS NULL THEN m.content ELSE '' END, CASE WHEN m.recall_stamp IS NULL THEN m.metadata END
FROM edge CROSS JOIN v CROSS JOIN LATERAL (
    -- OFFSET: without it a plan for any values may read all from $5 on and only then look where the page ended
    SELECT m.* FROM messages m
    WHERE m.channel_id = $2 AND m.position >= greatest(v.first, edge.position / 1000 * 1000)
        AND m.position < edge.position AND m.position >= $5 AND m.position < $6 AND {{messages.shown}}
    OFFSET 0
) m
ORDER BY position DESC

-- name: history_after
-- The History rule, oldest first: what stands above a position. At most $6 messages, none begun after $7 bytes.
-- $1 app, $2 channel, $3 user, $4 now, $5 above this position
-- index: messages
SELECT * FROM (
    SELECT found.*, sum(found.size) OVER (ORDER BY found.position) AS bytes
    FROM {{messages.reader}} v CROSS JOIN LATERAL (
        SELECT m.position, m.sender, m.type, m.content, m.flags, m.metadata, m.edited_at, {{messages.size}} AS size
        FROM messages m
        WHERE m.channel_id = $2 AND m.position >= v.first AND m.position > $5 AND m.position < v.ends
            AND {{messages.shown}}
        ORDER BY m.position LIMIT $6
    ) found
) counted
WHERE bytes - size < $7 ORDER BY position

-- name: get_shown
-- One message as the History rule shows it. $1 app, $2 channel, $3 user, $4 now, $5 position
-- index: messages
SELECT m.position, m.sender, m.type, m.content, m.flags, m.metadata, m.edited_at, v.channel_type, v.channel_key
FROM {{messages.reader}} v JOIN messages m ON m.channel_id = $2 AND m.position = $5 AND m.position >= v.first
WHERE {{messages.shown}}

-- name: list_stored
-- What is on disk in a channel and not granted away, newest first, whoever cleaned it: at most $4 messages, none begun
-- after $5 bytes. What was recalled says nothing any more, also where a hold keeps its content.
-- $1 channel, $2 first position, $3 end position, $6 whether recalled ones too
-- index: messages
SELECT * FROM (
    SELECT found.*, sum(found.size) OVER (ORDER BY found.position DESC) AS bytes
    FROM channels ch CROSS JOIN LATERAL (
        SELECT m.position, m.sender, m.type, m.flags, m.edited_at, m.recall_stamp IS NOT NULL AS recalled,
            CASE WHEN m.recall_stamp IS NULL THEN m.content ELSE '' END AS content,
            CASE WHEN m.recall_stamp IS NULL THEN m.metadata END AS metadata, {{messages.size}} AS size
        FROM messages m
        WHERE m.channel_id = $1 AND m.position >= ch.reclaimed_to AND m.position >= $2 AND m.position < $3
            AND ($6 OR m.recall_stamp IS NULL)
        ORDER BY m.position DESC LIMIT $4
    ) found
    WHERE ch.id = $1
) counted
WHERE bytes - size < $5 ORDER BY position DESC

-- name: list_months
-- The partitions that there are.
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'messages'::regclass ORDER BY c.relname

-- rule: month_locks
-- The first key of the advisory locks of months; a month's number is the second. Locks with one key are never these.
hashtext('tidemark month')

-- name: claim_keys
-- Whose key this is now: not there before, or lapsed. Sorted; a key that another transaction is claiming is waited for.
-- $1 channel ids, $2 senders, $3 keys, $4 when they lapse, $5 now
INSERT INTO message_keys AS k (channel_id, sender, key, position, expires_at)
SELECT u.channel_id, u.sender, u.key, 0, u.expires_at
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS u (channel_id, sender, key, expires_at)
ON CONFLICT ON CONSTRAINT message_keys_pkey DO UPDATE SET position = 0, expires_at = excluded.expires_at
WHERE k.expires_at <= $5
RETURNING k.channel_id, k.sender, k.key

-- name: list_key_positions
-- Where the messages of these keys stand. $1 channel ids, $2 senders, $3 keys
-- index: message_keys_pkey
SELECT k.channel_id, k.sender, k.key, k.position
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (channel_id, sender, key)
JOIN message_keys k ON k.channel_id = u.channel_id AND k.sender = u.sender AND k.key = u.key

-- name: update_key_positions
-- $1 channel ids, $2 senders, $3 keys, $4 positions
-- index: message_keys_pkey
UPDATE message_keys k SET position = u.position
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS u (channel_id, sender, key, position)
WHERE k.channel_id = u.channel_id AND k.sender = u.sender AND k.key = u.key

-- name: upsert_senders
-- Who wrote where: a hold on him covers it. $1 channel ids, $2 users, $3 positions; sorted
INSERT INTO senders AS s (channel_id, user_id, position)
SELECT u.channel_id, u.user_id, u.position
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS u (channel_id, user_id, position)
ON CONFLICT ON CONSTRAINT senders_pkey DO UPDATE SET position = greatest(s.position, excluded.position)

-- name: share_media
-- The files of these that a message may refer to, held still until its commit: one that is about to be deleted is waited
-- for, and is none of them. $1 ids
-- index: media_pkey
SELECT id, app_key FROM media WHERE id = ANY ($1::uuid[]) AND state = 'ready' ORDER BY id FOR SHARE

-- name: lock_media
-- The same, and what loses a reference is looked at: an edit takes what was referred to and what will be in one order.
-- $1 ids
-- index: media_pkey
SELECT id, app_key, state FROM media WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE

-- name: list_media_of
-- What messages refer to. $1 channel, $2 positions
-- index: media_refs_pkey
SELECT DISTINCT media_id FROM media_refs WHERE channel_id = $1 AND position = ANY ($2::bigint[])

-- name: mark_media_due
-- A reference to these files goes in this transaction: see afterwards whether something needs them. The files before the
-- references, as what deletes a file does. $1 ids, sorted; $2 now
-- index: media_pkey
UPDATE media m SET look_at = least(m.look_at, $2::bigint)
FROM unnest($1::uuid[]) AS u (id) WHERE m.id = u.id AND m.state = 'ready'

-- name: delete_refs
-- What these messages said is not said any more. $1 channel, $2 positions
-- index: media_refs_pkey
DELETE FROM media_refs WHERE channel_id = $1 AND position = ANY ($2::bigint[])

-- name: list_media
-- As share_media, only to see. $1 ids
-- index: media_pkey
SELECT id, app_key FROM media WHERE id = ANY ($1::uuid[]) AND state = 'ready'

-- name: insert_refs
-- What an edited message refers to now. $1 channel, $2 position, $3 app, $4 ids
-- index: messages
INSERT INTO media_refs (channel_id, position, media_id, app_key, flags, sender, recipients)
SELECT m.channel_id, m.position, u.id, $3, m.flags, m.sender, m.recipients
FROM messages m CROSS JOIN unnest($4::uuid[]) AS u (id) WHERE m.channel_id = $1 AND m.position = $2

-- name: get_message
-- $1 channel, $2 position
-- index: messages
SELECT sender, recall_stamp IS NOT NULL AS recalled FROM messages WHERE channel_id = $1 AND position = $2

-- name: next_recall
-- A recall's stamp, given under the channel's lock; what was recalled holds nothing up any more. $1 channel, $2 now
-- index: channels_pkey
UPDATE channels SET last_recall = last_recall + 1, next_reclaim_at = least(next_reclaim_at, $2::bigint)
WHERE id = $1 RETURNING last_recall

-- name: update_recalled
-- Flag the message, and empty it unless a hold covers it. $1 channel, $2 position, $3 stamp, $4 whether it is held
-- index: messages
UPDATE messages SET recall_stamp = $3, content = CASE WHEN $4 THEN content ELSE '' END,
    metadata = CASE WHEN $4 THEN metadata END
WHERE channel_id = $1 AND position = $2 AND recall_stamp IS NULL
RETURNING sender, recipients

-- name: is_held
-- Whether a hold covers the channel. The caller shares the app's row. $1 channel
-- index: conversations_pkey
-- index: senders_pkey
SELECT {{channels.held}} FROM channels ch WHERE ch.id = $1

-- name: insert_recall
-- $1 channel, $2 stamp, $3 position, $4 sender, $5 recipients or null, $6 now,
-- $7 whether it was emptied
INSERT INTO recalls (channel_id, stamp, position, sender, recipients, created_at, emptied)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: get_editable
-- The sender of a message that the channel still shows to everyone: neither recalled nor granted away nor cleaned for all.
-- The caller has the channel's row. $1 channel, $2 position, $3 now
-- index: messages
SELECT m.sender FROM (SELECT ''::text AS user_id, $3::bigint AS now) t CROSS JOIN channels ch
LEFT JOIN conversations c ON c.channel_id = ch.id AND c.user_id = t.user_id
JOIN messages m ON m.channel_id = ch.id AND m.position = $2
WHERE ch.id = $1 AND m.recall_stamp IS NULL AND m.position >= greatest(ch.reclaimed_to, {{messages.history_from}})

-- name: update_edited
-- What the sender says instead, where no hold covers what he said; the row stays in its place. The caller shares the app's
-- row and has the channel's. $1 channel, $2 position, $3 content or null, $4 metadata or null, $5 now
-- index: messages
UPDATE messages m SET content = coalesce($3, m.content), metadata = coalesce($4, m.metadata),
    flags = CASE WHEN $4::text IS NULL THEN m.flags ELSE m.flags | 16::smallint END, edited_at = $5
FROM channels ch
WHERE m.channel_id = $1 AND m.position = $2 AND m.recall_stamp IS NULL AND ch.id = m.channel_id AND NOT {{channels.held}}
RETURNING m.position, m.sender, m.type, m.content, m.flags, m.metadata, m.edited_at

-- name: mark_due
-- What was hidden or recalled holds nothing up for that user any more. $1 channel, $2 now
-- index: channels_pkey
UPDATE channels SET next_reclaim_at = least(next_reclaim_at, $2::bigint) WHERE id = $1

-- name: next_hide
-- A stamp for what a participant hides, given under the lock of his conversation. $1 channel, $2 user
-- index: conversations_pkey
UPDATE conversations SET last_hide = last_hide + 1 WHERE channel_id = $1 AND user_id = $2 AND left_position IS NULL
RETURNING last_hide

-- name: insert_hidden
-- Hide the messages that are on disk. $1 channel, $2 user, $3 positions, $4 stamp
-- index: messages
INSERT INTO hidden_messages (channel_id, user_id, position, stamp)
SELECT $1, $2, m.position, $4 FROM messages m WHERE m.channel_id = $1 AND m.position = ANY ($3::bigint[])
ON CONFLICT ON CONSTRAINT hidden_messages_pkey DO NOTHING

-- name: list_on_disk
-- $1 channel, $2 positions
-- index: messages
SELECT position FROM messages WHERE channel_id = $1 AND position = ANY ($2::bigint[])
