"""The sender's own id of a message: the same again is the same message."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from history import database
from history.axis import DAY, SECOND
from history.errors import DatabaseUnavailable, NotFound
from history.messages import store
from history.messages.model import Draft, Flags
from tests.factories import NOON, World
from tests.storage.test_races import somebody_waits

STORED = "SELECT count(*) FROM messages"
HOUR = 3_600 * SECOND


def _draft(world: World, *to: str, sender: str = "ann", key: str | None = "k", kept: int = DAY) -> Draft:
    return Draft(
        channels=tuple(world.channel(sender, user) for user in to or ("bob",)),
        sender=sender,
        type="text",
        content="once",
        flags=Flags.PERSISTED,
        client_key=key,
        key_kept=kept,
    )


async def test_the_same_key_again_answers_the_same_message(world: World) -> None:
    """And stores nothing, whatever the text says by now; no position is used up."""
    first = await world.messages.send(_draft(world))
    assert await world.messages.send(_draft(world)) == first
    assert await world.post(world.channel(), client_key="k", content="other") == NOON
    assert await world.value(STORED) == 1
    assert await world.send() == NOON + 1


async def test_the_same_key_in_one_batch_is_one_message(world: World) -> None:
    """Beside others that have none or their own; each is answered with its own."""
    await world.send(content="warm")
    keys = ["k", None, "k", "l", None, "k"]
    answers = await asyncio.gather(*(world.messages.send(_draft(world, key=key)) for key in keys))
    assert answers[0] == answers[2] == answers[5]
    assert len({answer[0] for answer in answers}) == 4
    assert await world.value(STORED) == 5


async def test_two_equal_messages_without_a_key_are_two(world: World) -> None:
    """In one batch, word for word the same; also where one object is handed in twice."""
    draft = _draft(world, key=None)
    answers = await asyncio.gather(*(world.messages.send(draft) for _ in range(3)))
    assert len({answer[0] for answer in answers}) == 3
    assert await world.value(STORED) == 3


async def test_a_key_counts_per_channel_and_per_sender(world: World) -> None:
    """In another channel, from another sender, in a group: another message each."""
    g = await world.make_group("bob")
    ids = {
        (await world.messages.send(_draft(world)))[0],
        (await world.messages.send(_draft(world, "cid")))[0],
        (await world.messages.send(_draft(world, "ann", sender="bob")))[0],
        str(await world.post(g, client_key="k")),
    }
    assert len(ids) == 4
    assert await world.value(STORED) == 4


async def test_a_key_of_several_channels_fills_up_what_is_missing(world: World) -> None:
    """One of three channels has it already: it answers the old message and two are new."""
    (old,) = await world.messages.send(_draft(world, "bob"))
    answer = await world.messages.send(_draft(world, "cid", "bob", "dan"))
    assert answer[1] == old
    assert len(set(answer)) == 3
    assert await world.value(STORED) == 3
    assert await world.messages.send(_draft(world, "cid", "bob", "dan")) == answer


@pytest.mark.parametrize("warm", [False, True])
async def test_two_processes_that_race_with_one_key_store_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch, *, warm: bool
) -> None:
    """Connections of their own, thirty keys each in other orders: the loser answers the winner's message."""
    # a deadlock is an error here, not something to get over
    monkeypatch.setattr(database, "DEADLOCK_TRIES", 1)
    if warm:
        await world.send(content="warm")
    keys = [f"k{n}" for n in range(30)]
    async with world.twin() as twin:
        await asyncio.gather(world.database.ping(), twin.database.ping())
        answers = await asyncio.gather(
            *(world.messages.send(_draft(world, key=key)) for key in keys),
            *(twin.messages.send(_draft(world, key=key)) for key in reversed(keys)),
        )
    assert answers[:30] == answers[30:][::-1]
    assert len({answer[0] for answer in answers}) == 30
    assert await world.value(f"{STORED} WHERE content = 'once'") == 30


async def test_keys_are_claimed_in_one_order_whatever_the_order_of_a_draft(world: World) -> None:
    """While the lowest is waited for, none above it is held: two that want both cannot wait for each other."""
    ids = {await world.channel_id("ann", to): to for to in ("bob", "cid") if await world.send("ann", to)}
    low, high = sorted(ids)
    claim = "INSERT INTO message_keys VALUES ($1, 'ann', 'k', 0, $2)"
    mine, probe = await asyncpg.connect(world.url), await asyncpg.connect(world.url)
    try:
        holding = mine.transaction()
        await holding.start()
        await mine.execute(claim, low, NOON + DAY)
        sending = asyncio.create_task(world.messages.send(_draft(world, ids[high], ids[low])))
        await somebody_waits(world)
        async with probe.transaction():
            await probe.execute("SET LOCAL lock_timeout = '100ms'")
            await probe.execute(claim, high, NOON)
            await probe.execute("DELETE FROM message_keys WHERE channel_id = $1", high)
        await holding.rollback()
        assert len(set(await sending)) == 2
    finally:
        await mine.close()
        await probe.close()


async def test_a_loser_waits_for_the_winners_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The winner holds the key uncommitted; then it rolls back, and the loser is the winner."""
    await world.send(content="warm")
    insert = store.insert_messages
    reached, go = asyncio.Event(), asyncio.Event()

    async def dies(*_: object) -> None:
        monkeypatch.setattr(store, "insert_messages", insert)
        reached.set()
        await go.wait()
        raise asyncpg.CannotConnectNowError

    monkeypatch.setattr(store, "insert_messages", dies)
    async with world.twin() as twin:
        winner = asyncio.create_task(world.messages.send(_draft(world)))
        await reached.wait()
        loser = asyncio.create_task(twin.messages.send(_draft(world)))
        await somebody_waits(world)
        assert not loser.done()
        go.set()
        with pytest.raises(DatabaseUnavailable):
            await winner
        answer = await loser
    assert await world.value(f"{STORED} WHERE content = 'once'") == 1
    assert await world.messages.send(_draft(world)) == answer


async def test_a_crash_before_the_commit_leaves_no_claim(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction rolls back with its key: the same key is stored when it comes again."""

    async def dies(*_: object) -> None:
        raise asyncpg.CannotConnectNowError

    with monkeypatch.context() as patch:
        patch.setattr(store, "update_key_positions", dies)
        with pytest.raises(DatabaseUnavailable):
            await world.messages.send(_draft(world))
    assert await world.value("SELECT count(*) FROM message_keys") == 0
    first = await world.messages.send(_draft(world))
    async with world.twin() as twin:
        assert await twin.messages.send(_draft(world)) == first
    assert await world.value(STORED) == 1


async def test_a_key_lapses_after_its_hours(world: World) -> None:
    """The last instant and the one after; then the key counts anew from there."""
    first = await world.messages.send(_draft(world, kept=2 * HOUR))
    world.clock.set(NOON + 2 * HOUR - 1)
    assert await world.messages.send(_draft(world, kept=2 * HOUR)) == first
    world.clock.advance(1)
    second = await world.messages.send(_draft(world, kept=2 * HOUR))
    assert second != first
    world.clock.advance(2 * HOUR - 1)
    assert await world.messages.send(_draft(world, kept=2 * HOUR)) == second
    assert await world.value(STORED) == 2


async def test_a_key_of_a_recalled_or_reclaimed_message_still_answers_it(world: World) -> None:
    """Nothing comes back through a second try."""
    await world.set(multi_device_sync=False)
    (first,) = await world.messages.send(_draft(world))
    await world.messages.recall(world.channel(), first, sender="ann", admin=False)
    assert await world.messages.send(_draft(world)) == [first]
    await world.work()
    assert await world.messages.send(_draft(world)) == [first]
    assert await world.value(STORED) == 0


async def test_a_refused_send_claims_nothing(world: World) -> None:
    """A group that has ended: the key is free where the send failed, and known where it did not."""
    g, other = await world.make_group("bob"), await world.make_group("bob", id_="other")
    await world.membership.dismiss(g)
    draft = Draft(
        channels=(other, g), sender="ann", type="text", content="c", flags=Flags.PERSISTED, client_key="k"
    )
    with pytest.raises(NotFound):
        await world.messages.send(draft)
    assert await world.value("SELECT count(*) FROM message_keys") == await world.value(STORED) == 0
