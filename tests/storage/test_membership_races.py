"""Members and messages at once, on real connections: what a join reads from, and that nobody deadlocks."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from history import database
from history.axis import DAY, SECOND
from history.channels import store as channels_store
from history.errors import NotFound
from history.messages import store as messages_store
from history.messages.model import Flags
from history.retention.model import EVERYONE
from tests.factories import NOON, World
from tests.storage.test_races import held, somebody_waits

LOCK_CHANNEL = "UPDATE channels SET last_recall = last_recall"


@pytest.fixture
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadlock is an error, not something to get over."""
    monkeypatch.setattr(database, "DEADLOCK_TRIES", 1)


async def _append(connection: Any, world: World) -> int:
    """The statements of an append to the group, in a transaction that the test holds."""
    id_ = await world.id_of(world.group())
    reserved = await messages_store.reserve_positions(connection, {id_: 1}, {}, now=world.clock.now())
    row = (id_, reserved.ends[id_], int(Flags.PERSISTED), "ann", "text", "late", None, None)
    await messages_store.insert_messages(connection, [row])
    return reserved.ends[id_]


async def test_a_join_waits_for_an_append_in_flight_and_reads_what_comes_after(world: World) -> None:
    """The append has the channel's row: its message lies below the join, the next one above."""
    g = await world.make_group("bob")
    async with held(world) as connection:
        late = await _append(connection, world)
        joining = asyncio.create_task(world.membership.join(g, ["cid"]))
        await somebody_waits(world)
    await joining
    assert await world.value("SELECT join_position FROM conversations WHERE user_id = 'cid'") == late + 1
    assert await world.has_nothing(g, "cid")
    after = await world.post(g)
    assert await world.seen(g, "cid") == [after]


async def test_an_append_waits_for_a_join_in_flight_and_is_read_by_who_joined(world: World) -> None:
    """The join has the channel's row: the message comes after it."""
    g = await world.make_group("bob")
    before = await world.post(g)
    async with held(world) as connection:
        last = await channels_store.lock_channel(connection, await world.id_of(g))  # type: ignore[arg-type]
        assert last == before
        sending = asyncio.create_task(world.post(g))
        await somebody_waits(world)
        await channels_store.insert_members(
            connection,  # type: ignore[arg-type]
            await world.id_of(g),
            world.app_key,
            ["cid"],
            join_position=last + 1,
            now=NOON,
        )
    assert await world.seen(g, "cid") == [await sending]


async def test_joins_among_sends_read_exactly_what_comes_after_them(world: World) -> None:
    """Two processes, eighty sends, twenty joins: each reads a gapless end of the channel from its join position."""
    g = await world.make_group("bob")
    async with world.twin() as twin:
        dice = random.Random(7)
        calls = [world.post(g) for _ in range(40)] + [twin.post(g) for _ in range(40)]
        calls += [side.membership.join(g, [f"u{n}"]) for n in range(10) for side in (world, twin)]  # type: ignore[misc]
        dice.shuffle(calls)
        await asyncio.gather(*calls)
    stored = await world.stored_in(g)
    assert len(stored) == 80
    rows = await world.rows("SELECT user_id, join_position FROM conversations WHERE user_id LIKE 'u%'")
    assert len(rows) == 10
    for row in rows:
        found = await world.seen(g, row["user_id"])
        assert found == [at for at in stored if at >= row["join_position"]][::-1]
    assert await world.value("SELECT member_count FROM channels") == 12


@pytest.mark.usefixtures("no_second_try")
async def test_the_count_of_members_is_right_after_any_order_of_joins_and_leaves(world: World) -> None:
    """Both processes let the same users in and out at once."""
    g = await world.make_group()
    dice = random.Random(11)
    async with world.twin() as twin:
        calls = []
        for _ in range(60):
            users = [f"u{n}" for n in dice.sample(range(8), 3)]
            side = dice.choice((world, twin))
            calls.append(dice.choice((side.membership.join, side.membership.leave))(g, users))
        await asyncio.gather(*calls)
    wanted = "SELECT count(*) FROM conversations WHERE left_position IS NULL"
    assert await world.value("SELECT member_count FROM channels") == await world.value(wanted)


async def test_a_join_that_waits_for_a_dismissal_finds_no_group(world: World) -> None:
    """And makes nobody a participant; so does a send."""
    g = await world.make_group("bob")
    id_ = await world.id_of(g)
    async with held(world) as connection:
        await channels_store.dismiss_channels(connection, [id_], now=NOON)  # type: ignore[arg-type]
        calls = [
            asyncio.create_task(call)
            for call in (world.membership.join(g, ["cid"]), world.membership.leave(g, ["bob"]), world.post(g))
        ]
        await somebody_waits(world)
    for call in calls:
        with pytest.raises(NotFound):
            await call
    assert await world.value("SELECT count(*) FROM conversations") == 2
    assert await world.stored_in(g) == []


async def test_settling_waits_for_a_join_before_it_locks_a_conversation(world: World) -> None:
    """Channels before conversations: while the join has the channel, its member's row is free for an acknowledgement."""
    await world.set(undo_seconds=0)
    g = await world.make_group("bob")
    sent = await world.post(g)
    await world.clean_in(g, "bob")
    await world.apply()
    await world.count()
    async with held(world) as connection:
        await connection.execute(LOCK_CHANNEL)
        settling = asyncio.create_task(world.cleans.settle(now=NOON))
        await somebody_waits(world)
        await connection.execute("SELECT FROM conversations WHERE user_id = 'bob' FOR UPDATE NOWAIT")
    assert await settling == 1
    await world.ack_in(g, "bob", sent)


async def test_applying_everyones_and_ones_own_locks_channels_first(world: World) -> None:
    """The same for a round that has both kinds of pairs."""
    g = await world.make_group("bob")
    await world.post(g)
    await world.clean_in(g, "bob")
    await world.clean_in(g, EVERYONE)
    async with held(world) as connection:
        await connection.execute(LOCK_CHANNEL)
        applying = asyncio.create_task(world.apply())
        await somebody_waits(world)
        await connection.execute("SELECT FROM conversations WHERE user_id = 'bob' FOR UPDATE NOWAIT")
    assert (await applying).applied == 2


@pytest.mark.usefixtures("no_second_try")
async def test_everything_at_once_in_a_few_groups_deadlocks_nowhere(world: World) -> None:
    """Two processes join, leave, send, recall, clean, apply, settle, acknowledge and reclaim; nobody is a victim."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    users = [f"u{n}" for n in range(6)]
    groups = [await world.make_group(*users, id_=f"g{n}") for n in range(3)]
    first = {g: await world.post(g) for g in groups}
    dice = random.Random(3)
    async with world.twin() as twin:

        async def act(side: World) -> None:
            g, some = dice.choice(groups), dice.sample(users, 3)
            match dice.randrange(8):
                case 0:
                    await side.membership.join(g, some)
                case 1:
                    await side.membership.leave(g, some)
                case 2:
                    await side.post(g, dice.choice(users), client_key=dice.choice("abc"))
                case 3:
                    await side.recall(g, await side.post(g))
                case 4 | 5:
                    await side.clean_in(g, dice.choice((*users, EVERYONE)), flag=True)
                    await side.apply()
                    await side.settle()
                case 6:
                    await side.reclaim.visit_due(now=side.clock.now())
                case _:
                    # "ann" alone is sure to be a member
                    await side.ack_in(g, "ann", first[g])

        async def walk(side: World) -> None:
            for _ in range(25):
                await act(side)

        await asyncio.gather(*(walk(side) for side in (world, twin, world, twin)))
        await world.sweep.run(now=NOON + 400 * DAY + SECOND)
