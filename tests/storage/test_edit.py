"""A sender changes his own message in its place; what it says is never lost to a hold, and nothing comes back by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from history.apps import store as apps_store
from history.axis import DAY, MILLISECOND, SECOND
from history.channels import store as channels_store
from history.channels.model import ChannelKey
from history.cursors import message_id
from history.errors import Conflict, InvalidInput, NotFound, TooLong
from history.messages import store
from history.messages.model import Flags, Message
from history.policies.model import Hold
from tests.factories import ALWAYS, NOON, World, open_world
from tests.storage.test_races import before, held, somebody_waits

ROW = "SELECT content, metadata, flags, edited_at FROM messages WHERE position = $1"


async def edit(
    world: World,
    key: ChannelKey,
    position: int,
    sender: str = "ann",
    content: str | None = "changed",
    **more: Any,
) -> Message:
    """Change a message by its position."""
    text = message_id(await world.id_of(key), position)
    return await world.messages.edit(key, text, sender=sender, content=content, **more)


async def _row(world: World, position: int) -> tuple[Any, ...]:
    return tuple((await world.rows(ROW, position))[0])


async def test_an_edited_message_stays_where_it_is_and_says_something_else(world: World) -> None:
    """To everyone who reads it; it tells when, and its neighbours are as they were."""
    key = world.channel()
    first, sent, last = [await world.post(key, content=f"text {n}", echo=True) for n in range(3)]
    world.clock.advance(SECOND)
    now = world.clock.now()
    answer = await edit(world, key, sent)
    assert (answer.position, answer.sender, answer.type, answer.content) == (sent, "ann", "text", "changed")
    assert (answer.edited_at, answer.sent_at) == (now, sent // MILLISECOND)
    for user in ("ann", "bob"):
        page = await world.messages.history(key, user, ALWAYS, most=9)
        assert [(one.position, one.content, one.edited_at) for one in page] == [
            (last, "text 2", None),
            (sent, "changed", now),
            (first, "text 0", None),
        ]
        found = await world.messages.find(world.app_key, user, answer.id)
        assert found is not None
        assert (found.content, found.edited_at) == ("changed", now)
    assert (await world.messages.stored(key, ALWAYS, most=9, with_recalled=False))[1] == answer


async def test_a_device_that_has_the_old_text_is_told_nothing_and_one_that_lacks_it_gets_the_new(
    world: World,
) -> None:
    """No recall, no second delivery: history shows what it says now."""
    key = world.channel()
    sent = await world.post(key, content="old")
    await world.ack("bob", "ann", sent)
    await edit(world, key, sent)
    page = await world.sync("bob")
    assert (page.messages, page.recalls, page.cleans) == ([], [], [])
    page = await world.sync("bob", "tablet")
    assert [(one.message.content, one.origin) for one in page.messages] == [("changed", "compensation")]


async def test_content_and_metadata_change_together_or_alone(world: World) -> None:
    """What is not given stays; whoever gets metadata has metadata."""
    key = world.channel()
    sent = await world.post(key, content="old")
    await edit(world, key, sent, content=None, metadata='{"a":"b"}')
    assert (await _row(world, sent))[:3] == ("old", '{"a":"b"}', int(Flags.PERSISTED | Flags.METADATA))
    await edit(world, key, sent)
    assert (await _row(world, sent))[:3] == ("changed", '{"a":"b"}', int(Flags.PERSISTED | Flags.METADATA))
    await edit(world, key, sent, content="both", metadata="{}")
    assert (await _row(world, sent))[:2] == ("both", "{}")
    plain = await world.post(key)
    await edit(world, key, plain)
    assert (await _row(world, plain))[:3] == ("changed", None, int(Flags.PERSISTED))


async def test_only_its_sender_edits_a_message(world: World) -> None:
    """Not the other user, nor a member of the group."""
    direct, group = world.channel(), await world.make_group("bob")
    for key in (direct, group):
        sent = await world.post(key, content="old")
        with pytest.raises(InvalidInput) as refusal:
            await edit(world, key, sent, "bob")
        assert refusal.value.field == "fromUserId"
        assert await _row(world, sent) == ("old", None, 1, None)


async def test_content_over_the_apps_size_is_refused(world: World) -> None:
    """In bytes, as a send is; on the edge it is taken."""
    await world.set(max_content_bytes=100)
    key = world.channel()
    sent = await world.post(key, content="old")
    with pytest.raises(TooLong) as refusal:
        await edit(world, key, sent, content="é" * 50 + "x")
    assert refusal.value.field == "content"
    assert (await _row(world, sent))[0] == "old"
    await edit(world, key, sent, content="é" * 50)


# what is not there any more ------------------------------------------------------------------------------------------


async def _recalled(world: World, key: ChannelKey, sent: int) -> None:
    await world.recall(key, sent)


async def _cleaned(world: World, key: ChannelKey, _: int) -> None:
    await world.clean_in(key)


async def _cleaned_and_applied(world: World, key: ChannelKey, _: int) -> None:
    await world.clean_in(key)
    await world.apply()


async def _dismissed(world: World, key: ChannelKey, _: int) -> None:
    await world.membership.dismiss(key)


async def _too_old(world: World, _: ChannelKey, __: int) -> None:
    await world.execute("UPDATE apps SET retention_days = 1")
    world.clock.advance(DAY + 1)


async def _granted(world: World, _: ChannelKey, sent: int) -> None:
    await world.execute("UPDATE channels SET reclaimed_to = $1", sent + 1)


@pytest.mark.parametrize("event", [_recalled, _cleaned, _cleaned_and_applied, _dismissed, _too_old, _granted])
async def test_what_nobody_reads_any_more_is_not_found_and_stays_as_it_is(
    world: World, event: Callable[[World, ChannelKey, int], Awaitable[None]]
) -> None:
    """Whatever took it from view, though the row may still be on disk; what came after it is edited."""
    key = await world.make_group("bob")
    sent = await world.post(key, content="old", echo=True)
    await event(world, key, sent)
    row = await _row(world, sent)
    with pytest.raises(NotFound):
        await edit(world, key, sent)
    assert await _row(world, sent) == row
    if event is not _dismissed:
        world.clock.advance(SECOND)
        await edit(world, key, await world.post(key))


async def test_an_open_channel_that_has_lived_its_time_takes_no_edit(world: World) -> None:
    """Until then its messages are edited as others; before the worker saw its end too."""
    key = await world.make_open(ttl=60, from_last_message=False)
    sent = await world.post(key)
    world.clock.set(NOON + 3_600 * SECOND - 1)
    await edit(world, key, sent)
    world.clock.advance(1)
    with pytest.raises(NotFound):
        await edit(world, key, sent, content="late")
    assert (await _row(world, sent))[0] == "changed"


async def test_an_undone_clean_gives_the_message_back_to_its_sender(world: World) -> None:
    """As to everybody else."""
    key = world.channel()
    sent = await world.post(key)
    accepted = await world.clean_in(key)
    await world.apply()
    with pytest.raises(NotFound):
        await edit(world, key, sent)
    await world.cancel(accepted)
    assert (await edit(world, key, sent)).content == "changed"


async def test_a_sender_edits_what_he_alone_does_not_see(world: World) -> None:
    """Not echoed, cleaned or hidden by himself, left: the others read it still. What one recipient cleaned too."""
    key = await world.make_group("bob", "cid")
    sent = await world.post(key)
    await world.clean_in(key, "ann")
    await world.hide(key, "ann", sent)
    await world.clean_in(key, "bob")
    await world.membership.leave(key, ["ann"])
    await edit(world, key, sent)
    assert [one.content for one in await world.messages.history(key, "cid", ALWAYS, most=9)] == ["changed"]
    assert await world.seen(key, "ann") == await world.seen(key, "bob") == []


async def test_what_is_no_message_of_the_channel_is_not_found(world: World) -> None:
    """No id, a place where nothing is, another channel's, no channel, another app's: and nothing changes."""
    sent, other = await world.send(content="old"), await world.send("ann", "cid", content="old")
    text = message_id(await world.channel_id("ann", "cid"), other)
    calls = [
        (world.channel(), "no id"),
        (world.channel(), text),
        (world.channel(), message_id(await world.channel_id(), sent + 1)),
        (world.channel("ann", "eve"), text),
        (world.group("none"), text),
    ]
    for key, id_ in calls:
        with pytest.raises(NotFound):
            await world.messages.edit(key, id_, sender="ann", content="changed")
    async with open_world(world.url) as stranger:
        await stranger.send("ann", "cid")
        with pytest.raises(NotFound):
            await stranger.messages.edit(
                stranger.channel("ann", "cid"), text, sender="ann", content="changed"
            )
    contents = await world.rows("SELECT content FROM messages WHERE sender = 'ann' AND content <> 'hello'")
    assert [row["content"] for row in contents] == ["old", "old"]


async def test_an_edit_keeps_nothing_on_disk_and_lets_nothing_go(world: World) -> None:
    """The floor looks at who may still be given it, not at what it says."""
    await world.set(multi_device_sync=False, undo_seconds=0)
    key = world.channel()
    first, last = await world.post(key), await world.post(key)
    await edit(world, key, first)
    assert await world.work() == 0
    await world.ack("bob", "ann", last)
    await world.clean_in(key, "bob", sent_at=None)
    assert await world.work() == 2


# two at once ---------------------------------------------------------------------------------------------------------


async def _begun(connection: Any, world: World, position: int) -> None:
    """An edit up to its commit, in a transaction that the test holds."""
    channel_id = await world.channel_id()
    await apps_store.share_app(connection, world.app_key)
    await channels_store.lock_channel(connection, channel_id)
    now = world.clock.now()
    assert await store.get_editable(connection, channel_id, position, now=now) == "ann"
    edited = await store.update_edited(
        connection, channel_id, position, content="changed", metadata=None, now=now
    )
    assert edited is not None


async def _refused_while(
    world: World,
    sent: int,
    event: Callable[[asyncpg.Connection], Awaitable[object]],
    key: ChannelKey | None = None,
) -> type[BaseException]:
    """How an edit ends that began while the event had not committed."""
    async with held(world) as connection:
        await event(connection)
        editing = asyncio.create_task(edit(world, key or world.channel(), sent))
        await somebody_waits(world)
    [outcome] = await asyncio.gather(editing, return_exceptions=True)
    assert isinstance(outcome, BaseException), outcome
    return type(outcome)


async def test_an_edit_that_waits_for_a_recall_changes_nothing(world: World) -> None:
    """What was taken back says nothing, and does not begin to say something else."""
    sent = await world.send(content="old", echo=True)
    channel_id = await world.channel_id()

    async def recall(connection: Any) -> None:
        await apps_store.share_app(connection, world.app_key)
        assert await store.recall(connection, channel_id, sent, now=world.clock.now())

    assert await _refused_while(world, sent, recall) is NotFound
    assert await _row(world, sent) == ("", None, 3, None)
    assert await world.history("bob", "ann") == []


async def test_a_recall_that_waits_for_an_edit_empties_what_it_says_now(world: World) -> None:
    """The other way about."""
    sent = await world.send(content="old", echo=True)
    async with held(world) as connection:
        await _begun(connection, world, sent)
        recalling = asyncio.create_task(world.recall(world.channel(), sent))
        await somebody_waits(world)
    await recalling
    assert (await _row(world, sent))[0] == ""


async def test_an_edit_that_waits_for_a_hold_keeps_the_content(world: World) -> None:
    """The hold has the app's row."""
    sent = await world.send(content="evidence")

    async def hold(connection: Any) -> None:
        await connection.execute("SELECT FROM apps FOR UPDATE")
        await connection.execute(
            "INSERT INTO holds VALUES (gen_random_uuid(), $1, 'app', NULL, NULL, NULL, 'r', 1)", world.app_key
        )

    assert await _refused_while(world, sent, hold) is Conflict
    assert await _row(world, sent) == ("evidence", None, 1, None)


async def test_a_hold_waits_for_an_edit_that_has_begun(world: World) -> None:
    """It covers what the message says from then on."""
    sent = await world.send(content="old")
    placing: asyncio.Task[Hold]
    async with held(world) as connection:
        await _begun(connection, world, sent)
        placing = asyncio.create_task(
            world.policies.place_hold(world.app_key, channel=None, user_id=None, reason="case")
        )
        await somebody_waits(world)
        assert await world.policies.holds(world.app_key) == []
    await placing
    with pytest.raises(Conflict):
        await edit(world, world.channel(), sent, content="again")
    assert (await _row(world, sent))[0] == "changed"


async def test_an_edit_that_waits_for_a_held_users_message_keeps_the_content(world: World) -> None:
    """A hold on a user covers the groups where he sent: from his first message there."""
    key = await world.make_group("bob")
    sent = await world.post(key, content="evidence")
    await world.policies.place_hold(world.app_key, channel=None, user_id="eve", reason="case")
    await edit(world, key, sent, content="not yet")
    channel_id = await world.id_of(key)

    async def post(connection: Any) -> None:
        await store.reserve_positions(connection, {channel_id: 1}, {}, now=world.clock.now())
        await store.upsert_senders(connection, {(channel_id, "eve"): world.clock.now()})

    assert await _refused_while(world, sent, post, key) is Conflict
    assert (await _row(world, sent))[0] == "not yet"


async def test_an_edit_that_waits_for_a_grant_changes_nothing(world: World) -> None:
    """What is granted away is gone, whether or not it has been deleted yet."""
    sent = await world.send(content="old")

    async def grant(connection: Any) -> None:
        await connection.execute("UPDATE channels SET reclaimed_to = last_position + 1")

    assert await _refused_while(world, sent, grant) is NotFound
    assert await _row(world, sent) == ("old", None, 1, None)


async def test_an_edit_between_floor_and_grant_is_done_and_then_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean for one takes what his sender edits meanwhile: nobody was to be given it."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    await world.clean("bob", "ann")
    await world.apply()
    await world.settle()
    edited: list[Message] = []

    async def change() -> None:
        edited.append(await edit(world, world.channel(), sent))

    before(monkeypatch, "delete_reclaimed", lambda: _not_found(world, sent))
    before(monkeypatch, "get_floor", change)
    (report,) = await world.reclaim.visit_due(now=world.clock.now())
    assert (report.deleted, len(edited)) == (1, 1)


async def _not_found(world: World, sent: int) -> None:
    with pytest.raises(NotFound):
        await edit(world, world.channel(), sent, content="late")
