"""Pages of a sync: cleans first, then messages; what counts as told, and where the next page begins."""

from __future__ import annotations

import pytest

from history.axis import DAY
from history.delivery import service
from history.delivery.model import SyncPage
from history.errors import InvalidInput
from tests.factories import NOON, World


async def _all_pages(world: World, user: str, *, limit: int) -> list[SyncPage]:
    pages = [await world.sync(user, limit=limit)]
    while pages[-1].has_more:
        pages.append(await world.sync(user, limit=limit, cursor=pages[-1].cursor))
        assert len(pages) < 50
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_hold_everything_once_ascending_by_channel_and_position(world: World, limit: int) -> None:
    """Missed and compensation merged, whatever the size of a page."""
    sent = set()
    for other in ("ann", "cid", "dan"):
        for _ in range(2):
            position = await world.send(other, "bob")
            sent.add((await world.channel_id("bob", other), position))
        own = await world.send("bob", other, echo=True)
        sent.add((await world.channel_id("bob", other), own))
    pages = await _all_pages(world, "bob", limit=limit)
    found = [(one.message.channel_id, one.message.position) for page in pages for one in page.messages]
    assert found == sorted(sent)
    assert all(len(page.messages) + len(page.cleans) <= limit for page in pages)


async def test_cleans_come_before_messages_and_count_with_them(world: World) -> None:
    """Three cleans and three messages, two a page."""
    for other in ("ann", "cid", "dan"):
        await world.send(other, "bob")
        await world.clean("bob", other)
    pages = await _all_pages(world, "bob", limit=2)
    assert [(len(page.cleans), len(page.messages)) for page in pages] == [(2, 0), (1, 1), (0, 2)]


async def test_a_clean_is_told_again_until_its_pages_cursor_came_back(world: World) -> None:
    """And then never again."""
    sent = await world.send()
    await world.clean("bob", "ann")
    first = await world.sync("bob")
    (notice,) = first.cleans
    assert (notice.channel, notice.cutoff) == (world.channel(), sent + 1)
    assert (notice.everyone, notice.restored) == (False, False)
    assert (await world.sync("bob")).cleans == first.cleans
    assert (await world.sync("bob", cursor=first.cursor)).cleans == []
    assert (await world.sync("bob")).cleans == []
    await world.apply()
    assert (await world.sync("bob")).cleans == []
    assert (await world.sync("bob", "tablet")).cleans == first.cleans


async def test_a_later_clean_is_told_and_one_that_takes_less_is_not(world: World) -> None:
    """State, not events: the effective cutoff."""
    await world.send()
    await world.clean("bob", "ann")
    page = await world.sync("bob")
    await world.clean("bob", "ann", sent_at=(NOON - DAY) // 1000)
    assert (await world.sync("bob", cursor=page.cursor)).cleans == []
    sent = await world.send()
    await world.clean("bob", "ann", everyone=True)
    (notice,) = (await world.sync("bob")).cleans
    assert (notice.cutoff, notice.everyone) == (sent + 1, True)
    (notice,) = (await world.sync("ann")).cleans
    assert (notice.cutoff, notice.everyone) == (sent + 1, True)


async def test_a_lower_cutoff_than_told_says_that_history_is_back(world: World) -> None:
    """As after an undo."""
    await world.send()
    await world.clean("bob", "ann")
    page = await world.sync("bob")
    await world.sync("bob", cursor=page.cursor)
    async with world.database.writing() as connection:
        await connection.execute("DELETE FROM clean_requests")
    (notice,) = (await world.sync("bob")).cleans
    assert (notice.cutoff, notice.restored) == (0, True)


async def test_a_reinstalled_device_hears_of_cleans_again(world: World) -> None:
    """It forgot what it was told."""
    await world.send()
    await world.clean("bob", "ann")
    await world.sync("bob", cursor=(await world.sync("bob")).cursor)
    assert len((await world.sync("bob", reinstalled=True)).cleans) == 1


async def test_a_cursor_that_is_not_this_devices_is_refused_and_tells_nothing(world: World) -> None:
    """Another device's, another user's, and no cursor at all."""
    await world.send()
    await world.clean("bob", "ann")
    cursor = (await world.sync("bob")).cursor
    for user, device, text in (
        ("bob", "tablet", cursor),
        ("ann", "phone", cursor),
        ("bob", "phone", cursor[:-2]),
    ):
        with pytest.raises(InvalidInput) as refusal:
            await world.sync(user, device, cursor=text)
        assert refusal.value.field == "cursor"
    assert await world.value("SELECT count(*) FROM device_marks") == 0


async def test_the_names_in_a_cursor_cannot_run_into_each_other(world: World) -> None:
    """User "a", device "bc" is not user "ab", device "c"."""
    cursor = (await world.sync("a", "bc")).cursor
    with pytest.raises(InvalidInput):
        await world.sync("ab", "c", cursor=cursor)


async def test_the_last_pages_cursor_begins_again_at_the_marks(world: World) -> None:
    """What was not acknowledged is offered again, and what arrived meanwhile is found."""
    first = await world.send()
    page = await world.sync("bob")
    assert not page.has_more
    second = await world.send()
    again = await world.sync("bob", cursor=page.cursor)
    assert [one.message.position for one in again.messages] == [first, second]


async def test_a_page_is_cut_by_bytes_and_says_that_there_is_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted as JSON: a control character takes six bytes there. One message is given however large."""
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 3_000)
    sent = [await world.send(content="\x01" * 300) for _ in range(3)]
    pages = await _all_pages(world, "bob", limit=100)
    assert [[one.message.position for one in page.messages] for page in pages] == [[at] for at in sent]
    huge = await world.send(content="x" * 5_000)
    pages = await _all_pages(world, "bob", limit=100)
    assert [one.message.position for one in pages[-1].messages] == [huge]


async def test_where_sql_cuts_the_page_the_device_hears_of_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain text, so that both counts are nearly the same: no message is lost between the two caps."""
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 2_000)
    sent = [await world.send(content="x" * 1_000) for _ in range(5)]
    pages = await _all_pages(world, "bob", limit=100)
    assert [one.message.position for page in pages for one in page.messages] == sent
