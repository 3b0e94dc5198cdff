-- name: insert_job
-- Where it is about one channel, what commits there later lies above, as with a clean.
-- $1 id, $2 app, $3 kind, $4 users, $5 channel or null, $6 before, $7 flag or null, $8 undo seconds or null, $9 reason or null,
-- $10 source, $11 whether it gives up the files, $12 now
INSERT INTO jobs (id, app_key, kind, user_ids, channel_id, before, delete_compensated, undo_seconds, reason, source,
    delete_media, created_at)
VALUES ($1, $2, $3, $4, $5, least($6, (SELECT ch.last_position + 1 FROM channels ch WHERE ch.id = $5)), $7, $8, $9, $10, $11,
    $12)

-- name: insert_job_steps
-- All channels that a user takes part in, some a step, each with the end of what the job takes there: what commits later lies
-- at or above it, whatever any clock says. How many each step has. $1 job, $2 app, $3 user, $4 before, $5 channels a step
-- index: conversations_by_user
INSERT INTO job_steps (job_id, number, channel_ids, befores)
SELECT $1, n.step, array_agg(n.channel_id ORDER BY n.channel_id), array_agg(n.before ORDER BY n.channel_id)
FROM (
    SELECT c.channel_id, least($4, ch.last_position + 1) AS before,
        (row_number() OVER (ORDER BY c.channel_id) - 1) / $5::integer AS step
    FROM conversations c JOIN channels ch ON ch.id = c.channel_id
    WHERE c.app_key = $2 AND c.user_id = $3 AND c.left_position IS NULL
) n
GROUP BY n.step
RETURNING cardinality(channel_ids) AS channels

-- name: update_job_total
-- $1 id, $2 total
UPDATE jobs SET total = $2 WHERE id = $1

-- name: list_next_step
-- The channels of a job's next step. $1 job
-- index: job_steps_pkey
SELECT s.number, u.channel_id, u.before, ch.type, ch.key
FROM (SELECT * FROM job_steps WHERE job_id = $1 ORDER BY number LIMIT 1) s
CROSS JOIN LATERAL unnest(s.channel_ids, s.befores) AS u (channel_id, before)
JOIN channels ch ON ch.id = u.channel_id
ORDER BY u.channel_id

-- name: delete_job_step
-- $1 job, $2 number, null for all
-- index: job_steps_pkey
DELETE FROM job_steps WHERE job_id = $1 AND ($2::integer IS NULL OR number = $2)

-- name: get_job
-- $1 app, $2 id
SELECT * FROM jobs WHERE app_key = $1 AND id = $2

-- name: lease_jobs
-- Jobs that nobody works on, the oldest first: a worker that dies lets its job go. $1 now, $2 end of the lease, $3 most
-- index: jobs_running
UPDATE jobs SET leased_until = $2::bigint WHERE id IN (
    SELECT id FROM jobs WHERE finished_at IS NULL AND leased_until <= $1 ORDER BY created_at LIMIT $3
) AND leased_until <= $1
RETURNING *

-- name: lock_job
-- What a step did is written in its own transaction, so that a crash repeats nothing. $1 id
SELECT * FROM jobs WHERE id = $1 FOR UPDATE

-- name: update_job
-- $1 id, $2 done so far, $3 go on after, $4 state, $5 finished at or null, $6 end of the lease
UPDATE jobs SET done = $2, after = $3, state = $4, finished_at = $5, leased_until = $6 WHERE id = $1

-- name: cancel_job
-- Under its lock. Its requests are still to be undone, also where it was done. $1 id, $2 now, $3 by whom or null, $4 why or null
UPDATE jobs SET state = 'cancelled', leased_until = 0, finished_at = NULL, cancelled_at = $2, cancelled_by = $3,
    cancel_reason = $4
WHERE id = $1

-- name: list_requests_of_job
-- Those that may still be undone. $1 job, $2 now, $3 most
-- index: clean_requests_by_job
SELECT channel_id, id FROM clean_requests
WHERE job_id = $1 AND state IN ('accepted', 'applied') AND undo_until > $2 LIMIT $3

-- name: list_positions_by_sender
-- What some senders wrote in a channel and was not recalled. $1 channel, $2 senders, $3 after, $4 before, $5 most
-- index: messages
SELECT m.position FROM messages m
WHERE m.channel_id = $1 AND m.position > $3 AND m.position < $4 AND m.sender = ANY ($2::text[])
    AND m.recall_stamp IS NULL
ORDER BY m.position LIMIT $5
