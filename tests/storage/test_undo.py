"""A clean that is undone has never been; races with all that decides about its marks are held open on real connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from history.axis import SECOND
from history.errors import Conflict, NotFound
from history.retention.model import EVERYONE, Accepted
from tests.factories import NOON, World
from tests.storage.test_races import held, somebody_waits

LOCKS = {
    "bob": "SELECT FROM conversations WHERE user_id = 'bob' FOR UPDATE",
    EVERYONE: "SELECT FROM channels FOR UPDATE",
}
MARKS = {
    "bob": "SELECT history_cutoff, sync_cutoff, settled_history_cutoff, settled_sync_cutoff FROM conversations "
    "WHERE user_id = 'bob'",
    EVERYONE: "SELECT history_cutoff, sync_cutoff, settled_history_cutoff, settled_sync_cutoff FROM channels",
}
BOTH = pytest.mark.parametrize("user", ["bob", EVERYONE])


async def _view(world: World) -> dict[str, Any]:
    """All that either of them is given, on a known device and on a new one, and how the channel stands in their lists."""
    key, found = world.channel(), dict[str, Any]()
    for user in ("ann", "bob"):
        found[f"history of {user}"] = await world.seen(key, user)
        for device in ("phone", f"new of {user}"):
            found[f"{device} of {user}"] = await world.given(user, device)
        found[f"list of {user}"] = (
            await world.delivery.conversations(world.app_key, user, cursor=None, most=9)
        )[0]
    return found


async def _marks(world: World, user: str) -> tuple[int, ...]:
    return tuple((await world.rows(MARKS[user]))[0])


async def _state(world: World, accepted: Accepted) -> str:
    return (await world.receipt(accepted)).state


async def _messages(world: World) -> list[int]:
    """Two that are received, two that are missed, one of his own that is echoed."""
    sent = [await world.send(at=NOON + number * SECOND) for number in range(2)]
    await world.ack("bob", "ann", sent[1])
    sent.append(await world.send("bob", "ann", echo=True))
    sent += [await world.send(at=NOON + number * SECOND) for number in range(5, 7)]
    return sent


async def _nothing(world: World) -> None:
    pass


async def _applied(world: World) -> None:
    await world.apply()


async def _counted(world: World) -> None:
    await world.apply()
    await world.settle()


@pytest.mark.parametrize("reached", [_nothing, _applied, _counted])
@pytest.mark.parametrize("flag", [True, False])
@BOTH
async def test_everything_is_as_if_the_clean_had_never_been(
    world: World, user: str, flag: bool, reached: Callable[[World], Awaitable[None]]
) -> None:
    """Accepted, applied, or counted; for one or for everyone; with compensation or without."""
    await _messages(world)
    before = await _view(world)
    accepted = await world.clean_in(world.channel(), user, flag=flag)
    await reached(world)
    assert await _view(world) != before
    await world.cancel(accepted)
    assert await _view(world) == before
    assert (await world.apply(accepted)).applied == 0, "the queue may come late"
    assert await _view(world) == before
    assert await _marks(world, user) == (0, 0, 0, 0)
    world.clock.advance(10**12)
    assert await world.settle() == 0
    assert await _state(world, accepted) == "cancelled"
    receipt = await world.receipt(accepted)
    assert (receipt.cancelled_by, receipt.cancel_reason, receipt.cancelled_at) == (
        "ops",
        "sorry",
        NOON + 6 * SECOND,
    )


@BOTH
async def test_other_cleans_stay_in_force_kind_by_kind(world: World, user: str) -> None:
    """A settled one, an applied one with the flag, one that waits; of each kind the highest that is left counts."""
    sent = await _messages(world)
    key = world.channel()
    settled = await world.clean_in(key, user, sent_at=sent[1] // 1000, flag=True, undo=0)
    await world.work()
    flagged = await world.clean_in(key, user, sent_at=sent[2] // 1000, flag=True)
    plain = await world.clean_in(key, user, sent_at=sent[3] // 1000)
    highest = await world.clean_in(key, user, flag=True)
    await world.apply()
    waiting = await world.clean_in(key, user, sent_at=sent[4] // 1000, flag=True)
    low = settled.cutoff
    assert await _marks(world, user) == (highest.cutoff, highest.cutoff, low, low)
    await world.cancel(highest)
    assert await _marks(world, user) == (waiting.cutoff, waiting.cutoff, low, low)
    await world.cancel(waiting)
    assert await _marks(world, user) == (plain.cutoff, flagged.cutoff, low, low)
    assert await world.history("bob", "ann") == [*reversed(sent[3:])]
    await world.cancel(plain)
    assert await _marks(world, user) == (flagged.cutoff, flagged.cutoff, low, low)
    await world.cancel(flagged)
    assert await _marks(world, user) == (low, low, low, low)
    with pytest.raises(Conflict):
        await world.cancel(settled)
    assert await _marks(world, user) == (low, low, low, low)


async def test_ones_own_and_everyones_are_undone_apart(world: World) -> None:
    """Each leaves the other in force."""
    sent = await _messages(world)
    for first, second in (("bob", EVERYONE), (EVERYONE, "bob")):
        cleans = {user: await world.clean_in(world.channel(), user) for user in (first, second)}
        await world.apply()
        await world.cancel(cleans[first])
        assert await world.history("bob", "ann") == []
        await world.cancel(cleans[second])
        assert await world.history("bob", "ann") == [*reversed(sent)]


@BOTH
async def test_a_device_that_was_told_hears_that_history_is_back(world: World, user: str) -> None:
    """Once; one that was never told hears nothing; one that heard of a second clean hears of what is left."""
    sent = await _messages(world)
    key = world.channel()
    low = await world.clean_in(key, user, sent_at=sent[2] // 1000)
    accepted = await world.clean_in(key, user)
    await world.apply()
    page = await world.sync("bob")
    assert [(one.cutoff, one.restored) for one in page.cleans] == [(accepted.cutoff, False)]
    await world.sync("bob", cursor=page.cursor)
    await world.cancel(accepted)
    page = await world.sync("bob")
    assert [(one.cutoff, one.restored) for one in page.cleans] == [(low.cutoff, True)]
    await world.sync("bob", cursor=page.cursor)
    assert (await world.sync("bob")).cleans == []
    await world.cancel(low)
    page = await world.sync("bob")
    assert [(one.cutoff, one.restored) for one in page.cleans] == [(0, True)]
    assert (await world.sync("bob", "tablet")).cleans == []


async def test_undo_ends_at_its_instant_and_not_before(world: World) -> None:
    """By the request's own word, which shortens and lengthens the app's; afterwards Conflict, applied or not."""
    await world.set(undo_seconds=60)
    sent = await world.send()
    for seconds in (10, 3_600, None):
        length = (60 if seconds is None else seconds) * SECOND
        for apply in (True, False):
            accepted = await world.clean("bob", "ann", undo=seconds)
            other = await world.clean("bob", "ann", undo=seconds)
            end = world.clock.now() - 1 + length
            assert (await world.receipt(accepted)).undo_until == end
            if apply:
                await world.apply()
            world.clock.set(end - 1)
            await world.cancel(other)
            world.clock.set(end)
            with pytest.raises(Conflict, match="undo window is over"):
                await world.cancel(accepted)
            assert await _state(world, accepted) == ("applied" if apply else "accepted")
            assert await world.history("bob", "ann") == []
            await world.execute("UPDATE clean_requests SET undo_until = $1", NOON * 2)
            await world.cancel(accepted)
            assert await world.history("bob", "ann") == [sent]


async def test_no_undo_at_all_where_it_is_zero(world: World) -> None:
    """Not even in the instant of acceptance."""
    await world.send()
    accepted = await world.clean("bob", "ann", undo=0)
    with pytest.raises(Conflict):
        await world.cancel(accepted)


async def test_twice_is_fine_and_the_first_word_counts(world: World) -> None:
    """Who and why stay as they were; also long after the undo window."""
    await world.send()
    accepted = await world.clean("bob", "ann", undo=60)
    await world.cancel(accepted, by="first", reason="one")
    world.clock.advance(10**10)
    await world.cancel(accepted, by="second", reason="two")
    receipt = await world.receipt(accepted)
    assert (receipt.cancelled_by, receipt.cancel_reason, receipt.cancelled_at) == ("first", "one", NOON)


async def test_another_apps_request_is_not_found(world: World) -> None:
    """And stays as it is."""
    await world.send()
    accepted = await world.clean("bob", "ann")
    other = (await world.apps.create("other")).app_key
    receipt = await world.receipt(accepted)
    with pytest.raises(NotFound):
        await world.cleans.cancel(other, receipt.channel_id, receipt.id, by=None, reason=None)
    assert await _state(world, accepted) == "accepted"


async def test_what_an_undone_clean_covered_is_not_deleted(world: World) -> None:
    """Nor anything else that was not before: reclaim looks at settled cutoffs alone."""
    await world.set(multi_device_sync=False)
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    accepted = await world.clean("bob", "ann", undo=60)
    assert await world.work() == 0
    await world.cancel(accepted)
    world.clock.advance(10**10)
    assert await world.work() == 0
    assert await world.history("bob", "ann") == [sent]


# two at once ---------------------------------------------------------------------------------------------------------


@BOTH
async def test_a_cancel_that_waits_for_apply_lowers_what_apply_raised(world: World, user: str) -> None:
    """Apply has the lock and commits while the cancel waits."""
    sent = await _messages(world)
    accepted = await world.clean_in(world.channel(), user, flag=True)
    async with held(world) as connection:
        await connection.execute(LOCKS[user])
        applying = asyncio.create_task(world.apply(accepted))
        await somebody_waits(world)
        cancelling = asyncio.create_task(world.cancel(accepted))
        await _two_wait(world)
    assert (await applying).applied == 1
    await cancelling
    assert await _marks(world, user) == (0, 0, 0, 0)
    assert await world.history("bob", "ann") == [*reversed(sent)]
    assert await _state(world, accepted) == "cancelled"


@BOTH
async def test_an_apply_that_waits_for_a_cancel_raises_nothing(world: World, user: str) -> None:
    """It reads the journal after the lock, where the request is gone."""
    sent = await _messages(world)
    accepted = await world.clean_in(world.channel(), user, flag=True)
    async with held(world) as connection:
        await connection.execute(LOCKS[user])
        cancelling = asyncio.create_task(world.cancel(accepted))
        await somebody_waits(world)
        applying = asyncio.create_task(world.apply(accepted))
        await _two_wait(world)
    await cancelling
    assert (await applying).applied == 0
    assert await _marks(world, user) == (0, 0, 0, 0)
    assert await world.history("bob", "ann") == [*reversed(sent)]


@BOTH
async def test_a_settle_that_waits_for_a_cancel_settles_nothing(world: World, user: str) -> None:
    """The cancel came in the last instant; settle is a moment later and waits for it."""
    sent = await _messages(world)
    accepted = await world.clean_in(world.channel(), user, undo=60, flag=True)
    await world.apply()
    await world.count()
    end = world.clock.now() + 60 * SECOND
    world.clock.set(end - 1)
    async with held(world) as connection:
        await connection.execute(LOCKS[user])
        cancelling = asyncio.create_task(world.cancel(accepted))
        await somebody_waits(world)
        settling = asyncio.create_task(world.cleans.settle(now=end))
        await _two_wait(world)
    await cancelling
    assert await settling == 0
    assert await _marks(world, user) == (0, 0, 0, 0)
    assert await world.history("bob", "ann") == [*reversed(sent)]


@BOTH
async def test_a_cancel_that_waits_for_settle_is_refused(world: World, user: str) -> None:
    """Though its own clock is behind: the row's state decides."""
    await _messages(world)
    accepted = await world.clean_in(world.channel(), user, undo=60)
    await world.apply()
    await world.count()
    async with held(world) as connection:
        await connection.execute(LOCKS[user])
        settling = asyncio.create_task(world.cleans.settle(now=world.clock.now() + 60 * SECOND))
        await somebody_waits(world)
        cancelling = asyncio.create_task(world.cancel(accepted))
        await _two_wait(world)
    assert await settling == 1
    with pytest.raises(Conflict):
        await cancelling
    assert await _state(world, accepted) == "settled"
    assert await _marks(world, user) == (accepted.cutoff, 0, accepted.cutoff, 0)


@BOTH
async def test_a_clean_that_comes_while_a_cancel_waits_stays_in_force(world: World, user: str) -> None:
    """Accepted by another process under the cancel's nose, lower than what goes: nothing in between shows through."""
    sent = await _messages(world)
    highest = await world.clean_in(world.channel(), user, flag=True)
    await world.apply()
    async with held(world) as connection:
        await connection.execute(LOCKS[user])
        cancelling = asyncio.create_task(world.cancel(highest))
        await somebody_waits(world)
        low = await world.clean_in(world.channel(), user, sent_at=sent[3] // 1000)
    await cancelling
    assert await world.history("bob", "ann") == [*reversed(sent[3:])]
    await world.apply(low)
    assert await _marks(world, user) == (low.cutoff, 0, 0, 0)


@BOTH
async def test_two_cancels_of_two_requests_leave_nothing(world: World, user: str) -> None:
    """Neither takes the other's cutoff for one that is in force."""
    sent = await _messages(world)
    cleans = [await world.clean_in(world.channel(), user, flag=True) for _ in range(2)]
    await world.apply()
    async with held(world) as connection:
        await connection.execute(LOCKS[user])
        cancelling = [asyncio.create_task(world.cancel(one)) for one in cleans]
        await _two_wait(world)
    await asyncio.gather(*cancelling)
    assert await _marks(world, user) == (0, 0, 0, 0)
    assert await world.history("bob", "ann") == [*reversed(sent)]


async def _two_wait(world: World) -> None:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(2_000):
        if await world.value(sql) >= 2:
            return
    raise AssertionError("two do not wait for a lock")
