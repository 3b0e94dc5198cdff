"""Months that are dropped whole: what has to be so before, who may wait for it, and what it gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from history.axis import DAY, SECOND
from history.errors import DatabaseUnavailable
from history.messages import store as messages_store
from history.messages.model import Month
from history.retention import store
from history.retention.model import MonthInUse
from history.retention.months import AGAIN_AFTER, CLOSED_FOR, DROP_TRIES, Months
from history.transfer import store as transfer_store
from history.transfer.model import Outcome
from tests.factories import NOON, World
from tests.storage.test_races import before, held, somebody_waits
from tests.transfer import Transfer, counted
from worker.jobs.months import drop_months

JANUARY = Month(2026, 1)
OLD = JANUARY.first + 10 * DAY
"""A moment in January; it is March."""


@pytest.fixture
async def old(world: World) -> World:
    """Two channels with a message in January each, and one in March; nothing is granted."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    await world.work()
    async with world.database.writing() as connection:
        await messages_store.insert_months(connection, [JANUARY])
    for other in ("bob", "cid"):
        await world.send("ann", other, at=OLD)
        await world.send("ann", other, at=NOON)
    world.clock.set(NOON)
    return world


async def _grant(world: World, *others: str, to: int = OLD + 1) -> None:
    """What reclaim does without its delete: as if a worker died between the two."""
    for other in others or ("bob", "cid"):
        id_ = await world.channel_id("ann", other)
        await world.execute("UPDATE channels SET reclaimed_to = $1 WHERE id = $2", to, id_)


async def _there(world: World) -> set[str]:
    async with world.database.reading() as connection:
        return await messages_store.list_months(connection)


async def _share(connection: Any) -> None:
    """What an import into January begins with."""
    await transfer_store.share_months(connection, [JANUARY])


async def _import(connection: Any, world: World, position: int, *, other: str = "bob") -> None:
    """Write a message into a month that is over, as an import does."""
    await _share(connection)
    channel_id = await world.channel_id("ann", other)
    await messages_store.insert_messages(
        connection, [(channel_id, position, 1, "ann", "text", "old", None, None)]
    )


async def test_a_month_below_every_grant_goes_and_all_else_stays(old: World) -> None:
    there = await _there(old)
    await _grant(old)
    assert await old.months.drop() == [JANUARY.table]
    assert await _there(old) == there - {JANUARY.table}
    assert await old.stored() == await old.stored("ann", "cid") == [NOON]
    assert await old.history("bob", "ann") == [NOON]
    assert await old.months.drop() == []


async def test_what_reclaim_has_deleted_is_below_every_grant(old: World) -> None:
    """The whole way: cleaned, received, settled, deleted row by row; then what is left of the month."""
    for other in ("bob", "cid"):
        await old.ack(other, "ann", NOON)
        await old.clean(other, "ann", sent_at=NOON // 1000)
    assert await old.months.drop() == []
    assert await old.work() == 2
    old.clock.advance(AGAIN_AFTER)
    assert await old.months.drop() == [JANUARY.table]
    assert await old.stored() == [NOON]


@pytest.mark.parametrize(("granted", "goes"), [(OLD - 1, False), (OLD, False), (OLD + 1, True)])
async def test_one_message_at_the_grant_keeps_its_month(old: World, granted: int, *, goes: bool) -> None:
    """Just below, on, and just above it; the other channel needs nothing."""
    await _grant(old)
    await _grant(old, "cid", to=granted)
    assert await old.months.drop() == [JANUARY.table] * goes
    assert (OLD in await old.stored("ann", "cid")) is not goes


async def test_neither_the_present_month_nor_a_later_one_goes_nor_one_just_over(world: World) -> None:
    """Empty ones; a month that is over waits for a day more."""
    there = await _there(world)
    assert await world.months.drop() == []
    assert await _there(world) == there
    over = Month(2026, 3).next().first + CLOSED_FOR
    world.clock.set(over - 1)
    assert await world.months.drop() == []
    world.clock.set(over)
    assert await world.months.drop() == ["messages_2026_03"]
    assert await _there(world) == there - {"messages_2026_03"}


async def test_a_partition_that_is_none_of_ours_is_left_alone(old: World) -> None:
    await old.execute("CREATE TABLE old_messages PARTITION OF messages FOR VALUES FROM (0) TO (1000)")
    await _grant(old)
    assert await old.months.drop() == [JANUARY.table]
    assert "old_messages" in await _there(old)


async def _asked(patch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """(first channel, end) of each question from now on."""
    asked: list[tuple[int, int | None]] = []
    really = store.get_needing

    async def ask(connection: Any, month: Month, *, first: int, end: int | None) -> int | None:
        asked.append((first, end))
        return await really(connection, month, first=first, end=end)

    patch.setattr(store, "get_needing", ask)
    return asked


async def test_a_month_that_is_needed_costs_a_question_a_minute_of_the_channel_that_needs_it(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it goes on from there."""
    low, high = sorted([await old.channel_id("ann", "bob"), await old.channel_id("ann", "cid")])
    asked = await _asked(monkeypatch)
    for at in (0, 1, AGAIN_AFTER - 1, AGAIN_AFTER, 2 * AGAIN_AFTER):
        old.clock.set(NOON + at)
        assert await old.months.drop() == []
    assert asked == [(0, None), (low, None), (low, None)]
    await old.execute("UPDATE channels SET reclaimed_to = $1 WHERE id = $2", OLD + 1, low)
    asked.clear()
    for minute in (3, 4):
        old.clock.set(NOON + minute * AGAIN_AFTER)
        assert await old.months.drop() == []
    assert asked == [(low, None), (high, None)]
    await _grant(old)
    old.clock.set(NOON + 5 * AGAIN_AFTER)
    assert await old.months.drop() == [JANUARY.table]
    # under the lock all are asked
    assert asked[2:] == [(high, None), (0, None)]


async def test_a_look_goes_page_by_page_and_call_by_call(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel a page, a page a call; under the lock all pages at once, and the month goes."""
    await _grant(old)
    low, high = sorted([await old.channel_id("ann", "bob"), await old.channel_id("ann", "cid")])
    asked = await _asked(monkeypatch)
    months = Months(old.database, old.clock, most=1, pages=1)
    assert await months.drop() == []
    assert asked == [(0, high)]
    assert await months.drop() == [JANUARY.table]
    assert asked == [(0, high), (high, None)] * 2
    assert low < high


async def test_an_import_that_comes_between_look_and_lock_keeps_the_month(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again under the lock, from the first channel on."""
    await _grant(old)

    async def arrives() -> None:
        async with old.database.writing() as connection:
            await _import(connection, old, OLD + 5)

    before(monkeypatch, "lock_month", arrives)
    assert await old.months.drop() == []
    assert await old.stored() == [OLD, OLD + 5, NOON]
    await _grant(old, to=OLD + 6)
    old.clock.advance(AGAIN_AFTER)
    assert await old.months.drop() == [JANUARY.table]


async def test_an_import_that_is_under_way_keeps_the_month(old: World) -> None:
    """It has its share of the lock: the drop gives way at once, and leaves the month for a minute."""
    await _grant(old)
    async with held(old) as connection:
        await _import(connection, old, OLD + 5)
        assert await asyncio.wait_for(old.months.drop(), timeout=10) == []
    old.clock.advance(AGAIN_AFTER - 1)
    assert await old.months.drop() == []
    old.clock.advance(1)
    assert await old.months.drop() == []
    assert await old.stored() == [OLD, OLD + 5, NOON]


async def test_an_import_that_has_written_nothing_yet_keeps_the_month(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would write and commit between the question and the drop: so no channel is asked before it has ended."""
    await _grant(old)
    asked = await _asked(monkeypatch)
    async with held(old) as connection:
        await _share(connection)
        assert await old.months.drop() == []
        assert asked == [(0, None)]
        await _import(connection, old, OLD + 5)
    old.clock.advance(AGAIN_AFTER)
    assert await old.months.drop() == []
    assert await old.stored() == [OLD, OLD + 5, NOON]


def _importing(old: World) -> asyncio.Task[Outcome]:
    """An import of January, as the product does it: a message of a new channel, and one that comes too late for its own."""
    transfer = Transfer(old)
    lines = transfer.line(OLD, channel=old.channel("ann", "eve")), transfer.line(OLD)
    return asyncio.create_task(transfer.load(*lines))


async def test_an_import_that_waits_while_channels_are_asked_keeps_the_month(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes at the first page under the lock: the drop gives way to it after that page."""
    await _grant(old)
    importing: list[asyncio.Task[Outcome]] = []

    async def comes() -> None:
        importing.append(_importing(old))
        await somebody_waits(old)

    asked = await _asked(monkeypatch)
    before(monkeypatch, "get_needing", comes, time=3)
    assert await Months(old.database, old.clock, most=1).drop() == []
    assert len(asked) == 3
    assert counted(await importing[0]) == (1, 0, 1)
    assert (await old.stored(), await old.stored("ann", "eve")) == ([OLD, NOON], [OLD])


async def test_an_import_that_comes_after_the_question_makes_its_month_again(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, holding nothing that a send needs, and finds the month gone: its message is there, in a month made anew."""
    await _grant(old)
    importing: list[asyncio.Task[Outcome]] = []
    sent: list[int] = []

    async def comes() -> None:
        importing.append(_importing(old))
        await somebody_waits(old)
        sent.append(await asyncio.wait_for(old.send("ann", "bob"), timeout=5))

    before(monkeypatch, "drop_month", comes)
    assert await old.months.drop() == [JANUARY.table]
    assert counted(await importing[0]) == (1, 0, 1)
    old.clock.advance(AGAIN_AFTER)
    assert await old.months.drop() == []
    assert (await old.stored(), await old.stored("ann", "eve")) == ([NOON, *sent], [OLD])


async def test_an_import_that_finds_its_month_gone_makes_it_again(old: World) -> None:
    """The row has no partition: the import is told so, and nothing is lost in the dark."""
    await _grant(old)
    await old.months.drop()
    with pytest.raises(messages_store.NoMonth):
        async with old.database.writing() as connection:
            await _import(connection, old, OLD + 5)
    async with old.database.writing() as connection:
        await messages_store.insert_months(connection, [JANUARY])
        await _import(connection, old, OLD + 5)
    assert await old.stored() == [OLD + 5, NOON]


WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"


async def test_a_month_that_is_in_use_makes_no_append_wait(old: World) -> None:
    """Somebody reads for long; the drop gives up, and messages go in before the reader has ended."""
    await _grant(old)
    async with held(old) as connection:
        await connection.fetch("SELECT count(*) FROM messages")
        dropping = asyncio.create_task(old.months.drop())
        while not (await old.value(WAITS) or dropping.done()):
            pass
        sent = await asyncio.wait_for(old.send("ann", "bob"), timeout=10)
        assert await asyncio.wait_for(dropping, timeout=10) == []
    assert await old.stored() == [OLD, NOON, sent]
    old.clock.advance(AGAIN_AFTER)
    assert await old.months.drop() == [JANUARY.table]


async def _reclaim(connection: Any, channel_id: int, position: int) -> None:
    assert await store.delete_reclaimed(connection, channel_id, position + 1, above=position, lease=1) == 1


async def _edit(connection: Any, channel_id: int, position: int) -> None:
    assert await messages_store.update_edited(
        connection, channel_id, position, content="new", metadata=None, now=NOON
    )


async def _recall(connection: Any, channel_id: int, position: int) -> None:
    assert await messages_store.recall(connection, channel_id, position, now=NOON)


Change = Callable[[Any, int, int], Awaitable[None]]
CHANGES = pytest.mark.parametrize("change", [_reclaim, _edit, _recall])
"""Each of a message of March, by a plan that is kept and locks all months."""
ALL_MONTHS = (
    "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation IN"
    " (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'messages'::regclass)"
)


async def _a_third_channel(old: World) -> tuple[int, int]:
    """One with a message of March that reclaim may delete, and somebody may edit; and where that is."""
    sent = await old.send("ann", "dan", at=NOON)
    channel_id = await old.channel_id("ann", "dan")
    await old.execute(
        "UPDATE channels SET reclaimed_to = $1, reclaim_lease = 1 WHERE id = $2", sent + 1, channel_id
    )
    return channel_id, sent


@CHANGES
async def test_a_change_of_another_month_waits_for_no_question_and_keeps_no_month(
    old: World, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    """It comes while the channels are asked under the lock, and is through before the answer."""
    await _grant(old)
    channel_id, sent = await _a_third_channel(old)
    locked: list[int] = []

    async def changed() -> None:
        async with old.database.writing() as connection:
            await change(connection, channel_id, sent)
            locked.append(await connection.fetchval(ALL_MONTHS))

    before(monkeypatch, "get_needing", lambda: asyncio.wait_for(changed(), timeout=5), time=2)
    assert await old.months.drop() == [JANUARY.table]
    # control: it did lock the month that went, which is not its own
    assert locked[0] >= len(await _there(old)) + 1


@CHANGES
async def test_a_change_that_is_just_passing_puts_no_drop_off(
    old: World, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    """Its transaction is open when the table is asked for, and ends before the last try."""
    await _grant(old)
    channel_id, sent = await _a_third_channel(old)
    passing = old.database.writing()
    connection = await passing.__aenter__()
    await change(connection, channel_id, sent)
    tries = 0
    really = store.drop_month

    async def drop(connection: Any, month: Month) -> None:
        nonlocal tries
        tries += 1
        if tries == DROP_TRIES:
            await passing.__aexit__(None, None, None)
        await really(connection, month)

    monkeypatch.setattr(store, "drop_month", drop)
    assert await old.months.drop() == [JANUARY.table]
    assert tries == DROP_TRIES


async def test_a_month_that_is_vacuumed_is_left_before_anybody_waits(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of messages is not asked for, and the channels are not asked again."""
    await _grant(old)
    asked = await _asked(monkeypatch)
    async with held(old) as connection:
        # what a vacuum takes
        await connection.execute(f"LOCK TABLE {JANUARY.table} IN SHARE UPDATE EXCLUSIVE MODE")
        assert await old.months.drop() == []
    assert asked == [(0, None)]
    old.clock.advance(AGAIN_AFTER)
    assert await old.months.drop() == [JANUARY.table]


async def test_of_two_months_one_is_dropped_at_a_time(old: World) -> None:
    """Each drop has read all of the table, and would stand in the way of the other."""
    await _grant(old)
    february = JANUARY.next()
    async with old.database.writing() as connection:
        await messages_store.insert_months(connection, [february])
    async with old.database.writing() as connection:
        await store.lock_month(connection, february)
        assert await old.months.drop() == []
    old.clock.advance(AGAIN_AFTER)
    assert await old.months.drop() == [JANUARY.table, february.table]


async def test_the_question_under_the_lock_is_given_up_where_it_takes_long(old: World) -> None:
    """An import into that month waits for its answer."""

    async def ask() -> None:
        async with held(old) as other, old.database.writing() as connection:
            await store.lock_month(connection, JANUARY)
            assert await connection.fetchval("SHOW lock_timeout") == "50ms"
            assert await connection.fetchval("SHOW statement_timeout") == "2s"
            await other.execute("LOCK TABLE channels")
            await connection.execute("SET LOCAL lock_timeout = 0")
            await connection.execute("SET LOCAL statement_timeout = 1")
            await store.get_needing(connection, JANUARY, first=0, end=None)

    with pytest.raises(MonthInUse):
        await ask()
    await _grant(old)
    assert await old.months.drop() == [JANUARY.table]


async def test_of_two_workers_one_drops_it(old: World) -> None:
    await _grant(old)
    async with old.twin() as twin:
        dropped = await asyncio.gather(old.months.drop(), twin.months.drop())
    assert sorted(dropped) == [[], [JANUARY.table]]


async def test_what_goes_with_messages_is_finished_all_the_same(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker died between grant and delete, and the month went before the next visit: files, and what hid a message."""
    key = old.channel("ann", "dan")
    old.clock.set(OLD)
    media = await old.upload("ann")
    sent = [await old.post(key, content=f"media:[{media.public_id}]"), await old.post(key, at=NOON)]
    await old.hide(key, "ann", sent[0])
    await old.ack("dan", "ann", sent[1])
    for user in ("ann", "dan"):
        await old.clean_in(key, user, sent_at=NOON // 1000, media=True)

    async def dies(*_: object, **__: object) -> int:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete_reclaimed", dies)
        with pytest.raises(DatabaseUnavailable):
            await old.work()
    await _grant(old)
    assert await old.stored_in(key) == sent
    assert await old.months.drop() == [JANUARY.table]
    assert await old.there(media)
    assert await old.value("SELECT count(*) FROM hidden_messages") == 1
    old.clock.advance(DAY)
    await old.work()
    assert not await old.there(media)
    assert await old.value("SELECT count(*) FROM hidden_messages") == 0
    assert await old.stored_in(key) == sent[1:]


async def test_the_disk_has_its_bytes_back_and_every_apps_run_says_so(old: World) -> None:
    """Before and after, of all months with their indexes and TOAST; the files themselves are gone."""
    other = (await old.apps.create("other")).app_key
    await old.execute(
        "INSERT INTO messages SELECT $1, $2::bigint + n, 1, 'ann', 't', repeat(md5(n::text), 99)"
        " FROM generate_series(1, 3000) n",
        await old.channel_id("ann", "bob"),
        OLD,
    )
    await _grant(old, to=OLD + 3001)
    files = [
        row["path"]
        for row in await old.rows(
            "SELECT pg_relation_filepath(oid) AS path FROM pg_class WHERE oid IN ($1::text::regclass,"
            " (SELECT reltoastrelid FROM pg_class WHERE oid = $1::text::regclass), ($1 || '_pkey')::regclass)",
            JANUARY.table,
        )
    ]
    size = "SELECT pg_total_relation_size($1::text::regclass)"
    month = await old.value(size, JANUARY.table)
    rest = sum([await old.value(size, table) for table in await _there(old)]) - month
    assert month > 500_000
    assert await drop_months(old.months, old.runs) == ([JANUARY.table], rest)
    for app_key in (old.app_key, other):
        [run] = (await old.runs.list(app_key, cursor=None, most=9))[0]
        assert (run.bytes_before, run.bytes_after) == (month + rest, rest)
        assert run.dropped_months == (JANUARY.table,)
    async with old.database.reading() as connection:
        await connection.execute("CHECKPOINT")
    assert len(files) == 3
    for path in files:
        assert await old.value("SELECT size FROM pg_stat_file($1, true)", path) is None
    old.clock.advance(60 * SECOND)
    assert await drop_months(old.months, old.runs) == ([], 0)
    run = (await old.runs.list(other, cursor=None, most=9))[0][0]
    assert (run.bytes_before, run.bytes_after, run.dropped_months) == (rest, rest, ())
