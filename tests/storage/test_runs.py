"""Runs of the retention job: a row a minute and app, whatever there was to do and however many workers did it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from history.apps import store as apps_store
from history.axis import DAY, MILLISECOND, SECOND
from history.database import Connection
from history.errors import DatabaseUnavailable, InvalidInput, NotFound
from history.retention.model import ReclaimReport
from history.runs import store
from history.runs.model import LATE, SILENT, WINDOW, Run
from history.runs.service import Runs
from tests.factories import NOON, World
from worker.jobs.settle import reclaim_due

RUNS = "SELECT app_key, started_at, due, done, remaining, deleted FROM retention_runs ORDER BY started_at, app_key"


@pytest.fixture
async def plain(world: World) -> World:
    """No undo, no compensation: cleaned and received is enough. No channel is due."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    await world.work()
    return world


async def _job(world: World, runs: Runs | None = None) -> int:
    """What the worker does each second; how many messages were deleted."""
    await world.apply()
    await world.settle()
    reports = await reclaim_due(world.reclaim, runs or world.runs, world.clock)
    return sum(report.deleted for report in reports)


async def _old(world: World, *others: str, messages: int = 1) -> None:
    """Channels of ann in which all is cleaned and received."""
    for other in others:
        sent = [await world.send("ann", other) for _ in range(messages)]
        await world.ack(other, "ann", sent[-1])
        await world.clean(other, "ann")


async def _runs(world: World, app_key: str | None = None) -> list[Run]:
    return (await world.runs.list(app_key or world.app_key, cursor=None, most=100))[0]


async def test_every_minute_of_the_job_leaves_a_row_even_with_zero(world: World) -> None:
    """One for each app, however often the job comes in it; a minute without a worker has none."""
    other = (await world.apps.create("other")).app_key
    for at in (0, 1, 59, 60, 240):
        world.clock.set(NOON + at * SECOND)
        await _job(world)
    rows = [tuple(row) for row in await world.rows(RUNS)]
    assert rows == [
        (app_key, NOON + minute * WINDOW, 0, 0, 0, 0)
        for minute in (0, 1, 4)
        for app_key in sorted((world.app_key, other))
    ]


async def test_a_run_tells_what_was_due_done_left_and_deleted(plain: World) -> None:
    """And the channels of another app are in its own."""
    await _old(plain, "bob", "cid", messages=3)
    plain.clock.set(NOON + 600 * MILLISECOND)
    survivor = await plain.send("ann", "dan")
    assert await _job(plain) == 6
    [run] = await _runs(plain)
    assert (run.started_at, run.due, run.done, run.remaining, run.unfinished) == (NOON, 2, 2, 0, 0)
    assert (run.deleted, run.backlog_age, run.keeps_up) == (6, 0, True)
    await _old(plain, "bob")
    assert await _job(plain) == 1
    [run] = await _runs(plain)
    assert (run.due, run.done, run.deleted) == (2, 3, 7)
    assert await plain.stored("ann", "dan") == [survivor]


async def test_two_apps_have_a_run_each(plain: World) -> None:
    """What was due and done in one is not told of the other."""
    other = (await plain.apps.create("other")).app_key
    await _old(plain, "bob")
    plain.clock.advance(SECOND)
    await _job(plain)
    assert [(run.due, run.done, run.deleted) for run in await _runs(plain)] == [(1, 1, 1)]
    assert [(run.due, run.done, run.deleted) for run in await _runs(plain, other)] == [(0, 0, 0)]


async def test_what_cannot_be_visited_stays_due_and_grows_old(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each minute's row says for how long, until it is called late."""

    async def fails(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    await _old(plain, "bob", "cid")
    await plain.apply()
    await plain.settle()
    ages = []
    with monkeypatch.context() as patch:
        patch.setattr(plain.reclaim, "visit_due", fails)
        for at in (0, LATE, LATE + WINDOW):
            plain.clock.set(NOON + at + SECOND)
            with pytest.raises(DatabaseUnavailable):
                await reclaim_due(plain.reclaim, plain.runs, plain.clock)
            run = (await _runs(plain))[0]
            assert (run.started_at, run.due, run.remaining, run.done) == (NOON + at, 2, 2, 0)
            ages.append((run.backlog_age // SECOND, run.keeps_up))
    assert ages == [(0, True), (300, False), (360, False)]
    plain.clock.advance(WINDOW)
    assert await _job(plain) == 2
    run = (await _runs(plain))[0]
    assert (run.due, run.remaining, run.backlog_age, run.keeps_up) == (2, 0, 0, True)


async def test_a_channel_that_is_left_before_its_end_is_told(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The visit takes longer than half its lease: what it deleted counts, the channel is not done and still due."""
    await _old(plain, "bob", messages=4)
    await plain.apply()
    await plain.settle()
    plain.reclaim._batch = 1
    really = apps_store.share_app

    async def slowly(connection: Connection, app_key: str) -> object:
        plain.clock.advance(11 * SECOND)
        return await really(connection, app_key)

    with monkeypatch.context() as patch:
        patch.setattr(apps_store, "share_app", slowly)
        run = await plain.runs.begin()
        await plain.runs.record(run, await plain.reclaim.visit_due(now=plain.clock.now()))
    [told] = await _runs(plain)
    assert (told.done, told.unfinished, told.deleted, told.remaining) == (0, 1, 1, 1)
    assert await _job(plain) == 3
    [told] = await _runs(plain)
    assert (told.done, told.unfinished, told.deleted, told.remaining) == (1, 1, 4, 0)


async def test_a_long_backlog_is_counted_up_to_a_limit(plain: World) -> None:
    """How old it is is exact all the same."""
    others = [f"user{number}" for number in range(7)]
    await _old(plain, *others)
    await plain.apply()
    await plain.settle()
    plain.clock.advance(90 * SECOND)
    bounded = Runs(plain.database, plain.apps, plain.clock, most_counted=5)
    await bounded.begin()
    [run] = await _runs(plain)
    assert (run.due, run.remaining, run.backlog_age // SECOND) == (5, 5, 90)


async def test_two_workers_at_once_have_one_row_between_them(plain: World) -> None:
    """Both begin it, each adds what it did."""
    others = [f"user{number}" for number in range(20)]
    await _old(plain, *others)
    await plain.apply()
    await plain.settle()
    async with plain.twin() as twin:
        await asyncio.gather(*(one.runs.begin() for one in (plain, twin) for _ in range(3)))
        await asyncio.gather(*(_job(one) for one in (plain, twin)))
        visit = ReclaimReport(app_key=plain.app_key, channel_id=1, deleted=1, finished=True)
        await asyncio.gather(*(one.runs.record(NOON, [visit]) for one in (plain, twin) for _ in range(5)))
    [run] = await _runs(plain)
    assert (run.due, run.done, run.remaining, run.deleted) == (20, 20 + 10, 0, 20 + 10)


# what came in --------------------------------------------------------------------------------------------------------


async def test_what_came_in_is_told_exactly_by_every_process(world: World) -> None:
    """Each takes off its counter what it told; twice tells nothing twice."""
    await world.runs.begin()
    async with world.twin() as twin:
        for number in range(3):
            await world.send(at=NOON + number)
        await twin.messages.send(world.draft("ann", "bob", "cid"))
        assert (world.messages.appended, twin.messages.appended) == ({world.app_key: 3}, {world.app_key: 2})
        await asyncio.gather(
            *(one.runs.tell_appended(one.messages.appended) for one in (world, twin, world, twin))
        )
    [run] = await _runs(world)
    assert run.appended == 5


async def test_a_message_that_is_not_stored_again_does_not_count(world: World) -> None:
    """The same idempotency key, and a send that is refused."""
    for _ in range(2):
        await world.post(world.channel(), client_key="k")
    with pytest.raises(NotFound):
        await world.post(world.group("none"))
    assert world.messages.appended == {world.app_key: 1}


async def test_what_nobody_could_be_told_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the next run where no worker has begun this one; for the database where it is away."""
    await world.send()
    await world.runs.tell_appended(world.messages.appended)
    assert await world.rows(RUNS) == []

    async def fails(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    await world.runs.begin()
    with monkeypatch.context() as patch:
        patch.setattr(store, "add_appended", fails)
        with pytest.raises(DatabaseUnavailable):
            await world.runs.tell_appended(world.messages.appended)
    world.clock.advance(WINDOW)
    await world.runs.tell_appended(world.messages.appended)
    assert world.messages.appended == {world.app_key: 1}
    await world.runs.begin()
    await world.runs.tell_appended(world.messages.appended)
    assert world.messages.appended == {}
    assert [run.appended for run in await _runs(world)] == [1, 0]


async def test_the_inflow_is_that_of_all_apps_in_this_minute_or_the_last(world: World) -> None:
    """Nobody told: nothing comes in."""
    other = (await world.apps.create("other")).app_key
    assert await world.runs.inflow() == 0
    await world.runs.begin()
    await world.runs.tell_appended(Counter({world.app_key: 100, other: 200}))
    world.clock.advance(10 * SECOND)
    assert await world.runs.inflow() == 30
    world.clock.set(NOON + WINDOW)
    assert await world.runs.inflow() == 5
    await world.runs.begin()
    await world.runs.tell_appended(Counter({other: 50}))
    assert await world.runs.inflow() == 10
    world.clock.set(NOON + 2 * WINDOW)
    assert await world.runs.inflow() == 50 / 60
    world.clock.set(NOON + 3 * WINDOW)
    assert await world.runs.inflow() == 0


async def test_the_job_hands_the_inflow_to_reclaim(plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round anew."""
    told: list[float] = []
    really = plain.reclaim.visit_due

    async def visit(*, now: int, inflow: float) -> list[ReclaimReport]:
        told.append(inflow)
        await plain.runs.tell_appended(Counter({plain.app_key: 300}))
        return await really(now=now, inflow=inflow)

    monkeypatch.setattr(plain.reclaim, "visit_due", visit)
    await _old(plain, "bob")
    assert await _job(plain) == 1
    assert told == [0, 60]


# lists and the line --------------------------------------------------------------------------------------------------


async def test_runs_are_listed_the_newest_first_page_by_page(world: World) -> None:
    """Each once; a cursor of another app's list shows one's own."""
    other = (await world.apps.create("other")).app_key
    starts = [NOON + minute * WINDOW for minute in range(5)]
    for at in starts:
        world.clock.set(at + SECOND)
        await world.runs.begin()
    pages, cursor = list[list[int]](), None
    while True:
        page, cursor = await world.runs.list(world.app_key, cursor=cursor, most=2)
        assert {run.app_key for run in page} == {world.app_key}
        pages.append([run.started_at for run in page])
        if cursor is None:
            break
        theirs, _ = await world.runs.list(other, cursor=cursor, most=9)
        assert {run.app_key for run in theirs} == {other}
    assert pages == [starts[:2:-1], starts[2:0:-1], starts[:1]]
    with pytest.raises(NotFound):
        await world.runs.list("none", cursor=None, most=9)
    for wrong in ("x", "AAAA", "é"):
        with pytest.raises(InvalidInput, match="cursor"):
            await world.runs.list(world.app_key, cursor=wrong, most=9)


async def _behind(world: World, app_key: str, at: int) -> None:
    """The run of that minute did not keep up."""
    await world.execute(
        "UPDATE retention_runs SET backlog_age = $1, remaining = 7 WHERE app_key = $2 AND started_at = $3",
        LATE + SECOND,
        app_key,
        at,
    )


async def test_the_line_judges_the_last_run_that_is_over_of_every_app(world: World) -> None:
    """Not one that goes on, nor one before; it is at most ten seconds old."""
    other = (await world.apps.create("other")).app_key

    async def line() -> str | None:
        return await Runs(world.database, world.apps, world.clock).line()

    for minute in range(2):
        world.clock.set(NOON + minute * WINDOW)
        await world.runs.begin()
        await _behind(world, other, NOON + minute * WINDOW)
    assert "behind in 1 app: 7 channels" in (await line() or "")
    await world.execute("UPDATE retention_runs SET backlog_age = 0 WHERE started_at = $1", NOON)
    assert await line() is None, "the one that goes on is not judged"
    world.clock.advance(WINDOW - 1)
    assert await line() is None
    assert await world.runs.line() is None
    world.clock.advance(1)
    assert "behind in 1 app" in (await line() or "")
    assert await world.runs.line() is None, "as it was some seconds ago"
    world.clock.advance(10 * SECOND)
    assert "behind in 1 app" in (await world.runs.line() or "")
    await _behind(world, world.app_key, NOON + WINDOW)
    assert "behind in 2 apps: 14 channels" in (await line() or "")


async def test_the_line_says_when_no_worker_runs(world: World) -> None:
    """Three minutes after the last run, or after the first app."""

    async def line() -> str | None:
        return await Runs(world.database, world.apps, world.clock).line()

    world.clock.set(NOON + SILENT - 1)
    assert await line() is None
    world.clock.advance(1)
    assert "never run" in (await line() or "")
    await world.runs.begin()
    assert await line() is None
    began = world.clock.now()
    world.clock.set(began + SILENT - 1)
    assert await line() is None
    world.clock.set(began + SILENT + 1)
    assert "began 180 s ago" in (await line() or "")


async def test_runs_end_after_seven_days(world: World) -> None:
    """A minute younger stays."""
    for minute in range(2):
        world.clock.set(NOON + minute * WINDOW)
        await world.runs.begin()
    assert (await world.sweep.run(now=NOON + 7 * DAY - 1)).retention_runs == 0
    assert (await world.sweep.run(now=NOON + 7 * DAY)).retention_runs == 1
    assert [run.started_at for run in await _runs(world)] == [NOON + WINDOW]
