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
                WHERE r.app_key = ch.app_key AND r.channel_id = ch.id AND r.state = 'accepted' AND r.delete_compensated
                    AND r.user_id = ''
            ), (
                SELECT max(r.cutoff) FROM clean_requests r
                WHERE r.app_key = ch.app_key AND r.channel_id = ch.id AND r.state = 'accepted' AND r.delete_compensated
                    AND r.user_id = t.user_id
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
ORDER BY f.channel_id, f.position

-- rule: flags
-- Those of the reference m; none of one that was recalled under a hold, released since: nobody keeps what it said.
CASE WHEN EXISTS (
    SELECT 1 FROM recalls c WHERE c.channel_id = m.channel_id AND c.position = m.position AND NOT c.emptied
) THEN 0 ELSE m.flags END

-- rule: hidden_by
-- Who had deleted the message of the reference m by its id.
coalesce(m.hidden_by, ARRAY(
    SELECT h.user_id FROM hidden_messages h WHERE h.channel_id = m.channel_id AND h.position = m.position
))

-- rule: kept_by
-- The user of v keeps the file of the reference m, whose message is gone: it was stored for his history, he had not deleted
-- it by its id, and his media cutoffs have not passed it. Empty, he is everyone in an open channel.
m.position >= v.media_from AND m.flags & 1 <> 0 AND (v.user_id = '' OR {{messages.addressed}})
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
        {{media.flags}} AS flags, {{media.hidden_by}} AS hidden_by
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

-- rule: waiting
-- The reference m needs its file as long as nothing is done: its message is on disk, or somebody keeps it.
m.gone_at IS NULL OR m.keeper IS NOT NULL

-- rule: named
-- Those of `marks` of whom a rule may say something else about the row m than of everybody: its sender, those to whom it is
-- addressed by name, and who hid it by its id.
SELECT * FROM marks WHERE user_id = ANY (m.recipients || m.sender || m.hidden_by) OFFSET 0

-- rule: kept
-- Somebody of `marks` keeps the file of the reference m. Those named are asked; all others differ in how far back they reach
-- alone, so they are counted in `spread`: a row costs the same in a group of any size.
SELECT coalesce(bool_or({{media.kept_by}}), false) OR (m.recipients IS NULL AND m.flags & 1 = 1
    AND width_bucket(m.position, (SELECT media FROM spread)) > count(*) FILTER (WHERE m.position >= v.media_from))
FROM {{media.named}} v

-- rule: read
-- The message m stands in the history of somebody of `marks`; those not named are one who reaches everything, counted.
SELECT coalesce(bool_or(m.position >= v.history_from AND {{messages.shown}}), false) OR (
    width_bucket(m.position, (SELECT history FROM spread)) > count(*) FILTER (WHERE m.position >= v.history_from)
    AND (SELECT {{messages.shown}} FROM (SELECT '' AS user_id, 0 AS last_hide, 9223372036854775807 AS recall_stamp) v))
FROM {{media.named}} v

-- name: list_given_up
-- Files that a clean with deleteMedia would give up, and that nobody of this channel would need then, whatever other channels
-- do: of the first $6 references of the user's own below the cutoff. Whoever else cleaned has given up too, his undo window
-- over or not; the user's own earlier cleans are none of this one's, where they settle before it. What is missed or
-- compensated goes in time; what stands in somebody's history stays, and every message above it. Nothing where a hold covers
-- the channel. $1 channel, $2 user (empty: everyone), $3 cutoff, $4 now, $5 when its undo window ends, $6 most references
-- index: media_refs_pkey
-- index: media_refs_by_media
-- index: conversations_pkey
-- index: messages
WITH ch AS MATERIALIZED (
    SELECT ch.app_key, ch.type, ch.history_cutoff, ch.media_cutoff, ch.settled_media_cutoff,
        greatest({{channels.policy_from}}, CASE WHEN {{channels.expired}} THEN ch.last_position + 1 END) AS policy_from
    FROM (SELECT $4::bigint AS now) t CROSS JOIN channels ch
    WHERE ch.id = $1 AND CASE WHEN {{channels.held}} THEN false ELSE true END
), marks AS NOT MATERIALIZED (
    SELECT c.user_id, c.last_hide, 9223372036854775807 AS recall_stamp,
        greatest(c.join_position, c.history_cutoff, ch.history_cutoff, ch.policy_from, (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = '' AND e.state = 'accepted'
        ), (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = c.user_id AND e.state = 'accepted'
        ), CASE WHEN $2::text IN ('', c.user_id) THEN $3::bigint END) AS history_from,
        greatest(c.join_position, c.media_cutoff, ch.media_cutoff, ch.policy_from, (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = '' AND e.state = 'accepted' AND e.delete_media
        ), (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = c.user_id AND e.state = 'accepted' AND e.delete_media
        ), CASE WHEN $2 IN ('', c.user_id) THEN $3 END) AS media_from
    FROM ch CROSS JOIN LATERAL (
        SELECT c.user_id, c.join_position, c.history_cutoff, c.media_cutoff, c.last_hide FROM conversations c
        WHERE c.channel_id = $1 AND c.left_position IS NULL AND ch.type <> 4
        UNION ALL
        SELECT '', 0, 0, 0, 0 WHERE ch.type = 4
    ) c
), spread AS MATERIALIZED (
    SELECT coalesce(array_agg(k.history_from ORDER BY k.history_from), '{}') AS history,
        coalesce(array_agg(k.media_from ORDER BY k.media_from), '{}') AS media FROM marks k
), giver AS MATERIALIZED (
    SELECT c.user_id, greatest(c.join_position, c.settled_media_cutoff, ch.settled_media_cutoff, ch.policy_from, (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.channel_id = $1 AND e.user_id = '' AND e.state IN ('accepted', 'applied') AND e.cutoff >= 0
                AND e.delete_media AND e.undo_until <= $5
        ), (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.channel_id = $1 AND e.user_id = c.user_id AND e.state IN ('accepted', 'applied') AND e.cutoff >= 0
                AND e.delete_media AND e.undo_until <= $5
        )) AS media_from
    FROM ch CROSS JOIN LATERAL (
        SELECT c.user_id, c.join_position, c.settled_media_cutoff FROM conversations c
        WHERE c.channel_id = $1 AND c.user_id = $2 AND c.left_position IS NULL AND ch.type <> 4
        UNION ALL
        SELECT '', 0, 0 WHERE $2 = ''
    ) c
), found AS MATERIALIZED (
    SELECT m.position, m.media_id, m.sender, m.recipients, {{media.flags}} AS flags, {{media.hidden_by}} AS hidden_by
    FROM giver CROSS JOIN LATERAL (
        SELECT m.* FROM media_refs m
        WHERE m.channel_id = $1 AND m.position >= giver.media_from AND m.position < $3 AND {{media.waiting}}
        ORDER BY m.position, m.media_id LIMIT $6
    ) m
), given AS MATERIALIZED (
    SELECT DISTINCT m.media_id FROM found m CROSS JOIN giver v WHERE {{media.kept_by}}
), refs AS MATERIALIZED (
    SELECT m.position, m.media_id, m.gone_at, m.sender, m.recipients, {{media.flags}} AS flags,
        {{media.hidden_by}} AS hidden_by
    FROM given JOIN media_refs m ON m.media_id = given.media_id AND m.channel_id = $1 AND {{media.waiting}}
), first_read AS MATERIALIZED (
    SELECT (
        SELECT m.position FROM messages o CROSS JOIN LATERAL (
            SELECT o.channel_id, o.position, o.sender, o.recipients, o.flags, o.recall_stamp, ARRAY(
                SELECT h.user_id FROM hidden_messages h WHERE h.channel_id = o.channel_id AND h.position = o.position
            ) AS hidden_by
        ) m
        WHERE o.channel_id = $1 AND o.position >= (SELECT history[1] FROM spread)
            AND o.position <= (SELECT max(position) FROM refs WHERE gone_at IS NULL) AND {{media.read}}
        ORDER BY o.position LIMIT 1
    ) AS position
)
SELECT (SELECT count(*) FROM found) AS refs, ARRAY(
    SELECT media_id FROM given
    EXCEPT
    SELECT m.media_id FROM refs m CROSS JOIN first_read
    WHERE (m.gone_at IS NULL AND m.position >= first_read.position) OR {{media.kept}}
) AS ids

-- name: count_free
-- Of these files those that no other channel needs and no hold covers: how many, and their bytes. $1 ids, $2 channel
-- index: media_pkey
-- index: media_refs_by_media
SELECT count(*) AS files, coalesce(sum(m.bytes), 0)::bigint AS bytes FROM media m
WHERE m.id = ANY ($1::uuid[]) AND m.state = 'ready'
    AND NOT EXISTS (
        SELECT 1 FROM media_refs f
        WHERE f.media_id = m.id AND f.channel_id <> $2 AND (f.gone_at IS NULL OR f.keeper IS NOT NULL)
    )
    AND CASE WHEN {{media.held}} OR {{media.channel_held}} THEN false ELSE true END

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

-- rule: channel_held
-- A hold covers a channel in which a message refers to the file m, or did.
EXISTS (SELECT 1 FROM media_refs f JOIN channels ch ON ch.id = f.channel_id WHERE f.media_id = m.id AND {{channels.held}})

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
    {{media.channel_held}} AS channel_held
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
-- that covers it. Who had deleted the message by its id, joined later or had left gave up nothing. What an admin removes
-- while somebody keeps it, is nobody's. $1 id, $2 bytes
-- index: media_refs_by_media
UPDATE clean_requests r SET reclaimed_files = r.reclaimed_files + 1, reclaimed_bytes = r.reclaimed_bytes + $2::bigint
FROM (SELECT DISTINCT f.channel_id FROM media_refs f WHERE f.media_id = $1) c
WHERE r.channel_id = c.channel_id AND r.state = 'settled' AND r.delete_media AND EXISTS (
    SELECT 1 FROM media_refs m
    WHERE m.media_id = $1 AND m.channel_id = r.channel_id AND m.gone_at IS NOT NULL AND m.keeper IS NULL
        AND m.flags & 1 <> 0 AND m.position < r.cutoff AND (r.user_id = '' OR EXISTS (
            SELECT 1 FROM conversations v
            WHERE v.channel_id = m.channel_id AND v.user_id = r.user_id AND m.position >= v.join_position
                AND coalesce(v.left_position >= r.cutoff, true) AND {{messages.addressed}}
                AND NOT v.user_id = ANY (m.hidden_by)
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
