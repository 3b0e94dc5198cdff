"""Who wrote where is known without looking through messages: a hold on him covers it, for as long as it is on disk."""

from __future__ import annotations

import asyncio
import json

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey
from history.errors import DatabaseUnavailable
from history.messages import store as messages_store
from history.queries import statement
from tests.factories import NOON, World
from tests.storage.test_races import held, somebody_waits

WHO = "SELECT user_id, position FROM senders ORDER BY user_id"


async def _who(world: World) -> list[tuple[str, int]]:
    return [tuple(row) for row in await world.rows(WHO)]


async def _hold(world: World, user: str) -> None:
    await world.policies.place_hold(world.app_key, channel=None, user_id=user, reason="case")


async def _held(world: World, key: ChannelKey) -> bool:
    async with world.database.reading() as connection:
        found: bool = await connection.fetchval(statement("messages", "is_held"), await world.id_of(key))
    return found


async def test_whoever_writes_in_a_group_or_an_open_channel_is_noted_once_a_day(world: World) -> None:
    """Members and others; nobody in direct and system channels, whose keys say it."""
    g, o = await world.make_group("bob"), await world.make_open()
    await world.post(g, "ann")
    eve = await world.post(g, "eve")
    await world.post(g, "eve", at=eve + DAY - 1)
    fay = await world.post(o, "fay")
    await world.send()
    await world.post(world.system(), "news")
    assert await _who(world) == [("ann", NOON), ("eve", eve), ("fay", fay)]
    later = await world.post(g, "eve", at=eve + DAY)
    assert await _who(world) == [("ann", NOON), ("eve", later), ("fay", fay)]


async def test_several_of_one_commit_are_one_row_with_the_last_position(world: World) -> None:
    """Sent at once, by two."""
    g = await world.make_group()
    sends = (world.post(g, user) for user in ("eve", "bob") * 5)
    last = dict(zip(("eve", "bob") * 5, await asyncio.gather(*sends), strict=True))
    noted = dict(await _who(world))
    assert noted.keys() == {"eve", "bob"}
    assert all(0 <= last[user] - at < DAY for user, at in noted.items())


async def test_a_commit_that_failed_is_not_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next message notes him."""
    g = await world.make_group()

    async def fails(*_: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(messages_store, "upsert_senders", fails)
        with pytest.raises(DatabaseUnavailable):
            await world.post(g, "eve")
    assert await world.stored_in(g) == []
    sent = await world.post(g, "eve")
    assert await _who(world) == [("eve", sent)]


async def test_two_processes_note_one_sender_together(world: World) -> None:
    """The higher position stands, whoever is late."""
    g = await world.make_group()
    first = await world.post(g, "eve", at=NOON + SECOND)
    async with world.twin() as twin:
        second = await twin.post(g, "eve", at=NOON)
    assert second == first + 1
    assert await _who(world) == [("eve", second)]


async def test_what_a_held_user_sends_later_is_covered_from_its_commit_on(world: World) -> None:
    """The hold came first; he takes no part; a process that knew him from yesterday notes him anew."""
    groups = [await world.make_group("bob", id_=f"g{number}") for number in range(2)]
    await _hold(world, "eve")
    assert [await _held(world, g) for g in groups] == [False, False]
    await world.post(groups[0], "eve")
    assert [await _held(world, g) for g in groups] == [True, False]


async def test_accounts_and_both_sides_of_a_direct_channel_are_covered_by_the_key(world: World) -> None:
    """And a group whose id is a user's is not his."""
    g = await world.make_group("bob", id_="news")
    await world.post(world.system())
    await world.send()
    assert [await _held(world, key) for key in (world.system(), world.channel(), g)] == [False] * 3
    await _hold(world, "news")
    assert [await _held(world, key) for key in (world.system(), world.channel(), g)] == [True, False, False]
    await _hold(world, "ann")
    assert await _held(world, world.channel())


async def test_a_row_stays_until_all_that_he_wrote_is_gone(world: World) -> None:
    """Noted at his first message, and his last is almost a day later: the grant has to be above both."""
    await world.set(multi_device_sync=False, undo_seconds=0)
    g = await world.make_group("bob")
    first = await world.post(g, "eve")
    last = await world.post(g, "eve", at=first + DAY - 1)
    world.clock.set(first + DAY)
    for user in ("ann", "bob"):
        await world.ack_in(g, user, last)
    await world.clean_in(g, sent_at=last // 1000)
    assert await world.work() == 1
    assert await world.stored_in(g) == [last]
    assert await _who(world) == [("eve", first)]
    await _hold(world, "eve")
    assert await _held(world, g)
    await world.execute("DELETE FROM holds")
    await world.clean_in(g)
    assert await world.work() == 1
    # nothing of his is left, but he may have been noted a day before: one more message of another tells
    other = await world.post(g, "ann", at=last + DAY + 1)
    await world.ack_in(g, "bob", other)
    await world.clean_in(g)
    assert await world.work() == 1
    assert await _who(world) == [("ann", other)]


async def test_who_writes_again_while_his_row_goes_keeps_one(world: World) -> None:
    """The send is not committed when the visit wants to delete the row."""
    g = await world.make_group("bob")
    await world.post(g, "eve")
    id_ = await world.id_of(g)
    late = NOON + 3 * DAY
    async with held(world) as connection:
        sql = "UPDATE senders SET position = $1"
        await connection.execute(sql, late)
        await world.execute("UPDATE channels SET reclaimed_to = $1", NOON + 2 * DAY)
        deleting = asyncio.create_task(world.execute(statement("retention", "delete_senders"), id_, 10))
        await somebody_waits(world)
    await deleting
    assert await _who(world) == [("eve", late)]
    await world.execute("UPDATE channels SET reclaimed_to = $1", late + DAY + 1)
    await world.execute(statement("retention", "delete_senders"), id_, 10)
    assert await _who(world) == []


async def test_whether_a_hold_covers_a_channel_is_not_looked_for_in_messages(world: World) -> None:
    """By keys, however long the channel is."""
    g = await world.make_group("bob")
    await world.post(g, "eve")
    text = await world.value(
        "EXPLAIN (VERBOSE, FORMAT JSON) " + statement("messages", "is_held"), await world.id_of(g)
    )
    plan = json.dumps(json.loads(text))
    assert '"senders"' in plan
    assert "messages" not in plan
