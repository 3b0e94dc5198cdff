"""Exports: what is in them and what is not, in which order, and page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey, ChannelType
from history.transfer import exports
from tests.factories import NOON, World
from tests.transfer import Transfer


@pytest.fixture
def transfer(world: World) -> Transfer:
    return Transfer(world)


async def test_each_channel_is_in_it_with_its_messages_in_order(world: World, transfer: Transfer) -> None:
    group, hall = await world.make_group("bob"), await world.make_open()
    for n in range(3):
        await world.send(content=f"d{n}")
        await world.post(group, content=f"g{n}", to=("bob",))
        await world.post(hall, content=f"o{n}")
        await world.post(world.system(), "news", content=f"s{n}")
    lines = await transfer.exported()
    for kind, type_ in zip("dgos", ChannelType, strict=True):
        there = [line for line in lines if line.channel.type is type_]
        assert [line.message.content for line in there] == [f"{kind}{n}" for n in range(3)]
        assert {line.recipients for line in there} == {("bob",) if kind == "g" else None}


async def test_one_channel_or_one_time_or_some_types_may_be_asked_for(
    world: World, transfer: Transfer
) -> None:
    """From the first instant on, up to, not including, the last."""
    for n in range(4):
        await world.send(content=f"bob {n}", at=NOON + n * SECOND)
    await world.send("ann", "cid", content="cid")
    await world.post(await world.make_group(), content="group")
    channel = world.channel()
    assert await transfer.contents(channel=channel) == [f"bob {n}" for n in range(4)]
    asked = {"channel": channel, "first": NOON + SECOND, "end": NOON + 3 * SECOND}
    assert await transfer.contents(**asked) == ["bob 1", "bob 2"]
    assert await transfer.contents(channel=world.channel("ann", "nobody")) == []
    assert await transfer.contents(types=[ChannelType.GROUP]) == ["group"]
    assert sorted(await transfer.contents(end=NOON + 2 * SECOND)) == ["bob 0", "bob 1"]


async def test_nothing_of_another_app_is_in_it(world: World, transfer: Transfer) -> None:
    await world.send()
    other = (await world.apps.create("other")).app_key
    pages = transfer.exports.pages(other, types=list(ChannelType))
    assert [page async for page in pages] == []


FIRST, SECOND_, THIRD = (NOON + n * SECOND for n in (0, 1, 2))
Step = Callable[[World, ChannelKey], Awaitable[object]]


async def _everyone_cleans(world: World, key: ChannelKey) -> None:
    """Each from another place on: what the later one can read is in it."""
    for user, until in (("ann", THIRD), ("bob", SECOND_)):
        await world.clean_in(key, user, sent_at=until // 1000)


async def _all_hide(world: World, key: ChannelKey) -> None:
    for user in ("ann", "bob"):
        await world.hide(key, user, SECOND_)


async def _all_left(world: World, key: ChannelKey) -> None:
    await world.membership.leave(key, ["ann", "bob"])


CASES: dict[str, tuple[Step, list[str]]] = {
    "recalled": (lambda world, key: world.recall(key, SECOND_), ["1", "3"]),
    "cleaned for everyone": (lambda world, key: world.clean_in(key, sent_at=SECOND_ // 1000), ["2", "3"]),
    "cleaned by one": (lambda world, key: world.clean_in(key, "bob"), ["1", "2", "3"]),
    "cleaned by each": (_everyone_cleans, ["2", "3"]),
    "hidden by one": (lambda world, key: world.hide(key, "bob", SECOND_), ["1", "2", "3"]),
    "hidden by all": (_all_hide, ["1", "3"]),
    "a policy": (
        lambda world, _: world.execute("UPDATE apps SET retention_days = 1"),
        ["2", "3"],
    ),
    "dismissed": (lambda world, key: world.membership.dismiss(key), []),
    "all have left": (_all_left, ["1", "2", "3"]),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_nobody_may_read_is_not_in_it(world: World, transfer: Transfer, case: str) -> None:
    """In force at once: before a worker ran, and after."""
    key = await world.make_group("bob")
    for at, content in ((FIRST, "1"), (SECOND_, "2"), (THIRD, "3")):
        await world.post(key, content=content, at=at, echo=True)
    await world.post(key, content="fleeting", persist=False)
    assert await transfer.contents() == ["1", "2", "3"]
    if case == "a policy":
        world.clock.set(FIRST + DAY + 1)
    step, expected = CASES[case]
    await step(world, key)
    assert await transfer.contents() == expected
    if case != "all have left":
        await world.apply()
        assert await transfer.contents() == expected


async def test_what_is_granted_away_is_not_in_it_though_it_is_on_disk(
    world: World, transfer: Transfer
) -> None:
    await world.send(content="1")
    second = await world.send(content="2")
    await world.execute("UPDATE channels SET reclaimed_to = $1", second)
    assert await transfer.contents() == ["2"]


async def test_what_came_before_everybody_joined_is_not_in_it(world: World, transfer: Transfer) -> None:
    key = await world.make_group("bob")
    await world.post(key, content="before")
    await world.membership.join(key, ["cid"])
    await world.membership.leave(key, ["ann", "bob"])
    await world.post(key, content="after")
    assert await transfer.contents() == ["after"]


@pytest.mark.parametrize(
    ("few", "many", "most_bytes"), [(1, 2, 1 << 22), (2, 1, 1 << 22), (50, 50, 30), (3, 2, 1)]
)
async def test_page_by_page_it_is_the_same(
    world: World,
    transfer: Transfer,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    many: int,
    most_bytes: int,
) -> None:
    """However small the pages: every message once, those of a channel in order."""
    for n in range(23):
        await world.send("ann", f"user{n % 5}", content=f"{n % 5}.{n:02}")
    monkeypatch.setattr(exports, "_FIRST_LINES", few)
    monkeypatch.setattr(exports, "_MOST_LINES", many)
    monkeypatch.setattr(exports, "_MOST_BYTES", most_bytes)
    monkeypatch.setattr(exports, "_MOST_SOURCES", 3)
    contents = await transfer.contents()
    assert sorted(contents) == sorted(f"{n % 5}.{n:02}" for n in range(23))
    for other in range(5):
        there = [content for content in contents if content.startswith(f"{other}.")]
        assert there == sorted(there)


async def test_what_is_cleaned_while_it_runs_is_not_in_what_is_still_to_come(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_MOST_SOURCES", 1)
    for other in ("bob", "cid"):
        await world.send("ann", other, content=other)
    pages = transfer.exports.pages(world.app_key, types=list(ChannelType))
    (first,) = await anext(pages)
    other = {"bob": "cid", "cid": "bob"}[first.message.content]
    await world.clean_in(world.channel("ann", other))
    assert [page async for page in pages] == []
