-- name: insert_app
-- $1 app key, $2 name, $3 sealed secret, $4 now
INSERT INTO apps (app_key, name, secret, created_at) VALUES ($1, $2, $3, $4)

-- name: insert_key
-- $1 hash, $2 kind, $3 app key or null, $4 name, $5 now
INSERT INTO keys (hash, kind, app_key, name, created_at) VALUES ($1, $2, $3, $4, $5)

-- name: get_key
-- $1 hash
SELECT kind, app_key FROM keys WHERE hash = $1

-- name: get_app
-- $1 app key
SELECT app_key, name, secret, created_at, multi_device_sync, compensation_days, compensation_time_zone,
    delete_compensated_on_clean, missed_days, undo_seconds, clean_rate_limit, max_content_bytes,
    signature_max_age_seconds, reject_replayed_nonces
FROM apps WHERE app_key = $1

-- name: lock_app
-- What may move a floor comes before or after every grant, never between its floor and its update.
-- $1 app key
SELECT multi_device_sync, compensation_days, compensation_time_zone, delete_compensated_on_clean, missed_days,
    undo_seconds, clean_rate_limit, max_content_bytes, signature_max_age_seconds, reject_replayed_nonces
FROM apps WHERE app_key = $1 FOR UPDATE

-- name: share_app
-- A grant holds the settings still that its floor was computed from.
-- $1 app key
SELECT multi_device_sync, compensation_days, compensation_time_zone, delete_compensated_on_clean, missed_days,
    undo_seconds, clean_rate_limit, max_content_bytes, signature_max_age_seconds, reject_replayed_nonces
FROM apps WHERE app_key = $1 FOR SHARE

-- name: list_apps
SELECT app_key, name, created_at FROM apps ORDER BY created_at, app_key

-- name: update_settings
-- $1 app key, $2 to $11 the settings, $12 whether they move floors
UPDATE apps SET multi_device_sync = $2, compensation_days = $3, compensation_time_zone = $4,
    delete_compensated_on_clean = $5, missed_days = $6, undo_seconds = $7, clean_rate_limit = $8,
    max_content_bytes = $9, signature_max_age_seconds = $10, reject_replayed_nonces = $11,
    mark_due_after = CASE WHEN $12 THEN -1 ELSE mark_due_after END
WHERE app_key = $1

-- name: update_secret
-- $1 app key, $2 sealed secret
UPDATE apps SET secret = $2 WHERE app_key = $1

-- name: list_time_zones
SELECT name FROM pg_timezone_names
