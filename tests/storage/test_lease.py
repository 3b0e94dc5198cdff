"""One owner a channel: a worker that died, or froze and wakes up, has lost what another has claimed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import asyncpg
import pytest

from history.axis import SECOND
from history.errors import DatabaseUnavailable
from history.retention import store
from history.retention.pace import Pace
from history.retention.reclaim import LEASE, Reclaim
from history.runs import store as runs_store
from tests.factories import World
from tests.storage.test_races import before

STATE = "SELECT reclaim_lease, next_reclaim_at, due_since, reclaimed_to FROM channels"


@pytest.fixture
async def plain(world: World) -> World:
    """No undo, no compensation; a visit takes two messages at a time."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    await world.work()
    world.reclaim._batch = 2
    return world


async def _due(world: World, *others: str, messages: int = 6) -> list[int]:
    """Channels of ann in which all that was sent is cleaned and received; the positions in the last one."""
    sent: list[int] = []
    for other in others or ("bob",):
        sent = [await world.send("ann", other) for _ in range(messages)]
        await world.ack(other, "ann", sent[-1])
        await world.clean(other, "ann")
    await world.apply()
    await world.settle()
    return sent


async def _backlog(world: World) -> tuple[int, int]:
    async with world.database.reading() as connection:
        found = await runs_store.get_backlog(connection, world.app_key, now=world.clock.now(), most=100)
    return found.due, found.age // SECOND


@pytest.mark.parametrize("statement", ["get_floor", "grant", "delete_reclaimed"])
async def test_a_worker_that_wakes_up_after_another_took_its_channel_stops(
    plain: World, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """In its second batch, before each of its statements. The other has claimed it and got no further: nothing more goes."""
    sent = await _due(plain)
    now = plain.clock.now()

    async def freeze() -> None:
        plain.clock.advance(LEASE)
        async with plain.twin() as twin, twin.database.writing() as connection:
            due = await store.list_due_channels(connection, now=plain.clock.now(), most=9)
            ends = plain.clock.now() + LEASE
            assert await store.claim_channels(connection, due, now=plain.clock.now(), lease=ends)

    before(monkeypatch, statement, freeze, time=2)
    [report] = await plain.reclaim.visit_due(now=now)
    assert (report.deleted, report.finished) == (2, False)
    assert await plain.stored() == sent[2:]
    [row] = await plain.rows(STATE)
    # a grant of its own stands, where it was given before
    granted = sent[4] if statement == "delete_reclaimed" else sent[2]
    assert tuple(row) == (now + 2 * LEASE, now + 2 * LEASE, now, granted)


async def test_a_worker_that_wakes_up_leaves_what_the_other_finished(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other went on where the grant stood, to the end; what was sent since and the next look stay as they are."""
    await _due(plain)
    now = plain.clock.now()
    left: list[tuple[object, ...]] = []
    sent: list[int] = []

    async def freeze() -> None:
        plain.clock.advance(LEASE)
        async with plain.twin() as twin:
            [report] = await twin.reclaim.visit_due(now=plain.clock.now())
            assert (report.deleted, report.finished) == (4, True)
        sent.append(await plain.send(persist=False))
        left.extend(tuple(row) for row in await plain.rows(STATE))

    before(monkeypatch, "get_floor", freeze, time=2)
    [report] = await plain.reclaim.visit_due(now=now)
    assert (report.deleted, report.finished) == (2, False)
    assert await plain.stored() == sent
    assert [tuple(row) for row in await plain.rows(STATE)] == left
    assert left[0][0] is None


@pytest.mark.parametrize("statement", ["check_lease", "release_channel"])
async def test_a_worker_that_wakes_up_at_the_end_of_its_visit_finishes_nothing(
    plain: World, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """What goes with the messages is the other's, and so is the next look."""
    await _due(plain, messages=1)
    now = plain.clock.now()
    finished: list[object] = []
    really = store.finish_reclaimed

    async def finish(*arguments: object, **named: object) -> object:
        finished.append(arguments)
        return await really(*arguments, **named)  # type: ignore[arg-type]

    async def freeze() -> None:
        await plain.execute("UPDATE channels SET reclaim_lease = $1, next_reclaim_at = $1", now + 2 * LEASE)

    monkeypatch.setattr(store, "finish_reclaimed", finish)
    before(monkeypatch, statement, freeze)
    [report] = await plain.reclaim.visit_due(now=now)
    assert report.deleted == 1
    assert len(finished) == (statement == "release_channel")
    assert await plain.value("SELECT next_reclaim_at FROM channels") == now + 2 * LEASE
    assert await plain.value("SELECT reclaim_lease FROM channels") == now + 2 * LEASE


async def test_a_channel_that_becomes_due_under_a_lease_is_its_owners_alone(plain: World) -> None:
    """Another worker leaves it alone until it is released, and then finds the mark."""
    await _due(plain)
    now = plain.clock.now()
    async with plain.database.writing() as connection:
        due = await store.list_due_channels(connection, now=now, most=9)
        [channel_id] = await store.claim_channels(connection, due, now=now, lease=now + LEASE)
        await store.mark_due(connection, [channel_id], now=now)
        # by one that listed it before it was claimed, too
        assert not await store.claim_channels(connection, due, now=now + LEASE - 1, lease=now + 3 * LEASE)
    assert await plain.value("SELECT next_reclaim_at FROM channels") == now
    async with plain.twin() as twin:
        assert await twin.reclaim.visit_due(now=now + LEASE - 1) == []
        async with plain.database.writing() as connection:
            ends = {"next_look": None, "tip": 1 << 62, "look_at_rest": 0}
            await store.release_channel(connection, channel_id, lease=now + LEASE, finished=True, **ends)  # type: ignore[arg-type]
        [report] = await twin.reclaim.visit_due(now=now)
    assert (report.deleted, report.finished) == (6, True)


async def test_no_channel_is_ever_in_two_hands(plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three workers over many channels: every grant and every delete of a channel is of one claim."""
    others = [f"user{number}" for number in range(12)]
    await _due(plain, *others, messages=5)
    hands: defaultdict[int, list[object]] = defaultdict(list)
    really = store.delete_reclaimed

    async def delete(
        connection: asyncpg.Connection, channel_id: int, *arguments: object, **named: object
    ) -> int:
        hands[channel_id].append(asyncio.current_task())
        return await really(connection, channel_id, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "delete_reclaimed", delete)
    async with plain.twin() as one, plain.twin() as two:
        one.reclaim._batch = two.reclaim._batch = 2
        workers = [
            asyncio.create_task(world.reclaim.visit_due(now=plain.clock.now())) for world in (plain, one, two)
        ]
        reports = [report for found in await asyncio.gather(*workers) for report in found]
    assert sorted(report.deleted for report in reports) == [5] * 12
    assert {len(set(tasks)) for tasks in hands.values()} == {1}
    assert await plain.value("SELECT count(*) FROM channels WHERE reclaim_lease IS NOT NULL") == 0


async def test_channels_that_there_was_no_time_for_are_given_back(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Due as before, for anybody, at once and in their place."""
    for other in ("bob", "cid", "dan"):
        await _due(plain, other)
        plain.clock.advance(1)
    now = plain.clock.now()
    due = [row["id"] for row in await plain.rows("SELECT id FROM channels ORDER BY next_reclaim_at")]

    async def slow() -> None:
        plain.clock.advance(LEASE // 2 + 1)

    before(monkeypatch, "delete_reclaimed", slow)
    [report] = await plain.reclaim.visit_due(now=now)
    assert (report.channel_id, report.finished) == (due[0], False)
    async with plain.twin() as twin:
        reports = await twin.reclaim.visit_due(now=plain.clock.now())
    # the one that was left before its end comes after the others
    assert [report.channel_id for report in reports] == [*due[1:], due[0]]
    assert [report.deleted for report in reports] == [6, 6, 4]


async def test_a_channel_that_visits_leave_before_its_end_is_behind_since_it_became_due(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each visit makes it due anew, so that others have their turn; the backlog's age does not forget."""
    await _due(plain, messages=9)
    for visit in range(1, 4):
        assert await _backlog(plain) == (1, (visit - 1) * 11)
        now = plain.clock.now()

        async def slow() -> None:
            plain.clock.advance(11 * SECOND)

        before(monkeypatch, "delete_reclaimed", slow)
        [report] = await plain.reclaim.visit_due(now=now)
        assert (report.deleted, report.finished) == (2, False)
    assert await _backlog(plain) == (1, 33)
    assert await plain.work() == 3
    assert await _backlog(plain) == (0, 0)
    await _due(plain)
    assert await _backlog(plain) == (1, 0), "what became due later is not as old as what was left then"


async def test_a_dead_workers_channel_has_been_due_since_before_it_was_claimed(plain: World) -> None:
    await _due(plain)
    now = plain.clock.now()
    async with plain.database.writing() as connection:
        due = await store.list_due_channels(connection, now=now, most=9)
        await store.claim_channels(connection, due, now=now, lease=now + LEASE)
    plain.clock.advance(LEASE)
    assert await _backlog(plain) == (1, LEASE // SECOND)
    assert await plain.work() == 6


async def test_reclaim_waits_for_no_disk_and_everything_else_does(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash undoes of it is done again; what follows from it is on disk only after it."""
    seen: dict[str, bool] = {}
    # that of the server is its own: it is off where it serves tests alone
    put_off = (
        "SELECT setting = 'off' AND source = 'session' FROM pg_settings WHERE name = 'synchronous_commit'"
    )

    def watch(name: str) -> None:
        really = getattr(store, name)

        async def watched(connection: asyncpg.Connection, *arguments: object, **named: object) -> object:
            seen[name] = await connection.fetchval(put_off)
            return await really(connection, *arguments, **named)

        monkeypatch.setattr(store, name, watched)

    for name in ("grant", "delete_reclaimed", "finish_reclaimed", "release_channel"):
        watch(name)
    await _due(plain)
    [report] = await plain.reclaim.visit_due(now=plain.clock.now())
    assert report.finished
    assert seen == {
        "grant": True,
        "delete_reclaimed": True,
        "finish_reclaimed": False,
        "release_channel": False,
    }


async def test_a_process_that_freezes_in_a_transaction_loses_its_locks(world: World) -> None:
    """After twenty seconds; here after a millisecond."""
    await world.send()

    async def freeze() -> None:
        async with world.database.writing() as connection:
            assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "20s"
            await connection.execute("UPDATE channels SET reclaimed_to = 7")
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            while await world.value("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
                pass
            await connection.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await freeze()
    assert await world.value("SELECT reclaimed_to FROM channels") == 0


async def test_between_batches_it_rests_as_the_pace_says(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured goes in, what comes out is done: the next batch, and the rest, also after the last one."""
    told: list[dict[str, float]] = []
    rests: list[float] = []
    really = Pace.after

    def after(pace: Pace, **measured: Any) -> float:
        told.append(measured)
        really(pace, **measured)
        return len(told) / 8

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    await _due(plain)
    reclaim = Reclaim(plain.database, plain.clock)
    reclaim._pace.batch = 2
    monkeypatch.setattr(Pace, "after", after)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    [report] = await reclaim.visit_due(now=plain.clock.now(), inflow=3.5)
    assert (report.deleted, report.finished) == (6, True)
    assert [one["rows"] for one in told] == [2, 3, 1]
    assert {one["inflow"] for one in told} == {3.5}
    assert all(one["read"] > 0 for one in told)
    assert rests == [1 / 8, 2 / 8, 3 / 8]
