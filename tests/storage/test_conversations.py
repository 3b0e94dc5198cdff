"""A user's list of conversations, what he has read, and his devices."""

from __future__ import annotations

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey, ChannelType
from history.cursors import message_id
from history.delivery import service, store
from history.delivery.model import MOST_UNREAD, ConversationView, Listing
from history.errors import InvalidInput
from tests.factories import NOON, World, open_world

HOUR = 3_600 * SECOND


async def _list(world: World, user: str = "bob", *, most: int = 100) -> list[ConversationView]:
    page, cursor = await world.delivery.conversations(world.app_key, user, cursor=None, most=most)
    assert cursor is None or most < 100
    return page


async def _view(world: World, user: str = "bob") -> tuple[int | None, int]:
    """The last visible message and what is unread, of a user's only conversation."""
    (one,) = await _list(world, user)
    return one.last_message.position if one.last_message else None, one.unread


async def test_conversations_are_newest_first_page_by_page(world: World) -> None:
    """Each once, groups and accounts among them, whatever the size of a page; other apps' are not there."""
    g = await world.make_group("bob")
    posts = [
        (world.channel("bob", "cid"), "bob"),
        (g, "ann"),
        (world.system(), "news"),
        (world.channel("dan", "bob"), "dan"),
        (world.channel("cid", "bob"), "cid"),
    ]
    for step, (key, sender) in enumerate(posts):
        await world.post(key, sender, at=NOON + step * SECOND)
    async with open_world(world.url, clock=world.clock) as other:
        await other.send("eve", "bob")
    wanted = [("cid", 1), ("dan", 1), ("news", 6), ("g", 3)]
    for most in (1, 2, 3, 4, 100):
        found: list[tuple[str, int]] = []
        cursor: str | None = None
        while True:
            page, cursor = await world.delivery.conversations(world.app_key, "bob", cursor=cursor, most=most)
            assert 1 <= len(page) <= most
            found += [(one.channel.seen_by("bob"), int(one.channel.type)) for one in page]
            if cursor is None:
                break
        assert found == wanted
    (first, *_) = await _list(world)
    assert first.last_active_at == NOON + 4 * SECOND


async def test_channels_of_one_instant_are_listed_each_once(world: World) -> None:
    """Ties are told apart by the channel."""
    for n in range(5):
        await world.send(f"u{n}", "bob", at=NOON)
    found: list[int] = []
    cursor: str | None = None
    while True:
        page, cursor = await world.delivery.conversations(world.app_key, "bob", cursor=cursor, most=2)
        found += [one.channel_id for one in page]
        if cursor is None:
            break
    assert found == sorted(set(found), reverse=True)
    assert len(found) == 5


async def test_the_last_message_and_unread_follow_every_clean_at_once(world: World) -> None:
    """One's own and everyone's, in part and whole, accepted and applied; the other's list stays."""
    sent = [await world.send(at=NOON + n * SECOND, echo=True) for n in range(4)]
    assert await _view(world) == (sent[3], 4)
    await world.clean("bob", "ann", sent_at=sent[2] // 1000)
    for _ in range(2):
        assert await _view(world) == (sent[3], 2)
        await world.apply()
    await world.clean("bob", "ann", everyone=True)
    for _ in range(2):
        assert await _view(world) == (None, 0)
        await world.apply()
    (one,) = await _list(world)
    assert (one.history_from, one.last_active_at) == (sent[3] + 1, sent[3])
    again = await world.send()
    assert await _view(world) == (again, 1)


async def test_the_last_message_and_unread_follow_recall_join_and_leave_at_once(world: World) -> None:
    """The message before becomes the last; who joins sees none of it; who left has no conversation."""
    g = await world.make_group("bob")
    first, last = await world.post(g), await world.post(g)
    assert await _view(world) == (last, 2)
    await world.recall(g, last)
    assert await _view(world) == (first, 1)
    await world.membership.join(g, ["cid"])
    assert await _view(world, "cid") == (None, 0)
    await world.membership.leave(g, ["bob"])
    assert await _list(world) == []
    await world.membership.join(g, ["bob"])
    assert await _view(world) == (None, 0)
    sent = await world.post(g)
    assert await _view(world) == await _view(world, "cid") == (sent, 1)


async def test_a_dismissed_group_is_on_nobodys_list(world: World) -> None:
    """The others stay."""
    g, _ = await world.make_group("bob"), await world.send()
    assert len(await _list(world)) == 2
    await world.membership.dismiss(g)
    assert [one.channel.type for one in await _list(world)] == [ChannelType.DIRECT]
    assert await _list(world, "eve") == []


async def test_what_was_never_shown_is_neither_last_nor_unread(world: World) -> None:
    """His own, another's target, what is not stored for history."""
    g = await world.make_group("bob", "cid")
    shown = await world.post(g)
    own = await world.post(g, "bob", echo=True)
    await world.post(g, to=("cid",))
    await world.post(g, persist=False)
    await world.post(g, "bob")
    assert await _view(world) == (own, 1)
    assert shown < own


async def test_unread_is_counted_to_a_thousand_and_then_more(world: World) -> None:
    """One more than a thousand says so."""
    await world.send(at=NOON)
    await world.execute(
        "INSERT INTO messages SELECT channel_id, position + n, flags, sender, type, content"
        " FROM messages, generate_series(1, $1) n",
        MOST_UNREAD - 1,
    )
    await world.execute("UPDATE channels SET last_position = last_position + $1", MOST_UNREAD - 1)
    assert (await _view(world))[1] == MOST_UNREAD
    await world.execute(
        "INSERT INTO messages SELECT channel_id, position - 1, flags, sender, type, content"
        " FROM messages ORDER BY position LIMIT 1"
    )
    assert (await _view(world))[1] == MOST_UNREAD + 1
    await world.execute("UPDATE channels SET last_position = last_position + 10000")
    for _ in range(3):
        await world.send()
    assert (await _view(world))[1] == MOST_UNREAD + 1


async def test_reading_lowers_unread_and_never_rises_again(world: World) -> None:
    """Up to a message, up to an older one, all there is; the other's marks and what is delivered stay."""
    sent = [await world.send(echo=True) for _ in range(4)]
    key, id_ = world.channel(), await world.channel_id()
    for at, unread in ((sent[1], 2), (sent[0], 2), (None, 0)):
        await world.delivery.read("bob", key, None if at is None else message_id(id_, at))
        assert await _view(world) == (sent[3], unread)
    await world.send()
    assert (await _view(world))[1] == 1
    (one,) = await _list(world)
    assert (one.read_position, one.delivered_position) == (sent[3], 0)
    assert len(await world.given("bob")) == 5
    rows = await world.rows("SELECT read_position FROM conversations WHERE user_id = 'ann'")
    assert rows[0]["read_position"] == 0


async def test_what_cannot_have_been_read_is_refused(world: World) -> None:
    """Beyond the end, of another channel, no message, where he takes no part, where there is nothing."""
    g = await world.make_group("bob")
    sent, other = await world.post(g), await world.send()
    id_ = await world.id_of(g)
    cases: list[tuple[str, ChannelKey, str | None]] = [
        ("bob", g, message_id(id_, sent + 1)),
        ("bob", g, message_id(await world.channel_id(), other)),
        ("bob", g, "x"),
        ("eve", g, None),
        ("eve", world.channel(), None),
        ("bob", world.group("none"), None),
    ]
    for user, key, text in cases:
        with pytest.raises(InvalidInput):
            await world.delivery.read(user, key, text)
    await world.membership.leave(g, ["bob"])
    with pytest.raises(InvalidInput):
        await world.delivery.read("bob", g, None)
    assert await world.value("SELECT max(read_position) FROM conversations") == 0


async def test_a_page_of_conversations_is_cut_by_bytes_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their last messages may be large: counted as JSON, with metadata, and at least one a page."""
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 3_000)
    for n in range(4):
        await world.send(f"u{n}", "bob", content="\x01" * 300, at=NOON + n)
    cursor: str | None = None
    sizes = []
    while True:
        page, cursor = await world.delivery.conversations(world.app_key, "bob", cursor=cursor, most=10)
        sizes.append(len(page))
        if cursor is None:
            break
    assert sizes == [1, 1, 1, 1]
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 3_600)
    await world.execute("UPDATE messages SET content = repeat('x', 1000), metadata = repeat('y', 1000)")
    sizes, cursor = [], None
    while True:
        page, cursor = await world.delivery.conversations(world.app_key, "bob", cursor=cursor, most=10)
        sizes.append(len(page))
        if cursor is None:
            break
    assert sizes == [1, 1, 1, 1]
    async with world.database.reading() as connection:
        cut = await store.list_conversations(
            connection,
            world.app_key,
            "bob",
            Listing(most=10, most_unread=10, last_message=True, most_bytes=3_900, now=NOON),
        )
    assert len(cut) == 2, "what no page will hold is not even fetched"


# devices -------------------------------------------------------------------------------------------------------------


async def test_devices_are_listed_the_last_used_first(world: World) -> None:
    """Made when they first come, by a sync or an acknowledgement, seen again once an hour; a user's own alone."""
    sent = await world.send()
    await world.sync("bob", "phone")
    world.clock.advance(SECOND)
    await world.ack("bob", "ann", sent, "tablet")
    await world.sync("ann", "phone")
    devices = await world.delivery.devices(world.app_key, "bob")
    assert [(one.device_id, one.created_at) for one in devices] == [
        ("tablet", NOON + SECOND),
        ("phone", NOON),
    ]
    world.clock.set(NOON + HOUR - 1)
    await world.sync("bob", "phone")
    assert (await world.delivery.devices(world.app_key, "bob"))[0].device_id == "tablet"
    world.clock.advance(1)
    await world.sync("bob", "phone")
    first = (await world.delivery.devices(world.app_key, "bob"))[0]
    assert (first.device_id, first.created_at, first.last_seen_at) == ("phone", NOON, NOON + HOUR)


async def test_a_removed_device_is_forgotten_with_what_it_had(world: World) -> None:
    """If it comes again it is a new one; the user's delivered mark and his other device stay."""
    sent = await world.send()
    await world.sync("bob", "phone")
    for device in ("phone", "tablet"):
        await world.ack("bob", "ann", sent, device)
    await world.delivery.remove_device(world.reader("bob", "phone"))
    assert [one.device_id for one in await world.delivery.devices(world.app_key, "bob")] == ["tablet"]
    assert await world.value("SELECT array_agg(device_id) FROM device_marks") == ["tablet"]
    world.clock.advance(DAY // 24 // 2)
    assert await world.given("bob", "phone") == [(sent, "compensation")]
    assert await world.given("bob", "tablet") == []
    assert len(await world.delivery.devices(world.app_key, "bob")) == 2
    await world.delivery.remove_device(world.reader("bob", "none"))
