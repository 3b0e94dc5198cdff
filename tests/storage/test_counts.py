"""Receipts and previews against a count by hand over random groups: what each member reads, misses and is compensated for."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey
from history.queries import statement
from history.receipts.service import read_request_id
from history.retention.model import EVERYONE
from tests.factories import NOON, World, clean_draft, of_numbers

USERS = ("ann", "bob", "cid", "dan", "eve", "fay")
STRANGER = "zoe"
"""She sends, and takes no part."""


async def _post(world: World, key: ChannelKey, dice: random.Random) -> None:
    others = dice.sample((*USERS, STRANGER), dice.randint(1, 3))
    await world.post(
        key,
        dice.choice((*USERS, STRANGER)),
        echo=dice.random() < 0.5,
        persist=dice.random() < 0.8,
        to=tuple(others) if dice.random() < 0.3 else None,
    )


async def _clean(world: World, key: ChannelKey, dice: random.Random, user: str, there: list[int]) -> None:
    whose = dice.choice((user, user, EVERYONE))
    flag, undo = dice.random() < 0.5, dice.choice((0, 600))
    await world.clean_in(key, whose, sent_at=dice.choice(there) // 1000, flag=flag, undo=undo)
    if dice.random() < 0.6:
        await world.apply()
    if dice.random() < 0.3:
        await world.settle()


async def _step(world: World, key: ChannelKey, dice: random.Random, members: set[str]) -> None:
    """One thing that happens in a group."""
    user = dice.choice(USERS)
    there = await world.stored_in(key)
    event = dice.choice(["post"] * 8 + ["join", "leave", "ack", "ack", "recall", "hide", "hide", "clean"])
    if event == "post" or not there:
        await _post(world, key, dice)
    elif event == "join":
        await world.membership.join(key, [user])
        members.add(user)
    elif event == "leave" and len(members) > 2:
        await world.membership.leave(key, [user])
        members.discard(user)
    elif event == "ack" and user in members:
        await world.ack_in(key, user, dice.choice(there))
    elif event == "recall":
        await world.recall(key, dice.choice(there), admin=True)
    elif event == "hide":
        # several of one message, so that those who reach back furthest may be those who hid it
        for one in dice.sample(sorted(members), dice.randint(1, len(members))):
            await world.hide(key, one, *dice.sample(there, min(2, len(there))))
    elif event == "clean":
        await _clean(world, key, dice, user, there)


async def _readable(world: World, key: ChannelKey, members: set[str]) -> set[tuple[str, int]]:
    """(member, position) of all that stands in somebody's history."""
    return {(user, at) for user in members for at in await world.seen(key, user)}


async def _by_hand(
    world: World, key: ChannelKey, members: set[str], before: set[tuple[str, int]], whose: set[str]
) -> tuple[int, int, int, int]:
    """The numbers of a clean that is in force: what these could read and cannot, and what a new device of theirs gets."""
    after = await _readable(world, key, members)
    hidden = {at for user, at in before - after if user in whose}
    given = {
        origin: {
            at for user in members & whose for at, found in await world.given(user, "new") if found == origin
        }
        for origin in ("missed", "compensation")
    }
    return len(hidden), len(hidden & given["missed"]), len(hidden & given["compensation"]), 0


@pytest.mark.parametrize("seed", range(8))
async def test_numbers_are_those_of_a_count_by_hand(world: World, seed: int) -> None:
    """Of everyone and of one; echoed, targeted, recalled, hidden; joined late, left; received in part; in steps of any size."""
    dice = random.Random(seed)
    await world.set(missed_days=dice.choice((1, 2)), compensation_days=dice.choice((1, 2, 3)))
    world.receipts._most_rows = dice.choice((2, 3, 7, 5_000))
    key, members = await world.make_group("bob", "cid"), {"ann", "bob", "cid"}
    hours = sorted(dice.uniform(-60, 0) for _ in range(50))
    for hour in hours:
        # what lies hours ago is at the edges of the window and of what has expired
        world.clock.set(max(world.clock.now(), NOON + 3 * DAY + int(hour * 3_600) * SECOND))
        await _step(world, key, dice, members)
    world.clock.set(max(world.clock.now(), NOON + 3 * DAY))
    there, compared = await world.stored_in(key), 0
    for user in (EVERYONE, *sorted(members), STRANGER):
        for flag in (False, True):
            sent_at = dice.choice([*there, NOON + 4 * DAY]) // 1000
            before = await _readable(world, key, members)
            plan = await world.receipts.preview(clean_draft(key, user, sent_at=sent_at, flag=flag))
            accepted = await world.clean_in(key, user, sent_at=sent_at, flag=flag)
            wanted = await _by_hand(world, key, members, before, members if user == EVERYONE else {user})
            assert of_numbers(plan.numbers) == wanted
            assert await world.counted(accepted) == [wanted]
            await world.cancel(accepted)
            compared += wanted[0]
    assert compared, "nothing was compared"


async def test_who_received_the_later_ones_does_not_stand_for_the_earlier(world: World) -> None:
    """Compensation of what has not expired is an interval of each member: from where he joined to what he has received."""
    g = await world.make_group("bob", owner="ann")
    first = await world.post(g, "ann")
    await world.membership.join(g, ["cid"])
    second = await world.post(g, "ann")
    third = await world.post(g, "ann")
    await world.ack_in(g, "bob", first)
    await world.ack_in(g, "cid", second)
    # the first one bob has, the second one cid, the third one nobody
    accepted = await world.clean_in(g)
    assert await world.counted(accepted) == [(3, 2, 2, 0)]
    assert third > second


async def test_a_message_that_all_but_its_sender_hid_is_seen_by_nobody(world: World) -> None:
    """And by one, where one did not: also where many others reach back further."""
    g = await world.make_group("bob", "cid", "dan", "eve")
    sent = await world.post(g, "ann")
    for user in ("bob", "cid", "dan"):
        await world.hide(g, user, sent)
    assert of_numbers((await world.receipts.preview(clean_draft(g))).numbers) == (1, 1, 0, 0)
    await world.hide(g, "eve", sent)
    assert of_numbers((await world.receipts.preview(clean_draft(g))).numbers) == (0, 0, 0, 0)
    accepted = await world.clean_in(g)
    assert await world.counted(accepted) == [(0, 0, 0, 0)]


async def test_a_row_costs_the_same_in_a_group_of_any_size(world: World) -> None:
    """Two thousand members, three hundred rows that all have received: not 600,000 questions, of whatever node of the plan."""
    g = await world.make_group(*(f"user{number}" for number in range(2_000)))
    for number in range(300):
        await world.post(g, f"user{number}")
    await world.execute("UPDATE conversations SET delivered_position = $1", NOON + DAY)
    accepted = await world.clean_in(g)
    await world.apply()
    id_, (_, request) = await world.id_of(g), read_request_id(accepted.request_id)
    # as autovacuum does: without statistics PostgreSQL 15 guesses another plan
    await world.execute("ANALYZE")
    preview = (id_, "", 1 << 62, None, NOON - DAY, NOON - DAY, NOON, None, 100_000)
    for name, arguments in (("preview", preview), ("count_steps", ([id_], [request], 5_000))):
        sql = "EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) " + statement("receipts", name)
        plan = json.loads(await world.value(sql, *arguments))[0]["Plan"]
        assert _busiest(plan) < 20 * (2_000 + 300), name
    assert await world.counted(accepted) == [(300, 0, 300, 0)]


def _busiest(plan: dict[str, Any]) -> int:
    """The most rows that a node of the plan looked at."""
    rows = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return max([int(rows), *(_busiest(child) for child in plan.get("Plans", []))])
