"""A message that is taken back is taken from everyone, and devices learn of it."""

from __future__ import annotations

import pytest

from history.axis import MILLISECOND, SECOND
from history.channels.model import ChannelKey
from history.cursors import message_id
from history.delivery.model import SyncPage
from history.errors import InvalidInput
from tests.factories import ALWAYS, NOON, World, open_world

ROW = "SELECT recall_stamp, content, metadata FROM messages WHERE position = $1"


def _told(page: SyncPage) -> list[str]:
    return [recall.message_id for recall in page.recalls]


async def test_a_recalled_message_is_in_no_history_no_sync_and_no_list(world: World) -> None:
    """For its recipient and its echoing sender, missed or received; its neighbours stay, its content is gone."""
    first, gone, last = [await world.send(echo=True, content=f"text {n}") for n in range(3)]
    await world.recall(world.channel(), gone)
    assert await world.history("ann", "bob") == await world.history("bob", "ann") == [last, first]
    assert [at for at, _ in await world.given("bob")] == [first, last]
    await world.ack("bob", "ann", last)
    assert [at for at, _ in await world.given("bob", "tablet")] == [first, last]
    assert [at for at, _ in await world.given("ann")] == [first, last]
    assert tuple((await world.rows(ROW, gone))[0]) == (1, "", None)
    assert tuple((await world.rows(ROW, first))[0]) == (None, "text 0", None)


async def test_only_the_sender_or_an_admin_recalls(world: World) -> None:
    """The other user is refused by a sentence and nothing changes."""
    mine, theirs = await world.send(echo=True), await world.send()
    with pytest.raises(InvalidInput) as refusal:
        await world.recall(world.channel(), mine, "bob")
    assert refusal.value.field == "fromUserId"
    assert await world.history("bob", "ann") == [theirs, mine]
    await world.recall(world.channel(), mine, "bob", admin=True)
    assert await world.history("bob", "ann") == [theirs]
    assert await world.value("SELECT count(*) FROM recalls") == 1


async def test_what_is_unknown_reclaimed_or_recalled_is_success(world: World) -> None:
    """No such text, no such channel, another channel's, another app's; twice: and nothing changes."""
    sent, other = await world.send(echo=True), await world.send("ann", "cid", echo=True)
    text = message_id(await world.channel_id("ann", "cid"), other)
    calls: list[tuple[ChannelKey, str]] = [
        (world.channel(), "no id"),
        (world.channel("ann", "eve"), text),
        (world.channel(), text),
        (world.channel(), message_id(await world.channel_id(), sent + 1)),
        (world.group("none"), text),
    ]
    for key, id_ in calls:
        await world.messages.recall(key, id_, sender="ann", admin=True)
    async with open_world(world.url) as stranger:
        await stranger.send("ann", "cid")
        await stranger.messages.recall(stranger.channel("ann", "cid"), text, sender="ann", admin=True)
    assert await world.history("ann", "bob") == [sent]
    assert await world.history("ann", "cid") == [other]
    for _ in range(2):
        await world.recall(world.channel(), sent)
    await world.set(undo_seconds=0, multi_device_sync=False)
    assert await world.work() == 1
    await world.recall(world.channel(), sent)
    assert await world.value("SELECT count(*) FROM recalls") == 1


async def test_a_recalled_message_holds_no_floor_up(world: World) -> None:
    """Neither missed nor in a history nor in the window: the recall makes its channel due."""
    first, kept = await world.send(echo=True), await world.send(echo=True)
    assert await world.work() == 0
    await world.recall(world.channel(), first)
    assert await world.work() == 1
    assert await world.stored() == [kept]


async def test_a_device_learns_of_a_recall_once_its_cursor_came_back(world: World) -> None:
    """Again until then, never afterwards; the user's other device and the sender's in their turn."""
    key = world.channel()
    sent = await world.send()
    await world.recall(key, sent)
    id_ = message_id(await world.channel_id(), sent)
    first = await world.sync("bob")
    (notice,) = first.recalls
    assert (notice.message_id, notice.channel) == (id_, key)
    assert _told(await world.sync("bob")) == [id_]
    assert _told(await world.sync("bob", cursor=first.cursor)) == []
    assert _told(await world.sync("bob")) == []
    for user, device in (("bob", "tablet"), ("ann", "phone")):
        page = await world.sync(user, device)
        assert _told(page) == [id_]
        assert _told(await world.sync(user, device, cursor=page.cursor)) == []
    assert _told(await world.sync("bob", reinstalled=True)) == [id_]


async def test_recalls_come_after_cleans_and_before_messages_and_count_with_them(world: World) -> None:
    """Page by page, each once, and the page says that there is more."""
    sent = [await world.send() for _ in range(5)]
    for at in sent[:3]:
        await world.recall(world.channel(), at)
    await world.clean("bob", "ann", sent_at=sent[0] // 1000)
    page, pages = await world.sync("bob", limit=2), []
    while True:
        pages.append((len(page.cleans), len(page.recalls), len(page.messages)))
        if not page.has_more:
            break
        page = await world.sync("bob", limit=2, cursor=page.cursor)
    assert pages == [(1, 1, 0), (0, 2, 0), (0, 0, 2)]


async def test_an_older_page_coming_back_late_untells_nothing(world: World) -> None:
    """The last stamp told only rises."""
    sent = [await world.send() for _ in range(2)]
    await world.recall(world.channel(), sent[0])
    old = await world.sync("bob")
    await world.recall(world.channel(), sent[1])
    new = await world.sync("bob")
    assert len(new.recalls) == 2
    await world.sync("bob", cursor=new.cursor)
    assert _told(await world.sync("bob", cursor=old.cursor)) == []


async def test_a_targeted_recall_is_told_to_those_it_was_addressed_to_and_its_sender(world: World) -> None:
    """To who has left since, too: he may hold it. Not to another member, not to who joined later."""
    g = await world.make_group("bob", "cid", "dan")
    sent = await world.post(g, "ann", to=("bob", "dan"))
    await world.membership.leave(g, ["dan"])
    await world.membership.join(g, ["eve"])
    await world.recall(g, sent)
    told = {user: len(_told(await world.sync(user))) for user in ("ann", "bob", "cid", "dan", "eve")}
    assert told == {"ann": 1, "bob": 1, "cid": 0, "dan": 1, "eve": 0}


async def test_a_sender_recalls_after_he_has_left(world: World) -> None:
    """And the others learn of it, his own devices too; who joined after the message does not."""
    g = await world.make_group("bob")
    sent = await world.post(g)
    await world.membership.leave(g, ["ann"])
    await world.membership.join(g, ["cid"])
    await world.recall(g, sent, "ann")
    assert await world.seen(g, "bob") == []
    assert len(_told(await world.sync("bob"))) == 1
    assert len(_told(await world.sync("ann"))) == 1
    assert _told(await world.sync("cid")) == []


async def test_who_has_left_learns_of_recalls_of_what_he_was_given_alone(world: World) -> None:
    """Once, as everybody; not of what was sent after he had left, and after rejoining not of what was before."""
    g = await world.make_group("bob")
    before = await world.post(g)
    await world.membership.leave(g, ["bob"])
    between = await world.post(g)
    for at in (before, between):
        await world.recall(g, at)
    page = await world.sync("bob")
    assert _told(page) == [message_id(await world.id_of(g), before)]
    assert _told(await world.sync("bob", cursor=page.cursor)) == []
    await world.membership.join(g, ["bob"])
    after = await world.post(g)
    await world.recall(g, after)
    assert _told(await world.sync("bob")) == [message_id(await world.id_of(g), after)]


async def test_recalls_in_every_type_of_channel(world: World) -> None:
    """An open channel's has nobody to tell."""
    o, s = await world.make_open(), world.system()
    shown, sent = await world.post(o), await world.post(s, "news")
    await world.recall(o, shown)
    await world.recall(s, sent, "news")
    assert await world.seen(o, "eve") == []
    assert await world.has_nothing(s, "bob")
    assert len(_told(await world.sync("bob"))) == 1
    assert await world.work() == 2


async def test_a_recall_of_a_message_of_a_user_deleted_from_disk_stays_told(world: World) -> None:
    """The row of its own outlives the message."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    sent = await world.send()
    await world.recall(world.channel(), sent)
    assert await world.work() == 1
    assert await world.stored() == []
    assert len(_told(await world.sync("bob"))) == 1


async def test_who_asks_for_recalled_ones_too_is_shown_their_places_alone(world: World) -> None:
    """Those that he might read: not what he cleaned or hid. What a hold keeps of them is not said."""
    times = (NOON, NOON + SECOND, NOON + 2 * SECOND, NOON + 2 * SECOND + 1)
    cleaned, hidden, gone, last = [await world.send(at=at, content=f"text {n}") for n, at in enumerate(times)]
    await world.policies.place_hold(world.app_key, channel=world.channel(), user_id=None, reason="a case")
    await world.hide(world.channel(), "bob", hidden)
    await world.clean("bob", "ann", sent_at=hidden // MILLISECOND)
    for position in (cleaned, hidden, gone):
        await world.recall(world.channel(), position)
    shown = await world.messages.history(world.channel(), "bob", ALWAYS, most=9, with_recalled=True)
    assert [(one.position, one.recalled, one.content) for one in shown] == [
        (last, False, "text 3"),
        (gone, True, ""),
    ]
    assert await world.value("SELECT content FROM messages WHERE position = $1", gone) == "text 2"
    assert await world.history("bob", "ann") == [last]
    # the second half of a page, over its last millisecond, says no more
    [_, edge] = await world.messages.history(world.channel(), "bob", ALWAYS, most=1, with_recalled=True)
    assert (edge.position, edge.content) == (gone, "")
