-- name: get_channels
-- Which keys hold these ids. $1 ids
SELECT id, app_key, type, key FROM channels WHERE id = ANY ($1::bigint[])

-- name: insert_channels
-- Sorted by id: every writer takes its locks in the same order. Under a policy time alone raises the floor, so it is looked
-- at when its first message is too old. $1 ids, $2 app keys, $3 types, $4 keys as JSON arrays, $5 now
INSERT INTO channels (id, app_key, type, key, created_at, next_reclaim_at)
SELECT ch.id, ch.app_key, ch.type, ch.key, $5, $5::bigint + {{channels.max_age}} + 1
FROM (
    SELECT u.id, u.app_key, u.type, ARRAY(SELECT json_array_elements_text(u.key)) AS key
    FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::json[]) AS u (id, app_key, type, key)
) ch
ON CONFLICT ON CONSTRAINT channels_pkey DO NOTHING

-- name: insert_conversations
-- Participants of new channels; where $4 names one of them, the others see it in their lists with the first message for them.
-- $1 channel ids, $2 users, $3 app keys; sorted by channel and user; $4 user or null
INSERT INTO conversations (channel_id, user_id, app_key, removed)
SELECT u.channel_id, u.user_id, u.app_key, coalesce(u.user_id <> $4::text, false)
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (channel_id, user_id, app_key)
ON CONFLICT ON CONSTRAINT conversations_pkey DO NOTHING

-- rule: expiry
-- When the open channel ch will have lived its time; null where it lives on.
ch.ttl + CASE WHEN ch.ttl_from_last_message THEN greatest(ch.created_at, ch.last_position) ELSE ch.created_at END

-- rule: expired
-- The open channel ch has lived its time at the instant t.now.
coalesce(t.now >= {{channels.expiry}}, false)

-- rule: ended
-- The channel ch takes no more messages: dismissed, destroyed or expired.
ch.dismissed_at IS NOT NULL OR {{channels.expired}}

-- name: insert_channel
-- A group or an open channel that is made by a call of its own; nothing where the id is taken.
-- $1 id, $2 app key, $3 type, $4 key, $5 now, $6 name, $7 owner, $8 members, $9 ttl or null, $10 ttl from last message,
-- $11 when to look at it, at the latest
INSERT INTO channels (id, app_key, type, key, created_at, name, owner, member_count, ttl, ttl_from_last_message,
    next_reclaim_at)
SELECT ch.id, ch.app_key, ch.type, ch.key, $5, $6, $7, $8, $9, $10, least($11, $5::bigint + {{channels.max_age}} + 1)
FROM (SELECT $1::bigint AS id, $2::text AS app_key, $3::smallint AS type, $4::text[] AS key) ch
ON CONFLICT ON CONSTRAINT channels_pkey DO NOTHING

-- name: reopen_channel
-- A destroyed open channel is made again: it is empty, and lives from now on.
-- $1 id, $2 now, $3 ttl, $4 ttl from last message
-- index: channels_pkey
UPDATE channels ch SET dismissed_at = NULL, created_at = $2, ttl = $3, ttl_from_last_message = $4,
    -- now: a visit that is under way read the channel as ended, and must not have the last word
    next_reclaim_at = $2,
    history_cutoff = ch.last_position + 1, settled_history_cutoff = ch.last_position + 1,
    media_cutoff = ch.last_position + 1, settled_media_cutoff = ch.last_position + 1
FROM (SELECT $2::bigint AS now) t WHERE ch.id = $1 AND ({{channels.ended}})

-- name: get_group
-- $1 id
-- index: channels_pkey
SELECT name, owner, created_at, member_count, dismissed_at FROM channels WHERE id = $1

-- name: lock_channel
-- Whatever joins or leaves locks the channel's row first and reads where it stands. $1 id
-- index: channels_pkey
UPDATE channels SET last_recall = last_recall WHERE id = $1 AND dismissed_at IS NULL RETURNING last_position, owner

-- name: insert_members
-- Join, or join anew: what was before stays out of reach. Who is in already stays as he is.
-- $1 channel, $2 users, sorted; $3 app key, $4 join position, $5 now
INSERT INTO conversations (channel_id, user_id, app_key, join_position, joined_at)
SELECT $1, u.user_id, $3, $4, $5 FROM unnest($2::text[]) AS u (user_id)
ON CONFLICT ON CONSTRAINT conversations_pkey DO UPDATE
SET join_position = excluded.join_position, joined_at = excluded.joined_at, left_position = NULL, left_at = NULL,
    removed = false, tell_removed = false
WHERE conversations.left_position IS NOT NULL

-- name: update_left
-- The range is for PostgreSQL before 17, which may keep ANY for a filter and read all members.
-- $1 channel, $2 users, sorted; $3 leave position, $4 now
-- index: conversations_pkey
UPDATE conversations SET left_position = $3, left_at = $4
WHERE channel_id = $1 AND user_id >= ($2::text[])[1] AND user_id <= ($2::text[])[cardinality($2::text[])]
    AND user_id = ANY ($2::text[]) AND left_position IS NULL

-- name: update_member_count
-- $1 channel, $2 how many more, $3 when to look at the floor, or null
-- index: channels_pkey
UPDATE channels SET member_count = member_count + $2, next_reclaim_at = least(next_reclaim_at, $3::bigint) WHERE id = $1

-- name: dismiss_channels
-- Cleaned by everyone, history, sync and files, settled; what is missed stays. $1 ids, sorted; $2 now
-- index: channels_pkey
UPDATE channels ch SET dismissed_at = $2, next_reclaim_at = least(ch.next_reclaim_at, $2),
    history_cutoff = ch.last_position + 1, settled_history_cutoff = ch.last_position + 1,
    sync_cutoff = ch.last_position + 1, settled_sync_cutoff = ch.last_position + 1,
    media_cutoff = ch.last_position + 1, settled_media_cutoff = ch.last_position + 1
FROM unnest($1::bigint[]) AS u (id) WHERE ch.id = u.id AND ch.dismissed_at IS NULL

-- name: expire_channel
-- The same for an open channel whose time is over. $1 id, $2 now
-- index: channels_pkey
UPDATE channels ch SET dismissed_at = $2,
    history_cutoff = ch.last_position + 1, settled_history_cutoff = ch.last_position + 1,
    sync_cutoff = ch.last_position + 1, settled_sync_cutoff = ch.last_position + 1,
    media_cutoff = ch.last_position + 1, settled_media_cutoff = ch.last_position + 1
FROM (SELECT $2::bigint AS now) t WHERE ch.id = $1 AND ch.dismissed_at IS NULL AND {{channels.expired}}

-- name: list_members_forward
-- In the order of joining. $1 channel, $2 and $3 joined at and user to go on after, $4 most
-- index: conversations_by_join
SELECT user_id, joined_at FROM conversations
WHERE channel_id = $1 AND joined_at IS NOT NULL AND left_position IS NULL AND (joined_at, user_id) > ($2, $3)
ORDER BY joined_at, user_id LIMIT $4

-- name: list_members_backward
-- The newest first. $1 channel, $2 and $3 joined at and user to go on below, $4 most
-- index: conversations_by_join
SELECT user_id, joined_at FROM conversations
WHERE channel_id = $1 AND joined_at IS NOT NULL AND left_position IS NULL AND (joined_at, user_id) < ($2, $3)
ORDER BY joined_at DESC, user_id DESC LIMIT $4

-- name: list_joined
-- The groups of a user, by $6 -1 newest first, 1 oldest first. $1 app, $2 user, $3 and $4 joined at and channel to go on
-- after, $5 most
-- index: conversations_by_user
SELECT ch.id, ch.key, ch.name, ch.owner, ch.created_at, ch.member_count, c.joined_at
FROM conversations c JOIN channels ch ON ch.id = c.channel_id
WHERE c.app_key = $1 AND c.user_id = $2 AND c.left_position IS NULL AND ch.type = 3 AND ch.dismissed_at IS NULL
    AND (c.joined_at * $6::bigint, ch.id) > ($3 * $6::bigint, $4)
ORDER BY c.joined_at * $6::bigint, ch.id LIMIT $5

-- name: list_direct
-- The direct channels of a user, in the order of their ids. $1 app, $2 user, $3 most
-- index: conversations_by_user
SELECT ch.key FROM conversations c JOIN channels ch ON ch.id = c.channel_id
WHERE c.app_key = $1 AND c.user_id = $2 AND ch.type = 1
ORDER BY c.channel_id LIMIT $3

-- rule: max_age
-- How old a message of the channel ch may be, in microseconds, by the most specific policy; null where there is none.
coalesce(
    (SELECT p.max_age_days FROM policies p
    WHERE p.app_key = ch.app_key AND p.channel_type = ch.type AND p.channel_id IN ('', ch.key[1])
    ORDER BY p.channel_id DESC LIMIT 1),
    (SELECT nullif(a.retention_days, 0) FROM apps a WHERE a.app_key = ch.app_key)
) * 86400000000

-- rule: policy_from
-- Messages of the channel ch below it are too old at the instant t.now; null where there is no policy.
t.now - {{channels.max_age}}

-- rule: held
-- A hold covers the channel ch: one on the app, on the channel, or on a user who has or had a conversation there or sent
-- there. In direct and system channels the key says who sends. LIMIT: asked for each hold by its user, never by a look through
-- all members.
EXISTS (
    SELECT 1 FROM holds h WHERE h.app_key = ch.app_key AND (
        h.kind = 'app' OR (h.channel_type = ch.type AND h.channel_key = ch.key)
        OR (ch.type IN (1, 6) AND h.user_id = ANY (ch.key))
        OR (SELECT true FROM conversations c WHERE c.channel_id = ch.id AND c.user_id = h.user_id LIMIT 1)
        OR (SELECT true FROM senders s WHERE s.channel_id = ch.id AND s.user_id = h.user_id LIMIT 1)
    )
)
