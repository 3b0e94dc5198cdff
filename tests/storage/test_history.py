"""The History rule and how its pages are cut."""

from __future__ import annotations

import pytest

from history.axis import MILLISECOND, SECOND
from history.delivery import service as delivery
from history.messages import service, store
from history.messages.model import Range
from tests.factories import ALWAYS, NOON, World, open_world


async def test_a_page_is_newest_first_and_as_long_as_asked(world: World) -> None:
    """The newest of what is there, in falling order."""
    sent = [await world.send(at=NOON + n * SECOND) for n in range(5)]
    assert await world.history("bob", "ann", most=3) == sent[:1:-1]


async def test_a_range_holds_its_first_position_and_not_its_end(world: World) -> None:
    """Both ends, one position on either side."""
    sent = [await world.send(at=NOON + n) for n in range(5)]
    assert await world.history("bob", "ann", range_=Range(first=sent[1], end=sent[3])) == [sent[2], sent[1]]
    assert await world.history("bob", "ann", range_=Range(first=sent[3], end=sent[3])) == []


async def test_going_on_from_a_page_with_or_without_its_start(world: World) -> None:
    """`includeStart` adds the whole millisecond at the newer end; without it the range ends where that begins."""
    sent = [await world.send(at=NOON + n * MILLISECOND) for n in range(4)]
    without = Range(first=0, end=sent[2])
    including = Range(first=0, end=sent[2] + MILLISECOND)
    assert await world.history("bob", "ann", range_=without) == [sent[1], sent[0]]
    assert await world.history("bob", "ann", range_=including) == [sent[2], sent[1], sent[0]]


async def test_a_page_extends_over_the_last_millisecond_it_touches(world: World) -> None:
    """Ties at the edge are on the page, so that going on before their millisecond loses none."""
    early = await world.send(at=NOON - 1)
    ties = [await world.send(at=NOON + n) for n in (0, 1, 2, MILLISECOND - 1)]
    late = [await world.send(at=NOON + MILLISECOND + n) for n in range(2)]
    page = await world.history("bob", "ann", most=3)
    assert page == [*late[::-1], *ties[::-1]]
    assert await world.history("bob", "ann", range_=Range(first=0, end=NOON)) == [early]


async def test_ties_outside_the_range_or_the_cutoff_stay_outside(world: World) -> None:
    """The extension obeys the range's first position and what was cleaned."""
    ties = [await world.send(at=NOON + n) for n in range(4)]
    assert await world.history("bob", "ann", range_=Range(first=ties[1], end=ties[3]), most=1) == [
        ties[2],
        ties[1],
    ]
    await world.clean("bob", "ann")
    later = [await world.send() for _ in range(3)]
    assert later[-1] < NOON + MILLISECOND
    assert await world.history("bob", "ann", most=1) == later[::-1]


async def test_a_page_is_cut_by_bytes_as_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what one would get with a smaller count: as many as fit, and at least one."""
    sent = [await world.send(at=NOON + n * SECOND, content="é" * 50) for n in range(5)]
    # each is 512 bytes and its content in quotes
    for most, count in ((4 * 614, 4), (4 * 614 - 1, 3), (1, 1)):
        monkeypatch.setattr(service, "MOST_PAGE_BYTES", most)
        assert await world.history("bob", "ann") == sent[: -count - 1 : -1]


async def test_a_page_is_cut_by_the_bytes_of_its_json(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A character that JSON escapes counts as what it becomes."""
    sent = [await world.send(at=NOON + n * SECOND, content="\x01" * 1_000) for n in range(4)]
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 14_000)
    assert await world.history("bob", "ann") == sent[:1:-1]


async def test_the_database_hands_over_little_more_than_a_page(world: World) -> None:
    """It cuts by bytes too, before they are JSON: no message begins after the cap."""
    sent = [await world.send(at=NOON + n * SECOND, content="é" * 50) for n in range(5)]
    channel_id = await world.channel_id()
    async with world.database.reading() as connection:
        page = await store.list_history(
            connection,
            app_key=world.app_key,
            channel_id=channel_id,
            user_id="bob",
            range_=ALWAYS,
            now=NOON,
            most=9,
            most_bytes=250,
        )
    assert [one.position for one in page] == sent[:1:-1]


async def test_a_page_that_is_cut_by_bytes_keeps_its_last_millisecond_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on before that millisecond must lose none."""
    early = await world.send(at=NOON - 1)
    ties = [await world.send(at=NOON + n) for n in range(3)]
    late = await world.send(at=NOON + MILLISECOND)
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 1_100)
    assert await world.history("bob", "ann") == [late, *ties[::-1]]
    assert await world.history("bob", "ann", range_=Range(first=0, end=NOON)) == [early]


async def test_the_sender_sees_his_own_only_where_it_was_echoed(world: World) -> None:
    """The recipient sees both."""
    plain, echoed = await world.send(), await world.send(echo=True)
    assert await world.history("ann", "bob") == [echoed]
    assert await world.history("bob", "ann") == [echoed, plain]


async def test_what_is_not_stored_for_history_is_in_nobodys(world: World) -> None:
    """Not even in the sender's where it was echoed."""
    await world.send(persist=False, echo=True)
    kept = await world.send()
    assert await world.history("bob", "ann") == [kept]
    assert await world.history("ann", "bob") == []


async def test_nobody_else_sees_anything(world: World) -> None:
    """A third user, a user of another app with the same names, and channels that do not exist."""
    await world.send(echo=True)
    assert await world.history("cid", "ann") == []
    assert await world.history("cid", "bob") == []
    async with open_world(world.url) as other:
        assert other.app_key != world.app_key
        assert await other.history("ann", "bob") == []
        await other.send(content="theirs")
        assert await other.history("bob", "ann") == [NOON]
    page = await world.messages.history(
        world.channel("bob", "ann"), "cid", Range(first=0, end=NOON * 2), most=10
    )
    assert page == []


async def test_a_message_is_cleaned_iff_it_lies_below_the_cutoff(world: World) -> None:
    """Just before, on, and just after; in force from the answer on, before any worker ran, and the same after."""
    before, on, after = [await world.send(at=NOON + n) for n in (-1, 0, 5 * MILLISECOND)]
    await world.clean("bob", "ann", sent_at=NOON // MILLISECOND)
    assert await world.history("bob", "ann") == [after, on]
    await world.apply()
    assert await world.history("bob", "ann") == [after, on]
    assert before in await world.stored()


async def test_a_clean_touches_no_other_history(world: World) -> None:
    """Not the other user's, not another channel's, not another app's."""
    mine, other = await world.send(echo=True), await world.send("ann", "cid", echo=True)
    await world.clean("ann", "bob")
    for _ in range(2):
        assert await world.history("ann", "bob") == []
        assert await world.history("bob", "ann") == [mine]
        assert await world.history("ann", "cid") == [other]
        await world.apply()


async def test_everyones_clean_takes_it_from_everyone(world: World) -> None:
    """At once, and after it was applied."""
    await world.send(echo=True)
    await world.clean("ann", "bob", everyone=True)
    kept = await world.send(echo=True)
    for _ in range(2):
        assert await world.history("ann", "bob") == await world.history("bob", "ann") == [kept]
        await world.apply()


async def test_metadata_counts_as_bytes_of_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a history page and of a sync: a message may carry more there than in its content."""
    sent = [await world.send(at=NOON + n * SECOND, content="x" * 50) for n in range(5)]
    await world.execute("UPDATE messages SET metadata = repeat('y', 3000)")
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 11_000)
    assert await world.history("bob", "ann") == sent[:1:-1]
    monkeypatch.setattr(delivery, "MOST_PAGE_BYTES", 7_200)
    page = await world.sync("bob")
    assert [one.message.position for one in page.messages] == sent[:2]
    assert page.has_more
