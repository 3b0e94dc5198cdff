"""What is never counted, what is counted for a while, and when what it was counted against goes."""

from __future__ import annotations

import pytest

from history.axis import NEVER, SECOND
from history.receipts import service, store
from history.receipts.service import read_request_id
from history.retention import reclaim
from tests.factories import World
from tests.storage.test_receipts import _everything


async def test_a_clean_that_was_cancelled_before_it_was_counted_has_no_numbers(world: World) -> None:
    """It hides nothing; waiting or applied or counted in part, none waits for a count that never comes."""
    world.receipts._most_rows = 2
    key = world.channel()
    await _everything(world, key)
    in_part, applied, waiting = [await world.clean_in(key) for _ in range(3)]
    await world.cancel(waiting)
    await world.apply()
    await world.cancel(applied)
    assert await world.receipts.count(until=0) == 1
    await world.cancel(in_part)
    await world.count()
    await world.work()
    receipts = [await world.receipt(one) for one in (waiting, applied, in_part)]
    assert [(one.state, one.numbers, one.reclaimed_messages) for one in receipts] == [
        ("cancelled", None, None)
    ] * 3
    assert await world.value("SELECT count(*) FROM clean_marks") == 0
    assert await world.value("SELECT count(*) FROM clean_requests WHERE counted_to IS NOT NULL") == 0


async def test_a_clean_that_was_cancelled_after_it_was_counted_keeps_its_numbers(world: World) -> None:
    """What it hid while it was in force; of that nothing is gone by it, whatever another clean takes later."""
    await world.set(multi_device_sync=False)
    sent = [await world.send(echo=True) for _ in range(2)]
    await world.ack("bob", "ann", sent[-1])
    undone = await world.clean("bob", "ann")
    await world.apply()
    await world.count()
    await world.cancel(undone)
    await world.clean("bob", "ann", undo=0, everyone=True)
    assert await world.work() == 2
    receipt = await world.receipt(undone)
    assert (await world.numbers(undone), receipt.state, receipt.reclaimed_messages) == (
        (2, 0, 0, 0),
        "cancelled",
        0,
    )


async def test_a_step_that_a_cancel_overtakes_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its marks may be gone by then: what it counted is not the request's."""
    await world.send()
    accepted = await world.clean("bob", "ann")
    await world.apply()
    step = store.count_steps

    async def after_a_cancel(*arguments: object, **named: object) -> object:
        await world.cancel(accepted)
        # as a visit does, a part at a time
        await world.execute("DELETE FROM clean_marks")
        return await step(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "count_steps", after_a_cancel)
    await world.receipts.count(until=NEVER)
    assert await world.numbers(accepted) is None


async def test_a_long_count_stands_in_nobodys_way_and_ends_in_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step takes a second; the oldest has ten of them, the younger one settles when three are over."""
    world.receipts._most_rows = 1
    for _ in range(10):
        await world.send()
    await world.send("ann", "cid")
    long = await world.clean("bob", "ann", undo=0)
    short = await world.clean("cid", "ann", undo=0)
    await world.apply()
    step, began = store.count_steps, world.clock.now()

    async def takes_a_second(*arguments: object, **named: object) -> object:
        world.clock.advance(SECOND)
        return await step(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "count_steps", takes_a_second)
    # the last row of a request and the look that finds no further one are two steps
    assert await world.receipts.count(until=began + 4 * SECOND) == 4
    assert world.clock.now() == began + 4 * SECOND
    assert await world.cleans.settle(now=world.clock.now()) == 1
    assert [(await world.receipt(one)).state for one in (long, short)] == ["applied", "settled"]
    assert await world.receipts.count(until=0) == 1, "one step at least: it comes to its end"
    await world.count()
    assert await world.numbers(long) == (10, 10, 0, 0)


async def test_a_channel_with_many_cleans_stands_in_nobodys_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each channel a few are counted in a turn: another one's is counted after one step more, whatever its id."""
    monkeypatch.setattr(service, "_MOST_REQUESTS", 2)
    world.receipts._most_rows = 1
    cleans = {}
    for users in (("ann", "bob"), ("ann", "cid"), ("ann", "dan")):
        for _ in range(10):
            await world.send(*users)
        key = world.channel(*users)
        cleans[await world.id_of(key)] = [await world.clean_in(key, users[1]) for _ in range(4)]
    await world.apply()
    before = dict[int, tuple[int, int]]()
    for start in (-1, *cleans, 1 << 62):
        world.receipts._counted = start
        # a turn at each of the three channels, and the turn at which the first one begins
        for _ in range(4):
            await world.receipts.count(until=0)
        rows = await world.rows(
            "SELECT channel_id, count(counted_at), sum(counted_to)::bigint FROM clean_requests GROUP BY 1"
        )
        far = {id_: (counted, to) for id_, counted, to in rows}
        assert all(far[id_] != before.get(id_) for id_ in cleans), "all got on"
        before = far
    await world.count()
    for accepted in cleans.values():
        assert [await world.numbers(one) for one in accepted] == [(10, 10, 0, 0), *[(0, 0, 0, 0)] * 3]


async def test_marks_go_in_bounded_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five members, two rows a transaction; those of a request that is in force stay."""
    monkeypatch.setattr(reclaim, "_MOST_SIDE_ROWS", 2)
    g = await world.make_group("bob", "cid", "dan", "eve")
    await world.post(g)
    stays, goes = await world.clean_in(g), await world.clean_in(g)
    await world.apply()
    await world.count()
    await world.cancel(goes)
    await world.reclaim.visit_due(now=world.clock.now())
    rows = await world.rows("SELECT request_id, count(*) AS many FROM clean_marks GROUP BY request_id")
    assert [tuple(row) for row in rows] == [(read_request_id(stays.request_id)[1], 5)]
