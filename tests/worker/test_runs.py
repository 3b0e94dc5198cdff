"""The retention job as the worker runs it: every minute of it leaves a row."""

from __future__ import annotations

import asyncio

import pytest

from history.axis import SECOND
from history.runs.model import WINDOW
from tests.factories import NOON, World
from tests.worker.bursts import burst, services_of
from worker.settings import reclaim_channels, settle_cleans

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

RUNS = "SELECT started_at, due, done, deleted FROM retention_runs ORDER BY started_at"


async def rows(world: World) -> list[tuple[int, ...]]:
    return [tuple(row) for row in await world.rows(RUNS)]


async def test_the_job_leaves_a_row_a_minute_also_with_nothing_to_do(world: World, redis_url: str) -> None:
    await burst(world, redis_url, "reclaim_channels", "reclaim_channels")
    assert await rows(world) == [(NOON, 0, 0, 0)]
    world.clock.advance(WINDOW)
    await burst(world, redis_url, "reclaim_channels")
    assert await rows(world) == [(NOON, 0, 0, 0), (NOON + WINDOW, 0, 0, 0)]


async def test_what_two_workers_did_at_once_is_in_one_row_and_told_once(world: World) -> None:
    await world.set(undo_seconds=0, multi_device_sync=False)
    await world.work()
    others = [f"user{number}" for number in range(120)]
    for other in others:
        await world.ack(other, "ann", await world.send("ann", other))
        await world.clean(other, "ann")
    await world.apply()
    await world.settle()
    world.clock.advance(SECOND)
    async with world.twin() as twin:
        await asyncio.gather(*(reclaim_channels({"services": services_of(one)}) for one in (world, twin)))
    [(started_at, due, done, deleted)] = await rows(world)
    assert (started_at, due) == (NOON, 120)
    # the second one may find channels that the first one made due meanwhile, never a message again
    assert (done, deleted) == (120, 120)


async def test_reclaim_does_not_wait_for_counting_and_settling(world: World) -> None:
    """Which may take all of their time, again and again."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    await world.ack("bob", "ann", await world.send())
    await world.clean("bob", "ann", everyone=True)
    await world.apply()
    await world.settle()
    services = services_of(world)
    services.running.add(settle_cleans.__qualname__)
    await settle_cleans({"services": services})
    await reclaim_channels({"services": services})
    assert await world.stored() == []
    assert [deleted for *_, deleted in await rows(world)] == [1]


async def test_a_job_that_comes_while_it_runs_is_left_out_and_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after it failed."""
    services, calls = services_of(world), list[str]()
    ctx = {"services": services}

    async def fails(**_: object) -> int:
        calls.append("counted")
        await settle_cleans(ctx)
        raise LookupError

    monkeypatch.setattr(services.receipts, "count", fails)
    for _ in range(2):
        with pytest.raises(LookupError):
            await settle_cleans(ctx)
    assert calls == ["counted"] * 2
