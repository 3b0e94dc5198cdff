"""A clean with a planHash does what its preview said, or is refused: also where something else happens at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from history.channels.model import ChannelKey
from history.delivery import store as delivery_store
from history.delivery.model import Receipt as Delivered
from history.errors import PlanChanged
from history.receipts.model import Plan
from history.retention import store
from history.retention.model import EVERYONE, Accepted, Overtaken, Pair
from tests.factories import World, clean_draft, of_numbers
from tests.storage.test_races import append, before, held, somebody_waits

CLEANS = "SELECT count(*) FROM clean_requests"
BOTH = pytest.mark.parametrize("user", ["bob", EVERYONE])
Event = Callable[[World, Any], Awaitable[object]]


async def _plan(world: World, user: str, key: ChannelKey | None = None) -> Plan:
    return await world.receipts.preview(clean_draft(key or world.channel(), user))


async def _accept(world: World, user: str, plan: Plan, key: ChannelKey | None = None) -> Accepted:
    accepted = await world.receipts.accept(clean_draft(key or world.channel(), user), plan_hash=plan.hash)
    world.catch_up()
    return accepted


async def _three(world: World) -> list[int]:
    """One that is received, two that are missed."""
    sent = [await world.send() for _ in range(3)]
    await world.ack("bob", "ann", sent[0])
    return sent


@BOTH
async def test_what_was_previewed_is_done(world: World, user: str) -> None:
    """Cutoff and numbers; a message that comes later stays."""
    await _three(world)
    plan = await _plan(world, user)
    accepted = await _accept(world, user, plan)
    late = await world.send()
    assert accepted.cutoff == plan.cutoff
    assert await world.counted(accepted) == [of_numbers(plan.numbers)]
    assert await world.history("bob", "ann") == [late]


async def test_nothing_is_planned_and_done_where_nothing_is(world: World) -> None:
    """A channel that is not there, and that its first message makes meanwhile."""
    plan = await _plan(world, "bob")
    accepted = await _accept(world, "bob", plan)
    assert accepted.cutoff == 1
    await world.send()
    with pytest.raises(PlanChanged):
        await _accept(world, "bob", plan)


async def _sends(world: World, _: object) -> None:
    await world.send()


async def _acks(world: World, sent: list[int]) -> None:
    await world.ack("bob", "ann", sent[-1])


async def _cleans(world: World, sent: list[int]) -> None:
    await world.clean("bob", "ann", sent_at=sent[0] // 1000 + 1)


async def _cleans_everyone(world: World, sent: list[int]) -> None:
    await world.clean("bob", "ann", sent_at=sent[0] // 1000 + 1, everyone=True)


async def _hides(world: World, sent: list[int]) -> None:
    for user in ("ann", "bob"):
        await world.hide(world.channel(), user, sent[0])


async def _recalls(world: World, sent: list[int]) -> None:
    await world.recall(world.channel(), sent[0])


async def _holds(world: World, _: object) -> None:
    await world.policies.place_hold(world.app_key, channel=world.channel(), user_id=None, reason="case")


async def _sets(world: World, _: object) -> None:
    await world.set(multi_device_sync=False)


EVENTS = [_sends, _acks, _cleans, _cleans_everyone, _hides, _recalls, _holds, _sets]


@pytest.mark.parametrize("event", EVENTS)
@BOTH
async def test_what_changed_its_plan_refuses_it_and_nothing_is_written(
    world: World, user: str, event: Event
) -> None:
    """By any event between preview and clean; a new preview goes through."""
    sent = await _three(world)
    plan = await _plan(world, user)
    await event(world, sent)
    count = await world.value(CLEANS)
    with pytest.raises(PlanChanged):
        await _accept(world, user, plan)
    assert await world.value(CLEANS) == count
    plan = await _plan(world, user)
    assert await world.counted(await _accept(world, user, plan)) == [of_numbers(plan.numbers)]


# two at once ---------------------------------------------------------------------------------------------------------


async def _send_held(world: World, connection: Any) -> None:
    await append(connection, world)


async def _ack_held(world: World, connection: Any) -> None:
    [last] = (await world.stored())[-1:]
    reader = world.reader("bob")
    receipt = Delivered(reader=reader, channel_id=await world.channel_id(), position=last)
    await delivery_store.update_marks(connection, [receipt])


async def _clean_held(world: World, connection: Any) -> None:
    await _accept_held(world, connection, "bob")


async def _clean_everyone_held(world: World, connection: Any) -> None:
    await _accept_held(world, connection, EVERYONE)


async def _accept_held(world: World, connection: Any, user: str) -> None:
    draft = clean_draft(world.channel(), user, sent_at=(await world.stored())[0] // 1000 + 1)
    await world.cleans.write(connection, [(await world.channel_id(), draft)])


async def _hold_held(world: World, connection: Any) -> None:
    await connection.execute("SELECT FROM apps FOR UPDATE")
    sql = "INSERT INTO holds VALUES (gen_random_uuid(), $1, 'app', NULL, NULL, NULL, 'r', 1)"
    await connection.execute(sql, world.app_key)


@pytest.mark.parametrize("event", [_send_held, _ack_held, _clean_held, _clean_everyone_held, _hold_held])
@BOTH
async def test_what_has_begun_is_waited_for_and_then_refuses_it(
    world: World, user: str, event: Event
) -> None:
    """A transaction that is not committed yet when the clean arrives."""
    await _three(world)
    plan = await _plan(world, user)
    async with held(world) as connection:
        await event(world, connection)
        accepting = asyncio.create_task(_accept(world, user, plan))
        await somebody_waits(world)
        count = await world.value(CLEANS)
    with pytest.raises(PlanChanged):
        await accepting
    assert await world.value(CLEANS) == count + (event in (_clean_held, _clean_everyone_held))


@pytest.mark.parametrize("event", [_sends, _acks, _cleans, _cleans_everyone, _holds, _recalls])
@BOTH
async def test_what_begins_later_waits_and_is_no_part_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, user: str, event: Event
) -> None:
    """It comes between the plan and the journal's row; the clean is done as planned, the other thing after it."""
    sent = await _three(world)
    plan = await _plan(world, user)
    doing: list[asyncio.Task[object]] = []

    async def begin() -> None:
        doing.append(asyncio.create_task(_awaited(event(world, sent))))
        await somebody_waits(world)

    before(monkeypatch, "insert_clean_requests", begin)
    accepted = await _accept(world, user, plan)
    rows = await world.rows("SELECT id, accepted_at FROM clean_requests WHERE cutoff = $1", accepted.cutoff)
    await doing[0]
    assert accepted.cutoff == plan.cutoff
    world.catch_up()
    later = await world.rows("SELECT accepted_at FROM clean_requests WHERE id <> $1", rows[0]["id"])
    assert all(row["accepted_at"] > rows[0]["accepted_at"] for row in later)
    hidden, *_ = (await world.counted(accepted))[0] or (None,)
    assert hidden == (plan.numbers.hidden if event is not _recalls else plan.numbers.hidden - 1)
    assert len(await world.history("bob", "ann")) == (event is _sends)


async def _awaited(work: Awaitable[object]) -> object:
    return await work


@BOTH
async def test_of_two_processes_that_do_one_plan_one_is_refused(world: World, user: str) -> None:
    """Both had the same preview; the second one's would take nothing any more."""
    await _three(world)
    plan = await _plan(world, user)
    async with world.twin() as twin:
        done = await asyncio.gather(
            *(_accept(one, user, plan) for one in (world, twin)), return_exceptions=True
        )
    assert sorted(type(one).__name__ for one in done) == ["Accepted", "PlanChanged"]
    [accepted] = [one for one in done if isinstance(one, Accepted)]
    assert await world.counted(accepted) == [of_numbers(plan.numbers)]


async def test_a_clean_that_another_process_accepts_after_it_counts_after_it(world: World) -> None:
    """Its instant is given when its turn comes, not when it arrived: the receipt of the planned one is its plan."""
    await _three(world)
    plan = await _plan(world, "bob")
    draft, channel_id = clean_draft(world.channel(), "bob"), await world.channel_id()
    async with world.twin() as twin:
        async with held(world) as connection:
            # the twin's clean waits for the app and has no instant yet
            await connection.execute("SELECT FROM apps FOR UPDATE")
            waiting = asyncio.create_task(twin.cleans.accept(draft))
            await somebody_waits(world)
            world.clock.advance(5)
            planned: Any = connection
            [accepted] = await world.cleans.write(planned, [(channel_id, draft)])
            world.clock.advance(5)
        other = await waiting
    assert await world.counted(accepted, other) == [of_numbers(plan.numbers), (0, 0, 0, 0)]


async def test_a_planned_clean_comes_after_all_that_it_saw(world: World) -> None:
    """Another process's clock was ahead: the receipt takes nothing for hidden that the other one had hidden."""
    sent = await _three(world)
    await world.clean("bob", "ann", sent_at=sent[0] // 1000 + 1)
    await world.execute("UPDATE clean_requests SET accepted_at = accepted_at + 1000, cutoff = $1", sent[1])
    plan = await _plan(world, "bob")
    assert plan.numbers.hidden == 2
    assert await world.counted(await _accept(world, "bob", plan)) == [of_numbers(plan.numbers)]


async def test_many_plans_that_wait_leave_the_database_to_others(world: World) -> None:
    """Twenty at once, more than there are connections, all behind one lock: a send goes through meanwhile."""
    await _three(world)
    plan = await _plan(world, "bob")
    async with held(world) as connection:
        await connection.execute("SELECT FROM apps FOR UPDATE")
        accepting = [asyncio.create_task(_accept(world, "bob", plan)) for _ in range(20)]
        await somebody_waits(world)
        await asyncio.wait_for(world.send(), timeout=5)
    done = await asyncio.gather(*accepting, return_exceptions=True)
    assert {type(one) for one in done} == {PlanChanged}


async def test_those_without_a_hash_share_a_commit_as_ever(world: World) -> None:
    """Fifty at once are at most two transactions."""
    await _three(world)
    await asyncio.gather(*(world.clean("bob", "ann") for _ in range(50)))
    assert await world.value("SELECT count(DISTINCT xmin::text) FROM clean_requests") <= 2


# a large group -------------------------------------------------------------------------------------------------------


async def test_a_send_waits_for_no_marks_of_everyones_clean(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are written before the channel is locked: with 100,000 members that takes a while."""
    g = await world.make_group("bob")
    await world.post(g)
    accepted = await world.clean_in(g)
    insert, sent = store.insert_clean_marks, list[int]()

    async def then_send(*arguments: object, **named: object) -> None:
        await insert(*arguments, **named)  # type: ignore[arg-type]
        sent.append(await asyncio.wait_for(world.post(g), timeout=5))

    monkeypatch.setattr(store, "insert_clean_marks", then_send)
    assert await world.counted(accepted) == [(1, 1, 0, 0)]
    assert await world.seen(g, "bob") == sent


async def test_a_cancel_that_overtakes_its_apply_leaves_nothing(world: World) -> None:
    """The marks are written, the lock is waited for, and then there is nothing to apply."""
    g = await world.make_group("bob")
    sent = await world.post(g)
    accepted = await world.clean_in(g)
    async with held(world) as connection:
        await connection.execute("SELECT FROM channels FOR UPDATE")
        applying = asyncio.create_task(world.apply(accepted))
        await somebody_waits(world)
        await connection.execute("UPDATE clean_requests SET state = 'cancelled', cancelled_at = 1")
    assert (await applying).applied == 0
    assert await world.value("SELECT count(*) FROM clean_marks") == 0
    assert await world.seen(g, "bob") == [sent]


async def test_what_is_accepted_while_an_apply_waits_is_applied_and_counted_in_its_turn(world: World) -> None:
    """It has no marks yet, and what the first one did is none of its numbers."""
    g = await world.make_group("bob")
    sent = [await world.post(g) for _ in range(2)]
    low = await world.clean_in(g, sent_at=sent[0] // 1000 + 1)
    await world.execute("UPDATE clean_requests SET cutoff = $1", sent[1])
    async with held(world) as connection:
        await connection.execute("SELECT FROM channels FOR UPDATE")
        applying = asyncio.create_task(world.apply(low))
        await somebody_waits(world)
        high = await world.clean_in(g)
    assert ((await applying).applied, (await world.apply(high)).applied) == (1, 1)
    assert await world.counted(low, high) == [(1, 1, 0, 0), (1, 1, 0, 0)]


async def test_two_workers_at_one_request_apply_it_once(world: World) -> None:
    """The second one waits for the first one's marks and then finds nothing to do."""
    g = await world.make_group("bob")
    await world.post(g)
    accepted = await world.clean_in(g)
    async with world.twin() as twin:
        async with held(world) as connection:
            await connection.execute("SELECT FROM channels FOR UPDATE")
            applying = [asyncio.create_task(one.apply(accepted)) for one in (world, twin)]
            for _ in range(2_000):
                if await world.value(WAITERS) >= 2:
                    break
            else:
                raise AssertionError("two do not wait for a lock")
        reports = await asyncio.gather(*applying)
    assert sorted(report.applied for report in reports) == [0, 1]
    assert await world.counted(accepted) == [(1, 1, 0, 0)]


WAITERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_marks_that_are_there_already_are_another_workers(world: World) -> None:
    """The store says so, and nothing is written twice."""
    g = await world.make_group("bob")
    await world.post(g)
    accepted = await world.clean_in(g)
    await world.apply()
    pair = Pair(world.app_key, accepted.pair.channel_id, EVERYONE)
    await world.execute("UPDATE clean_requests SET state = 'accepted'")
    with pytest.raises(Overtaken):
        async with world.database.writing() as connection:
            await store.insert_clean_marks(connection, await store.list_unapplied(connection, [pair]), now=1)
