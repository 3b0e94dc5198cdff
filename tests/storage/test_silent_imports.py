"""What is imported is history and nothing else, unless its line says deliver: sync, lists, receipts, floors."""

from __future__ import annotations

import pytest

from history.axis import DAY, SECOND
from history.delivery.model import ConversationView
from history.messages.model import Flags
from tests.factories import NOON, World
from tests.transfer import LOUD, QUIET, Transfer

NOW = NOON - 60 * SECOND
OLD = NOON - 100 * DAY


@pytest.fixture
def transfer(world: World) -> Transfer:
    return Transfer(world)


async def listed(world: World, user: str = "bob") -> list[ConversationView]:
    """The user's list, with unread counts."""
    return (await world.delivery.conversations(world.app_key, user, cursor=None, most=9))[0]


async def silent_to(world: World) -> int:
    """Up to where the one channel is silent."""
    found: int = await world.value("SELECT silent_to FROM channels")
    return found


async def test_what_is_silent_is_history_and_neither_missed_nor_compensated_nor_unread(
    world: World, transfer: Transfer
) -> None:
    await transfer.loaded(transfer.line(OLD), transfer.line(NOW, "last"), transfer.line(NOW, sender="bob"))
    assert len(await world.history("bob", "ann")) == 2
    assert await world.given("bob") == []
    assert await world.given("ann", "tablet") == []
    (one,) = await listed(world)
    assert (one.unread, one.last_message and one.last_message.content) == (0, "last")


async def test_what_is_to_be_delivered_is_missed_and_unread_as_if_it_had_been_sent(
    world: World, transfer: Transfer
) -> None:
    """What is older than missedDays has expired."""
    await transfer.loaded(transfer.line(NOON - 8 * DAY, flags=LOUD), transfer.line(NOW, flags=LOUD))
    assert await world.given("bob") == [(NOW, "missed")]
    assert (await listed(world))[0].unread == 2
    await world.ack("bob", "ann", NOW)
    assert await world.given("bob") == []
    assert await world.given("bob", "tablet") == [(NOW, "compensation")]


async def test_what_is_sent_after_an_import_is_missed_and_unread(world: World, transfer: Transfer) -> None:
    """And what is silent after it is not."""
    await transfer.loaded(transfer.line(NOW))
    sent = await world.send(at=NOON)
    await transfer.loaded(transfer.line(NOON))
    assert await world.given("bob") == [(sent, "missed")]
    assert (await listed(world))[0].unread == 1
    assert len(await world.history("bob", "ann")) == 3


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[QUIET, QUIET]], 1),
        ([[QUIET], [QUIET, QUIET]], 2),
        ([[LOUD]], -1),
        ([[QUIET, LOUD, QUIET]], 0),
        ([[QUIET, QUIET, LOUD], [QUIET]], 1),
        ([[LOUD], [QUIET]], -1),
    ],
)
async def test_the_silent_prefix_ends_below_the_first_message_that_is_not(
    world: World, transfer: Transfer, batches: list[list[int]], expected: int
) -> None:
    """Nothing that is missed or unread lies in it; all before the first such message does."""
    at, loud = OLD, list[int]()
    for batch in batches:
        lines = []
        for flags in batch:
            lines.append(transfer.line(at, flags=flags))
            loud += [] if flags & Flags.SILENT else [at]
            at += SECOND
        await transfer.loaded(*lines)
    prefix = await silent_to(world)
    assert prefix < min(loud, default=at)
    assert OLD + expected * SECOND <= prefix < OLD + (expected + 1) * SECOND
    assert (await listed(world))[0].unread == len(loud)


async def test_a_send_does_not_move_the_silent_prefix(world: World, transfer: Transfer) -> None:
    await transfer.loaded(transfer.line(OLD))
    await world.send()
    await transfer.loaded(transfer.line(NOON))
    assert await silent_to(world) == OLD


async def test_a_conversation_that_was_removed_comes_back_only_for_what_is_delivered(
    world: World, transfer: Transfer
) -> None:
    await world.send(at=NOON - DAY)
    world.clock.set(NOON)
    await world.conversations.remove(world.app_key, "bob", [world.channel()])
    await transfer.loaded(transfer.line(NOW))
    assert await listed(world) == []
    await transfer.loaded(transfer.line(NOW + SECOND, flags=LOUD))
    assert len(await listed(world)) == 1


async def test_a_clean_hides_what_was_imported_and_keeps_none_of_it(world: World, transfer: Transfer) -> None:
    """Of three that it hides one is missed and kept: the one that was sent. Once it is settled the others go."""
    await transfer.loaded(transfer.line(NOW), transfer.line(NOW))
    sent = await world.send(at=NOON)
    accepted = await world.clean("bob", "ann", undo=0)
    assert await world.history("bob", "ann") == []
    assert await world.counted(accepted) == [(3, 1, 0, 0)]
    await world.work()
    assert await world.stored() == [sent]


async def test_what_is_too_old_for_a_policy_is_looked_at_at_once(world: World, transfer: Transfer) -> None:
    """In a channel that is new, and in one that was empty and not to be looked at before long."""
    await world.execute("UPDATE apps SET retention_days = 30")
    await transfer.loaded(transfer.line(OLD), transfer.line(NOON - 20 * DAY))
    assert await world.history("bob", "ann") == [NOON - 20 * DAY]
    assert await world.value("SELECT next_reclaim_at FROM channels") == OLD + 30 * DAY + 1
    await world.work()
    assert await world.stored() == [NOON - 20 * DAY]
    assert await world.value("SELECT next_reclaim_at FROM channels") == NOON + 10 * DAY + 1
    await transfer.loaded(transfer.line(NOON - 15 * DAY))
    assert await world.value("SELECT next_reclaim_at FROM channels") == NOON + 10 * DAY + 1


async def test_nothing_is_written_below_the_grant(world: World, transfer: Transfer) -> None:
    """What was reclaimed is not brought back by a second import of it, whatever its keys."""
    await transfer.loaded(*(transfer.line(OLD + n * SECOND, key=f"k{n}") for n in range(3)))
    for user, other in (("bob", "ann"), ("ann", "bob")):
        await world.clean(user, other, undo=0)
    await world.work()
    assert await world.stored() == []
    granted = await world.value("SELECT reclaimed_to FROM channels")
    outcome = await transfer.load(*(transfer.line(OLD + n * SECOND, key=f"other {n}") for n in range(2)))
    assert outcome.imported == 0
    await transfer.loaded(transfer.line(OLD + 2 * SECOND))
    (position,) = await world.stored()
    assert position >= granted
    assert position == OLD + 2 * SECOND + 1


async def test_a_message_that_perhaps_nobody_needs_is_looked_at_within_a_day(
    world: World, transfer: Transfer
) -> None:
    """Targeted, not stored for history, or in a group of one."""
    group, alone = await world.make_group("bob"), await world.make_group(id_="alone")
    await transfer.loaded(
        transfer.line(OLD, channel=group, to=("bob",)),
        transfer.line(OLD, channel=alone),
        transfer.line(OLD, flags=0),
        transfer.line(OLD, channel=world.channel("ann", "cid")),
    )
    rows = await world.rows("SELECT key, next_reclaim_at FROM channels")
    assert {tuple(row["key"]): row["next_reclaim_at"] for row in rows} == {
        ("g",): NOON + DAY,
        ("alone",): NOON + DAY,
        ("ann", "bob"): NOON + DAY,
        ("ann", "cid"): None,
    }


async def test_a_recall_takes_what_was_imported_and_devices_hear_of_it(
    world: World, transfer: Transfer
) -> None:
    await transfer.loaded(transfer.line(OLD), transfer.line(NOW))
    await world.recall(world.channel(), NOW)
    assert await world.history("bob", "ann") == [OLD]
    assert len((await world.sync("bob")).recalls) == 1


async def test_a_hold_on_who_wrote_keeps_what_was_imported(world: World, transfer: Transfer) -> None:
    group = await world.make_group("bob")
    await transfer.loaded(transfer.line(OLD, channel=group, sender="eve"))
    await world.policies.place_hold(world.app_key, channel=None, user_id="eve", reason="case")
    for user in ("ann", "bob"):
        await world.clean_in(group, user, undo=0)
    await world.work()
    assert await world.stored_in(group) == [OLD]
