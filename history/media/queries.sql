-- name: insert_media
-- Before its object: an upload that is cut short is found by its row. $1 id, $2 app, $3 uploader or null, $4 type, $5 now,
-- $6 when nobody is at it any more
INSERT INTO media (id, app_key, uploader, type, created_at, look_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: update_ready
-- Its object is whole. Nothing where it took so long that it was given up. $1 id, $2 bytes, $3 sha256, $4 when it goes
-- unless a message refers to it
-- index: media_pkey
UPDATE media SET state = 'ready', bytes = $2, sha256 = $3, look_at = $4 WHERE id = $1 AND state = 'uploading'

-- name: get_media
-- $1 app, $2 id
-- index: media_by_app
SELECT id, app_key, uploader, type, bytes, sha256, created_at FROM media
WHERE app_key = $1 AND id = $2 AND state = 'ready'

-- name: may_read
-- Whether the user may be given a message that refers to the file: by History, as missed, or as compensation on a device
-- that has nothing; or whether he uploaded it and no message has referred to it yet.
-- $1 app, $2 media, $3 user, $4 now, $5 missed from, $6 window from
-- index: media_refs_by_media
-- index: messages
SELECT EXISTS (
    SELECT 1 FROM (SELECT $3::text AS user_id, $4::bigint AS now) t CROSS JOIN media_refs f
    JOIN channels ch ON ch.id = f.channel_id AND ch.app_key = $1
    LEFT JOIN conversations c ON c.channel_id = ch.id AND c.user_id = t.user_id
    CROSS JOIN LATERAL (
        SELECT t.user_id, 9223372036854775807 AS recall_stamp, coalesce(c.last_hide, 0) AS last_hide,
            c.delivered_position, c.join_position, $5::bigint AS missed_from, $6::bigint AS window_from,
            {{messages.history_from}} AS first,
            greatest(c.join_position, c.sync_cutoff, ch.sync_cutoff, (
                SELECT max(r.cutoff) FROM clean_requests r
                WHERE r.channel_id = ch.id AND r.state = 'accepted' AND r.delete_compensated
                    AND r.user_id IN ('', t.user_id)
            )) AS sync_from
    ) v
    JOIN messages m ON m.channel_id = f.channel_id AND m.position = f.position
    WHERE f.media_id = $2 AND f.gone_at IS NULL AND {{messages.reads}} AND (
        (m.position >= v.first AND {{messages.shown}})
        OR (ch.type <> 4 AND ({{delivery.missed}} OR {{delivery.compensated}}))
    )
) OR EXISTS (
    SELECT 1 FROM media u WHERE u.id = $2 AND u.uploader = $3
        AND NOT EXISTS (SELECT 1 FROM media_refs f WHERE f.media_id = u.id)
)

-- name: list_media
-- The files of an app in the order of their ids. $1 app, $2 after, $3 most
-- index: media_by_app
SELECT id, app_key, uploader, type, bytes, sha256, created_at FROM media
WHERE app_key = $1 AND id > $2 AND state = 'ready' ORDER BY id LIMIT $3

-- name: list_kept
-- Those that somebody kept, and that no message on disk refers to. $1 app, $2 after, $3 most
-- index: media_refs_kept
SELECT m.id, m.app_key, m.uploader, m.type, m.bytes, m.sha256, m.created_at FROM (
    SELECT DISTINCT f.media_id FROM media_refs f
    WHERE f.app_key = $1 AND f.media_id > $2 AND f.keeper IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM media_refs o WHERE o.media_id = f.media_id AND o.gone_at IS NULL
    )
    ORDER BY f.media_id LIMIT $3
) k JOIN media m ON m.id = k.media_id WHERE m.state = 'ready' ORDER BY m.id

-- name: list_keepers
-- Who keeps these files where no message on disk needs them, $2 references of each. $1 ids, $2 most
-- index: media_refs_by_media
SELECT u.id AS media_id, f.keeper, f.position, ch.type, ch.key FROM unnest($1::uuid[]) AS u (id)
CROSS JOIN LATERAL (
    SELECT r.channel_id, r.position, r.keeper FROM media_refs r
    WHERE r.media_id = u.id AND r.keeper IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM media_refs o WHERE o.media_id = u.id AND o.gone_at IS NULL
    )
    ORDER BY r.channel_id, r.position LIMIT $2
) f JOIN channels ch ON ch.id = f.channel_id

-- rule: kept_by
-- The user of v keeps the file of the reference m, whose message is gone: it was stored for his history, he had not deleted
-- it by its id, and his media cutoffs have not passed it. Empty, he is everyone in an open channel.
m.position >= v.media_from AND m.flags & 1 = 1 AND (v.user_id = '' OR {{messages.addressed}})
    AND NOT v.user_id = ANY (m.hidden_by)

-- rule: keepers
-- Who may keep files of the channel ch, and from where on: above his settled media cutoffs, his joining, and what a policy
-- lets grow.
SELECT c.user_id, greatest(c.join_position, c.settled_media_cutoff, ch.settled_media_cutoff, ch.policy_from) AS media_from
FROM conversations c WHERE c.channel_id = $1 AND c.left_position IS NULL AND ch.type <> 4
UNION ALL
SELECT '', greatest(ch.settled_media_cutoff, ch.policy_from) WHERE ch.type = 4

-- name: list_gone
-- References of a channel whose messages are gone, or were seen to be gone and somebody kept the file; who keeps it now,
-- whoever kept it before asked first. Nothing where a hold covers the channel.
-- $1 channel, $2 now, $3 and $4 position and file to go on after, $5 most
-- index: media_refs_pkey
WITH ch AS MATERIALIZED (
    SELECT ch.type, ch.reclaimed_to, ch.settled_media_cutoff, {{channels.policy_from}} AS policy_from
    FROM (SELECT $2::bigint AS now) t CROSS JOIN channels ch WHERE ch.id = $1 AND NOT {{channels.held}}
), found AS MATERIALIZED (
    SELECT m.position, m.media_id, m.sender, m.recipients, m.gone_at, m.keeper,
        -- recalled under a hold that is released now: nobody keeps what it said
        CASE WHEN EXISTS (
            SELECT 1 FROM recalls r WHERE r.channel_id = $1 AND r.position = m.position AND NOT r.emptied
        ) THEN 0 ELSE m.flags END AS flags,
        coalesce(m.hidden_by, ARRAY(
            SELECT h.user_id FROM hidden_messages h WHERE h.channel_id = $1 AND h.position = m.position
        )) AS hidden_by
    FROM ch CROSS JOIN LATERAL (
        SELECT r.* FROM media_refs r
        WHERE r.channel_id = $1 AND r.position < ch.reclaimed_to AND (r.position, r.media_id) > ($3, $4::uuid)
            AND (r.gone_at IS NULL OR r.keeper IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM messages e WHERE e.channel_id = $1 AND e.position = r.position)
        ORDER BY r.position, r.media_id LIMIT $5
    ) m
), judged AS (
    SELECT m.position, m.media_id, m.hidden_by, m.gone_at, m.keeper AS before, coalesce(
        (SELECT v.user_id FROM {{media.keepers}} v WHERE v.user_id = m.keeper AND {{media.kept_by}}),
        (SELECT v.user_id FROM {{media.keepers}} v WHERE {{media.kept_by}} LIMIT 1)
    ) AS keeper
    FROM found m CROSS JOIN ch
)
SELECT position, media_id, hidden_by, keeper, gone_at IS NULL OR keeper IS DISTINCT FROM before AS changed
FROM judged ORDER BY position, media_id

-- name: update_gone
-- $1 channel, $2 positions, $3 files, $4 hidden by as JSON, $5 keepers or null, $6 now
-- index: media_refs_by_media
UPDATE media_refs f SET gone_at = coalesce(f.gone_at, $6), keeper = u.keeper,
    hidden_by = ARRAY(SELECT json_array_elements_text(u.hidden_by))
FROM unnest($2::bigint[], $3::uuid[], $4::json[], $5::text[]) AS u (position, media_id, hidden_by, keeper)
WHERE f.channel_id = $1 AND f.position = u.position AND f.media_id = u.media_id

-- name: mark_media_due
-- Files that a reference needs no more. $1 ids, sorted; $2 now
-- index: media_pkey
UPDATE media m SET look_at = least(m.look_at, $2::bigint)
FROM unnest($1::uuid[]) AS u (id) WHERE m.id = u.id AND m.state = 'ready'

-- rule: held
-- A hold on the app, or on who uploaded it, covers the file m whatever refers to it.
EXISTS (SELECT 1 FROM holds h WHERE h.app_key = m.app_key AND (h.kind = 'app' OR h.user_id = m.uploader))

-- rule: needed
-- A reference needs the file m: its message is on disk or covered by a hold, or somebody kept it.
EXISTS (SELECT 1 FROM media_refs f WHERE f.media_id = m.id AND (f.gone_at IS NULL OR f.keeper IS NOT NULL))

-- name: list_due
-- Files to look at; one that is held waits. $1 now, $2 most
-- index: media_due
SELECT m.id, m.app_key FROM media m
WHERE m.look_at <= $1 AND CASE WHEN {{media.held}} THEN false ELSE true END ORDER BY m.look_at LIMIT $2

-- name: lock_media
-- Sends that refer to it wait, or are committed and seen by the next statement. $1 app, $2 id
-- index: media_by_app
SELECT state, bytes, look_at FROM media WHERE app_key = $1 AND id = $2 FOR UPDATE

-- name: get_needs
-- Under its lock: whether something needs the file, and whether a hold covers it or a channel of a message that was there.
-- $1 id
-- index: media_refs_by_media
SELECT {{media.needed}} AS needed, {{media.held}} AS held,
    EXISTS (SELECT 1 FROM media_refs f WHERE f.media_id = m.id AND f.gone_at IS NULL) AS on_disk,
    EXISTS (
        SELECT 1 FROM media_refs f JOIN channels ch ON ch.id = f.channel_id WHERE f.media_id = m.id AND {{channels.held}}
    ) AS channel_held
FROM media m WHERE m.id = $1

-- name: update_look
-- Something needs it, and what takes that away looks again; or a hold covers it, and time looks again. $1 id, $2 when, or null
-- index: media_pkey
UPDATE media SET look_at = $2 WHERE id = $1

-- name: delete_unneeding_refs
-- References that need the file no more, where others do. $1 id
-- index: media_refs_by_media
DELETE FROM media_refs WHERE media_id = $1 AND gone_at IS NOT NULL AND keeper IS NULL

-- name: update_deleting
-- From here on no message can refer to it; its object may go. Whoever dies on the way is followed. $1 id, $2 look again at
-- index: media_pkey
UPDATE media SET state = 'deleting', look_at = $2 WHERE id = $1

-- name: count_reclaimed
-- The receipts of the cleans that gave the file up: for each reference and each of those whom it was for, the first one
-- that covers it. What an admin removes while somebody keeps it, is nobody's. $1 id, $2 bytes
-- index: media_refs_by_media
UPDATE clean_requests r SET reclaimed_files = r.reclaimed_files + 1, reclaimed_bytes = r.reclaimed_bytes + $2::bigint
FROM (SELECT DISTINCT f.channel_id FROM media_refs f WHERE f.media_id = $1) c
WHERE r.channel_id = c.channel_id AND r.state = 'settled' AND r.delete_media AND EXISTS (
    SELECT 1 FROM media_refs m
    WHERE m.media_id = $1 AND m.channel_id = r.channel_id AND m.gone_at IS NOT NULL AND m.keeper IS NULL
        AND m.flags & 1 = 1 AND m.position < r.cutoff AND (r.user_id = '' OR EXISTS (
            SELECT 1 FROM (SELECT r.user_id) v WHERE {{messages.addressed}}
        ))
        AND NOT EXISTS (
            SELECT 1 FROM clean_requests e
            WHERE e.channel_id = m.channel_id AND e.user_id IN ('', r.user_id) AND e.delete_media
                AND e.state = 'settled' AND e.cutoff > m.position AND e.accepted_at < r.accepted_at
        )
)

-- name: delete_refs
-- $1 id
-- index: media_refs_by_media
DELETE FROM media_refs WHERE media_id = $1

-- name: delete_media
-- Its object is gone. $1 id
-- index: media_pkey
DELETE FROM media WHERE id = $1 AND state = 'deleting'

-- name: list_shelf
-- The rows of one shelf of the object store. $1 first id, $2 last id, both of them in it
-- index: media_pkey
SELECT id, app_key, state, bytes FROM media WHERE id >= $1 AND id <= $2
