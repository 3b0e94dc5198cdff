"""A maximum age is in force on reads at once and on disk later; shortening one is confirmed by who saw what it takes."""

from __future__ import annotations

import asyncio

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelType
from history.errors import NotConfirmed, NotFound
from history.policies import service
from history.policies.model import Scope
from tests.factories import NOON, World
from tests.storage.test_races import held, somebody_waits

NEXT = "SELECT next_reclaim_at FROM channels WHERE id = $1"
GROUP, OPEN, DIRECT = ChannelType.GROUP, ChannelType.OPEN, ChannelType.DIRECT


def _scope(world: World, type_: ChannelType | None = None, channel_id: str = "") -> Scope:
    return Scope(app_key=world.app_key, type=type_, channel_id=channel_id)


async def _set(
    world: World, days: int | None, type_: ChannelType | None = None, channel_id: str = ""
) -> None:
    """Set a policy, confirming what it says."""
    await _confirmed(world, _scope(world, type_, channel_id), days)


async def _confirmed(world: World, scope: Scope, days: int | None) -> None:
    try:
        await world.policies.set_policy(scope, days, confirm=None)
    except NotConfirmed as refusal:
        await world.policies.set_policy(scope, days, confirm=refusal.confirm)


async def test_the_most_specific_policy_wins(world: World) -> None:
    """The channel's own before its type's before the app's, longer or shorter; each falls back when it is removed."""
    g, other = await world.make_group("bob"), await world.make_group("bob", id_="h")
    o, direct = await world.make_open(), world.channel()
    keys = {"g": g, "h": other, "o": o, "direct": direct}
    for days in (30, 20, 8, 4, 2):
        for key in keys.values():
            await world.post(key, at=NOON - days * DAY)
    world.clock.set(NOON)

    async def seen() -> dict[str, int]:
        return {name: len(await world.seen(key, "bob")) for name, key in keys.items()}

    assert await seen() == dict.fromkeys(keys, 5)
    await _set(world, 10)
    assert await seen() == dict.fromkeys(keys, 3)
    await _set(world, 5, GROUP)
    assert await seen() == {"g": 2, "h": 2, "o": 3, "direct": 3}
    await _set(world, 25, GROUP, "g")
    assert await seen() == {"g": 4, "h": 2, "o": 3, "direct": 3}
    await _set(world, 3, OPEN, "o")
    await _set(world, 3, OPEN, "g")
    await _set(world, 21, DIRECT)
    assert await seen() == {"g": 4, "h": 2, "o": 1, "direct": 4}
    assert await world.policies.policy(_scope(world, GROUP, "g")) == (25, 25)
    assert await world.policies.policy(_scope(world, GROUP, "h")) == (5, None)
    assert await world.policies.policy(_scope(world, GROUP)) == (5, 5)
    assert await world.policies.policy(_scope(world, ChannelType.SYSTEM)) == (10, None)
    for type_, id_, left in (
        (GROUP, "g", {"g": 2, "h": 2, "o": 1, "direct": 4}),
        (GROUP, "", {"g": 3, "h": 3, "o": 1, "direct": 4}),
        (OPEN, "o", {"g": 3, "h": 3, "o": 3, "direct": 4}),
        (DIRECT, "", {"g": 3, "h": 3, "o": 3, "direct": 3}),
        (None, "", dict.fromkeys(keys, 5)),
    ):
        await _set(world, None, type_, id_)
        assert await seen() == left, (type_, id_)


async def test_a_policy_is_of_its_app_alone(world: World) -> None:
    """A neighbour's group of the same name keeps its history."""
    await world.post(await world.make_group("bob"), at=NOON - 3 * DAY)
    world.clock.set(NOON)
    other = (await world.apps.create("other")).app_key
    await _confirmed(world, Scope(app_key=other), 1)
    await _confirmed(world, Scope(app_key=other, type=GROUP, channel_id="g"), 1)
    assert len(await world.seen(world.group(), "bob")) == 1
    with pytest.raises(NotFound):
        await world.policies.set_policy(Scope(app_key="none"), 1, confirm=None)


async def test_the_boundary_is_exact_in_history_and_in_the_list(world: World) -> None:
    """A message is there in the instant when it is as old as it may be, and gone a microsecond later; missed ones stay."""
    await _set(world, 2)
    sent = await world.send(at=NOON)
    world.clock.set(NOON + 2 * DAY)

    async def listed() -> tuple[bool, int]:
        page, _ = await world.delivery.conversations(world.app_key, "bob", cursor=None, most=9)
        return page[0].last_message is not None, page[0].unread

    assert (await world.history("bob", "ann"), await listed()) == ([sent], (True, 1))
    world.clock.advance(1)
    assert (await world.history("bob", "ann"), await listed()) == ([], (False, 0))
    assert await world.given("bob") == [(sent, "missed")]


async def test_a_policy_takes_from_disk_what_nobody_is_given_any_more(world: World) -> None:
    """In the very instant when it may, without any event; what is missed or in the window stays as long as it is."""
    await world.set(multi_device_sync=False)
    sent = [await world.send(at=NOON + number * SECOND) for number in range(3)]
    await world.ack("bob", "ann", sent[1])
    await _set(world, 2)
    assert await world.work() == 0
    id_ = await world.channel_id()
    assert await world.value(NEXT, id_) == sent[0] + 2 * DAY + 1
    for number in (0, 1):
        at = sent[number] + 2 * DAY
        world.clock.set(at)
        assert await world.work() == 0
        world.clock.set(at + 1)
        assert await world.work() == 1
    assert await world.value(NEXT, id_) <= sent[2] + 2 * DAY + 1
    world.clock.set(sent[2] + 2 * DAY + 1)
    assert await world.work() == 0
    assert await world.history("bob", "ann") == []
    assert await world.given("bob") == [(sent[2], "missed")]
    world.clock.set(sent[2] + 7 * DAY + 1)
    assert await world.work() == 1


async def test_a_message_that_comes_after_a_look_is_found_when_it_is_too_old(world: World) -> None:
    """The channel was empty, or its history gone, when its floor was looked at last."""
    await world.set(multi_device_sync=False)
    await _set(world, 1)
    await world.ack("bob", "ann", await world.send())
    world.clock.set(NOON + DAY + 1)
    assert await world.work() == 1
    late = await world.send(at=NOON + DAY + 2)
    await world.ack("bob", "ann", late)
    id_ = await world.channel_id()
    while (due := await world.value(NEXT, id_)) is not None and due <= late + DAY + 1:
        world.clock.set(due)
        await world.work()
        if not await world.stored():
            break
    assert await world.stored() == []
    assert world.clock.now() == late + DAY + 1


async def test_a_new_channel_is_looked_at_under_a_policy(world: World) -> None:
    """It was made after the policy was set, so that nothing marked it due."""
    await world.set(multi_device_sync=False)
    await _set(world, 1)
    await world.work()
    g = await world.make_group("bob", "cid")
    sent = await world.post(g)
    for user in ("bob", "cid"):
        await world.ack_in(g, user, sent)
    world.clock.set(sent + DAY + 1)
    assert await world.seen(g, "bob") == []
    await world.work()
    world.clock.advance(DAY)
    await world.work()
    assert await world.stored_in(g) == []


async def test_a_shorter_policy_is_done_only_with_its_confirmation(world: World) -> None:
    """The refusal tells what goes, and nothing is changed; a confirmation of something else is none."""
    g, other = await world.make_group("bob"), await world.make_group("bob", id_="h")
    for key in (g, g, other):
        await world.post(key, at=NOON - 3 * DAY)
    await world.post(other, persist=False)
    await world.recall(g, await world.post(g))
    await world.post(world.channel())
    for key in (g, other):
        await world.post(key, at=NOON)
    with pytest.raises(NotConfirmed) as refusal:
        await world.policies.set_policy(_scope(world, GROUP), 2, confirm=None)
    assert (refusal.value.messages, refusal.value.channels) == (3, 2)
    assert "3 messages in 2 channels" in str(refusal.value)
    assert await world.policies.policy(_scope(world, GROUP)) == (None, None)
    assert len(await world.seen(g, "bob")) == 3
    for days, confirm in ((1, refusal.value.confirm), (2, "x" * 32)):
        with pytest.raises(NotConfirmed):
            await world.policies.set_policy(_scope(world, GROUP), days, confirm=confirm)
    await world.policies.set_policy(_scope(world, GROUP), 2, confirm=refusal.value.confirm)
    assert (len(await world.seen(g, "bob")), len(await world.seen(other, "bob"))) == (1, 1)
    with pytest.raises(NotConfirmed) as refusal:
        await world.policies.set_policy(_scope(world), 2, confirm=None)
    assert (refusal.value.messages, refusal.value.channels) == (1, 1), "groups have a policy of their own"


async def test_a_confirmation_holds_only_while_its_numbers_do(world: World) -> None:
    """One more message that would go: it has to be looked at again."""
    await world.send(at=NOON - 3 * DAY)
    world.clock.set(NOON)
    with pytest.raises(NotConfirmed) as first:
        await world.policies.set_policy(_scope(world), 2, confirm=None)
    await world.send(at=NOON - DAY)
    world.clock.set(NOON + DAY + 1)
    with pytest.raises(NotConfirmed) as second:
        await world.policies.set_policy(_scope(world), 2, confirm=first.value.confirm)
    assert (second.value.messages, first.value.messages) == (2, 1)


async def test_a_longer_policy_and_its_removal_ask_for_nothing(world: World) -> None:
    """What is still on disk is shown again; but a removal that leaves a shorter one in force asks."""
    sent = await world.send(at=NOON - 3 * DAY)
    world.clock.set(NOON)
    await _set(world, 2, DIRECT)
    assert await world.history("bob", "ann") == []
    for days in (4, 4, None):
        await world.policies.set_policy(_scope(world, DIRECT), days, confirm=None)
        assert await world.history("bob", "ann") == [sent]
    await _set(world, 4, DIRECT)
    await _set(world, 2)
    assert await world.history("bob", "ann") == [sent]
    with pytest.raises(NotConfirmed):
        await world.policies.set_policy(_scope(world, DIRECT), None, confirm=None)
    assert await world.history("bob", "ann") == [sent]


async def test_a_preview_counts_up_to_its_end_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least so many."""
    monkeypatch.setattr(service, "MOST_PREVIEWED", 2)
    for _ in range(3):
        await world.send(at=NOON - 3 * DAY)
    world.clock.set(NOON)
    with pytest.raises(NotConfirmed, match="at least 2 messages in 1 channels"):
        await world.policies.set_policy(_scope(world), 2, confirm=None)


async def test_a_policy_counts_as_a_clean_does_in_later_receipts(world: World) -> None:
    """What it had taken from view a clean does not hide again."""
    for days in (3, 1):
        await world.send(at=NOON - days * DAY)
    world.clock.set(NOON)
    await _set(world, 2)
    assert await world.counted(await world.clean("bob", "ann")) == [(1, 1, 0, 0)]


@pytest.mark.parametrize("days", [1, None])
async def test_a_grant_waits_for_a_policy_that_is_being_changed(world: World, days: int | None) -> None:
    """Removed while a grant begins: what it no longer takes survives."""
    await world.set(multi_device_sync=False)
    sent = await world.send(at=NOON - 3 * DAY)
    world.clock.set(NOON)
    await world.ack("bob", "ann", sent)
    await _set(world, 2)
    await world.reclaim.mark_moved(now=NOON)
    async with held(world) as connection:
        await connection.execute("SELECT FROM apps FOR UPDATE")
        await connection.execute("UPDATE apps SET retention_days = $1", days or 0)
        visiting = asyncio.create_task(world.reclaim.visit_due(now=NOON))
        await somebody_waits(world)
    (report,) = await visiting
    assert report.deleted == (1 if days else 0)
