-- name: insert_hold
-- $1 id, $2 app, $3 kind, $4 channel type or null, $5 channel key or null, $6 user or null, $7 reason, $8 now
INSERT INTO holds (id, app_key, kind, channel_type, channel_key, user_id, reason, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: list_holds
-- $1 app
SELECT id, app_key, channel_type, channel_key, user_id, reason, created_at FROM holds WHERE app_key = $1
ORDER BY created_at, id

-- name: delete_hold
-- $1 app, $2 id
DELETE FROM holds WHERE app_key = $1 AND id = $2

-- name: upsert_policy
-- $1 app, $2 channel type, $3 channel or empty, $4 days
INSERT INTO policies (app_key, channel_type, channel_id, max_age_days) VALUES ($1, $2, $3, $4)
ON CONFLICT ON CONSTRAINT policies_pkey DO UPDATE SET max_age_days = excluded.max_age_days

-- name: delete_policy
-- $1 app, $2 channel type, $3 channel or empty
DELETE FROM policies WHERE app_key = $1 AND channel_type = $2 AND channel_id = $3

-- name: get_policy
-- The age that counts for a scope now: its own, else the type's, else the app's; null where there is none.
-- $1 app, $2 channel type or null, $3 channel or empty
SELECT coalesce(
    (SELECT max_age_days FROM policies
    WHERE app_key = $1 AND channel_type = $2::smallint AND channel_id IN ('', $3) ORDER BY channel_id DESC LIMIT 1),
    (SELECT nullif(retention_days, 0) FROM apps WHERE app_key = $1)
) AS max_age_days, (
    SELECT max_age_days FROM policies WHERE app_key = $1 AND channel_type = $2::smallint AND channel_id = $3
) AS own

-- name: update_retention_days
-- $1 app, $2 days, 0 for none
UPDATE apps SET retention_days = $2 WHERE app_key = $1

-- name: mark_app_due
-- The worker marks every channel of the app due. $1 app
UPDATE apps SET mark_due_after = -1 WHERE app_key = $1

-- name: count_older
-- Messages on disk, stored for history and not recalled, that a policy would take from view: in the channels of its scope
-- where no more specific one counts, up to $6. $1 app, $2 channel type or null, $3 channel or empty, $4 from (older ones are
-- out of view already), $5 up to, $6 most
-- index: messages
SELECT count(*) AS messages, count(DISTINCT found.channel_id) AS channels FROM (
    SELECT m.channel_id FROM channels ch CROSS JOIN LATERAL (
        SELECT m.channel_id FROM messages m
        WHERE m.channel_id = ch.id AND m.position >= greatest($4::bigint, ch.settled_history_cutoff)
            AND m.position < $5 AND m.flags & 1 <> 0 AND m.recall_stamp IS NULL
        LIMIT $6
    ) m
    WHERE ch.app_key = $1 AND ($2::smallint IS NULL OR ch.type = $2) AND ($3 = '' OR ch.key[1] = $3)
        AND NOT EXISTS (
            SELECT 1 FROM policies p WHERE p.app_key = ch.app_key AND p.channel_type = ch.type
                AND p.channel_id IN ('', ch.key[1]) AND ($2 IS NULL OR ($3 = '' AND p.channel_id <> ''))
        )
    LIMIT $6
) found
