"""What is deleted, what survives, and when a channel is looked at again."""

from __future__ import annotations

import asyncpg
import pytest

from history.axis import DAY, MILLISECOND, SECOND
from history.retention import store
from history.retention.reclaim import LEASE, Reclaim
from tests.factories import NOON, World

MIDNIGHT = NOON + DAY // 2
HOUR = DAY // 24
NEXT = "SELECT next_reclaim_at FROM channels"


@pytest.fixture
async def plain(world: World) -> World:
    """No undo, no compensation: cleaned and received is enough."""
    await _decide(world, undo_seconds=0, multi_device_sync=False)
    return world


async def _decide(world: World, **changes: object) -> None:
    """Change settings, and let the mark that they leave be worked off: no test may live by it."""
    await world.set(**changes)
    await world.work()


async def _clean_both(world: World, *, flag: bool = False, sent_at: int | None = None) -> None:
    await world.clean("ann", "bob", flag=flag, sent_at=sent_at)
    await world.clean("bob", "ann", flag=flag, sent_at=sent_at)


async def test_what_both_have_cleaned_and_received_is_gone(plain: World) -> None:
    """And not before the last of the three."""
    sent = [await plain.send(echo=True) for _ in range(3)]
    assert await plain.work() == 0
    await plain.ack("bob", "ann", sent[-1])
    await plain.clean("ann", "bob")
    assert await plain.work() == 0
    assert await plain.stored() == sent
    await plain.clean("bob", "ann")
    assert await plain.work() == 3
    assert await plain.stored() == []


async def test_a_message_not_echoed_goes_when_its_recipient_has_cleaned_it(plain: World) -> None:
    """A sender's own message that he was never shown blocks nobody."""
    sent = await plain.send()
    await plain.ack("bob", "ann", sent)
    await plain.clean("bob", "ann")
    assert await plain.work() == 1


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
async def test_exactly_what_lies_below_the_cutoff_goes(plain: World, batch: int) -> None:
    """Just before, on and after; the neighbour channel and another user's stay, whatever the batch."""
    before = [await plain.send(at=NOON - 3 + n, echo=True) for n in range(3)]
    survivors = [await plain.send(at=NOON + n, echo=True) for n in range(3)]
    neighbour = await plain.send("ann", "cid", at=NOON - 1, echo=True)
    await plain.ack("bob", "ann", survivors[-1])
    await _clean_both(plain, sent_at=NOON // MILLISECOND)
    plain.reclaim._batch = batch
    assert await plain.work() == len(before)
    assert await plain.stored() == survivors
    assert await plain.stored("ann", "cid") == [neighbour]
    assert await plain.value("SELECT reclaimed_to FROM channels WHERE key = '{ann,bob}'") == NOON
    assert await plain.history("ann", "bob") == await plain.history("bob", "ann") == survivors[::-1]


async def test_the_floor_is_the_lowest_of_all_participants(plain: World) -> None:
    """One cleaned all, the other a part."""
    sent = [await plain.send(echo=True, at=NOON + n * SECOND) for n in range(4)]
    await plain.ack("bob", "ann", sent[-1])
    await plain.clean("bob", "ann")
    await plain.clean("ann", "bob", sent_at=sent[2] // MILLISECOND)
    await plain.work()
    assert await plain.stored() == sent[2:]


async def test_a_missed_message_stays_is_delivered_and_goes_after_its_acknowledgement(plain: World) -> None:
    """Whatever is cleaned."""
    sent = [await plain.send() for _ in range(2)]
    await plain.ack("bob", "ann", sent[0])
    await _clean_both(plain, flag=True)
    assert await plain.work() == 1
    assert await plain.given("bob") == [(sent[1], "missed")]
    await plain.ack("bob", "ann", sent[1])
    assert await plain.work() == 1


async def test_an_unsettled_clean_deletes_nothing(world: World) -> None:
    """Undo must have something to bring back; the instant at which it ends, it goes."""
    await _decide(world, undo_seconds=60, multi_device_sync=False)
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    await world.clean("bob", "ann")
    await world.work()
    world.clock.set(NOON + 60 * SECOND - 1)
    assert await world.work() == 0
    world.clock.advance(1)
    assert await world.work() == 1


async def _visit_anyway(world: World) -> int:
    """Look at the floor although nothing marked the channel due; how many messages went."""
    async with world.database.writing() as connection:
        await connection.execute("UPDATE channels SET next_reclaim_at = 0")
    return sum(report.deleted for report in await world.reclaim.visit_due(now=world.clock.now()))


async def test_the_floor_counts_only_what_is_settled(plain: World) -> None:
    """Applied but unsettled cutoffs raise it by nothing, though the channel is looked at for another reason."""
    await plain.set(undo_seconds=60)
    sent = await plain.send(echo=True)
    await plain.ack("bob", "ann", sent)
    await _clean_both(plain)
    await plain.work()
    assert await _visit_anyway(plain) == 0
    await plain.set(multi_device_sync=True)
    plain.clock.advance(60 * SECOND)
    await plain.work()
    await _clean_both(plain, flag=True)
    await plain.apply()
    assert await plain.given("bob", "tablet") == await plain.given("ann") == []
    assert await _visit_anyway(plain) == 0
    plain.clock.advance(60 * SECOND)
    assert await plain.work() == 1


async def test_a_message_in_the_window_stays_unless_the_flag_said_so(world: World) -> None:
    """Cleaned by both and received: a device that has nothing may still be given it."""
    await world.set(undo_seconds=0)
    sent = await world.send(echo=True)
    await world.ack("bob", "ann", sent)
    await _clean_both(world)
    assert await world.work() == 0
    await world.clean("bob", "ann", flag=True)
    assert await world.work() == 0, "ann's own devices may still be given it"
    await world.clean("ann", "bob", flag=True)
    assert await world.work() == 1


async def _received_and_cleaned(world: World) -> int:
    await world.set(undo_seconds=0)
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    await _clean_both(world)
    assert await world.work() == 0
    return sent


async def test_time_alone_moves_the_window_and_the_channel_is_due_just_then(world: World) -> None:
    """One instant before midnight nothing is due; at midnight it is, and the message goes."""
    await _received_and_cleaned(world)
    assert await world.value(NEXT) == MIDNIGHT
    world.clock.set(MIDNIGHT - 1)
    assert await world.reclaim.visit_due(now=MIDNIGHT - 1) == []
    world.clock.set(MIDNIGHT)
    assert await world.work() == 1


async def test_time_alone_expires_a_missed_message_and_the_channel_is_due_just_then(world: World) -> None:
    """The first instant at which it is not missed."""
    await _decide(world, undo_seconds=0, multi_device_sync=False, missed_days=2)
    sent = await world.send()
    await _clean_both(world)
    assert await world.work() == 0
    due = sent + 2 * DAY + 1
    assert await world.value(NEXT) == due
    world.clock.set(due - 1)
    assert await world.given("bob") == [(sent, "missed")]
    assert await world.work() == 0
    world.clock.set(due)
    assert await world.given("bob") == []
    assert await world.work() == 1


async def test_the_look_at_an_expiry_finds_what_else_blocks(world: World) -> None:
    """A message that expires inside a longer window waits for the window, step by step, without any event."""
    await _decide(world, undo_seconds=0, missed_days=1, compensation_days=3)
    sent = await world.send()
    await _clean_both(world)
    looks: list[int] = []
    await world.work()
    while (due := await world.value(NEXT)) is not None:
        looks.append(due)
        world.clock.set(due)
        await world.work()
    assert await world.stored() == []
    assert looks == [sent + DAY + 1, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY]


async def test_what_is_held_by_history_waits_for_an_event(world: World) -> None:
    """No time raises that floor: the channel is not looked at again until something marks it."""
    await world.set(undo_seconds=0)
    await world.send(echo=True)
    await world.clean("bob", "ann")
    await world.work()
    assert await world.value(NEXT) is None


async def test_messages_not_stored_for_history_go_by_time_and_receipt(world: World) -> None:
    """No clean ever comes: received, then out of the window, or expired."""
    received = await world.send(persist=False)
    await world.ack("bob", "ann", received)
    missed = await world.send(persist=False)
    assert await world.work() == 0
    world.clock.set(MIDNIGHT)
    assert await world.work() == 1
    assert await world.stored() == [missed]
    world.clock.set(missed + 7 * DAY)
    assert await world.work() == 0
    assert await world.given("bob") == [(missed, "missed")]
    world.clock.advance(1)
    assert await world.work() == 1


async def test_a_message_not_stored_for_history_goes_with_its_receipt(plain: World) -> None:
    """The channel waited for it, so the acknowledgement makes it due."""
    await plain.ack("bob", "ann", await plain.send(persist=False))
    assert await plain.work() == 1


async def test_an_acknowledgement_marks_only_a_channel_that_waits(plain: World) -> None:
    """An ordinary one costs reclaim nothing."""
    await plain.ack("bob", "ann", await plain.send())
    assert await plain.value(NEXT) is None
    await plain.send()
    await _clean_both(plain)
    await plain.work()
    waits = await plain.value(NEXT)
    assert waits > NOON
    await plain.ack("bob", "ann", (await plain.stored())[0])
    assert await plain.value(NEXT) == plain.clock.now()


async def test_a_visit_leaves_a_due_mark_that_was_set_meanwhile(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An acknowledgement between the floor and the end of the visit is not forgotten."""
    sent = await plain.send()
    await _clean_both(plain)
    release = store.release_channel

    async def acknowledged_first(*arguments: object, **named: object) -> None:
        monkeypatch.setattr(store, "release_channel", release)
        await plain.ack("bob", "ann", sent)
        await release(*arguments, **named)  # type: ignore[arg-type]

    await plain.apply()
    began = plain.clock.now()
    await plain.settle(now=began)
    monkeypatch.setattr(store, "release_channel", acknowledged_first)
    (report,) = await plain.reclaim.visit_due(now=began)
    assert (report.deleted, await plain.value(NEXT)) == (0, began)
    (report,) = await plain.reclaim.visit_due(now=began)
    assert report.deleted == 1


async def test_a_claimed_channel_is_left_alone_until_its_lease_ends(plain: World) -> None:
    """A dead worker's channel is due again."""
    await plain.ack("bob", "ann", await plain.send())
    await _clean_both(plain)
    await plain.apply()
    began = plain.clock.now()
    await plain.settle(now=began)
    async with plain.database.writing() as connection:
        ids = await store.list_due_channels(connection, now=began, most=10)
        assert await store.claim_channels(connection, ids, now=began, lease=began + LEASE)
    assert await plain.reclaim.visit_due(now=began + LEASE - 1) == []
    (report,) = await plain.reclaim.visit_due(now=began + LEASE)
    assert report.deleted == 1


async def test_a_worker_that_dies_between_grant_and_delete_loses_nothing(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grant stands; the next visit deletes below it and goes on, and what survives is the same."""
    sent = [await plain.send(echo=True) for _ in range(5)]
    await plain.ack("bob", "ann", sent[-1])
    await _clean_both(plain)
    kept = await plain.send(echo=True)
    plain.reclaim._batch = 2

    async def dies(*_: object, **__: object) -> int:
        raise asyncpg.CannotConnectNowError

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete_reclaimed", dies)
        with pytest.raises(Exception, match="database does not answer"):
            await plain.work()
    assert await plain.value("SELECT reclaimed_to FROM channels") == sent[2]
    assert await plain.stored() == [*sent, kept]
    plain.clock.advance(LEASE)
    assert await plain.work() == 5
    assert await plain.stored() == [kept]


async def test_a_visit_that_takes_too_long_stops_and_the_channel_stays_due(plain: World) -> None:
    """Half a lease at most, so that nobody else claims it under our hands."""
    sent = [await plain.send(echo=True) for _ in range(4)]
    await plain.ack("bob", "ann", sent[-1])
    await _clean_both(plain)
    await plain.apply()
    began = plain.clock.now()
    await plain.settle(now=began)
    plain.reclaim._batch = 2
    plain.clock.set(began + LEASE)
    (report,) = await plain.reclaim.visit_due(now=began)
    assert (report.deleted, report.finished) == (2, False)
    (report,) = await plain.reclaim.visit_due(now=began + LEASE)
    assert (report.deleted, report.finished) == (2, True)


async def test_the_grant_never_falls_and_the_delete_never_passes_it(plain: World) -> None:
    """Whatever the caller says."""
    sent = [await plain.send(echo=True) for _ in range(3)]
    channel_id = await plain.channel_id()
    await plain.execute("UPDATE channels SET reclaim_lease = 1")
    async with plain.database.writing() as connection:
        await store.grant(connection, channel_id, sent[1], lease=1)
        await store.grant(connection, channel_id, sent[0], lease=1)
        assert await store.delete_reclaimed(connection, channel_id, sent[2] + 1, above=0, lease=1) == 1
    assert await plain.stored() == sent[1:]
    assert await plain.value("SELECT reclaimed_to FROM channels") == sent[1]


async def test_a_setting_changed_back_gives_nothing_that_is_gone(world: World) -> None:
    """`reclaimed_to` stays; what is above it is compensation again."""
    await _received_and_cleaned(world)
    await world.set(multi_device_sync=False)
    assert await world.work() == 1
    kept = await world.send()
    await world.ack("bob", "ann", kept)
    await world.set(multi_device_sync=True)
    assert await world.given("bob", "tablet") == [(kept, "compensation")]
    await world.work()
    assert await world.stored() == [kept]


async def test_an_empty_channel_and_one_without_messages_are_visited_in_peace(plain: World) -> None:
    """Nothing to look at is a finished visit."""
    await plain.send()
    async with plain.database.writing() as connection:
        await connection.execute("DELETE FROM messages; UPDATE channels SET next_reclaim_at = 0")
    (report,) = await Reclaim(plain.database, plain.clock).visit_due(now=NOON)
    assert (report.deleted, report.finished) == (0, True)


async def test_a_message_sent_during_a_visit_keeps_its_own_look(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not stored for history, sent between the floor and the end of the visit: time alone must still find it."""
    await plain.ack("bob", "ann", await plain.send())
    await _clean_both(plain)
    await plain.apply()
    began = plain.clock.now()
    await plain.settle(now=began)
    release = store.release_channel

    async def sent_first(*arguments: object, **named: object) -> None:
        monkeypatch.setattr(store, "release_channel", release)
        await plain.send(persist=False)
        await release(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "release_channel", sent_first)
    (report,) = await plain.reclaim.visit_due(now=began)
    assert report.deleted == 1
    plain.clock.set(NOON + 8 * DAY)
    assert await plain.work() == 1
