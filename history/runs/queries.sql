-- name: get_backlog
-- The channels of an app that are due, up to $3 of them, and since when the first one is: one that a visit left before its end
-- has been due since it was claimed first. On a distributed database this asks every shard. $1 app, $2 now, $3 most
-- index: channels_due_by_app
SELECT count(*) AS due, min(since) AS since FROM (
    SELECT least(next_reclaim_at, due_since) AS since FROM channels WHERE app_key = $1 AND next_reclaim_at <= $2 ORDER BY next_reclaim_at LIMIT $3
) oldest

-- name: upsert_runs
-- Begin the runs of a minute, or add to them: two workers have one row between them. Sorted by app, as add_appended.
-- $1 start, $2 apps, sorted; $3 due, $4 age of the backlog, $5 done, $6 unfinished, $7 deleted, $8 bytes of messages or null
INSERT INTO retention_runs AS r
    (app_key, started_at, due, remaining, backlog_age, done, unfinished, deleted, bytes_before, bytes_after)
SELECT u.app_key, $1, u.due, u.due, u.age, u.done, u.unfinished, u.deleted, $8, $8
FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::integer[], $6::integer[], $7::bigint[])
    AS u (app_key, due, age, done, unfinished, deleted)
ON CONFLICT ON CONSTRAINT retention_runs_pkey DO UPDATE SET remaining = excluded.remaining,
    backlog_age = excluded.backlog_age, done = r.done + excluded.done, unfinished = r.unfinished + excluded.unfinished,
    deleted = r.deleted + excluded.deleted

-- name: get_bytes
-- What messages take on disk: all months with their indexes and TOAST.
SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree('messages')

-- name: add_dropped
-- A month has messages of all apps, so every app's run tells of it. $1 start, $2 partitions, $3 bytes of messages after it
-- index: retention_runs_pkey
UPDATE retention_runs r SET dropped_months = r.dropped_months || $2::text[], bytes_after = $3
FROM (SELECT app_key FROM apps ORDER BY app_key) a WHERE r.app_key = a.app_key AND r.started_at = $1

-- name: get_inflow
-- What came in for all apps, by minute. $1 from
-- index: retention_runs_by_age
SELECT started_at, sum(appended)::bigint AS appended FROM retention_runs WHERE started_at >= $1 GROUP BY started_at

-- name: add_appended
-- What an API process stored since it last told; for which apps there was a run to tell it to. $1 start, $2 apps, sorted;
-- $3 messages
-- index: retention_runs_pkey
UPDATE retention_runs r SET appended = r.appended + u.messages
FROM unnest($2::text[], $3::bigint[]) AS u (app_key, messages)
WHERE r.app_key = u.app_key AND r.started_at = $1
RETURNING r.app_key

-- name: list_runs
-- The newest first. $1 app, $2 start to go on below, $3 most
-- index: retention_runs_pkey
SELECT * FROM retention_runs WHERE app_key = $1 AND started_at < $2 ORDER BY started_at DESC LIMIT $3

-- name: list_last_runs
-- The newest run of each app that began in a time. $1 from, $2 to
-- index: retention_runs_by_age
SELECT DISTINCT ON (app_key) * FROM retention_runs WHERE started_at BETWEEN $1 AND $2 ORDER BY app_key, started_at DESC

-- name: get_silence
-- When the last run began, and since when there is an app.
SELECT (SELECT max(started_at) FROM retention_runs) AS last, (SELECT min(created_at) FROM apps) AS first_app
