-- name: get_channels
-- Which keys hold these ids. $1 ids
SELECT id, app_key, type, key FROM channels WHERE id = ANY ($1::bigint[])

-- name: insert_channels
-- Sorted by id: every writer takes its locks in the same order. $1 ids, $2 app keys, $3 types, $4 keys as JSON arrays
INSERT INTO channels (id, app_key, type, key)
SELECT u.id, u.app_key, u.type, ARRAY(SELECT json_array_elements_text(u.key))
FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::json[]) AS u (id, app_key, type, key)
ON CONFLICT ON CONSTRAINT channels_pkey DO NOTHING

-- name: insert_conversations
-- Participants of new channels. $1 channel ids, $2 users, $3 app keys; sorted by channel and user
INSERT INTO conversations (channel_id, user_id, app_key)
SELECT u.channel_id, u.user_id, u.app_key
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (channel_id, user_id, app_key)
ON CONFLICT ON CONSTRAINT conversations_pkey DO NOTHING
