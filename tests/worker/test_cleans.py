"""A clean's way through the worker: applied, settled, reclaimed; whatever Redis does meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis

from history.axis import SECOND
from history.cursors import read_message_id
from history.retention.model import WAITING_PAIRS, Accepted, ApplyReport, queue_member
from server.queue import APPLY_JOB, Queue
from tests.factories import World
from tests.worker.bursts import burst, services_of, worker_of
from worker.jobs import apply
from worker.settings import JOBS

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

STATES = "SELECT state, count(*) AS count FROM clean_requests GROUP BY state ORDER BY state"
MARKS = "SELECT history_cutoff, sync_cutoff FROM conversations WHERE user_id = 'bob'"


async def states(world: World) -> dict[str, int]:
    return {row["state"]: row["count"] for row in await world.rows(STATES)}


async def marks(world: World) -> tuple[int, int]:
    row = (await world.rows(MARKS))[0]
    return row["history_cutoff"], row["sync_cutoff"]


async def accept(world: World, queue: Queue, user: str = "bob", other: str = "ann", **more: Any) -> Accepted:
    """As the API does: into the journal, then a word to the worker."""
    accepted = await world.clean(user, other, **more)
    await queue.announce(accepted)
    return accepted


async def test_an_accepted_clean_is_applied_settled_and_reclaimed(
    world: World, queue: Queue, redis: ArqRedis, redis_url: str
) -> None:
    await world.set(undo_seconds=0, multi_device_sync=False)
    position = await world.send()
    await world.ack("bob", "ann", position)
    survivor = await world.send("ann", "cid")
    accepted = await accept(world, queue)
    assert await redis.zscore(WAITING_PAIRS, queue_member(accepted.pair)) == accepted.cutoff == position + 1
    await burst(world, redis_url, "settle_cleans")  # may settle before it is applied
    await burst(world, redis_url, "settle_cleans")
    await burst(world, redis_url, "reclaim_channels")
    assert await states(world) == {"settled": 1}
    assert await world.stored() == []
    assert await world.stored("ann", "cid") == [survivor]
    assert await redis.exists(WAITING_PAIRS) == 0


async def test_within_the_undo_window_it_is_applied_and_nothing_is_deleted(
    world: World, queue: Queue, redis_url: str
) -> None:
    await world.set(undo_seconds=60, multi_device_sync=False)
    position = await world.send()
    await world.ack("bob", "ann", position)
    await accept(world, queue)
    world.clock.advance(60 * SECOND - 1)
    for job in ("apply_cleans", "settle_cleans", "reclaim_channels"):
        await burst(world, redis_url, job)
    assert await states(world) == {"applied": 1}
    assert await world.stored() == [position]
    world.clock.advance(1)
    await burst(world, redis_url, "settle_cleans")
    await burst(world, redis_url, "reclaim_channels")
    assert await states(world) == {"settled": 1}
    assert await world.stored() == []


async def test_what_is_missed_or_in_the_window_stays_until_it_is_not(
    world: World, queue: Queue, redis_url: str
) -> None:
    await world.set(undo_seconds=0, multi_device_sync=False)
    position = await world.send()
    await accept(world, queue)
    for job in ("apply_cleans", "settle_cleans", "reclaim_channels"):
        await burst(world, redis_url, job)
    assert await world.stored() == [position]
    assert await world.given("bob") == [(position, "missed")]
    await world.ack("bob", "ann", position)
    await burst(world, redis_url, "reclaim_channels")
    assert await world.stored() == []


async def test_many_pairs_are_applied_in_one_run_and_the_set_is_empty(
    world: World, queue: Queue, redis: ArqRedis, redis_url: str
) -> None:
    users = [f"user{number}" for number in range(650)]
    await world.messages.send(world.draft("ann", *users))
    await asyncio.gather(*(accept(world, queue, user) for user in users))
    assert await redis.zcard(WAITING_PAIRS) == 650
    await burst(world, redis_url)
    assert await states(world) == {"applied": 650}
    assert await redis.exists(WAITING_PAIRS) == 0


async def test_redis_flushed_between_accept_and_apply_only_makes_it_later(
    world: World, queue: Queue, redis: ArqRedis, redis_url: str
) -> None:
    await world.send()
    accepted = await accept(world, queue)
    await redis.flushdb()
    await burst(world, redis_url, "apply_cleans")
    assert await states(world) == {"accepted": 1}
    world.clock.advance(5 * SECOND - 1)
    await burst(world, redis_url, "apply_forgotten")
    assert await states(world) == {"accepted": 1}
    world.clock.advance(1)
    await burst(world, redis_url, "apply_forgotten")
    assert await states(world) == {"applied": 1}
    assert (await marks(world))[0] == accepted.cutoff


async def test_applied_twice_late_and_out_of_order_is_the_same(
    world: World, queue: Queue, redis: ArqRedis, redis_url: str
) -> None:
    await world.send()
    first = await accept(world, queue)
    await world.send()
    second = await accept(world, queue, flag=True)
    await burst(world, redis_url)
    after = await marks(world)
    assert after == (second.cutoff, second.cutoff)
    for accepted in (first, second, first):
        await queue.announce(accepted)
        await burst(world, redis_url)
    assert await marks(world) == after
    assert await redis.exists(WAITING_PAIRS) == 0


@pytest.mark.parametrize("flags", [(False, True), (True, False)], ids=["then with flag", "then without"])
async def test_a_clean_accepted_while_its_pair_is_applied_keeps_the_pair(
    world: World, queue: Queue, redis: ArqRedis, monkeypatch: pytest.MonkeyPatch, flags: tuple[bool, bool]
) -> None:
    await world.send()
    first = await accept(world, queue, flag=flags[0])
    really, late = world.cleans.apply, list[Accepted]()

    async def meanwhile(*arguments: Any, **more: Any) -> ApplyReport:
        report = await really(*arguments, **more)
        if not late:
            await world.send()
            late.append(await accept(world, queue, flag=flags[1]))
        return report

    monkeypatch.setattr(world.cleans, "apply", meanwhile)
    await apply.apply_waiting(redis, world.cleans, now=world.clock.now())
    assert await redis.zrange(WAITING_PAIRS, 0, -1, withscores=True) == [
        (queue_member(first.pair).encode(), late[0].cutoff)
    ]
    assert await states(world) == {"accepted": 1, "applied": 1}
    await apply.apply_waiting(redis, world.cleans, now=world.clock.now())
    assert await states(world) == {"applied": 2}
    assert await marks(world) == (late[0].cutoff, late[0].cutoff if flags[1] else first.cutoff)
    assert await redis.exists(WAITING_PAIRS) == 0


async def test_one_with_the_same_cutoff_is_in_force_and_applied_in_the_end(
    world: World, queue: Queue, redis: ArqRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = await world.send()
    await world.ack("bob", "ann", position)
    await accept(world, queue, flag=False)
    really, late = world.cleans.apply, list[Accepted]()

    async def meanwhile(*arguments: Any, **more: Any) -> ApplyReport:
        report = await really(*arguments, **more)
        if not late:
            late.append(await accept(world, queue, flag=True))
        return report

    monkeypatch.setattr(world.cleans, "apply", meanwhile)
    await apply.apply_waiting(redis, world.cleans, now=world.clock.now())
    assert await world.given("bob", "new") == []
    world.clock.advance(5 * SECOND)
    await burst(world, redis_url, "apply_forgotten")
    assert await states(world) == {"applied": 2}
    assert await marks(world) == (position + 1, position + 1)


async def test_a_job_looks_once_more_before_it_ends(
    world: World, queue: Queue, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean that comes while the job runs queues no other: the job that runs must see it."""
    await world.send()
    await accept(world, queue)
    really, came = world.cleans.apply, list[Accepted]()

    async def meanwhile(*arguments: Any, **more: Any) -> ApplyReport:
        report = await really(*arguments, **more)
        if not came:
            came.append(await accept(world, queue, "cid", "ann"))
        return report

    monkeypatch.setattr(world.cleans, "apply", meanwhile)
    worker = worker_of(world, redis_url)
    monkeypatch.setitem(worker.ctx, "services", services_of(world))
    try:
        await worker.async_run()
    finally:
        await worker.close()
    assert await states(world) == {"applied": 2}


async def test_the_next_months_are_made(world: World, redis_url: str) -> None:
    tables = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'messages'::regclass"
    world.clock.advance(200 * 86_400 * SECOND)
    before = await world.value(tables)
    await burst(world, redis_url, "make_months")
    assert await world.value(tables) > before
    ids = await world.messages.send(world.draft("ann", "bob"))
    assert read_message_id(ids[0])[1] == world.clock.now()


async def test_nothing_is_kept_of_a_job_that_is_done(
    world: World, queue: Queue, redis: ArqRedis, redis_url: str
) -> None:
    await accept(world, queue)
    await burst(world, redis_url, *(job.__name__ for job in JOBS))
    left = {key.decode().split(":")[1] for key in await redis.keys("arq:*") if b"health" not in key}
    assert "result" not in left
    assert "job" not in left
    assert await redis.enqueue_job(APPLY_JOB, _job_id=APPLY_JOB) is not None
