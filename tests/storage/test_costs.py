"""What a call costs does not grow: neither with the messages of a channel, whoever they are for, nor with its members.

Counted in blocks that the statements of a call touch, on real plans with real statistics; a scan of what is skipped would
show many times over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from history.axis import DAY
from history.channels.model import ChannelKey
from history.messages.model import Draft, Flags
from history.retention.model import EVERYONE
from tests.factories import ALWAYS, World, clean_draft
from tests.storage.costs import blocks_of

FEW, MANY = 500, 10_000
"""10^4 messages of 100 characters are about 240 blocks, and their keys 40 more."""
Calls = dict[str, Callable[[], Awaitable[object]]]


async def _fill(
    world: World, key: ChannelKey, sender: str, count: int, *, to: tuple[str, ...] | None = None
) -> None:
    """So many messages for everybody but their sender, or for some."""
    draft = Draft(
        channels=(key,), sender=sender, type="t", content="c" * 100, flags=Flags.PERSISTED, recipients=to
    )
    await asyncio.gather(*(world.messages.send(draft) for _ in range(count)))


def _calls(world: World, key: ChannelKey, user: str) -> Calls:
    """What a user does, and others do to him. The order is that of the calls."""

    async def list_() -> None:
        await world.conversations.list(world.app_key, user, limit=50, unread=True, last_message=True)

    async def acknowledge() -> None:
        [row] = await world.rows("SELECT last_position FROM channels WHERE id = $1", await world.id_of(key))
        await world.ack_in(key, user, row["last_position"], "tablet")

    return {
        "history": lambda: world.messages.history(key, user, ALWAYS, most=50),
        "the next page": lambda: world.messages.page(key, user, above=0, most=50),
        "list": list_,
        "first sync": lambda: world.sync(user, "new"),
        "sync": lambda: world.sync(user, "phone"),
        "send": lambda: world.post(key, user),
        "clean": lambda: world.clean_in(key, user, sent_at=1),
        "apply": world.apply,
        "acknowledge": acknowledge,
    }


async def _costs(world: World, patch: pytest.MonkeyPatch, calls: Calls) -> dict[str, int]:
    # as autovacuum has it
    await world.execute("ANALYZE")
    costs = {name: (await blocks_of(world, patch, call))[""] for name, call in calls.items()}
    assert all(costs.values()), "something was not counted"
    return costs


def _grown(few: dict[str, int], many: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Calls that cost more: an index that is a level deeper, and rows that lie apart, are no growth."""
    return {name: (few[name], many[name]) for name in few if many[name] > 1.3 * few[name] + 30}


async def _others(world: World, key: ChannelKey, count: int) -> None:
    await _fill(world, key, "ann", count)


async def _own(world: World, key: ChannelKey, count: int) -> None:
    """He wrote them, without echo, after what others sent."""
    await _fill(world, key, "bob", count)


async def _for_others(world: World, key: ChannelKey, count: int) -> None:
    """They name somebody else, after what was for all."""
    await _fill(world, key, "ann", count, to=("cid",))


async def _expired(world: World, key: ChannelKey, count: int) -> None:
    """They are too old to be missed or compensated."""
    await _fill(world, key, "ann", count)
    world.clock.advance(10 * DAY)
    await _fill(world, key, "ann", 1)


async def _cleaned(world: World, key: ChannelKey, count: int) -> None:
    """He has cleaned them, and the journal alone says so."""
    await _fill(world, key, "ann", count)
    await world.clean_in(key, "bob", flag=True)
    await _fill(world, key, "ann", 1)


async def _read(world: World, key: ChannelKey, count: int) -> None:
    """He has received and read them."""
    await _fill(world, key, "ann", count)
    [row] = await world.rows("SELECT last_position FROM channels WHERE id = $1", await world.id_of(key))
    for device in ("phone", "tablet"):
        await world.ack_in(key, "bob", row["last_position"], device)
    await world.delivery.read("bob", key, None)


@pytest.mark.parametrize("fill", [_others, _own, _for_others, _expired, _cleaned, _read])
async def test_no_call_costs_more_in_a_long_channel(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    fill: Callable[[World, ChannelKey, int], Awaitable[None]],
) -> None:
    """The channel holds most messages of its table, so a plan that reads it whole looks cheap to Postgres. There are many
    others of one message each, so that it expects a single one wherever it does not know the channel."""
    await world.execute(
        "INSERT INTO messages (channel_id, position, flags, sender, type, content)"
        " SELECT n, $1::bigint + n, 3, 'zoe', 't', 'c' FROM generate_series(1, 3000) n",
        world.clock.now(),
    )
    costs = []
    # the first one alone finds empty tables
    for id_, count in (("first", FEW), ("short", FEW), ("long", MANY)):
        group = await world.make_group("bob", "cid", id_=id_)
        await _fill(world, group, "ann", 60)
        await fill(world, group, count)
        costs.append(await _costs(world, monkeypatch, _calls(world, group, "bob")))
        # the lists of the second one hold it alone
        await world.membership.leave(group, ["ann", "bob", "cid"])
    assert _grown(*costs[1:]) == {}


async def test_no_call_of_one_member_costs_more_in_a_large_group(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a message for some of those who have all taken the group from their lists."""
    group = await world.make_group("bob", "cid")
    await _fill(world, group, "ann", 60)
    id_, costs, members = await world.id_of(group), list[dict[str, int]](), 0
    # by the average channel the members are few; and somebody else is held
    await world.execute(
        "INSERT INTO conversations (channel_id, user_id, app_key) SELECT n, 'zoe', $1 FROM generate_series(1, 5000) n",
        world.app_key,
    )
    await world.policies.place_hold(world.app_key, channel=None, user_id="zed", reason="case")

    async def recall() -> None:
        await world.recall(group, (await world.stored_in(group))[0])

    async def removed() -> None:
        await world.execute(
            "UPDATE conversations SET removed = true, removed_position = 1 WHERE channel_id = $1", id_
        )
        await world.execute("UPDATE channels SET some_removed = true")

    for more in (10, 10_000):
        await world.execute(
            "INSERT INTO conversations (channel_id, user_id, app_key, joined_at)"
            " SELECT $1, 'member' || n, $2, n FROM generate_series($3::int, $4::int) n",
            id_,
            world.app_key,
            members,
            members + more - 1,
        )
        members += more
        await world.execute("UPDATE channels SET member_count = $1", members + 3)
        calls = {
            **_calls(world, group, "bob"),
            "count": world.count,
            "settle": world.settle,
            "recall": recall,
            "leave": lambda: world.membership.leave(group, ["cid"]),
            "join": lambda: world.membership.join(group, ["cid"]),
        }
        await world.set(undo_seconds=0)
        found = await _costs(world, monkeypatch, calls)
        await removed()
        found |= await _costs(world, monkeypatch, {"for some": lambda: world.post(group, "ann", to=("cid",))})
        costs.append(found)
        # all are back with one for everybody, once
        await world.post(group, "ann")
        assert await world.value("SELECT count(*) FROM conversations WHERE removed") == 0
    assert _grown(*costs) == {}


async def test_a_clean_costs_the_same_however_many_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statistics are of a time when none waited, as before a burst: then Postgres takes a look at all of them for a short
    way to one."""
    group = await world.make_group("bob", "cid")
    await _fill(world, group, "ann", 60)
    costs = []
    for count in (50, 2_000):
        await world.execute("ANALYZE")
        # they may be undone for a day
        others = (world.clean(f"{count}-{number}", "ann", undo=86_400) for number in range(count))
        await asyncio.gather(*others)
        accepted = await world.clean_in(group, "bob", undo=0)
        apply = await blocks_of(world, monkeypatch, partial(world.apply, accepted))
        await world.apply()
        await world.count()
        settle = await blocks_of(world, monkeypatch, lambda: world.cleans.settle(now=world.clock.now()))
        costs.append({"apply": apply[""], "settle": settle[""]})
        assert await world.value("SELECT count(*) FROM clean_requests WHERE state = 'settled'") == len(costs)
    assert _grown(*costs) == {}


async def test_a_long_journal_costs_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that was cleaned for everyone again and again, years ago: the journal keeps its rows."""
    costs = []
    for name, count in (("short", 10), ("long", 3_000)):
        group = await world.make_group("bob", "cid", id_=name)
        await _fill(world, group, "ann", 60)
        await world.execute(
            """INSERT INTO clean_requests (channel_id, id, app_key, channel_type, channel_key, user_id, cutoff,
            delete_compensated, delete_compensated_from, source, state, accepted_at, undo_until, settled_at, counted_at)
            SELECT $1, gen_random_uuid(), $2, 3, ARRAY[$3], '', 1, false, 'app', 's', 'settled', n, n, n, n
            FROM generate_series(1, $4::int) n""",
            await world.id_of(group),
            world.app_key,
            name,
            count,
        )
        accepted = await world.clean_in(group, EVERYONE)
        planned = clean_draft(group, "bob")
        plan = await world.receipts.preview(planned)
        await world.execute(
            "UPDATE channels SET next_reclaim_at = CASE WHEN id = $1 THEN 0 END", await world.id_of(group)
        )
        calls: Calls = {
            "accept a plan": partial(world.receipts.accept, planned, plan_hash=plan.hash),
            "apply": partial(world.apply, accepted),
            "count": world.count,
            "visit": partial(world.reclaim.visit_due, now=world.clock.now()),
        }
        costs.append(await _costs(world, monkeypatch, calls))
    assert _grown(*costs) == {}
