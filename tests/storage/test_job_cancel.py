"""A clean of a whole user that is cancelled: stopped, undone as far as the undo windows allow, and by whose word."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from history.axis import SECOND
from history.errors import Conflict
from history.jobs import service
from tests.factories import World
from tests.storage.test_jobs import clean_user, five, histories, job_of, step, to_the_end
from tests.storage.test_races import held, somebody_waits


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two channels a step."""
    monkeypatch.setattr(service, "CHANNELS_A_STEP", 2)


async def _cancel(world: World, id_: UUID, *, by: str | None = None, reason: str | None = None) -> None:
    await world.jobs.cancel(world.app_key, id_, by=by, reason=reason)


@pytest.mark.parametrize("steps", [0, 1, 9])
async def test_a_cancel_undoes_what_was_done_and_stops_the_rest(world: World, steps: int) -> None:
    """Before it began, in its midst, after it was done; applied in part; other cleans stay; twice is fine."""
    await five(world)
    other = await world.clean("bob", "ann")
    id_ = await clean_user(world)
    for number in range(steps):
        await step(world)
        if not number:
            await world.apply()
    await _cancel(world, id_)
    await _cancel(world, id_)
    await to_the_end(world)
    job = await job_of(world, id_)
    assert job.state == "cancelled"
    assert job.finished_at is not None
    assert await histories(world) == [0, 2, 2, 2, 2]
    await world.apply()
    assert await histories(world) == [0, 2, 2, 2, 2]
    states = await world.rows("SELECT DISTINCT state FROM clean_requests WHERE job_id = $1", id_)
    assert [row["state"] for row in states] == (["cancelled"] if steps else [])
    assert (await world.receipt(other)).state == "applied"


async def test_a_cancel_waits_for_the_step_that_runs(world: World) -> None:
    """What that step did is undone as well."""
    await five(world)
    id_ = await clean_user(world)
    async with held(world) as connection:
        # the step has its job and waits for the channels' index of the journal
        await connection.execute("LOCK TABLE clean_requests IN SHARE MODE")
        working = asyncio.create_task(world.jobs.work())
        await somebody_waits(world)
        cancelling = asyncio.create_task(_cancel(world, id_))
        await somebody_waits(world, many=2)
    await working
    await cancelling
    world.catch_up()
    await to_the_end(world)
    assert (await job_of(world, id_)).state == "cancelled"
    assert await histories(world) == [2] * 5


async def test_what_is_past_its_undo_window_stays_cleaned(world: World) -> None:
    """A job that went on for long: its first requests can be undone no more, the last ones can."""
    await five(world)
    id_ = await clean_user(world, undo=60)
    await step(world)
    world.clock.advance(60 * SECOND)
    await step(world)
    await _cancel(world, id_)
    await to_the_end(world)
    assert (await job_of(world, id_)).finished_at is not None
    assert sorted(await histories(world)) == [0, 0, 2, 2, 2]


async def test_who_cancelled_a_job_and_why_is_kept_with_it_and_with_each_request(world: World) -> None:
    """The first one's word: a second cancel changes nothing."""
    await five(world)
    id_ = await clean_user(world)
    await step(world)
    assert (await job_of(world, id_)).cancelled_at is None
    at = world.clock.now()
    await _cancel(world, id_, by="olga", reason="a mistake")
    world.clock.advance(SECOND)
    await _cancel(world, id_, by="otto", reason="likewise")
    await to_the_end(world)
    job = await job_of(world, id_)
    assert (job.cancelled_at, job.cancelled_by, job.cancel_reason) == (at, "olga", "a mistake")
    sql = "SELECT DISTINCT state, cancelled_by, cancel_reason FROM clean_requests WHERE job_id = $1"
    assert [tuple(row) for row in await world.rows(sql, id_)] == [("cancelled", "olga", "a mistake")]


async def _everything(world: World) -> list[tuple[object, ...]]:
    """All of the jobs and of the journal."""
    found = [tuple(row) for row in await world.rows("SELECT * FROM jobs ORDER BY id")]
    return found + [tuple(row) for row in await world.rows("SELECT * FROM clean_requests ORDER BY id")]


async def test_a_job_of_which_nothing_can_be_undone_cannot_be_cancelled(world: World) -> None:
    """Until the instant at which the last undo window ends it can; then, settled or not yet, it changes nothing."""
    await five(world)
    id_, nothing = await clean_user(world, undo=60), await clean_user(world, "nobody")
    await to_the_end(world)
    await world.apply()
    last = await world.value("SELECT max(undo_until) FROM clean_requests")
    world.clock.set(last)
    for settled in (False, True):
        if settled:
            await world.settle()
        before = await _everything(world)
        for job in (id_, nothing):
            with pytest.raises(Conflict, match="can no longer be undone"):
                await _cancel(world, job, by="olga", reason="too late")
        assert await _everything(world) == before
        assert await world.jobs.work() == 0
    assert await histories(world) == [0] * 5


async def test_a_job_whose_last_undo_window_is_open_still_can(world: World) -> None:
    """A microsecond before its end."""
    await five(world)
    id_ = await clean_user(world, undo=60)
    await to_the_end(world)
    world.clock.set(await world.value("SELECT max(undo_until) FROM clean_requests") - 1)
    await _cancel(world, id_)
    await to_the_end(world)
    assert sorted(await histories(world)) == [0, 0, 0, 0, 2]


async def test_a_job_that_runs_is_stopped_though_nothing_can_be_undone(world: World) -> None:
    """What it has not come to stays."""
    await five(world)
    id_ = await clean_user(world, undo=0)
    await step(world)
    await _cancel(world, id_)
    await to_the_end(world)
    assert (await job_of(world, id_)).state == "cancelled"
    assert sorted(await histories(world)) == [0, 0, 2, 2, 2]
