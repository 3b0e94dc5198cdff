"""Under a hold nothing is deleted or emptied, by whatever path; what it does not cover goes as ever."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey
from history.cursors import message_id
from history.errors import Conflict, NotConfirmed, NotFound
from history.messages import store as messages_store
from history.policies.model import Hold, Scope
from history.queries import blocks
from history.retention import store
from history.retention.model import EVERYONE
from tests.factories import World
from tests.storage.test_races import before, held, somebody_waits

FEATURES = sorted(path.parent.name for path in Path(store.__file__).parents[1].glob("*/queries.sql"))
PATHS = {
    "retention.delete_reclaimed",
    "retention.empty_recalled",
    "messages.update_recalled",
    "messages.update_edited",
}
"""Every statement of the product that deletes rows of messages or changes them. The tests below walk them."""
ROWS = "SELECT channel_id, position, content, metadata FROM messages ORDER BY 1, 2"


def test_the_list_of_paths_is_whole() -> None:
    """No other statement of any store touches a row of messages that is there; none drops, truncates or detaches."""
    touching = re.compile(
        r"\b(DELETE\s+FROM|UPDATE|MERGE\s+INTO|TRUNCATE|DROP\s+TABLE|DETACH)\b(\s+(ONLY|TABLE))?\s+messages\b",
        re.IGNORECASE,
    )
    found = {
        f"{feature}.{name}"
        for feature in FEATURES
        for name, block in blocks(feature).items()
        if touching.search(block.sql)
    }
    assert found == PATHS


async def _on_app(world: World, _: ChannelKey) -> Hold:
    return await world.policies.place_hold(world.app_key, channel=None, user_id=None, reason="case")


async def _on_channel(world: World, key: ChannelKey) -> Hold:
    return await world.policies.place_hold(world.app_key, channel=key, user_id=None, reason="case")


async def _on_user(world: World, user: str) -> Hold:
    return await world.policies.place_hold(world.app_key, channel=None, user_id=user, reason="case")


async def _on_member(world: World, key: ChannelKey) -> Hold:
    return await _on_user(world, f"bob {key.key[0]}")


async def _on_one_who_left(world: World, key: ChannelKey) -> Hold:
    user = f"dan {key.key[0]}"
    await world.membership.join(key, [user])
    await world.membership.leave(key, [user])
    return await _on_user(world, user)


async def _on_one_who_sent(world: World, key: ChannelKey) -> Hold:
    await world.post(key, f"eve {key.key[0]}", persist=False)
    return await _on_user(world, f"eve {key.key[0]}")


Place = Callable[[World, ChannelKey], Awaitable[Hold]]
NARROW = [_on_channel, _on_member, _on_one_who_left, _on_one_who_sent]


def _users(key: ChannelKey) -> list[str]:
    """The members of a group: nobody is in two of them."""
    return [f"{name} {key.key[0]}" for name in ("ann", "bob", "cid")]


async def _cleaned(world: World, key: ChannelKey) -> None:
    for user in (*_users(key), EVERYONE):
        await world.clean_in(key, user, flag=True, undo=0)


async def _recalled(world: World, key: ChannelKey) -> None:
    for position in await world.stored_in(key):
        await world.recall(key, position, admin=True)


async def _recalled_by_sender(world: World, key: ChannelKey) -> None:
    senders = [*_users(key), f"eve {key.key[0]}"]
    await world.jobs.recall_by_sender(key, senders, before=1 << 62, reason=None, source="test")
    while await world.jobs.work():
        pass


async def _hidden(world: World, key: ChannelKey) -> None:
    for user in _users(key):
        await world.hide(key, user, *await world.stored_in(key))


async def _dismissed(world: World, key: ChannelKey) -> None:
    await world.membership.dismiss(key)


async def _deserted(world: World, key: ChannelKey) -> None:
    await world.membership.leave(key, _users(key))


async def _grown_old(world: World, _: ChannelKey) -> None:
    world.clock.advance(100 * DAY)


async def _under_a_policy(world: World, _: ChannelKey) -> None:
    await world.execute("UPDATE apps SET retention_days = 1, mark_due_after = -1")


@pytest.mark.parametrize(
    ("event", "holds"),
    [
        (_cleaned, [_on_app]),
        (_cleaned, NARROW),
        (_recalled, [_on_app]),
        (_recalled, NARROW),
        (_recalled_by_sender, NARROW),
        (_hidden, NARROW),
        (_dismissed, NARROW),
        (_deserted, NARROW),
        (_grown_old, NARROW),
        (_under_a_policy, NARROW),
    ],
)
async def test_nothing_is_deleted_or_emptied_until_the_hold_is_released(
    world: World, event: Callable[[World, ChannelKey], Awaitable[None]], holds: list[Place]
) -> None:
    """Every way that a message can come to its end, under every hold; then all goes that would have gone."""
    await world.set(multi_device_sync=False)
    placed: dict[ChannelKey, Hold] = {}
    for number, hold in enumerate(holds):
        key = world.group(f"g{number}")
        ann, *others = _users(key)
        await world.make_group(*others, owner=ann, id_=key.key[0])
        world.clock.advance(1)
        last = 0
        for sender in (ann, others[0], ann):
            # of what only grew old, history stays
            last = await world.post(key, sender, content=f"text of {sender}", persist=event is not _grown_old)
        for user in (ann, *others):
            await world.ack_in(key, user, last)
        placed[key] = await hold(world, key)
    rows = [tuple(row) for row in await world.rows(ROWS)]
    assert len({row[0] for row in rows}) == len(holds)
    world.clock.advance(SECOND)
    for key in placed:
        await event(world, key)
    for _ in range(3):
        await world.work()
        await world.sweep.run(now=world.clock.now())
        world.clock.advance(40 * DAY)
    assert [tuple(row) for row in await world.rows(ROWS)] == rows
    for key, one in placed.items():
        await world.policies.release_hold(world.app_key, one.id)
        await world.work()
        assert await world.stored_in(key) == []


@pytest.mark.parametrize("hold", [_on_app, *NARROW])
async def test_no_message_is_edited_until_the_hold_is_released(world: World, hold: Place) -> None:
    """By whomever, under every hold: what it says must stay as it is. In another channel it may change."""
    ann, *others = _users(world.group())
    key, other = await world.make_group(*others, owner=ann), world.channel("ann of old", "zoe")
    sent, free = await world.post(key, ann, content="evidence"), await world.post(other, "zoe")
    placed = await hold(world, key)
    text = message_id(await world.id_of(key), sent)
    rows = [tuple(row) for row in await world.rows(ROWS)]
    for more in ({"content": "changed"}, {"metadata": "{}"}, {"content": "changed", "metadata": "{}"}):
        with pytest.raises(Conflict, match="hold"):
            await world.messages.edit(key, text, sender=ann, **more)
    assert [tuple(row) for row in await world.rows(ROWS)] == rows
    if hold is not _on_app:
        id_ = message_id(await world.id_of(other), free)
        assert (await world.messages.edit(other, id_, sender="zoe", content="changed")).content == "changed"
    await world.policies.release_hold(world.app_key, placed.id)
    assert (await world.messages.edit(key, text, sender=ann, content="changed")).content == "changed"


async def test_each_statement_itself_takes_nothing_that_a_hold_covers(world: World) -> None:
    """Below the walk: the grant stays where it was, edit and recall lose no content, emptying leaves it alone."""
    sent = await world.send(echo=True, content="evidence")
    channel_id = await world.channel_id()
    await _on_channel(world, world.channel())
    await world.execute("UPDATE channels SET reclaim_lease = 1")
    async with world.database.writing() as connection:
        edited = await messages_store.update_edited(
            connection, channel_id, sent, content="changed", metadata=None, now=world.clock.now()
        )
        assert edited is None
        assert await messages_store.recall(connection, channel_id, sent, now=world.clock.now())
        await store.finish_reclaimed(connection, channel_id, now=world.clock.now(), most=100)
        assert await store.delete_reclaimed(connection, channel_id, 1 << 62, above=0, lease=1) == 0
    assert await world.value("SELECT content FROM messages") == "evidence"
    assert await world.value("SELECT emptied FROM recalls") is False


async def test_a_clean_under_a_hold_hides_all_the_same(world: World) -> None:
    """From history, from compensation with the flag; what is missed is delivered; nothing else is different."""
    sent = [await world.send(echo=True) for _ in range(2)]
    await world.ack("bob", "ann", sent[0])
    await _on_app(world, world.channel())
    accepted = await world.clean("bob", "ann", flag=True)
    assert await world.counted(accepted) == [(2, 1, 0, 2)]
    assert await world.history("bob", "ann") == []
    assert await world.given("bob", "new") == [(sent[1], "missed")]
    assert await world.history("ann", "bob") == [*reversed(sent)]


async def test_what_a_hold_does_not_cover_goes(world: World) -> None:
    """Another channel, a user who never was there, another app: each hold is on what it names alone."""
    await world.set(multi_device_sync=False)
    other = (await world.apps.create("other")).app_key
    await _on_channel(world, world.channel("ann", "cid"))
    await _on_channel(world, world.group("ann"))
    for app_key, user_id in ((world.app_key, "dan"), (other, "bob"), (other, None)):
        await world.policies.place_hold(app_key, channel=None, user_id=user_id, reason="case")
    sent, kept = await world.send(), await world.send("ann", "cid")
    for key, user, position in ((world.channel(), "bob", sent), (world.channel("ann", "cid"), "cid", kept)):
        await world.ack_in(key, user, position)
        await world.clean_in(key, undo=0)
    assert await world.work() == 1
    assert (await world.stored(), await world.stored("ann", "cid")) == ([], [kept])


async def test_the_last_of_several_holds_lets_go(world: World) -> None:
    """Each is listed until it is released; one that is not there, or another app's, is not found."""
    await world.set(multi_device_sync=False)
    key = world.channel()
    await world.ack("bob", "ann", await world.send())
    holds = [await _on_app(world, key), await _on_channel(world, key), await _on_user(world, "bob")]
    assert await world.policies.holds(world.app_key) == sorted(
        holds, key=lambda one: (one.created_at, one.id)
    )
    assert {one.kind for one in holds} == {"app", "channel", "user"}
    await world.clean_in(key, undo=0)
    other = (await world.apps.create("other")).app_key
    for app_key, id_ in ((other, holds[0].id), (world.app_key, uuid4())):
        with pytest.raises(NotFound):
            await world.policies.release_hold(app_key, id_)
    with pytest.raises(NotFound):
        await world.policies.place_hold("none", channel=None, user_id=None, reason="x")
    for number, hold in enumerate(holds):
        await world.policies.release_hold(world.app_key, hold.id)
        assert await world.work() == (1 if number == 2 else 0)
    assert await world.policies.holds(world.app_key) == []


async def test_a_message_that_was_recalled_under_a_hold_is_emptied_after_it(world: World) -> None:
    """At once gone for everyone, the content kept, also while a message before it stays; emptied with the release."""
    first, gone = await world.send(echo=True), await world.send(echo=True, content="evidence")
    hold = await _on_channel(world, world.channel())
    await world.recall(world.channel(), gone)
    assert await world.history("bob", "ann") == [first]
    await world.work()
    content = "SELECT content FROM messages WHERE position = $1"
    assert await world.value(content, gone) == "evidence"
    world.clock.advance(400 * DAY)
    await world.sweep.run(now=world.clock.now())
    await world.policies.release_hold(world.app_key, hold.id)
    await world.work()
    assert (await world.value(content, first), await world.value(content, gone)) == ("hello", "")
    await world.sweep.run(now=world.clock.now())
    assert await world.value("SELECT count(*) FROM recalls") == 0


async def test_who_left_is_remembered_while_a_hold_is_on_him(world: World) -> None:
    """His row tells where he was."""
    await _on_one_who_left(world, await world.make_group())
    world.clock.advance(400 * DAY)
    await world.sweep.run(now=world.clock.now())
    assert await world.value("SELECT count(*) FROM conversations WHERE user_id = 'dan g'") == 1


# two at once ---------------------------------------------------------------------------------------------------------


async def _due(world: World) -> int:
    await world.set(multi_device_sync=False)
    await world.work()
    sent = await world.send(echo=True, content="evidence")
    await world.ack("bob", "ann", sent)
    await world.clean_in(world.channel(), undo=0)
    await world.apply()
    await world.settle()
    return sent


async def test_a_grant_that_waits_for_a_hold_takes_nothing(world: World) -> None:
    """The hold has the app's row; the floor is read after it committed."""
    sent = await _due(world)
    async with held(world) as connection:
        await connection.execute("SELECT FROM apps FOR UPDATE")
        await connection.execute(
            "INSERT INTO holds VALUES (gen_random_uuid(), $1, 'app', NULL, NULL, NULL, 'r', 1)", world.app_key
        )
        visiting = asyncio.create_task(world.reclaim.visit_due(now=world.clock.now()))
        await somebody_waits(world)
    (report,) = await visiting
    assert (report.deleted, await world.stored()) == (0, [sent])


async def test_a_hold_waits_for_a_grant_that_has_begun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes after it: what was granted away before is not covered, and no hold is placed in the midst of a grant."""
    await _due(world)
    holding: list[asyncio.Task[Hold]] = []

    async def place() -> None:
        holding.append(asyncio.create_task(_on_app(world, world.channel())))
        await somebody_waits(world)
        assert await world.policies.holds(world.app_key) == []

    before(monkeypatch, "grant", place)
    (report,) = await world.reclaim.visit_due(now=world.clock.now())
    await holding[0]
    assert (report.deleted, await world.stored()) == (1, [])


async def test_a_recall_that_waits_for_a_hold_keeps_the_content(world: World) -> None:
    """And one that has begun is waited for."""
    sent = await world.send(echo=True, content="evidence")
    async with held(world) as connection:
        await connection.execute("SELECT FROM apps FOR UPDATE")
        await connection.execute(
            "INSERT INTO holds VALUES (gen_random_uuid(), $1, 'app', NULL, NULL, NULL, 'r', 1)", world.app_key
        )
        recalling = asyncio.create_task(world.recall(world.channel(), sent))
        await somebody_waits(world)
    await recalling
    assert await world.value("SELECT content FROM messages") == "evidence"
    assert await world.history("bob", "ann") == []


async def test_emptying_that_waits_for_a_hold_leaves_the_content(world: World) -> None:
    """Released, and placed again before the worker came."""
    sent = await world.send(echo=True, content="evidence")
    first = await _on_channel(world, world.channel())
    await world.recall(world.channel(), sent)
    await world.policies.release_hold(world.app_key, first.id)
    await _on_user(world, "bob")
    await world.work()
    assert await world.value("SELECT content FROM messages") == "evidence"


async def test_a_scope_of_a_policy_is_no_hold(world: World) -> None:
    """A longer policy keeps nothing that is not needed."""
    await _due(world)
    scope = Scope(app_key=world.app_key)
    with pytest.raises(NotConfirmed) as refusal:
        await world.policies.set_policy(scope, 3_650, confirm=None)
    await world.policies.set_policy(scope, 3_650, confirm=refusal.value.confirm)
    assert await world.work() == 1
