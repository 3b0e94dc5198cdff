"""Two at once, on real connections. One transaction is held open, the other is seen to wait, then the first goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from history.axis import SECOND
from history.messages import store as messages_store
from history.messages.model import Flags
from history.retention import store
from history.retention.model import ApplyReport
from tests.factories import NOON, World

LOCK_CONVERSATION = "SELECT FROM conversations WHERE user_id = 'bob' FOR UPDATE"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
WAITING_FOR = f"{WAITING} AND query LIKE '%reclaimed_to = greatest%'"
CUTOFFS = """SELECT history_cutoff, sync_cutoff, settled_history_cutoff, settled_sync_cutoff
FROM conversations WHERE user_id = 'bob'"""


@asynccontextmanager
async def held(world: World) -> AsyncIterator[asyncpg.Connection]:
    """A transaction on a connection of its own, committed at the end of the block."""
    connection = await asyncpg.connect(world.url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def somebody_waits(world: World, *, many: int = 1, most: int = 2_000) -> None:
    """Until a lock is waited for in this database, by so many; each look is a question to the server."""
    for _ in range(most):
        if await world.value(WAITING) >= many:
            return
    raise AssertionError(f"locks are not waited for by {many}")


async def append(connection: Any, world: World, *, flags: int = Flags.PERSISTED) -> int:
    """The statements of an append, in a transaction that the test holds."""
    channel_id = await world.channel_id()
    reserved = await messages_store.reserve_positions(connection, {channel_id: 1}, {}, now=world.clock.now())
    assert reserved is not None
    position = reserved.ends[channel_id]
    await messages_store.insert_messages(
        connection, [(channel_id, position, int(flags), "ann", "text", "late", None, None)]
    )
    return position


def before(
    patch: pytest.MonkeyPatch, name: str, event: Callable[[], Awaitable[object]], *, time: int = 1
) -> None:
    """Let something happen once, just before this statement of the retention store runs for the first time, or a later one."""
    statement = getattr(store, name)
    left = time

    async def interrupted(*arguments: object, **named: object) -> object:
        nonlocal left
        left -= 1
        if not left:
            patch.setattr(store, name, statement)
            await event()
        return await statement(*arguments, **named)

    patch.setattr(store, name, interrupted)


async def _due(world: World) -> None:
    """Clean everything that is there and received, up to the point where reclaim begins."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    await world.work()
    await world.ack("bob", "ann", await world.send())
    await world.clean("bob", "ann")
    await world.apply()
    assert await world.settle(now=NOON) == 1


async def test_an_append_that_commits_after_a_clean_was_accepted_survives_it(world: World) -> None:
    """Its position was reserved before, but the clean's statement could not see it."""
    sent = await world.send()
    async with held(world) as connection:
        late = await append(connection, world)
        accepted = await world.clean("bob", "ann")
        assert accepted.cutoff == sent + 1
    assert await world.history("bob", "ann") == [late]
    await world.apply()
    assert await world.history("bob", "ann") == [late]


async def test_an_append_that_committed_before_a_clean_is_taken_by_it(world: World) -> None:
    """The same transaction, ended a moment earlier."""
    await world.send()
    async with held(world) as connection:
        late = await append(connection, world)
    assert (await world.clean("bob", "ann")).cutoff == late + 1
    assert await world.history("bob", "ann") == []


async def test_an_append_waits_for_no_clean_and_no_clean_for_an_append(world: World) -> None:
    """Accepting and applying one user's clean touches nothing that an append locks."""
    await world.send()
    async with held(world) as connection:
        await append(connection, world)
        accepted = await asyncio.wait_for(world.clean("bob", "ann"), timeout=10)
        assert (await asyncio.wait_for(world.apply(accepted), timeout=10)).applied == 1


async def test_a_clean_accepted_while_apply_waits_for_its_lock_is_applied_in_its_turn(world: World) -> None:
    """The journal was read before the lock: the second clean stays in force, and its flag counts when it is applied."""
    await world.send()
    first = await world.clean("bob", "ann", flag=False)
    async with held(world) as connection:
        await connection.execute(LOCK_CONVERSATION)
        applying = asyncio.create_task(world.apply(first))
        await somebody_waits(world)
        second = await world.clean("bob", "ann", flag=True)
    report: ApplyReport = await applying
    assert (first.cutoff, report.applied) == (second.cutoff, 1)
    assert tuple((await world.rows(CUTOFFS))[0]) == (first.cutoff, 0, 0, 0)
    assert (await world.apply(second)).applied == 1
    assert tuple((await world.rows(CUTOFFS))[0]) == (second.cutoff, second.cutoff, 0, 0)


async def test_a_clean_accepted_after_apply_read_the_journal_keeps_its_flag(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are marked by id: the second is not swept along, stays in force, and is applied in its turn."""
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    first = await world.clean("bob", "ann", flag=False)
    before(monkeypatch, "update_applied", lambda: world.clean("bob", "ann", flag=True))
    assert (await world.apply(first)).applied == 1
    assert await world.given("bob", "tablet") == []
    assert tuple((await world.rows(CUTOFFS))[0]) == (first.cutoff, 0, 0, 0)
    assert (await world.apply(first)).applied == 1
    assert tuple((await world.rows(CUTOFFS))[0]) == (first.cutoff, first.cutoff, 0, 0)
    assert await world.given("bob", "tablet") == []


async def test_two_workers_that_apply_one_pair_count_each_request_once(world: World) -> None:
    """The second waits for the lock, and then finds nothing left to do."""
    await world.send()
    accepted = await world.clean("bob", "ann")
    async with held(world) as connection:
        await connection.execute(LOCK_CONVERSATION)
        applying = [asyncio.create_task(world.apply(accepted)) for _ in range(2)]
        await somebody_waits(world)
    assert sorted(report.applied for report in await asyncio.gather(*applying)) == [0, 1]


async def test_a_clean_accepted_while_settle_waits_is_not_settled(world: World) -> None:
    """Its undo window is open: it is in force, and its cutoff is not in the settled mark."""
    await world.set(undo_seconds=60)
    await world.send()
    first = await world.clean("bob", "ann")
    await world.apply(first)
    world.clock.advance(60 * SECOND)
    await world.send()
    async with held(world) as connection:
        await connection.execute(LOCK_CONVERSATION)
        await world.count()
        settling = asyncio.create_task(world.cleans.settle(now=world.clock.now()))
        await somebody_waits(world)
        second = await world.clean("bob", "ann", flag=True)
    assert await settling == 1
    assert tuple((await world.rows(CUTOFFS))[0]) == (first.cutoff, 0, first.cutoff, 0)
    assert second.cutoff > first.cutoff
    assert await world.history("bob", "ann") == []
    await world.apply(second)
    assert await world.settle() == 0


async def test_a_message_that_commits_while_its_grant_waits_survives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An append takes the channel's row before the floor is computed, and commits while the grant waits for it.

    Red with floor and grant in one locking UPDATE (tried in a copy): that waits for the row, reads the new
    last_position with the old snapshot of messages, and grants the message away.
    """
    await _due(world)
    late: list[int] = []
    async with held(world) as connection:

        async def begin() -> None:
            late.append(await append(connection, world))

        before(monkeypatch, "get_floor", begin)
        visiting = asyncio.create_task(world.reclaim.visit_due(now=NOON))
        await somebody_waits(world)
        assert await world.value(WAITING_FOR) == 1
    (report,) = await visiting
    assert report.deleted == 1
    assert await world.stored() == late
    assert [await world.value("SELECT reclaimed_to FROM channels")] == late
    assert await world.given("bob") == [(late[0], "missed")]


async def test_a_message_that_commits_between_floor_and_grant_survives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits here: the floor is a value by then."""
    await _due(world)
    before(monkeypatch, "grant", world.send)
    (report,) = await world.reclaim.visit_due(now=NOON)
    (late,) = await world.stored()
    assert (report.deleted, await world.history("bob", "ann")) == (1, [late])


async def test_a_setting_that_is_being_changed_holds_the_grant_back(world: World) -> None:
    """Multi-device sync goes on: the grant waits for it, and the message that the window covers survives."""
    await _due(world)
    async with held(world) as connection:
        await connection.execute("SELECT FROM apps WHERE app_key = $1 FOR UPDATE", world.app_key)
        await connection.execute("UPDATE apps SET multi_device_sync = true WHERE app_key = $1", world.app_key)
        visiting = asyncio.create_task(world.reclaim.visit_due(now=NOON))
        await somebody_waits(world)
    (report,) = await visiting
    assert report.deleted == 0
    assert await world.given("bob", "tablet") == [(at, "compensation") for at in await world.stored()]


async def test_a_grant_in_flight_holds_the_setting_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes after the grant and acts on what is above it, never in the middle."""
    await _due(world)
    changing: list[asyncio.Task[None]] = []

    async def change() -> None:
        changing.append(asyncio.create_task(world.set(multi_device_sync=True)))
        await somebody_waits(world)
        assert not changing[0].done()

    before(monkeypatch, "grant", change)
    (report,) = await world.reclaim.visit_due(now=NOON)
    await changing[0]
    assert report.deleted == 1
    assert await world.value("SELECT multi_device_sync FROM apps")
    kept = await world.send()
    await world.ack("bob", "ann", kept)
    await world.clean("bob", "ann")
    await world.work()
    assert await world.stored() == [kept]


async def test_two_workers_never_visit_one_channel_at_once(world: World) -> None:
    """The second claim waits for the first and then finds the lease."""
    await _due(world)
    reports = await asyncio.gather(*(world.reclaim.visit_due(now=NOON) for _ in range(3)))
    assert sorted(report.deleted for one in reports for report in one) == [1]


async def test_marking_the_channels_of_an_app_and_granting_one_do_not_deadlock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both need the app's row and the channel's: in one order."""
    await _due(world)
    await world.set(missed_days=6)
    marking: list[asyncio.Task[int]] = []

    async def mark() -> None:
        marking.append(asyncio.create_task(world.reclaim.mark_moved(now=NOON)))
        await somebody_waits(world)

    before(monkeypatch, "grant", mark)
    (report,) = await world.reclaim.visit_due(now=NOON)
    assert await marking[0] == 1
    assert report.deleted == 1
