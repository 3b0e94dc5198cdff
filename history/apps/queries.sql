-- name: insert_app
-- $1 app key, $2 name, $3 sealed secret, $4 now
INSERT INTO apps (app_key, name, secret, created_at) VALUES ($1, $2, $3, $4)

-- name: insert_key
-- $1 hash, $2 id, $3 kind, $4 app key or null, $5 name, $6 read only, $7 now
INSERT INTO keys (hash, id, kind, app_key, name, read_only, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: get_key
-- $1 hash
SELECT id, kind, app_key, name, read_only, created_at, last_used_at FROM keys WHERE hash = $1

-- name: update_key_used
-- Once a minute is enough to see whether a key is still in use. $1 hash, $2 now
UPDATE keys SET last_used_at = $2::bigint WHERE hash = $1 AND (last_used_at IS NULL OR last_used_at < $2::bigint - 60000000)

-- name: list_keys
-- $1 app key, null for those that open all apps
SELECT id, kind, app_key, name, read_only, created_at, last_used_at FROM keys WHERE app_key IS NOT DISTINCT FROM $1
ORDER BY created_at, id

-- name: delete_key
-- $1 app key, null for those that open all apps; $2 id
DELETE FROM keys WHERE app_key IS NOT DISTINCT FROM $1 AND id = $2

-- name: insert_token
-- $1 hash, $2 app key, $3 user, $4 now, $5 expires
INSERT INTO tokens (hash, app_key, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)

-- name: get_token
-- $1 hash, $2 now
SELECT app_key, user_id FROM tokens WHERE hash = $1 AND expires_at > $2

-- name: expire_tokens
-- Never later than they would end anyway. $1 app key, $2 users, $3 when
-- index: tokens_by_user
UPDATE tokens SET expires_at = least(expires_at, $3::bigint) WHERE app_key = $1 AND user_id = ANY ($2::text[])

-- name: get_instance
-- $1 app key, $2 user
SELECT app_key, user_id, connected, created_at FROM instances WHERE app_key = $1 AND user_id = $2

-- name: get_instance_of_token
-- $1 hash
SELECT app_key, user_id, connected, created_at FROM instances WHERE hash = $1

-- name: get_user_with_conversation
-- Whether the user has, or lately had, a conversation. It fans out. $1 app key, $2 user
-- index: conversations_by_user
SELECT user_id FROM conversations WHERE app_key = $1 AND user_id = $2 LIMIT 1

-- name: insert_instance
-- Make it, or change it; null leaves a thing as it is, of a new one connected is true. $1 app key, $2 user, $3 hash or null,
-- $4 connected or null, $5 now
INSERT INTO instances AS i (app_key, user_id, hash, connected, created_at) VALUES ($1, $2, $3, coalesce($4, true), $5)
ON CONFLICT ON CONSTRAINT instances_pkey DO UPDATE
SET hash = coalesce(excluded.hash, i.hash), connected = coalesce($4, i.connected)
RETURNING app_key, user_id, connected, created_at

-- name: get_app
-- $1 app key
SELECT * FROM apps WHERE app_key = $1

-- name: get_tencent_app
-- $1 SDKAppID
-- index: apps_tencent_sdk_app_id_key
SELECT app_key FROM apps WHERE tencent_sdk_app_id = $1

-- name: lock_app
-- What may move a floor comes before or after every grant, never between its floor and its update.
-- $1 app key
SELECT * FROM apps WHERE app_key = $1 FOR UPDATE

-- name: share_app
-- A grant holds the settings still that its floor was computed from.
-- $1 app key
SELECT * FROM apps WHERE app_key = $1 FOR SHARE

-- name: share_apps
-- What is accepted for these apps comes before or after a clean with a plan, which locks its app. $1 app keys
SELECT FROM apps WHERE app_key = ANY ($1::text[]) ORDER BY app_key FOR KEY SHARE

-- name: list_apps
SELECT app_key, name, created_at FROM apps ORDER BY created_at, app_key

-- name: update_settings
-- $1 app key, $2 to $27 the settings in the order of AppSettings, of the Tencent key ($24) whether there is one; $28 another
-- Tencent key or null, $29 whether they move floors
UPDATE apps SET multi_device_sync = $2, compensation_days = $3, compensation_time_zone = $4,
    delete_compensated_on_clean = $5, missed_days = $6, undo_seconds = $7, clean_rate_limit = $8,
    max_content_bytes = $9, signature_max_age_seconds = $10, reject_replayed_nonces = $11,
    direct_group_storage = $12, open_storage = $13, device_days = $14, left_days = $15, recall_days = $16,
    journal_days = $17, token_days = $18, idempotency_hours = $19, retention_days = $20,
    sync_conversation_deletion = $21, tencent_sdk_app_id = $22, tencent_admin = $23,
    tencent_key = CASE WHEN $24::boolean THEN coalesce($28::bytea, tencent_key) END,
    media_max_bytes = $25, media_types = $26, media_unused_hours = $27,
    mark_due_after = CASE WHEN $29 THEN -1 ELSE mark_due_after END
WHERE app_key = $1

-- name: update_secret
-- The secret before stays good for a while. $1 app key, $2 sealed secret, $3 until when
UPDATE apps SET previous_secret = secret, previous_secret_until = $3, secret = $2 WHERE app_key = $1

-- name: list_time_zones
SELECT name FROM pg_timezone_names
