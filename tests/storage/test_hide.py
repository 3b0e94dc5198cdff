"""What one user deletes by id is gone for him: from his history and his compensation, and from nothing else."""

from __future__ import annotations

import asyncio

from history.axis import DAY
from history.cursors import message_id
from tests.factories import World
from tests.storage.test_races import held, somebody_waits


async def test_it_is_gone_from_his_history_and_compensation_alone(world: World) -> None:
    """The sender keeps it, and so do their other messages."""
    sent = [await world.send(echo=True) for _ in range(3)]
    await world.ack("bob", "ann", sent[-1])
    assert await world.hide(world.channel(), "bob", sent[1]) == [True]
    assert await world.history("bob", "ann") == [sent[2], sent[0]]
    assert await world.given("bob", "new") == [(sent[0], "compensation"), (sent[2], "compensation")]
    assert await world.history("ann", "bob") == [*reversed(sent)]
    assert [at for at, _ in await world.given("ann", "new")] == sent
    page, _ = await world.delivery.conversations(world.app_key, "bob", cursor=None, most=9)
    assert page[0].last_message is not None
    await world.hide(world.channel(), "bob", sent[2])
    page, _ = await world.delivery.conversations(world.app_key, "bob", cursor=None, most=9)
    assert page[0].last_message is not None
    assert page[0].last_message.position == sent[0]


async def test_a_missed_one_is_delivered_all_the_same(world: World) -> None:
    """A missed message is delivered until it is acknowledged; then it is compensation for nobody."""
    sent = await world.send()
    await world.hide(world.channel(), "bob", sent)
    assert await world.history("bob", "ann") == []
    assert await world.given("bob") == [(sent, "missed")]
    await world.ack("bob", "ann", sent)
    assert await world.given("bob", "new") == []


async def test_each_id_has_its_outcome(world: World) -> None:
    """Found, twice the same, unknown, another channel's, another app's, no id at all; hidden again is found again."""
    sent, other = await world.send(), await world.send("ann", "cid")
    key = world.channel()
    ids = [
        message_id(await world.id_of(key), sent),
        message_id(await world.id_of(key), sent),
        message_id(await world.id_of(key), sent + 5),
        message_id(await world.channel_id("ann", "cid"), other),
        "no id",
    ]
    for _ in range(2):
        assert await world.messages.hide(key, "bob", ids) == [True, True, False, False, False]
    assert await world.messages.hide(world.channel("bob", "eve"), "bob", ids) == [False] * 5
    assert await world.value("SELECT count(*) FROM hidden_messages") == 1
    assert await world.history("cid", "ann") == [other]


async def test_who_takes_no_part_hides_nothing(world: World) -> None:
    """A stranger, and one who has left."""
    g = await world.make_group("bob")
    sent = await world.post(g)
    await world.membership.leave(g, ["bob"])
    for user in ("bob", "eve"):
        assert await world.hide(g, user, sent) == [False]
    assert await world.value("SELECT count(*) FROM hidden_messages") == 0


async def test_what_is_hidden_or_recalled_blocks_no_one_and_the_row_goes_with_the_message(
    world: World,
) -> None:
    """Hiding the last thing that somebody could be given lets reclaim go on."""
    await world.set(multi_device_sync=False)
    sent = [await world.send() for _ in range(2)]
    await world.ack("bob", "ann", sent[-1])
    assert await world.work() == 0
    await world.hide(world.channel(), "bob", sent[0])
    assert await world.work() == 1
    assert await world.stored() == sent[1:]
    assert await world.value("SELECT count(*) FROM hidden_messages") == 0
    await world.hide(world.channel(), "bob", sent[1])
    assert await world.work() == 1
    assert await world.stored() == []


async def test_a_row_stays_while_its_message_does(world: World) -> None:
    """Above another message that is needed it must hide on."""
    await world.set(multi_device_sync=False)
    sent = [await world.send() for _ in range(3)]
    await world.ack("bob", "ann", sent[-1])
    await world.hide(world.channel(), "bob", sent[1])
    await world.work()
    world.clock.advance(400 * DAY)
    await world.sweep.run(now=world.clock.now())
    await world.work()
    assert await world.history("bob", "ann") == [sent[2], sent[0]]


async def test_a_receipt_that_is_counted_later_knows_what_was_hidden_when(world: World) -> None:
    """Hidden before apply: not counted; hidden after it: counted."""
    sent = [await world.send() for _ in range(3)]
    await world.hide(world.channel(), "bob", sent[0])
    accepted = await world.clean("bob", "ann")
    await world.apply()
    await world.hide(world.channel(), "bob", sent[1])
    assert await world.counted(accepted) == [(2, 2, 0, 0)]


async def test_two_at_once_have_stamps_of_their_own(world: World) -> None:
    """The second waits for the first, and both hide."""
    sent = [await world.send() for _ in range(2)]
    async with held(world) as connection:
        await connection.execute("SELECT FROM conversations WHERE user_id = 'bob' FOR UPDATE")
        hiding = [asyncio.create_task(world.hide(world.channel(), "bob", one)) for one in sent]
        await somebody_waits(world)
    assert await asyncio.gather(*hiding) == [[True], [True]]
    rows = await world.rows("SELECT stamp FROM hidden_messages ORDER BY stamp")
    assert [row["stamp"] for row in rows] == [1, 2]
    assert await world.value("SELECT last_hide FROM conversations WHERE user_id = 'bob'") == 2
