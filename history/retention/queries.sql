-- name: insert_clean_requests
-- Accept: the cutoff is min(sentAt, last position + 1), the last position read in this very statement, 0 where there is no
-- such channel; the flag is the request's word, else the app's setting. What commits later lies above the cutoff.
-- $1 channel ids, $2 ids, $3 app keys, $4 channel types, $5 channel keys as JSON, $6 users (empty: everyone), $7 operators or null,
-- $8 cutoffs at most, $9 flags or null, $10 reasons or null, $11 sources, $12 accepted at: a later request has a later
-- instant, $13 undo seconds or null, $14 jobs or null, $15 whether they give up the files
INSERT INTO clean_requests (channel_id, id, app_key, channel_type, channel_key, user_id, operator, cutoff,
    delete_compensated, delete_compensated_from, reason, source, accepted_at, undo_until, job_id, delete_media)
SELECT u.channel_id, u.id, u.app_key, u.channel_type, ARRAY(SELECT json_array_elements_text(u.channel_key)), u.user_id,
    u.operator, least(u.cutoff, coalesce(ch.last_position, 0) + 1),
    coalesce(u.flag, a.delete_compensated_on_clean), CASE WHEN u.flag IS NULL THEN 'app' ELSE 'request' END,
    u.reason, u.source, u.accepted_at, u.accepted_at + coalesce(u.undo_seconds, a.undo_seconds) * 1000000::bigint, u.job_id,
    u.delete_media
FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::smallint[], $5::json[], $6::text[], $7::text[], $8::bigint[],
    $9::boolean[], $10::text[], $11::text[], $12::bigint[], $13::integer[], $14::uuid[],
    $15::boolean[])
    AS u (channel_id, id, app_key, channel_type, channel_key, user_id, operator, cutoff, flag, reason, source, accepted_at,
        undo_seconds, job_id, delete_media)
JOIN apps a ON a.app_key = u.app_key
LEFT JOIN channels ch ON ch.id = u.channel_id
RETURNING channel_id, id, cutoff

-- name: lock_conversations
-- Apply and settle lock what they will change in a statement of its own; a no-op update locks several channels on Citus.
-- $1 channel ids, $2 users; sorted
-- index: conversations_pkey
UPDATE conversations c SET history_cutoff = c.history_cutoff
FROM unnest($1::bigint[], $2::text[]) AS u (channel_id, user_id)
WHERE c.channel_id = u.channel_id AND c.user_id = u.user_id

-- name: lock_channels
-- The same for what everyone's cleans change. $1 channel ids, sorted
-- index: channels_pkey
UPDATE channels ch SET history_cutoff = ch.history_cutoff FROM unnest($1::bigint[]) AS u (id) WHERE ch.id = u.id

-- name: lock_members
-- What a clean of everyone depends on, in one channel: marks of devices stand still. $1 channel
-- index: conversations_pkey
SELECT FROM conversations WHERE channel_id = $1 ORDER BY user_id FOR UPDATE

-- name: get_last_accepted
-- The latest of the requests of a channel that are in force and not settled: who comes after them has a later instant.
-- $1 channel
-- index: clean_requests_live
SELECT max(accepted_at) FROM clean_requests WHERE channel_id = $1 AND state IN ('accepted', 'applied') AND cutoff >= 0

-- name: list_unapplied
-- What the journal has for these pairs, read under their locks. OFFSET: pair by pair; by statistics of a time when none
-- waited Postgres would look through all that wait. $1 app keys, $2 channel ids, $3 users
-- index: clean_requests_unapplied_by_user
SELECT r.* FROM unnest($1::text[], $2::bigint[], $3::text[]) AS u (app_key, channel_id, user_id) CROSS JOIN LATERAL (
    SELECT r.app_key, r.channel_id, r.user_id, r.id, r.cutoff, r.delete_compensated, r.delete_media FROM clean_requests r
    WHERE r.app_key = u.app_key AND r.channel_id = u.channel_id AND r.user_id = u.user_id AND r.state = 'accepted'
    OFFSET 0
) r

-- name: list_highest_cutoffs
-- The highest cutoff that any request of these pairs ever had, -1 where there was none: a score above it is forged.
-- $1 app keys, $2 channel ids, $3 users
-- index: clean_requests_by_pair
SELECT u.app_key, u.channel_id, u.user_id, coalesce((
    SELECT max(r.cutoff) FROM clean_requests r
    WHERE r.channel_id = u.channel_id AND r.user_id = u.user_id AND r.app_key = u.app_key
), -1) AS cutoff
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS u (app_key, channel_id, user_id)

-- name: raise_conversation_cutoffs
-- $1 channel ids, $2 users, $3 history cutoffs, $4 sync cutoffs, $5 media cutoffs; sorted
-- index: conversations_pkey
UPDATE conversations c
SET history_cutoff = greatest(c.history_cutoff, u.history), sync_cutoff = greatest(c.sync_cutoff, u.sync),
    media_cutoff = greatest(c.media_cutoff, u.media)
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS u (channel_id, user_id, history, sync, media)
WHERE c.channel_id = u.channel_id AND c.user_id = u.user_id

-- name: raise_channel_cutoffs
-- $1 channel ids, $2 history cutoffs, $3 sync cutoffs, $4 media cutoffs; sorted
-- index: channels_pkey
UPDATE channels ch
SET history_cutoff = greatest(ch.history_cutoff, u.history), sync_cutoff = greatest(ch.sync_cutoff, u.sync),
    media_cutoff = greatest(ch.media_cutoff, u.media)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u (id, history, sync, media) WHERE ch.id = u.id

-- name: settle_conversation_cutoffs
-- $1 channel ids, $2 users, $3 history cutoffs, $4 sync cutoffs, $5 media cutoffs; sorted
-- index: conversations_pkey
UPDATE conversations c
SET settled_history_cutoff = greatest(c.settled_history_cutoff, u.history),
    settled_sync_cutoff = greatest(c.settled_sync_cutoff, u.sync),
    settled_media_cutoff = greatest(c.settled_media_cutoff, u.media)
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS u (channel_id, user_id, history, sync, media)
WHERE c.channel_id = u.channel_id AND c.user_id = u.user_id

-- name: settle_channel_cutoffs
-- $1 channel ids, $2 history cutoffs, $3 sync cutoffs, $4 media cutoffs; sorted
-- index: channels_pkey
UPDATE channels ch
SET settled_history_cutoff = greatest(ch.settled_history_cutoff, u.history),
    settled_sync_cutoff = greatest(ch.settled_sync_cutoff, u.sync),
    settled_media_cutoff = greatest(ch.settled_media_cutoff, u.media)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u (id, history, sync, media) WHERE ch.id = u.id

-- name: count_members
-- $1 channel ids
-- index: channels_pkey
SELECT id, member_count FROM channels WHERE id = ANY ($1::bigint[])

-- rule: earlier
-- How far the requests of v.user_id reach that are in force, not settled, and were accepted no later than r.
SELECT max(e.cutoff) FILTER (WHERE e.accepted_at < r.accepted_at) AS history,
    max(e.cutoff) FILTER (WHERE e.delete_compensated) AS sync
FROM clean_requests e
WHERE e.channel_id = r.channel_id AND e.user_id = v.user_id AND e.state IN ('accepted', 'applied') AND e.cutoff >= 0
    AND e.accepted_at <= r.accepted_at

-- name: insert_clean_marks
-- What those whom the requests concern could read before them, and the marks that decide what they keep: settled marks, and
-- the live requests that were accepted before. In an open channel that is anyone: no user.
-- $1 channel ids, $2 ids, $3 now
-- index: clean_requests_pkey
-- index: conversations_pkey
WITH r AS MATERIALIZED (
    -- with everyone's once, not for each member
    SELECT r.channel_id, r.id, r.user_id, r.accepted_at, ch.type,
        greatest(ch.settled_sync_cutoff, earlier.sync) AS sync_from,
        greatest(ch.settled_history_cutoff, earlier.history, {{channels.policy_from}},
            CASE WHEN {{channels.expired}} THEN ch.last_position + 1 END) AS history_from
    FROM (SELECT $3::bigint AS now) t
    CROSS JOIN unnest($1::bigint[], $2::uuid[]) AS u (channel_id, id)
    JOIN clean_requests r ON r.channel_id = u.channel_id AND r.id = u.id
    JOIN channels ch ON ch.id = u.channel_id
    CROSS JOIN (SELECT '' AS user_id) v CROSS JOIN LATERAL {{retention.earlier}} earlier
)
INSERT INTO clean_marks (channel_id, request_id, user_id, history_from, sync_from, join_position, delivered_position,
    last_hide)
SELECT r.channel_id, r.id, v.user_id,
    greatest(v.join_position, v.settled_history_cutoff, r.history_from, earlier.history),
    greatest(v.join_position, v.settled_sync_cutoff, r.sync_from, earlier.sync),
    v.join_position, v.delivered_position, v.last_hide
FROM r
CROSS JOIN LATERAL (
    -- one by his key, everyone by the channel's: a group may have 100,000 members
    SELECT c.user_id, c.join_position, c.settled_history_cutoff, c.settled_sync_cutoff, c.delivered_position, c.last_hide
    FROM conversations c
    WHERE c.channel_id = r.channel_id AND c.user_id = r.user_id AND c.left_position IS NULL AND r.type <> 4
    UNION ALL
    SELECT c.user_id, c.join_position, c.settled_history_cutoff, c.settled_sync_cutoff, c.delivered_position, c.last_hide
    FROM conversations c
    WHERE c.channel_id = r.channel_id AND r.user_id = '' AND c.left_position IS NULL AND r.type <> 4
    UNION ALL
    SELECT '', 0, 0, 9223372036854775807, 9223372036854775806, 0 WHERE r.type = 4
) v
CROSS JOIN LATERAL {{retention.earlier}} earlier

-- name: update_applied
-- Applied, with what apply saw; a request for a channel that does not exist has nothing to count. The state is looked at in
-- a way that no partial index offers itself: without statistics one would seem the shortest.
-- $1 channel ids, $2 ids, $3 now, $4 missed from, $5 window from
-- index: clean_requests_pkey
UPDATE clean_requests r SET state = 'applied', applied_at = $3, missed_from = u.missed_from, window_from = u.window_from,
    recall_stamp = coalesce(ch.last_recall, 0), held = coalesce({{channels.held}}, false),
    counted_to = CASE WHEN ch.id IS NOT NULL THEN -1 END, counted_at = CASE WHEN ch.id IS NULL THEN $3::bigint END
FROM unnest($1::bigint[], $2::uuid[], $4::bigint[], $5::bigint[]) AS u (channel_id, id, missed_from, window_from)
LEFT JOIN channels ch ON ch.id = u.channel_id
WHERE r.channel_id = u.channel_id AND r.id = u.id AND CASE WHEN r.state = 'accepted' THEN true ELSE false END

-- name: get_cancelling
-- $1 app, $2 channel, $3 id
-- index: clean_requests_pkey
SELECT app_key, channel_id, user_id, state, undo_until FROM clean_requests
WHERE app_key = $1 AND channel_id = $2 AND id = $3

-- name: update_cancelled
-- $1 channel, $2 id, $3 now, $4 by whom or null, $5 why or null
-- index: clean_requests_pkey
UPDATE clean_requests SET state = 'cancelled', cancelled_at = $3, cancelled_by = $4, cancel_reason = $5
WHERE channel_id = $1 AND id = $2 AND state IN ('accepted', 'applied')

-- name: lower_conversation_cutoffs
-- After a cancel: the settled marks and the live requests that are not settled, kind by kind. $1 channel, $2 user
-- index: conversations_pkey
UPDATE conversations c SET
    history_cutoff = greatest(c.settled_history_cutoff, (SELECT max(r.cutoff) FROM clean_requests r
        WHERE r.channel_id = $1 AND r.user_id = $2 AND r.state IN ('accepted', 'applied') AND r.cutoff >= 0)),
    sync_cutoff = greatest(c.settled_sync_cutoff, (SELECT max(r.cutoff) FROM clean_requests r
        WHERE r.channel_id = $1 AND r.user_id = $2 AND r.state IN ('accepted', 'applied') AND r.cutoff >= 0 AND r.delete_compensated)),
    media_cutoff = greatest(c.settled_media_cutoff, (SELECT max(r.cutoff) FROM clean_requests r
        WHERE r.channel_id = $1 AND r.user_id = $2 AND r.state IN ('accepted', 'applied') AND r.cutoff >= 0 AND r.delete_media))
WHERE c.channel_id = $1 AND c.user_id = $2

-- name: lower_channel_cutoffs
-- The same for everyone's. $1 channel
-- index: channels_pkey
UPDATE channels ch SET
    history_cutoff = greatest(ch.settled_history_cutoff, (SELECT max(r.cutoff) FROM clean_requests r
        WHERE r.channel_id = $1 AND r.user_id = '' AND r.state IN ('accepted', 'applied') AND r.cutoff >= 0)),
    sync_cutoff = greatest(ch.settled_sync_cutoff, (SELECT max(r.cutoff) FROM clean_requests r
        WHERE r.channel_id = $1 AND r.user_id = '' AND r.state IN ('accepted', 'applied') AND r.cutoff >= 0 AND r.delete_compensated)),
    media_cutoff = greatest(ch.settled_media_cutoff, (SELECT max(r.cutoff) FROM clean_requests r
        WHERE r.channel_id = $1 AND r.user_id = '' AND r.state IN ('accepted', 'applied') AND r.cutoff >= 0 AND r.delete_media))
WHERE ch.id = $1

-- name: update_settled
-- $1 channel ids, $2 ids, $3 now
-- index: clean_requests_pkey
UPDATE clean_requests r SET state = 'settled', settled_at = $3
FROM unnest($1::bigint[], $2::uuid[]) AS u (channel_id, id)
WHERE r.channel_id = u.channel_id AND r.id = u.id AND CASE WHEN r.state = 'applied' THEN true ELSE false END

-- name: list_forgotten_pairs
-- Pairs with unapplied requests that are older than Redis usually takes. $1 accepted before, $2 most
-- index: clean_requests_unapplied_by_user
SELECT DISTINCT app_key, channel_id, user_id FROM clean_requests
WHERE state = 'accepted' AND accepted_at <= $1 LIMIT $2

-- rule: has_earlier
-- A request of the same channel that was accepted before r waits to be applied. CASE: asked for each, never by a join that
-- looks through all that wait.
CASE WHEN EXISTS (
    SELECT 1 FROM clean_requests e
    WHERE e.channel_id = r.channel_id AND e.applied_at IS NULL AND e.cancelled_at IS NULL AND e.accepted_at < r.accepted_at
) THEN true ELSE false END

-- name: list_settleable_pairs
-- Pairs with applied requests whose undo window is over, that are counted, and before which none waits to be applied, so
-- that what a receipt saw is what was there. $1 now, $2 most
-- index: clean_requests_unsettled
SELECT DISTINCT app_key, channel_id, user_id FROM (
    SELECT app_key, channel_id, user_id FROM clean_requests r
    WHERE state = 'applied' AND undo_until <= $1 AND counted_at IS NOT NULL AND NOT {{retention.has_earlier}}
    ORDER BY undo_until LIMIT $2
) oldest

-- name: list_settleable
-- What of these pairs may be settled, read under their locks; OFFSET as above. $1 app keys, $2 channel ids, $3 users, $4 now
SELECT r.* FROM unnest($1::text[], $2::bigint[], $3::text[]) AS u (app_key, channel_id, user_id) CROSS JOIN LATERAL (
    SELECT r.app_key, r.channel_id, r.user_id, r.id, r.cutoff, r.delete_compensated, r.delete_media FROM clean_requests r
    WHERE r.app_key = u.app_key AND r.channel_id = u.channel_id AND r.user_id = u.user_id
        AND r.state = 'applied' AND r.undo_until <= $4 AND r.counted_at IS NOT NULL AND NOT {{retention.has_earlier}}
    OFFSET 0
) r

-- name: mark_due
-- A floor may have risen. $1 channel ids, sorted; $2 now
-- index: channels_pkey
UPDATE channels ch SET next_reclaim_at = least(ch.next_reclaim_at, $2::bigint)
FROM unnest($1::bigint[]) AS u (id) WHERE ch.id = u.id

-- name: list_apps_to_mark
-- Apps with a setting that moved floors. $1 most
SELECT app_key, mark_due_after FROM apps WHERE mark_due_after IS NOT NULL ORDER BY app_key LIMIT $1

-- name: list_channels_after
-- $1 app key, $2 after id, $3 most
-- index: channels_by_app
SELECT id FROM channels WHERE app_key = $1 AND id > $2 ORDER BY id LIMIT $3

-- name: update_mark_due_after
-- Go on after another channel, or be done; not where the setting moved again meanwhile.
-- $1 app key, $2 as it was, $3 as it becomes
UPDATE apps SET mark_due_after = $3 WHERE app_key = $1 AND mark_due_after = $2

-- name: list_due_channels
-- $1 now, $2 most
-- index: channels_due
SELECT id FROM channels WHERE next_reclaim_at <= $1 AND (reclaim_lease IS NULL OR reclaim_lease <= $1)
ORDER BY next_reclaim_at LIMIT $2

-- name: claim_channels
-- The lease is theirs alone who asked, until it ends: then a dead worker's channel is due again. No two claims of a channel
-- have the same end, so that it names its owner. + 0: never by the index of what is due, whose order of locks is another.
-- $1 channel ids, sorted; $2 now; $3 end of the lease
-- index: channels_pkey
UPDATE channels ch
SET reclaim_lease = $3, due_since = coalesce(ch.due_since, ch.next_reclaim_at), next_reclaim_at = $3::bigint
FROM unnest($1::bigint[]) AS u (id)
WHERE ch.id = u.id AND ch.next_reclaim_at + 0 <= $2 AND (ch.reclaim_lease IS NULL OR ch.reclaim_lease <= $2)
RETURNING ch.id, ch.app_key

-- name: return_channels
-- Claimed and not visited: as before. $1 channel ids, sorted; $2 end of the lease
-- index: channels_pkey
UPDATE channels ch SET reclaim_lease = NULL, next_reclaim_at = least(ch.next_reclaim_at, ch.due_since)
FROM unnest($1::bigint[]) AS u (id)
-- CASE: the plan is to begin with the ids, whatever is known of leases
WHERE ch.id = u.id AND CASE WHEN ch.reclaim_lease = $2 THEN true ELSE false END

-- name: has_lease
-- $1 channel, $2 end of the lease
-- index: channels_pkey
SELECT EXISTS (SELECT 1 FROM channels WHERE id = $1 AND reclaim_lease = $2)

-- rule: participants
-- Who takes part in the channel ch, with the marks that the floor looks at: settled cutoffs, and a device that has nothing.
SELECT c.user_id, c.delivered_position, c.join_position, b.missed_from, b.window_from,
    greatest(c.join_position, ch.policy_from, c.settled_history_cutoff, ch.settled_history_cutoff) AS history_from,
    greatest(c.join_position, c.delivered_position + 1, b.missed_from) AS missed_low,
    greatest(c.join_position, c.settled_sync_cutoff, ch.settled_sync_cutoff) AS sync_from,
    c.last_hide, 9223372036854775807 AS recall_stamp
FROM conversations c WHERE c.channel_id = $1 AND c.left_position IS NULL

-- rule: addressees
-- Those participants to whom the row m is addressed by name, and its sender.
SELECT * FROM {{retention.participants}} p WHERE p.user_id = ANY (m.recipients || m.sender)

-- rule: hidden_by_some
-- Somebody deleted the row m by its id: that he does not need it says nothing of the others.
EXISTS (SELECT 1 FROM hidden_messages h WHERE h.channel_id = m.channel_id AND h.position = m.position)

-- name: get_batch
-- Where the next $2 rows above the grant begin and end. What commits after this statement lies at or above the end.
-- $1 channel, $2 most rows
-- index: messages
-- index: channels_pkey
SELECT ch.reclaimed_to, coalesce(
    (SELECT m.position FROM messages m WHERE m.channel_id = $1 AND m.position >= ch.reclaimed_to
        ORDER BY m.position OFFSET $2 LIMIT 1),
    ch.last_position + 1
) AS ends
FROM channels ch WHERE ch.id = $1

-- name: get_floor
-- The Floor rule, below the end of a batch: the lowest position that somebody may still be given in history,
-- as missed, or as compensation on a device that has nothing. Settled cutoffs only; no row is locked, and the channel's end
-- is of the same snapshot. The cost does not grow with the members for each row: of what is for everybody, the two who
-- reach back furthest need a row if anyone does, since only its sender can be excepted; what is for some is asked of those.
-- A row that somebody hid by id is asked of everybody. A hold on anything here keeps everything, and so does a receipt that
-- is still to be counted.
-- $1 channel, $2 where the batch begins, $3 where it ends, $4 missed from, $5 window from, $6 now
-- index: messages
-- index: conversations_pkey
WITH ch AS MATERIALIZED (
    SELECT ch.type, ch.last_position, ch.settled_history_cutoff, ch.settled_sync_cutoff,
        CASE WHEN ch.dismissed_at IS NULL THEN {{channels.expiry}} END AS expires_at,
        {{channels.max_age}} AS max_age, {{channels.policy_from}} AS policy_from, {{channels.held}} AS held
    FROM (SELECT $6::bigint AS now) t CROSS JOIN channels ch WHERE ch.id = $1
), b AS MATERIALIZED (
    SELECT $4::bigint AS missed_from, $5::bigint AS window_from
), everybody AS MATERIALIZED (
    SELECT p.* FROM ch CROSS JOIN b CROSS JOIN LATERAL {{retention.participants}} p
    UNION ALL
    -- an open channel owes its history to anyone, and nothing else to anybody
    SELECT '', 9223372036854775806, 0, b.missed_from, b.window_from, greatest(ch.settled_history_cutoff, ch.policy_from),
        9223372036854775807, 9223372036854775807, 0, 9223372036854775807
    FROM ch CROSS JOIN b WHERE ch.type = 4
), history_low AS MATERIALIZED (
    SELECT * FROM everybody ORDER BY history_from LIMIT 2
), missed_low AS MATERIALIZED (
    SELECT * FROM everybody ORDER BY missed_low LIMIT 2
), sync_low AS MATERIALIZED (
    SELECT * FROM everybody ORDER BY sync_from LIMIT 2
)
SELECT ch.last_position + 1 AS tip, ch.expires_at, ch.max_age, ch.held, EXISTS (
        SELECT 1 FROM clean_requests r WHERE r.channel_id = $1 AND r.state = 'applied' AND r.counted_at IS NULL
    ) AS uncounted,
    (SELECT m.position FROM messages m
        WHERE m.channel_id = $1 AND m.position >= $2 AND m.position < $3
            AND m.position >= (SELECT min(history_from) FROM history_low) AND CASE WHEN m.recipients IS NOT NULL
            THEN EXISTS (SELECT 1 FROM {{retention.addressees}} v WHERE m.position >= v.history_from AND {{messages.shown}})
            WHEN {{retention.hidden_by_some}}
            THEN EXISTS (SELECT 1 FROM everybody v WHERE m.position >= v.history_from AND {{messages.shown}})
            ELSE EXISTS (SELECT 1 FROM history_low v WHERE m.position >= v.history_from AND {{messages.shown}})
            END
        ORDER BY m.position LIMIT 1) AS history,
    (SELECT m.position FROM messages m
        WHERE m.channel_id = $1 AND m.position >= $2 AND m.position < $3
            AND m.position >= (SELECT min(missed_low) FROM missed_low) AND CASE WHEN m.recipients IS NULL
            THEN EXISTS (SELECT 1 FROM missed_low v WHERE {{delivery.missed}})
            ELSE EXISTS (SELECT 1 FROM {{retention.addressees}} v WHERE {{delivery.missed}})
            END
        ORDER BY m.position LIMIT 1) AS missed,
    (SELECT m.position FROM messages m
        WHERE m.channel_id = $1 AND m.position >= $2 AND m.position < $3
            AND m.position >= greatest(b.window_from, (SELECT min(sync_from) FROM sync_low)) AND CASE WHEN m.recipients IS NOT NULL
            THEN EXISTS (SELECT 1 FROM {{retention.addressees}} v WHERE {{delivery.compensated}})
            WHEN {{retention.hidden_by_some}} THEN EXISTS (SELECT 1 FROM everybody v WHERE {{delivery.compensated}})
            -- who misses a row keeps it by the rule Missed
            ELSE EXISTS (SELECT 1 FROM sync_low v WHERE {{delivery.compensated}})
            END
        ORDER BY m.position LIMIT 1) AS compensated
FROM b CROSS JOIN ch

-- name: grant
-- The floor as a value: it was computed in a statement before this one, whose snapshot no later append is in. It never
-- falls. Nothing where the lease is another's. $1 channel, $2 floor, $3 end of the lease
-- index: channels_pkey
UPDATE channels SET reclaimed_to = greatest(reclaimed_to, $2::bigint) WHERE id = $1 AND reclaim_lease = $3

-- name: delete_reclaimed
-- The only DELETE on messages. It takes what lies below the grant, whatever the caller thinks the grant is, and nothing
-- where the lease is another's. $1 channel, $2 below, $3 from (what went before is passed by no more), $4 end of the lease
-- index: messages
DELETE FROM messages m WHERE m.channel_id = $1 AND m.position >= $3 AND m.position < $2
    AND m.position < (SELECT ch.reclaimed_to FROM channels ch WHERE ch.id = $1 AND ch.reclaim_lease = $4)

-- name: delete_hidden
-- What one user hid needs no row any more once the message is gone. $1 channel
-- index: hidden_messages_by_position
DELETE FROM hidden_messages h WHERE h.channel_id = $1
    AND h.position < (SELECT ch.reclaimed_to FROM channels ch WHERE ch.id = $1)
    AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.channel_id = h.channel_id AND m.position = h.position)

-- name: empty_recalled
-- A recalled message keeps its content while a hold covers it; now none does. $1 channel
-- index: recalls_kept
UPDATE messages m SET content = '', metadata = NULL
FROM recalls r JOIN channels ch ON ch.id = r.channel_id
WHERE r.channel_id = $1 AND NOT r.emptied AND m.channel_id = r.channel_id AND m.position = r.position
    AND NOT {{channels.held}}
RETURNING m.position

-- name: update_emptied
-- $1 channel
-- index: recalls_kept
UPDATE recalls r SET emptied = true FROM channels ch
WHERE r.channel_id = $1 AND NOT r.emptied AND ch.id = r.channel_id AND NOT {{channels.held}}

-- name: delete_senders
-- Who wrote in a channel, once all that he wrote is gone: he wrote nothing later than a day after the position. $1 channel,
-- $2 most
-- index: senders_by_position
DELETE FROM senders s USING (
    SELECT s.channel_id, s.user_id FROM senders s
    WHERE s.channel_id = $1
        AND s.position < (SELECT ch.reclaimed_to - 86400000000 FROM channels ch WHERE ch.id = $1)
    ORDER BY s.position LIMIT $2
) old
WHERE s.channel_id = old.channel_id AND s.user_id = old.user_id
    AND s.position < (SELECT ch.reclaimed_to - 86400000000 FROM channels ch WHERE ch.id = $1)

-- name: list_forgettable
-- Requests of a channel whose marks no receipt needs any more: those cancelled, and those settled of which nothing is left,
-- as all below the grant is deleted. $1 channel, $2 most
-- index: clean_requests_marked
SELECT r.channel_id, r.id FROM clean_requests r
WHERE r.channel_id = $1 AND r.counted_to IS NOT NULL AND r.state IN ('settled', 'cancelled')
    AND CASE WHEN r.state = 'cancelled' THEN 0 ELSE r.cutoff END
        <= (SELECT ch.reclaimed_to FROM channels ch WHERE ch.id = $1)
LIMIT $2

-- name: list_outdated
-- Requests that ended longer ago than the app's journalDays and have marks. $1 now, $2 most
-- index: clean_requests_ended
SELECT r.channel_id, r.id FROM clean_requests r JOIN apps a ON a.app_key = r.app_key
WHERE r.state IN ('settled', 'cancelled') AND r.counted_to IS NOT NULL
    AND coalesce(r.settled_at, r.cancelled_at) <= $1::bigint - a.journal_days * 86400000000
ORDER BY coalesce(r.settled_at, r.cancelled_at) LIMIT $2

-- name: delete_marks
-- $1 channel ids, $2 requests, $3 most
-- index: clean_marks_pkey
DELETE FROM clean_marks k USING (
    SELECT k.channel_id, k.request_id, k.user_id FROM unnest($1::bigint[], $2::uuid[]) AS u (channel_id, id)
    JOIN clean_marks k ON k.channel_id = u.channel_id AND k.request_id = u.id LIMIT $3
) old
WHERE k.channel_id = old.channel_id AND k.request_id = old.request_id AND k.user_id = old.user_id

-- name: update_forgotten
-- Those of these requests that have no marks left. $1 channel ids, $2 requests
-- index: clean_requests_pkey
UPDATE clean_requests r SET counted_to = NULL FROM unnest($1::bigint[], $2::uuid[]) AS u (channel_id, id)
WHERE r.channel_id = u.channel_id AND r.id = u.id AND NOT EXISTS (
    SELECT 1 FROM clean_marks k WHERE k.channel_id = r.channel_id AND k.request_id = r.id)

-- name: release_channel
-- The visit is over: look again when time alone may raise the floor, unless something marked the channel due meanwhile.
-- What was sent during the visit was not looked at: it is within $5.
-- $1 channel, $2 end of the lease, $3 next look or null, $4 where the channel ended for the floor, $5 a look for the rest,
-- $6 whether it came to its end
-- index: channels_pkey
UPDATE channels SET reclaim_lease = NULL, due_since = CASE WHEN NOT $6 THEN due_since END,
    next_reclaim_at = CASE WHEN next_reclaim_at <> $2 THEN next_reclaim_at
        WHEN last_position >= $4 THEN least($3, $5::bigint) ELSE $3 END
WHERE id = $1 AND reclaim_lease = $2

-- name: lock_month
-- Whether nobody writes into a month that is over, and nobody else drops one, before this transaction ends. It waits for
-- nobody. 0 stands for whoever drops: of two that have both asked, each would wait for what the other read. $1 number
SELECT pg_try_advisory_xact_lock({{messages.month_locks}}, 0)
    AND pg_try_advisory_xact_lock({{messages.month_locks}}, $1)

-- name: is_month_awaited
-- Whether somebody waits for that lock, to write into the month. $1 number
SELECT EXISTS (
    SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND d.datname = current_database() AND NOT l.granted
        AND l.classid = {{messages.month_locks}}::oid AND l.objid = $1::int::oid AND l.objsubid = 2
)

-- name: get_page_end
-- $1 channel, $2 most
-- index: channels_pkey
SELECT id FROM channels WHERE id >= $1 ORDER BY id OFFSET $2 LIMIT 1

-- name: get_needing
-- The first of some channels that has a message of a month at or above its grant. Most are passed by without a look at
-- messages: they ended before it, or are granted beyond it. $1 where the month begins, $2 where it ends, $3 first channel,
-- $4 below this one
-- index: channels_pkey
-- index: messages
SELECT ch.id FROM channels ch
WHERE ch.id >= $3 AND ch.id < $4 AND ch.last_position >= $1 AND ch.reclaimed_to < $2 AND CASE WHEN EXISTS (
    SELECT 1 FROM messages m
    WHERE m.channel_id = ch.id AND m.position >= $1 AND m.position < $2 AND m.position >= ch.reclaimed_to
) THEN true ELSE false END
ORDER BY ch.id LIMIT 1
