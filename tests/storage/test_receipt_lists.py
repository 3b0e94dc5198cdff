"""Receipts are found again: by user, channel, state and time, page by page."""

from __future__ import annotations

import pytest

from history.axis import SECOND
from history.channels.model import ChannelKey
from history.errors import InvalidInput
from history.receipts import store
from history.receipts.model import Filter, Receipt
from tests.factories import NOON, World, of_numbers

HOUR = 3_600 * SECOND


def _ids(page: list[Receipt]) -> list[object]:
    return [receipt.id for receipt in page]


async def test_a_list_is_filtered_by_user_channel_state_and_time(world: World) -> None:
    """Each by itself and together; another app's are never there."""
    key, g = world.channel(), await world.make_group("bob")
    await world.send()
    first = await world.clean("bob", "ann", undo=0)
    await world.work()
    world.clock.set(NOON + HOUR)
    second = await world.clean_in(g, "bob")
    await world.apply()
    third = await world.clean("ann", "bob")
    await world.cancel(third)
    fourth = await world.clean_in(key)
    stranger = await world.apps.create("other")
    ids = {one: (await world.receipt(one)).id for one in (first, second, third, fourth)}

    async def listed(channel: ChannelKey | None = None, **wanted: object) -> list[object]:
        page, cursor = await world.receipts.list(
            Filter(app_key=world.app_key, **wanted),  # type: ignore[arg-type]
            channel,
            cursor=None,
            most=9,
        )
        assert cursor is None
        return _ids(page)

    assert await listed() == [ids[fourth], ids[third], ids[second], ids[first]]
    assert await listed(user_id="bob") == [ids[second], ids[first]]
    assert await listed(key) == [ids[fourth], ids[third], ids[first]]
    assert await listed(key, user_id="bob") == [ids[first]]
    assert await listed(world.group("none")) == []
    assert await listed(state="accepted") == [ids[fourth]]
    assert await listed(state="applied") == [ids[second]]
    assert await listed(state="cancelled") == [ids[third]]
    assert await listed(state="settled") == [ids[first]]
    assert await listed(state="reclaimed") == []
    assert await listed(first=NOON + 1) == [ids[fourth], ids[third], ids[second]]
    assert await listed(first=NOON, end=NOON + HOUR) == [ids[first]]
    assert await listed(end=NOON) == []
    page, _ = await world.receipts.list(Filter(app_key=stranger.app_key), None, cursor=None, most=9)
    assert page == []


async def test_a_list_is_paged_without_loss_or_repetition(world: World) -> None:
    """Though others come while it is read; numbers and all."""
    await world.send()
    cleans = [await world.clean("bob", "ann") for _ in range(5)]
    await world.apply()
    await world.count()
    wanted, found, cursor = Filter(app_key=world.app_key), list[Receipt](), None
    while True:
        page, cursor = await world.receipts.list(wanted, None, cursor=cursor, most=2)
        found += page
        await world.clean("ann", "bob")
        if cursor is None:
            break
    assert _ids(found) == [(await world.receipt(one)).id for one in reversed(cleans)]
    assert [of_numbers(receipt.numbers) for receipt in found] == [(0, 0, 0, 0)] * 4 + [(1, 1, 0, 0)]


@pytest.mark.parametrize("cursor", ["x", "eJxjYAAAAAEAAQ"])
async def test_a_cursor_of_somebody_else_is_refused(world: World, cursor: str) -> None:
    """With the field's name."""
    with pytest.raises(InvalidInput) as refusal:
        await world.receipts.list(Filter(app_key=world.app_key), None, cursor=cursor, most=2)
    assert refusal.value.field == "cursor"


async def test_a_list_looks_at_a_few_messages_of_each_and_the_receipt_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three are gone, the last one is still missed; with more on disk than a list looks at it tells nothing."""
    await world.set(multi_device_sync=False)
    sent = [await world.send() for _ in range(3)]
    await world.ack("bob", "ann", sent[1])
    accepted = await world.clean("bob", "ann", undo=0, everyone=True)
    assert await world.work() == 2
    assert (await world.receipt(accepted)).reclaimed_messages == 2
    told = []
    for most in (2, 1):
        monkeypatch.setattr(store, "_MOST_LISTED", most)
        [one], _ = await world.receipts.list(Filter(app_key=world.app_key), None, cursor=None, most=9)
        told.append((one.reclaimed_messages, one.numbers is not None))
    assert told == [(2, True), (None, True)]
    assert (await world.receipt(accepted)).reclaimed_messages == 2
