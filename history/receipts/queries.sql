-- name: list_uncounted
-- Requests that are applied and not counted for good, of the channels above one; of each the oldest first.
-- $1 above this channel, $2 most
-- index: clean_requests_uncounted
SELECT channel_id, id FROM clean_requests
WHERE state = 'applied' AND counted_at IS NULL AND channel_id > $1 ORDER BY channel_id, applied_at LIMIT $2

-- rule: recorded
-- The marks of those whom the request r of w concerns, as apply saw them.
SELECT k.user_id, k.history_from, k.sync_from, k.join_position, k.delivered_position, k.last_hide, r.missed_from,
    r.window_from, r.recall_stamp
FROM r CROSS JOIN clean_marks k WHERE k.channel_id = w.channel_id AND k.request_id = w.id

-- rule: anybody
-- One who reaches everything, as seen by r: no user's id is empty.
SELECT '' AS user_id, 0 AS join_position, 0 AS sync_from, 0 AS last_hide, r.missed_from, r.window_from, r.recall_stamp FROM r

-- rule: spread
-- How far back `marks` reach: for each rule their bounds in ascending order, so that how many of them reach a position is a
-- binary search. What has not expired is compensated to who has received it, from his sync cutoffs on: an interval, with a
-- first position and an end.
SELECT coalesce(array_agg(k.history_from ORDER BY k.history_from), '{}') AS history,
    coalesce(array_agg(k.missed_low ORDER BY k.missed_low), '{}') AS missed,
    coalesce(array_agg(k.sync_from ORDER BY k.sync_from), '{}') AS sync,
    coalesce(array_agg(k.sync_from ORDER BY k.sync_from) FILTER (WHERE k.sync_from <= k.delivered_position), '{}') AS firsts,
    coalesce(array_agg(k.delivered_position + 1 ORDER BY k.delivered_position)
        FILTER (WHERE k.sync_from <= k.delivered_position), '{}') AS ends,
    coalesce(bool_or(k.last_hide > 0), false) AS hides
FROM (SELECT *, greatest(delivered_position + 1, join_position) AS missed_low FROM marks OFFSET 0) k

-- rule: reach
-- How many of `marks` reach the row m, rule by rule.
SELECT width_bucket(m.position, (SELECT history FROM spread)) AS history,
    width_bucket(m.position, (SELECT missed FROM spread)) AS missed,
    CASE WHEN m.position < (SELECT missed_from FROM anybody) THEN width_bucket(m.position, (SELECT sync FROM spread))
        ELSE width_bucket(m.position, (SELECT firsts FROM spread)) - width_bucket(m.position, (SELECT ends FROM spread))
    END AS compensated

-- rule: named
-- Those of `marks` of whom a rule may say something else about the row m than of everybody: its sender, those to whom it is
-- addressed by name, and who hid it by its id.
SELECT * FROM marks WHERE user_id = ANY (m.recipients || m.sender || CASE
    WHEN m.recipients IS NULL AND (SELECT hides FROM spread) THEN ARRAY(
        SELECT h.user_id FROM hidden_messages h WHERE h.channel_id = m.channel_id AND h.position = m.position)
    END) OFFSET 0

-- rule: asked
-- What the rules say of those named, and how many of them `reach` counted.
SELECT coalesce(bool_or(m.position >= v.history_from AND {{messages.shown}}), false) AS hidden,
    coalesce(bool_or({{delivery.missed}}), false) AS missed,
    coalesce(bool_or({{delivery.compensated}}), false) AS compensated,
    count(*) FILTER (WHERE m.position >= v.history_from) AS history,
    count(*) FILTER (WHERE m.position >= greatest(v.delivered_position + 1, v.join_position)) AS missing,
    count(*) FILTER (WHERE m.position >= v.sync_from
        AND (m.position < v.missed_from OR m.position <= v.delivered_position)) AS compensating
FROM {{receipts.named}} v

-- rule: judged
-- Each of `rows`: whether somebody of `marks` could read it, misses it, would get it on a new device. The rules are asked of
-- those named. All others differ in how far they reach alone: the rules are asked once of `anybody`, who reaches everything,
-- and the others are counted. So a row costs the same in a group of any size.
SELECT m.position,
    asked.hidden OR (reach.history > asked.history
        AND (SELECT {{messages.shown}} FROM anybody v)) AS hidden,
    asked.missed OR (reach.missed > asked.missing
        AND (SELECT {{delivery.missed}} FROM (SELECT *, -1 AS delivered_position FROM anybody) v)) AS missed,
    asked.compensated OR (reach.compensated > asked.compensating AND (SELECT {{delivery.compensated}}
        FROM (SELECT *, 9223372036854775807 AS delivered_position FROM anybody) v)) AS compensated
FROM rows m CROSS JOIN LATERAL {{receipts.reach}} reach CROSS JOIN LATERAL {{receipts.asked}} asked

-- rule: counted
-- The numbers of a receipt over `rows`.
SELECT count(*) AS rows, max(position) AS last, count(*) FILTER (WHERE hidden) AS hidden,
    count(*) FILTER (WHERE hidden AND missed) AS kept_missed,
    count(*) FILTER (WHERE hidden AND compensated) AS kept_compensation
FROM {{receipts.judged}} judged

-- name: count_steps
-- Count the next $3 rows below the cutoff of each of these requests against what apply saw: hidden is what somebody whom it
-- concerns could read before; of those, what is missed by somebody, and what a new device of somebody would still get.
-- $1 channels, $2 requests, $3 most rows of each
-- index: messages
-- index: clean_marks_pkey
SELECT w.channel_id, w.id, step.* FROM unnest($1::bigint[], $2::uuid[]) AS w (channel_id, id) CROSS JOIN LATERAL (
    WITH r AS MATERIALIZED (
        SELECT cutoff, counted_to, missed_from, window_from, recall_stamp FROM clean_requests
        WHERE channel_id = w.channel_id AND id = w.id
    ), anybody AS MATERIALIZED {{receipts.anybody}}, marks AS NOT MATERIALIZED {{receipts.recorded}}, spread AS MATERIALIZED {{receipts.spread}}, rows AS (
        SELECT m.* FROM r CROSS JOIN spread CROSS JOIN LATERAL (
            SELECT m.* FROM messages m
            WHERE m.channel_id = w.channel_id AND m.position < r.cutoff AND m.position > r.counted_to
                AND m.position >= spread.history[1]
            ORDER BY m.position LIMIT $3
        ) m
    )
    SELECT r.counted_to AS before, counted.* FROM r CROSS JOIN {{receipts.counted}} counted
) step

-- name: update_counted
-- $1 channels, $2 requests, $3 counted to before, $4 counted to, $5 hidden, $6 kept missed, $7 kept compensation, $8 when it
-- was done, or null; sorted. The state is looked at in a way that no partial index offers itself: without statistics one
-- would seem the shortest.
-- index: clean_requests_pkey
UPDATE clean_requests r SET counted_to = u.counted_to, hidden = r.hidden + u.hidden,
    kept_missed = r.kept_missed + u.kept_missed, kept_compensation = r.kept_compensation + u.kept_compensation,
    counted_at = u.done_at
FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    AS u (channel_id, id, before, counted_to, hidden, kept_missed, kept_compensation, done_at)
WHERE r.channel_id = u.channel_id AND r.id = u.id AND r.counted_to = u.before
    AND CASE WHEN r.state = 'applied' THEN r.counted_at IS NULL ELSE false END

-- name: get_receipt
-- A request with what is left of it on disk. $1 app, $2 channel, $3 request
-- index: clean_requests_pkey
SELECT r.*, EXISTS (
    SELECT 1 FROM messages m WHERE m.channel_id = r.channel_id AND m.position < r.cutoff
) AS on_disk, EXISTS (
    SELECT 1 FROM clean_marks k JOIN channels ch ON ch.id = k.channel_id
    WHERE k.channel_id = r.channel_id AND k.request_id = r.id AND k.history_from < ch.reclaimed_to
) AS touched
FROM clean_requests r WHERE r.app_key = $1 AND r.channel_id = $2 AND r.id = $3

-- name: count_on_disk
-- Of what a request hid, how many messages are still on disk, among so many rows. $1 channel, $2 request, $3 most rows or null
-- index: messages
-- index: clean_marks_pkey
SELECT hidden, rows FROM (SELECT $1::bigint AS channel_id, $2::uuid AS id) w CROSS JOIN LATERAL (
    WITH r AS MATERIALIZED (
        SELECT cutoff, missed_from, window_from, recall_stamp FROM clean_requests
        WHERE channel_id = w.channel_id AND id = w.id
    ), anybody AS MATERIALIZED {{receipts.anybody}}, marks AS NOT MATERIALIZED {{receipts.recorded}}, spread AS MATERIALIZED {{receipts.spread}}, rows AS (
        SELECT m.* FROM r CROSS JOIN spread CROSS JOIN LATERAL (
            SELECT m.* FROM messages m
            WHERE m.channel_id = w.channel_id AND m.position < r.cutoff AND m.position >= spread.history[1]
            ORDER BY m.position LIMIT $3
        ) m
    )
    SELECT counted.hidden, counted.rows FROM {{receipts.counted}} counted
) counted

-- name: list_receipts
-- The newest first. $1 app, $2 user or null, $3 channel or null, $4 state or null, $5 first and $6 end of acceptance, $7 and
-- $8 accepted at and id to go on below, $9 most
-- index: clean_requests_by_time
SELECT r.*, EXISTS (
    SELECT 1 FROM messages m WHERE m.channel_id = r.channel_id AND m.position < r.cutoff
) AS on_disk, EXISTS (
    SELECT 1 FROM clean_marks k JOIN channels ch ON ch.id = k.channel_id
    WHERE k.channel_id = r.channel_id AND k.request_id = r.id AND k.history_from < ch.reclaimed_to
) AS touched
FROM clean_requests r
WHERE r.app_key = $1 AND ($2::text IS NULL OR r.user_id = $2) AND ($3::bigint IS NULL OR r.channel_id = $3)
    AND r.accepted_at >= $5 AND r.accepted_at < $6 AND (r.accepted_at, r.id) < ($7, $8::uuid)
    AND ($4::text IS NULL OR $4 = CASE WHEN r.state = 'settled' AND NOT EXISTS (
        SELECT 1 FROM messages m WHERE m.channel_id = r.channel_id AND m.position < r.cutoff
    ) THEN 'reclaimed' ELSE r.state END)
ORDER BY r.accepted_at DESC, r.id DESC LIMIT $9

-- name: preview
-- What a clean would do now, for up to $9 rows: the marks as apply would see them. $1 channel, $2 user (empty: everyone),
-- $3 cutoff at most, $4 flag or null, $5 missed from, $6 window from, $7 now, $8 (app's flag), $9 most rows
-- index: messages
-- index: conversations_pkey
WITH ch AS MATERIALIZED (
    SELECT ch.app_key, ch.type, ch.history_cutoff, ch.sync_cutoff, {{channels.held}} AS held,
        greatest({{channels.policy_from}}, CASE WHEN {{channels.expired}} THEN ch.last_position + 1 END) AS policy_from,
        least($3::bigint, ch.last_position + 1) AS cutoff
    FROM (SELECT $7::bigint AS now) t CROSS JOIN channels ch WHERE ch.id = $1
), r AS MATERIALIZED (
    SELECT $5::bigint AS missed_from, $6::bigint AS window_from, 9223372036854775807 AS recall_stamp
), anybody AS MATERIALIZED {{receipts.anybody}}, marks AS NOT MATERIALIZED (
    SELECT c.user_id, c.join_position, c.delivered_position, c.last_hide, r.missed_from, r.window_from, r.recall_stamp,
        greatest(c.join_position, c.history_cutoff, ch.history_cutoff, ch.policy_from, (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = '' AND e.state = 'accepted'), (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = c.user_id AND e.state = 'accepted')) AS history_from,
        greatest(c.join_position, c.sync_cutoff, ch.sync_cutoff, (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = '' AND e.state = 'accepted' AND e.delete_compensated), (
            SELECT max(e.cutoff) FROM clean_requests e
            WHERE e.app_key = ch.app_key AND e.channel_id = $1 AND e.user_id = c.user_id AND e.state = 'accepted' AND e.delete_compensated),
            CASE WHEN coalesce($4, $8::boolean) THEN ch.cutoff END) AS sync_from
    FROM r CROSS JOIN ch CROSS JOIN LATERAL (
        SELECT c.user_id, c.join_position, c.delivered_position, c.last_hide, c.history_cutoff, c.sync_cutoff
        FROM conversations c
        WHERE c.channel_id = $1 AND $2 IN ('', c.user_id) AND c.left_position IS NULL AND ch.type <> 4
        UNION ALL
        SELECT '', 0, 9223372036854775806, 0, 0, 9223372036854775807 WHERE ch.type = 4
    ) c
), spread AS MATERIALIZED {{receipts.spread}}, rows AS (
    SELECT m.* FROM ch CROSS JOIN spread CROSS JOIN LATERAL (
        SELECT m.* FROM messages m
        WHERE m.channel_id = $1 AND m.position < ch.cutoff AND m.position >= spread.history[1]
        ORDER BY m.position LIMIT $9
    ) m
)
SELECT ch.cutoff, ch.held, counted.* FROM ch CROSS JOIN {{receipts.counted}} counted

-- name: explain
-- One message and all that decides about it for one user: his marks, the journal, the policy, the holds. Without the message
-- the row tells whether it ever was there. $1 app, $2 channel, $3 position, $4 user, $5 device or null, $6 now
-- index: messages
SELECT ch.type, ch.last_position, ch.reclaimed_to, {{channels.policy_from}} AS policy_from, {{channels.held}} AS held,
    {{channels.ended}} AS ended, c.user_id IS NOT NULL AND c.left_position IS NULL AS participant, c.join_position,
    greatest(c.history_cutoff, ch.history_cutoff, j.history) AS history_cutoff,
    greatest(c.sync_cutoff, ch.sync_cutoff, j.sync) AS sync_cutoff,
    c.delivered_position, coalesce(d.position, 0) AS device_position,
    m.position IS NOT NULL AS on_disk, m.sender, m.flags, m.recipients, m.recall_stamp,
    EXISTS (SELECT 1 FROM hidden_messages h
        WHERE h.channel_id = ch.id AND h.user_id = $4 AND h.position = $3) AS hidden_by_id
FROM (SELECT $6::bigint AS now) t CROSS JOIN channels ch
LEFT JOIN conversations c ON c.channel_id = ch.id AND c.user_id = $4
LEFT JOIN device_marks d ON d.channel_id = ch.id AND d.user_id = $4 AND d.device_id = $5
LEFT JOIN messages m ON m.channel_id = ch.id AND m.position = $3
LEFT JOIN LATERAL (
    SELECT max(two.cutoff) AS history, max(two.cutoff) FILTER (WHERE two.delete_compensated) AS sync FROM (
        SELECT r.cutoff, r.delete_compensated FROM clean_requests r
        WHERE r.app_key = ch.app_key AND r.channel_id = ch.id AND r.user_id = '' AND r.state = 'accepted'
        UNION ALL
        SELECT r.cutoff, r.delete_compensated FROM clean_requests r
        WHERE r.app_key = ch.app_key AND r.channel_id = ch.id AND r.user_id = $4 AND r.state = 'accepted'
    ) two
) j ON true
WHERE ch.id = $2 AND ch.app_key = $1
