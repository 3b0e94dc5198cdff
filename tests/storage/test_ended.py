"""Channels that end: dismissed groups; open channels that are destroyed, expire, and are made again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from history.axis import DAY, SECOND
from history.errors import Conflict, NotFound
from tests.factories import NOON, World

MINUTE = 60 * SECOND
NEXT = "SELECT next_reclaim_at FROM channels"
MISSED = "missed"


# groups --------------------------------------------------------------------------------------------------------------


async def test_a_dismissed_group_is_cleaned_for_everyone_at_once(world: World) -> None:
    """Before any worker ran: no history, no conversation, no member joins or leaves, nothing is sent."""
    g = await world.make_group("bob")
    sent = await world.post(g, echo=True)
    await world.ack_in(g, "bob", sent)
    await world.membership.dismiss(g)
    for user in ("ann", "bob"):
        assert await world.has_nothing(g, user)
        assert (await world.delivery.conversations(world.app_key, user, cursor=None, most=9))[0] == []
    for call in (
        world.post(g),
        world.membership.join(g, ["cid"]),
        world.membership.leave(g, ["bob"]),
        world.membership.dismiss(g),
        world.membership.group(g),
    ):
        with pytest.raises(NotFound):
            await call
    (notice,) = (await world.sync("bob")).cleans
    assert (notice.everyone, notice.cutoff) == (True, sent + 1)


async def test_what_is_missed_in_a_dismissed_group_is_delivered_and_then_goes(world: World) -> None:
    """Whatever nobody misses goes with the first visit, with no undo; the rest one acknowledgement later."""
    g = await world.make_group("bob", "cid")
    seen_by_both = await world.post(g, echo=True)
    for user in ("bob", "cid"):
        await world.ack_in(g, user, seen_by_both)
    missed = await world.post(g)
    await world.ack_in(g, "cid", missed)
    await world.membership.dismiss(g)
    assert await world.work() == 1
    assert await world.given("bob") == [(missed, MISSED)]
    assert await world.given("cid", "tablet") == []
    await world.ack_in(g, "bob", missed)
    assert await world.work() == 1
    assert await world.stored_in(g) == []


async def test_what_is_missed_in_a_dismissed_group_expires(world: World) -> None:
    """By time alone."""
    g = await world.make_group("bob")
    sent = await world.post(g)
    await world.membership.dismiss(g)
    assert await world.work() == 0
    assert await world.value(NEXT) == sent + 7 * DAY + 1
    world.clock.set(sent + 7 * DAY + 1)
    assert await world.work() == 1


async def test_the_id_of_a_dismissed_group_stays_taken(world: World) -> None:
    """Members may still be owed what they missed; its neighbour lives on."""
    g, other = await world.make_group("bob"), await world.make_group("bob", id_="other")
    await world.membership.dismiss(g)
    with pytest.raises(Conflict):
        await world.make_group("eve", owner="eve")
    assert (await world.membership.group(other)).member_count == 2
    with pytest.raises(NotFound):
        async with world.twin() as twin:
            await twin.post(g)


async def test_one_ended_group_does_not_fail_its_neighbours_in_a_batch(world: World) -> None:
    """Only its own sender hears of it."""
    g, other = await world.make_group("bob"), await world.make_group("bob", id_="other")
    await world.membership.dismiss(g)
    answers = await asyncio.gather(
        world.post(other, content="one"),
        world.post(g),
        world.post(other, content="two"),
        return_exceptions=True,
    )
    assert [isinstance(answer, NotFound) for answer in answers] == [False, True, False]
    assert len(await world.seen(other, "bob")) == 2


# open channels -------------------------------------------------------------------------------------------------------


async def test_anyone_reads_an_open_channel_by_its_cutoffs_alone(world: World) -> None:
    """Who was never there, too; his own only where echoed; there is neither missed nor compensation."""
    o = await world.make_open()
    plain, echoed = await world.post(o), await world.post(o, echo=True)
    assert await world.seen(o, "eve") == [echoed, plain]
    assert await world.seen(o, "ann") == [echoed]
    assert await world.given("eve") == await world.given("ann") == []
    assert await world.value("SELECT count(*) FROM conversations") == 0
    assert await world.seen(world.open("none"), "eve") == []


async def test_a_clean_of_an_open_channel_takes_everyones_history(world: World) -> None:
    """At once; and after its undo window the rows go, the later message stays."""
    await world.set(undo_seconds=60)
    o = await world.make_open()
    await world.post(o)
    await world.clean_in(o)
    kept = await world.post(o)
    for _ in range(2):
        assert await world.seen(o, "bob") == await world.seen(o, "eve") == [kept]
        assert await world.work() == 0
    world.clock.advance(60 * SECOND)
    assert await world.work() == 1
    assert await world.stored_in(o) == [kept]


@pytest.mark.parametrize("from_last_message", [False, True])
async def test_an_open_channel_expires_by_its_ttl(world: World, *, from_last_message: bool) -> None:
    """One instant before it is there; at the instant it is invisible and refuses, and its visit is due just then."""
    o = await world.make_open(ttl=10, from_last_message=from_last_message)
    sent = await world.post(o, at=NOON + MINUTE)
    await world.work()
    end = (sent if from_last_message else NOON) + 10 * MINUTE
    world.clock.set(end - 1)
    assert await world.seen(o, "eve") == [sent]
    assert await world.work() == 0
    world.clock.set(end)
    assert await world.seen(o, "eve") == []
    with pytest.raises(NotFound):
        await world.post(o)
    due: int = await world.value(NEXT)
    assert due <= end
    assert await world.work() == 1
    assert await world.stored_in(o) == []
    assert await world.seen(o, "eve") == []
    assert await world.value(NEXT) is None


async def test_the_next_look_at_an_open_channel_is_never_later_than_its_expiry(world: World) -> None:
    """After a clean, a send, a visit that finds it alive, a recall: by time alone it still goes."""
    await world.set(undo_seconds=0)
    o = await world.make_open(ttl=10)
    for step in range(4):
        first = await world.post(o, at=NOON + step * 5 * MINUTE, persist=step != 1)
        due: int | None = await world.value(NEXT)
        assert due is not None
        assert due <= first + 10 * MINUTE
        if step == 2:
            await world.clean_in(o)
        if step == 3:
            await world.recall(o, first)
        await world.work()
    last = NOON + 15 * MINUTE
    while await world.value(NEXT) is not None:
        due = await world.value(NEXT)
        assert due is not None
        assert due <= last + 10 * MINUTE
        world.clock.set(due)
        await world.work()
    assert await world.stored_in(o) == []


async def test_a_ttl_that_counts_from_creation_is_not_put_off_by_messages(world: World) -> None:
    """The look is at that very instant."""
    await world.make_open(ttl=10, from_last_message=False)
    await world.post(world.open(), at=NOON + 9 * MINUTE)
    assert await world.value(NEXT) == NOON + 10 * MINUTE


async def _destroy(world: World) -> None:
    await world.membership.destroy_open([world.open(), world.open("none")])


async def _expire(world: World) -> None:
    world.clock.advance(10 * MINUTE)


@pytest.mark.parametrize("end", [_destroy, _expire])
@pytest.mark.parametrize("visited", [False, True])
async def test_an_open_channel_that_is_made_again_is_empty(
    world: World, *, end: Callable[[World], Awaitable[None]], visited: bool
) -> None:
    """Destroyed or expired, visited in between or not; it lives by its new ttl and takes messages."""
    o = await world.make_open(ttl=10)
    await world.post(o)
    await end(world)
    assert await world.seen(o, "eve") == []
    with pytest.raises(NotFound):
        await world.post(o)
    if visited:
        assert await world.work() == 1
    await world.make_open(ttl=20)
    assert await world.seen(o, "eve") == []
    kept = await world.post(o)
    await world.work()
    assert await world.seen(o, "eve") == await world.stored_in(o) == [kept]
    world.clock.set(kept + 20 * MINUTE - 1)
    assert await world.seen(o, "eve") == [kept]
    world.clock.advance(1)
    assert await world.seen(o, "eve") == []
    assert await world.work() == 1


async def test_making_an_open_channel_that_lives_leaves_it_as_it_is(world: World) -> None:
    """Neither its messages nor its ttl."""
    o = await world.make_open(ttl=10)
    sent = await world.post(o)
    await world.make_open(ttl=600)
    assert await world.seen(o, "eve") == [sent]
    world.clock.set(sent + 10 * MINUTE)
    assert await world.seen(o, "eve") == []


async def test_a_destroyed_open_channel_is_reclaimed_whole(world: World) -> None:
    """With no undo; its neighbour stays."""
    o, other = await world.make_open(), await world.make_open("other")
    for _ in range(2):
        await world.post(o)
    kept = await world.post(other)
    await _destroy(world)
    assert await world.work() == 2
    assert await world.stored_in(other) == [kept]


async def test_an_open_channel_without_a_ttl_lives_on(world: World) -> None:
    """Nothing is due."""
    o = await world.make_open()
    sent = await world.post(o)
    world.clock.advance(4_000 * DAY)
    assert await world.work() == 0
    assert await world.seen(o, "eve") == [sent]
