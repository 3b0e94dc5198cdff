"""One message by its id is what history lists, whatever the reason; an admin sees what is on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey
from history.cursors import message_id
from history.messages import service
from history.messages.model import Flags, Message, Range
from tests.factories import ALWAYS, NOON, World, open_world

USERS = ("ann", "bob", "cid", "dan")
Scenario = Callable[[World], Awaitable[tuple[ChannelKey, list[int]]]]
Expected = dict[str, list[int]]
"""By user the messages of the scenario, by their number, that he may read, newest first."""


async def _three(world: World, key: ChannelKey, sender: str = "ann", *, echo: bool = True) -> list[int]:
    return [await world.post(key, sender, content=f"text {n}", echo=echo) for n in range(3)]


async def _direct(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.channel()
    return key, [
        await world.post(key),
        await world.post(key, echo=True),
        await world.post(key, persist=False),
    ]


async def _targeted(world: World) -> tuple[ChannelKey, list[int]]:
    key = await world.make_group("bob", "cid")
    return key, [
        await world.post(key),
        await world.post(key, to=("cid",), echo=True),
        await world.post(key, "bob"),
    ]


async def _recalled(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.channel()
    sent = await _three(world, key)
    await world.recall(key, sent[1])
    return key, sent


async def _hidden(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.channel()
    sent = await _three(world, key)
    await world.hide(key, "bob", sent[2])
    return key, sent


async def _cleaned(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.channel()
    sent = await _three(world, key)
    await world.clean_in(key, "bob", sent_at=NOON // 1000 + 1)
    return key, [*sent, await world.post(key, at=NOON + SECOND)]


async def _applied(world: World) -> tuple[ChannelKey, list[int]]:
    found = await _cleaned(world)
    await world.apply()
    return found


async def _cleaned_for_everyone(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.channel()
    sent = await _three(world, key)
    await world.clean_in(key)
    return key, [*sent, await world.post(key, at=NOON + SECOND)]


async def _reclaimed(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.channel()
    sent = await _three(world, key, echo=False)
    await world.set(multi_device_sync=False, undo_seconds=0)
    await world.ack_in(key, "bob", sent[2])
    await world.clean_in(key)
    assert await world.work() == 3
    return key, sent


async def _joined_and_left(world: World) -> tuple[ChannelKey, list[int]]:
    key = await world.make_group("bob", "cid")
    sent = [await world.post(key)]
    await world.membership.join(key, ["dan"])
    await world.membership.leave(key, ["cid"])
    return key, [*sent, await world.post(key)]


async def _dismissed(world: World) -> tuple[ChannelKey, list[int]]:
    key = await world.make_group("bob")
    sent = await _three(world, key)
    await world.membership.dismiss(key)
    return key, sent


async def _open(world: World) -> tuple[ChannelKey, list[int]]:
    key = await world.make_open()
    sent = await _three(world, key)
    await world.clean_in(key, sent_at=NOON // 1000)
    return key, sent


async def _expired(world: World) -> tuple[ChannelKey, list[int]]:
    key = await world.make_open(ttl=60)
    sent = await _three(world, key)
    world.clock.advance(3_600 * SECOND + 3)
    return key, sent


async def _too_old(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.channel()
    sent = [await world.post(key, at=NOON + n, echo=True) for n in range(2)]
    await world.execute("UPDATE apps SET retention_days = 1")
    world.clock.set(NOON + DAY + 1)
    return key, sent


async def _system(world: World) -> tuple[ChannelKey, list[int]]:
    key = world.system()
    return key, [await world.post(key, "news")]


MATRIX: list[tuple[Scenario, Expected]] = [
    (_direct, {"ann": [1], "bob": [1, 0]}),
    (_targeted, {"ann": [2, 1], "bob": [0], "cid": [2, 1, 0]}),
    (_recalled, {"ann": [2, 0], "bob": [2, 0]}),
    (_hidden, {"ann": [2, 1, 0], "bob": [1, 0]}),
    (_cleaned, {"ann": [2, 1, 0], "bob": [3]}),
    (_applied, {"ann": [2, 1, 0], "bob": [3]}),
    (_cleaned_for_everyone, {"bob": [3]}),
    (_reclaimed, {}),
    (_joined_and_left, {"bob": [1, 0], "dan": [1]}),
    (_dismissed, {}),
    (_open, {"ann": [2, 1, 0], "bob": [2, 1, 0], "cid": [2, 1, 0], "dan": [2, 1, 0]}),
    (_expired, {}),
    (_too_old, {"ann": [1], "bob": [1]}),
    (_system, {"bob": [0]}),
]


@pytest.mark.parametrize(("scenario", "expected"), MATRIX, ids=[one.__name__ for one, _ in MATRIX])
async def test_a_message_is_found_iff_history_lists_it(
    world: World, scenario: Scenario, expected: Expected
) -> None:
    """For everybody, member or not; it is the same message, and says where it is."""
    key, sent = await scenario(world)
    channel_id = await world.id_of(key)
    for user in USERS:
        listed = {one.position: one for one in await world.messages.history(key, user, ALWAYS, most=9)}
        assert list(listed) == [sent[number] for number in expected.get(user, [])], user
        for position in sent:
            found = await world.messages.find(world.app_key, user, message_id(channel_id, position))
            assert (found is not None) == (position in listed), (user, position)
            if found is not None:
                assert (found.channel, found.id) == (key, message_id(channel_id, position))
                names = list(Message.__struct_fields__)
                one = listed[position]
                assert [getattr(found, name) for name in names] == [getattr(one, name) for name in names]


async def test_what_is_no_id_of_this_app_finds_nothing(world: World) -> None:
    """Nonsense, a place where nothing is, a channel that is none, another app with the same names."""
    sent = await world.send(echo=True)
    channel_id = await world.channel_id()
    for text in ("", "x", "é" * 23, message_id(channel_id, sent + 1), message_id(7, sent)):
        assert await world.messages.find(world.app_key, "bob", text) is None
    async with open_world(world.url) as other:
        await other.send(echo=True)
        assert await other.messages.find(other.app_key, "bob", message_id(channel_id, sent)) is None
    assert await world.messages.find(world.app_key, "bob", message_id(channel_id, sent)) is not None


async def test_now_may_be_handed_in(world: World) -> None:
    """A page and its messages are judged at one instant."""
    await world.execute("UPDATE apps SET retention_days = 1")
    sent = await world.send()
    text = message_id(await world.channel_id(), sent)
    for now, found in ((NOON + DAY, True), (NOON + DAY + 1, False)):
        one = await world.messages.find(world.app_key, "bob", text, now=now)
        assert (one is not None) is found


# what is on disk -----------------------------------------------------------------------------------------------------


async def _stored(
    world: World, key: ChannelKey, *, range_: Range = ALWAYS, most: int = 9, with_recalled: bool = True
) -> list[int]:
    found = await world.messages.stored(key, range_, most=most, with_recalled=with_recalled)
    return [one.position for one in found]


async def test_an_admin_sees_what_was_cleaned_until_it_is_reclaimed(world: World) -> None:
    """Cleaned by one, by everyone, hidden, not stored for history: on disk. Granted away: gone, also before the delete."""
    await world.set(multi_device_sync=False, undo_seconds=0)
    key = world.channel()
    sent = [await world.post(key, content=f"text {n}", persist=n != 1) for n in range(4)]
    await world.hide(key, "bob", sent[3])
    await world.ack_in(key, "bob", sent[2])
    await world.clean_in(key, "bob")
    await world.clean_in(key)
    await world.apply()
    assert await world.seen(key, "bob") == []
    assert await _stored(world, key) == sent[::-1]
    page = await world.messages.stored(key, ALWAYS, most=9, with_recalled=True)
    assert [(one.content, one.recalled) for one in page] == [(f"text {n}", False) for n in (3, 2, 1, 0)]
    assert [bool(one.flags & Flags.PERSISTED) for one in page] == [True, True, False, True]
    await world.execute("UPDATE channels SET reclaimed_to = $1", sent[1])
    assert await _stored(world, key) == sent[:0:-1]
    assert await world.work() == 3
    assert await _stored(world, key) == sent[3:]


async def test_an_admin_is_told_what_was_recalled_and_not_what_it_said(world: World) -> None:
    """Also where a hold keeps the content; and it may be left out."""
    key = world.channel()
    first, kept, last = await _three(world, key)
    await world.recall(key, first)
    await world.policies.place_hold(world.app_key, channel=key, user_id=None, reason="case")
    await world.recall(key, kept)
    assert await world.value("SELECT content FROM messages WHERE position = $1", kept) == "text 1"
    page = await world.messages.stored(key, ALWAYS, most=9, with_recalled=True)
    assert [(one.position, one.content, one.recalled) for one in page] == [
        (last, "text 2", False),
        (kept, "", True),
        (first, "", True),
    ]
    assert await _stored(world, key, with_recalled=False) == [last]


async def test_an_admins_page_is_cut_by_range_count_and_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of this channel alone."""
    key = world.channel()
    sent = [await world.post(key) for _ in range(5)]
    await world.send("ann", "cid")
    assert await _stored(world, key, range_=Range(first=sent[1], end=sent[3])) == [sent[2], sent[1]]
    assert await _stored(world, key, most=2) == sent[:2:-1]
    assert await _stored(world, world.group("none")) == []
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 1_200)
    assert await _stored(world, key) == sent[:2:-1]
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 1)
    assert await _stored(world, key) == sent[-1:]
