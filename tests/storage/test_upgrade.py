"""A database of version 3 is taken here with what it had under way: receipts, jobs, who wrote where."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import asyncpg

from history import migrate
from history.channels.model import ChannelKey, ChannelType, derived_id
from history.retention.model import Accepted, Pair, public_request_id
from tests.factories import NOON, World, open_world

OLD, COUNTED, JOB = (UUID(int=0x7000_8000_0000_0000_0000 + number) for number in range(3))
ROWS = """
INSERT INTO apps (app_key, name, secret, created_at) VALUES ('app', 'old', 'x', 5);
CREATE TABLE messages_2026_03 PARTITION OF messages FOR VALUES FROM (1772323200000000) TO (1775001600000000);
INSERT INTO channels (id, app_key, type, key, last_position, next_reclaim_at) VALUES ({g}, 'app', 3, '{{g}}', {noon} + 2, 1),
    ({d}, 'app', 1, '{{ann,bob}}', {noon} + 2, NULL), ({e}, 'app', 1, '{{bob,cid}}', {noon} + 2, NULL);
INSERT INTO conversations (channel_id, user_id, app_key, delivered_position) VALUES ({g}, 'ann', 'app', 0),
    ({d}, 'ann', 'app', 0), ({d}, 'bob', 'app', {noon} + 2), ({e}, 'bob', 'app', {noon} + 2), ({e}, 'cid', 'app', 0);
INSERT INTO messages (channel_id, position, flags, sender, type, content) VALUES ({g}, {noon}, 1, 'eve', 't', 'c'),
    ({g}, {noon} + 2, 1, 'eve', 't', 'c'), ({d}, {noon} + 2, 1, 'ann', 't', 'c'), ({e}, {noon} + 2, 1, 'cid', 't', 'c');
INSERT INTO clean_requests (channel_id, id, app_key, channel_type, channel_key, user_id, cutoff, delete_compensated,
    delete_compensated_from, source, state, accepted_at, undo_until, applied_at, counted_at, missed_from, counted_to)
    VALUES ({d}, '{old}', 'app', 1, '{{ann,bob}}', 'bob', 1, false, 'app', 'v4', 'applied', 7, 8, 9, 9, NULL, NULL),
    ({d}, '{counted}', 'app', 1, '{{ann,bob}}', 'bob', 2, false, 'app', 'v4', 'applied', 8, 8, 9, 9, 1, 5);
INSERT INTO clean_marks VALUES ({d}, '{counted}', 'bob', 0, 0, 0, 0, 0), ({d}, gen_random_uuid(), 'bob', 0, 0, 0, 0, 0);
INSERT INTO jobs (id, app_key, kind, user_ids, before, source, done, total, after, created_at)
    VALUES ('{job}', 'app', 'clean-user', '{{bob}}', {noon} + 5, 'v4', 1, 2, {low}, 5);
"""


def _id(type_: ChannelType, *key: str) -> int:
    return derived_id(ChannelKey("app", type_, key), 0)


async def _numbers(world: World, channel_id: int, id_: UUID) -> object:
    accepted = Accepted(
        request_id=public_request_id(channel_id, id_), pair=Pair("app", channel_id, "bob"), cutoff=1
    )
    return await world.numbers(accepted)


async def test_what_was_under_way_goes_on(empty_database_url: str) -> None:
    """What was never counted has no numbers, and settles; the job's last channel is cleaned; a hold covers who wrote."""
    g, d, e = (
        _id(ChannelType.GROUP, "g"),
        _id(ChannelType.DIRECT, "ann", "bob"),
        _id(ChannelType.DIRECT, "bob", "cid"),
    )
    low, high = sorted((d, e))
    rows = ROWS.format(g=g, d=d, e=e, noon=NOON, old=OLD, counted=COUNTED, job=JOB, low=low)
    connection = await asyncpg.connect(empty_database_url)
    for number in range(1, 4):
        await connection.execute(migrate.migrations()[number].read_text(encoding="utf-8"))
    await connection.execute("UPDATE schema_version SET version = 3")
    await connection.execute(rows)
    await connection.close()
    await migrate.migrate(empty_database_url)
    async with open_world(empty_database_url) as opened:
        world = replace(opened, app_key="app")
        assert [await _numbers(world, d, id_) for id_ in (OLD, COUNTED)] == [None, (0, 0, 0, 0)]
        assert await world.settle() == 2
        assert await world.value("SELECT count(*) FROM clean_marks") == 1, "those of no request went"
        while await world.jobs.work():
            pass
        job = await world.jobs.get("app", JOB)
        assert (job.state, job.done, job.total) == ("done", 2, 2)
        cutoffs = await world.rows("SELECT channel_id, cutoff FROM clean_requests WHERE job_id = $1", JOB)
        assert [tuple(row) for row in cutoffs] == [(high, NOON + 3)]
        assert [tuple(row) for row in await world.rows("SELECT * FROM senders")] == [(g, "eve", NOON + 2)]
