"""Floors of groups: who needs what, when rows are for all, for some, or their sender's own."""

from __future__ import annotations

import pytest

from history.axis import DAY, SECOND
from history.retention import store
from tests.factories import NOON, World

MINUTE = 60 * SECOND


@pytest.fixture
async def plain(world: World) -> World:
    """No undo and no other devices: what is cleaned and received goes at once."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    return world


async def _clean(world: World, *users: str) -> None:
    for user in users:
        await world.clean_in(world.group(), user)


async def test_a_row_stays_for_the_one_who_reaches_back_furthest(plain: World) -> None:
    """Of three, two have cleaned: what the third may read stays, and goes when he has cleaned as well."""
    g = await plain.make_group("bob", "cid")
    first = await plain.post(g)
    second = await plain.post(g, at=NOON + 1)
    for user in ("bob", "cid"):
        await plain.ack_in(g, user, second)
    await _clean(plain, "ann", "bob")
    await plain.work()
    assert await plain.stored_in(g) == [first, second]
    await _clean(plain, "cid")
    await plain.work()
    assert await plain.stored_in(g) == []


async def test_the_senders_own_rows_do_not_hide_what_the_next_one_needs(plain: World) -> None:
    """The sender reaches back furthest and is given nothing of his own; the next one needs the second row alone."""
    g = await plain.make_group(owner="ann")
    await plain.post(g)
    await plain.membership.join(g, ["bob"])
    needed = await plain.post(g, at=NOON + 10)
    await plain.execute("UPDATE channels SET next_reclaim_at = $1", plain.clock.now())
    await plain.work()
    assert await plain.stored_in(g) == [needed]


async def test_rows_for_some_stay_for_those_alone(plain: World) -> None:
    """Many others reach back further; none of them was meant."""
    g = await plain.make_group("bob", "cid", "dan")
    secret = await plain.post(g, to=("dan",))
    await plain.ack_in(g, "dan", secret)
    await plain.execute("UPDATE channels SET next_reclaim_at = $1", plain.clock.now())
    await plain.work()
    assert await plain.stored_in(g) == [secret]
    await _clean(plain, "dan")
    await plain.work()
    assert await plain.stored_in(g) == []


async def test_an_open_channel_made_again_during_a_visit_ends_when_it_expires(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The visit read it as ended and knows no next look: it must not have the last word."""
    o = await plain.make_open(ttl=60)
    await plain.post(o)
    await plain.membership.destroy_open([o])
    release = store.release_channel

    async def made_again_first(*arguments: object, **named: object) -> None:
        monkeypatch.setattr(store, "release_channel", release)
        await plain.membership.create_open(o, ttl_minutes=60, from_last_message=False)
        await release(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "release_channel", made_again_first)
    await plain.work()
    kept = await plain.post(o, at=NOON + MINUTE)
    await plain.work()
    assert await plain.stored_in(o) == [kept]
    plain.clock.set(NOON + 60 * MINUTE)
    await plain.work()
    assert await plain.stored_in(o) == []


async def test_a_group_that_was_forgotten_meanwhile_is_found_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered of channels is bounded; a send that waits must not take that for a group that is not there."""
    g = await world.make_group("bob")
    locate = world.channels.locate

    async def then_forgotten(*arguments: object) -> object:
        found = await locate(*arguments)  # type: ignore[arg-type]
        world.channels.forget([g])
        return found

    monkeypatch.setattr(world.channels, "locate", then_forgotten)
    assert await world.post(g)


async def test_a_device_that_came_back_with_its_user_learns_what_was_recalled(world: World) -> None:
    """He received it, left and joined anew: it lies below his joining, and on his device."""
    g = await world.make_group("bob")
    sent = await world.post(g)
    await world.ack_in(g, "bob", sent)
    await world.membership.leave(g, ["bob"])
    await world.membership.join(g, ["bob"])
    await world.recall(g, sent)
    assert [notice.stamp for notice in (await world.sync("bob")).recalls] == [1]


async def test_conversations_of_a_dismissed_group_end_when_nothing_there_can_be_missed(world: World) -> None:
    """Not before its days, and not those of a group that lives."""
    g, other = await world.make_group("bob"), await world.make_group("bob", id_="h")
    await world.membership.dismiss(g)
    await world.sweep.run(now=NOON + 30 * DAY - 1)
    count = "SELECT count(*) FROM conversations WHERE channel_id = $1"
    assert await world.value(count, await world.id_of(g)) == 2
    await world.sweep.run(now=NOON + 30 * DAY)
    assert await world.value(count, await world.id_of(g)) == 0
    assert await world.value(count, await world.id_of(other)) == 2
