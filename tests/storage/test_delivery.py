"""The rules Missed and Compensation, and acknowledgements."""

from __future__ import annotations

import pytest

from history.axis import DAY, MILLISECOND, SECOND
from history.cursors import message_id
from history.errors import InvalidInput
from tests.factories import NOON, World, open_world

MIDNIGHT = NOON - DAY // 2
MISSED, COMPENSATED = "missed", "compensation"


async def test_a_message_is_missed_until_a_device_of_the_user_has_it(world: World) -> None:
    """Then it is compensation for his other devices, until each has it."""
    sent = await world.send()
    assert await world.given("bob", "phone") == [(sent, MISSED)]
    assert await world.given("bob", "tablet") == [(sent, MISSED)]
    await world.ack("bob", "ann", sent, "phone")
    assert await world.given("bob", "phone") == []
    assert await world.given("bob", "tablet") == [(sent, COMPENSATED)]
    await world.ack("bob", "ann", sent, "tablet")
    assert await world.given("bob", "tablet") == []


async def test_own_messages_are_compensated_only_where_echoed(world: World) -> None:
    """And never missed."""
    await world.send()
    echoed = await world.send(echo=True)
    assert await world.given("ann") == [(echoed, COMPENSATED)]


async def test_missed_messages_expire_after_the_days_of_the_app(world: World) -> None:
    """The last instant and the one after it."""
    await world.set(missed_days=2, multi_device_sync=False)
    sent = await world.send()
    world.clock.set(sent + 2 * DAY)
    assert await world.given("bob") == [(sent, MISSED)]
    world.clock.advance(1)
    assert await world.given("bob") == []


async def test_the_window_begins_with_the_local_day(world: World) -> None:
    """One day: today alone, from its first microsecond."""
    yesterday, today = await world.send(at=MIDNIGHT - 1), await world.send(at=MIDNIGHT)
    await world.ack("bob", "ann", today)
    assert await world.given("bob", "tablet") == [(today, COMPENSATED)]
    await world.set(compensation_days=2)
    assert await world.given("bob", "tablet") == [(yesterday, COMPENSATED), (today, COMPENSATED)]
    await world.set(compensation_days=1, compensation_time_zone="Asia/Tokyo")
    assert await world.given("bob", "tablet") == [(yesterday, COMPENSATED), (today, COMPENSATED)]
    await world.set(compensation_time_zone="UTC")
    world.clock.set(MIDNIGHT + DAY)
    assert await world.given("bob", "tablet") == []


@pytest.mark.parametrize("changes", [{"multi_device_sync": False}, {"compensation_days": 0}])
async def test_without_a_window_only_missed_messages_are_given(
    world: World, changes: dict[str, object]
) -> None:
    """Sync off, or zero days."""
    await world.set(**changes)
    received, missed = await world.send(echo=True), await world.send(echo=True)
    await world.ack("bob", "ann", received)
    assert await world.given("bob", "tablet") == [(missed, MISSED)]
    assert await world.given("ann") == []


async def test_an_expired_message_in_the_window_is_compensation(world: World) -> None:
    """It is not missed any more, and still stored: nothing in the window is withheld."""
    await world.set(missed_days=1, compensation_days=3)
    sent = await world.send()
    world.clock.set(sent + DAY + 1)
    assert await world.given("bob") == [(sent, COMPENSATED)]


async def test_no_clean_touches_what_is_missed(world: World) -> None:
    """Own or everyone's, with the flag or without, accepted or applied."""
    sent = await world.send()
    await world.clean("bob", "ann", flag=True)
    await world.clean("bob", "ann", flag=True, everyone=True)
    for _ in range(2):
        assert await world.history("bob", "ann") == []
        assert await world.given("bob") == [(sent, MISSED)]
        await world.apply()


@pytest.mark.parametrize("everyone", [False, True])
@pytest.mark.parametrize("flag", [False, True])
@pytest.mark.parametrize("default", [False, True])
async def test_a_clean_takes_compensation_only_with_the_flag(
    world: World, *, flag: bool, everyone: bool, default: bool
) -> None:
    """By the request's word, whatever the app's default says; at once and after it was applied."""
    await world.set(delete_compensated_on_clean=default)
    sent = await world.send(echo=True)
    await world.ack("bob", "ann", sent)
    await world.clean("bob", "ann", flag=flag, everyone=everyone)
    later = await world.send(echo=True)
    await world.ack("bob", "ann", later)
    kept = [(sent, COMPENSATED), (later, COMPENSATED)]
    for _ in range(2):
        assert await world.given("bob", "tablet") == kept[flag:]
        assert await world.given("ann") == kept[flag and everyone :]
        await world.apply()


async def test_the_app_decides_the_flag_at_acceptance(world: World) -> None:
    """A change afterwards changes no request that is in the journal."""
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    await world.clean("bob", "ann")
    await world.set(delete_compensated_on_clean=True)
    assert await world.given("bob", "tablet") == [(sent, COMPENSATED)]
    await world.clean("bob", "ann")
    await world.set(delete_compensated_on_clean=False)
    assert await world.given("bob", "tablet") == []


async def test_a_flagged_cutoff_is_strict(world: World) -> None:
    """Compensation just before, on and after."""
    _, on, after = [await world.send(at=NOON + n, echo=True) for n in (-1, 0, 1)]
    await world.clean("ann", "bob", flag=True, sent_at=NOON // MILLISECOND)
    assert await world.given("ann") == [(on, COMPENSATED), (after, COMPENSATED)]


async def test_an_acknowledgement_in_part_leaves_the_rest(world: World) -> None:
    """Everything up to and including it counts as received; marks never fall."""
    sent = [await world.send() for _ in range(4)]
    await world.ack("bob", "ann", sent[1])
    assert await world.given("bob") == [(at, MISSED) for at in sent[2:]]
    await world.ack("bob", "ann", sent[0])
    assert await world.given("bob") == [(at, MISSED) for at in sent[2:]]


async def test_an_acknowledgement_beyond_the_end_is_refused_and_changes_nothing(world: World) -> None:
    """Nor does the good half of such a request."""
    sent, other = await world.send(), await world.send("cid", "bob")
    good = (world.channel("bob", "cid"), message_id(await world.channel_id("bob", "cid"), other))
    bad = (world.channel("bob", "ann"), message_id(await world.channel_id("bob", "ann"), sent + 1))
    with pytest.raises(InvalidInput) as refusal:
        await world.delivery.acknowledge(world.reader("bob"), [good, bad])
    assert refusal.value.field == "delivered[1].messageId"
    assert {at for at, _ in await world.given("bob")} == {sent, other}
    assert await world.value("SELECT count(*) FROM device_marks") == 0


async def test_an_acknowledgement_must_be_of_the_users_own_channel(world: World) -> None:
    """Another's channel, another channel's message, no message at all, another app's."""
    sent = await world.send()
    text = message_id(await world.channel_id(), sent)
    with pytest.raises(InvalidInput):
        await world.delivery.acknowledge(world.reader("cid"), [(world.channel("ann", "bob"), text)])
    with pytest.raises(InvalidInput):
        await world.delivery.acknowledge(world.reader("bob"), [(world.channel("bob", "cid"), text)])
    with pytest.raises(InvalidInput):
        await world.delivery.acknowledge(world.reader("bob"), [(world.channel("bob", "ann"), text[:-1])])
    async with open_world(world.url) as other:
        with pytest.raises(InvalidInput):
            await other.delivery.acknowledge(other.reader("bob"), [(world.channel("bob", "ann"), text)])
    await world.delivery.acknowledge(world.reader("bob"), [])
    assert await world.given("bob") == [(sent, MISSED)]


async def test_acknowledgements_of_one_commit_merge_by_max(world: World) -> None:
    """The same channel twice in one request, the newer first."""
    sent = [await world.send() for _ in range(3)]
    ids = [message_id(await world.channel_id(), at) for at in sent]
    channel = world.channel("bob", "ann")
    await world.delivery.acknowledge(world.reader("bob"), [(channel, ids[1]), (channel, ids[0])])
    assert await world.given("bob") == [(sent[2], MISSED)]
    rows = await world.rows("SELECT user_id, delivered_position FROM conversations ORDER BY user_id")
    assert [tuple(row) for row in rows] == [("ann", 0), ("bob", sent[1])]


async def test_marks_rise_together_while_sync_is_off(world: World) -> None:
    """Switched on later, the device that acknowledged is not given it again; the new one is."""
    await world.set(multi_device_sync=False)
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    await world.set(multi_device_sync=True)
    assert await world.given("bob") == []
    assert await world.given("bob", "tablet") == [(sent, COMPENSATED)]


async def test_a_reinstalled_device_has_nothing(world: World) -> None:
    """Its marks are gone; the user's delivered mark and other devices are as they were."""
    sent = await world.send()
    await world.ack("bob", "ann", sent, "phone")
    await world.ack("bob", "ann", sent, "tablet")
    page = await world.sync("bob", "phone", reinstalled=True)
    assert [(one.message.position, one.origin) for one in page.messages] == [(sent, COMPENSATED)]
    assert await world.given("bob", "tablet") == []


async def test_a_channel_that_lies_below_everything_wanted_is_passed_over(world: World) -> None:
    """Its last message is older than the marks and the window; a neighbour's newer one is found."""
    old = await world.send(at=NOON - 9 * DAY)
    new = await world.send("cid", "bob", at=NOON + SECOND)
    assert await world.given("bob") == [(new, MISSED)]
    await world.set(compensation_days=7)
    world.clock.set(old + 6 * DAY)
    assert {at for at, _ in await world.given("bob")} == {old, new}
