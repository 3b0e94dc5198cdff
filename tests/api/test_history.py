"""History: pages back in time, complete at every edge, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from history.axis import MILLISECOND, SECOND
from history.messages import service
from tests.api.client import DAY_MS, HISTORY, Api


async def page(api: Api, start: int, end: int, **more: object) -> list[str]:
    body = {"userId": "bob", "channelId": "ann", "startAt": start, "endAt": end, "includeStart": True}
    result = (await api.post(HISTORY, {**body, **more})).done()
    return [message["content"] for message in result["messages"]]


async def send_around_noon(api: Api) -> int:
    """One message a millisecond, from two before noon to two after; noon in ms."""
    noon = api.now_ms
    for offset in (-2, -1, 0, 1, 2):
        api.clock.set((noon + offset) * MILLISECOND)
        await api.send(content=f"{offset:+}")
    return noon


async def test_the_newest_comes_first(api: Api) -> None:
    noon = await send_around_noon(api)
    assert await page(api, noon + 2, noon - 2) == ["+2", "+1", "+0", "-1", "-2"]


async def test_start_is_included_only_if_asked_and_end_always(api: Api) -> None:
    noon = await send_around_noon(api)
    assert await page(api, noon + 1, noon - 1) == ["+1", "+0", "-1"]
    assert await page(api, noon + 1, noon - 1, includeStart=False) == ["+0", "-1"]
    assert await page(api, noon, noon) == ["+0"]
    assert await page(api, noon, noon, includeStart=False) == []


async def test_the_last_microsecond_of_the_start_is_included(api: Api) -> None:
    api.clock.set(api.now_ms * MILLISECOND + 999)
    await api.send(content="late in the millisecond")
    assert await page(api, api.now_ms, api.now_ms) == ["late in the millisecond"]
    assert await page(api, api.now_ms + 1, api.now_ms + 1) == []


async def test_fourteen_days_and_no_more(api: Api) -> None:
    await api.send()
    assert await page(api, api.now_ms, api.now_ms - 14 * DAY_MS) == ["hello"]
    body = {"userId": "bob", "channelId": "ann", "endAt": api.now_ms - 14 * DAY_MS - 1, "includeStart": True}
    (await api.post(HISTORY, {**body, "startAt": api.now_ms})).refused(400, 1002, "startAt", "14 days")


async def test_a_range_goes_back_in_time(api: Api) -> None:
    body = {"userId": "bob", "channelId": "ann", "includeStart": True, "startAt": 10, "endAt": 11}
    (await api.post(HISTORY, body)).refused(400, 1002, "startAt", "endAt")


async def test_ten_to_a_page_unless_asked_otherwise_and_a_hundred_at_most(api: Api) -> None:
    for number in range(12):
        api.clock.advance(SECOND)
        await api.send(content=str(number))
    start, end = api.now_ms, api.now_ms - DAY_MS
    assert len(await page(api, start, end)) == 10
    assert len(await page(api, start, end, pageSize=None)) == 10
    assert await page(api, start, end, pageSize=1) == ["11"]
    assert len(await page(api, start, end, pageSize=100)) == 12


async def test_a_page_takes_all_of_its_last_millisecond(api: Api) -> None:
    for number in range(7):
        await api.send(content=f"tie {number}")  # the clock stands still: positions follow one another
    api.clock.advance(SECOND)
    await api.send(content="newest")
    start, end = api.now_ms, api.now_ms - DAY_MS
    assert await page(api, start, end, pageSize=2) == [
        "newest",
        *(f"tie {number}" for number in range(6, -1, -1)),
    ]


async def test_paging_by_the_last_sent_at_loses_and_repeats_nothing(api: Api) -> None:
    for number in range(40):
        await api.send(content=str(number))
        if number % 7 == 0:
            api.clock.advance(MILLISECOND)
    start, seen, include = api.now_ms, list[str](), True
    while found := await api.history(startAt=start, endAt=start - DAY_MS, includeStart=include, pageSize=3):
        seen += [message["content"] for message in found]
        start, include = found[-1]["sentAt"], False
    assert seen == [str(number) for number in range(39, -1, -1)]


@pytest.mark.parametrize(
    ("user", "other"), [("eve", "ann"), ("eve", "bob"), ("bob", "eve"), ("bob", "bob"), ("ann", "ann")]
)
async def test_strangers_and_strange_channels_are_empty_pages(api: Api, user: str, other: str) -> None:
    await api.send(isEchoToSender=1)
    before = await api.everything()
    assert await api.contents(user, other) == []
    assert await api.everything() == before


async def test_users_are_told_apart_to_the_byte(api: Api) -> None:
    await api.send("ann", "bob")
    for user, other in (("Bob", "ann"), ("bob", "ann "), ("bob", "a\u006en\u200b")):
        assert await api.contents(user, other) == []


async def test_a_page_of_large_messages_ends_before_it_is_too_large(api: Api) -> None:
    for number in range(40):
        api.clock.advance(SECOND)
        await api.send(content=str(number % 10) * 131_072)
    first: list[dict[str, Any]] = await api.history()
    assert 30 <= len(first) <= 33
    last = first[-1]["sentAt"]
    rest = await api.history(startAt=last, endAt=last - DAY_MS, includeStart=False)
    assert len(first) + len(rest) == 40


async def test_a_page_is_no_larger_than_its_cap_whatever_json_makes_of_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is escaped in content and in metadata, and the many small entries of it."""
    monkeypatch.setattr(service, "MOST_PAGE_BYTES", 100_000)
    small = {f"{n}": "" for n in range(100)}
    kinds: list[tuple[str, dict[str, str]]] = [
        ("\x01" * 4_000, {}),
        ('"' * 9_000, small),
        ("é✓", {"a": '\x02"' * 2_000}),
        ("x", small),
    ]
    for content, metadata in kinds * 4:
        api.clock.advance(MILLISECOND)
        await api.send(content=content, hasMetadata=True, metadata=metadata)
    body = {"userId": "bob", "channelId": "ann", "startAt": api.now_ms, "endAt": api.now_ms - DAY_MS}
    body |= {"includeStart": True, "pageSize": 100}
    seen: list[str] = []
    while page := (answer := await api.post(HISTORY, body)).done()["messages"]:
        assert len(answer.body) <= 100_000
        seen += [one["messageId"] for one in page]
        body |= {"startAt": page[-1]["sentAt"], "includeStart": False}
    assert len(seen) == len(set(seen)) == 16
