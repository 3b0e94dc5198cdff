"""What a receipt tells is what happened: exact, whatever came before the clean and whatever comes after it was applied."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from history.axis import DAY, NEVER, SECOND
from history.channels.model import ChannelKey
from history.errors import DatabaseUnavailable, NotFound
from history.receipts import store
from history.retention.model import EVERYONE, Accepted, public_request_id
from tests.factories import NOON, World

HOUR = 3_600 * SECOND
Numbers = tuple[int, int, int, int]


async def _everything(world: World, key: ChannelKey) -> None:
    """One message of each kind between ann and bob: two days ago, today and received, today and missed."""
    old, today = NOON - 2 * DAY, NOON - HOUR
    await world.post(key, at=old)
    await world.post(key, persist=False)
    recalled = await world.post(key)
    hidden = await world.post(key)
    await world.post(key, "bob")
    echoed = await world.post(key, "bob", echo=True)
    await world.ack_in(key, "bob", echoed)
    await world.recall(key, recalled)
    received = await world.post(key, at=today)
    await world.post(key, "bob", echo=True)
    recalled_today = await world.post(key)
    hidden_today = await world.post(key)
    await world.recall(key, recalled_today)
    await world.hide(key, "bob", hidden, hidden_today)
    await world.ack_in(key, "bob", hidden_today)
    assert received < hidden_today
    for persist in (True, True, False):
        await world.post(key, persist=persist, at=NOON)


BOB: Numbers = (6, 2, 2, 0)
"""Of two days ago ann's one and his echoed one; of today one received, one echoed, and two missed."""
ALL: Numbers = (7, 5, 2, 0)
"""And for ann bob's unechoed one; all three of his are missed by her, his echoed one is compensated for him as well."""


@pytest.mark.parametrize(
    ("user", "flag", "wanted", "most_rows"),
    [
        ("bob", False, BOB, 2),
        ("bob", True, (6, 2, 0, 0), 2),
        (EVERYONE, False, ALL, 1),
        (EVERYONE, False, ALL, 2),
        (EVERYONE, False, ALL, 14),
        (EVERYONE, True, (7, 5, 0, 0), 5_000),
        ("ann", False, (3, 3, 0, 0), 3),
        ("eve", False, (0, 0, 0, 0), 2),
    ],
)
async def test_the_numbers_are_exact(
    world: World, user: str, flag: bool, wanted: Numbers, most_rows: int
) -> None:
    """Unechoed, recalled, hidden by id, not stored, missed or received; in steps of any size."""
    world.receipts._most_rows = most_rows
    key = world.channel()
    await _everything(world, key)
    seen = {who: set(await world.seen(key, who)) for who in ("ann", "bob")}
    accepted = await world.clean_in(key, user, flag=flag)
    assert await world.numbers(accepted) is None
    await world.apply(accepted)
    assert await world.numbers(accepted) is None
    assert await world.counted(accepted) == [wanted]
    lost = {at for who, before in seen.items() for at in before - set(await world.seen(key, who))}
    assert len(lost) == wanted[0]


async def test_what_a_new_device_gets_is_what_was_kept(world: World) -> None:
    """keptMissed and keptCompensation are a promise: the next sync of a device that has nothing keeps it."""
    key = world.channel()
    await _everything(world, key)
    seen = set(await world.seen(key, "bob"))
    assert await world.counted(await world.clean("bob", "ann")) == [BOB]
    given = [(at, origin) for at, origin in await world.given("bob", "new") if at in seen]
    assert [origin for _, origin in given].count("missed") == BOB[1]
    assert [origin for _, origin in given].count("compensation") == BOB[2]


async def test_a_targeted_message_counts_for_its_recipients_and_once_for_everyone(world: World) -> None:
    """Three members, one message for one of them, one for two, one for all, one for nobody there."""
    g = await world.make_group("bob", "cid")
    for to in (("bob",), ("bob", "cid"), None, ("eve",)):
        await world.post(g, to=to)
    one = await world.clean_in(g, "cid")
    everyone = await world.clean_in(g, undo=5)
    other = await world.clean_in(g, "bob")
    assert await world.counted(one, everyone, other) == [(2, 2, 0, 0), (3, 3, 0, 0), (0, 0, 0, 0)]


async def test_only_what_earlier_cleans_left_is_hidden(world: World) -> None:
    """The user's own and everyone's, applied or waiting, settled or not; in whatever order they are applied."""
    await world.set(undo_seconds=HOUR // SECOND)
    sent = [await world.send(at=NOON - 50 * SECOND + number * SECOND) for number in range(10)]
    settled = await world.clean("bob", "ann", sent_at=sent[2] // 1000, undo=0)
    await world.work()
    applied = await world.clean("bob", "ann", sent_at=sent[5] // 1000)
    await world.apply()
    everyones = await world.clean("bob", "ann", sent_at=sent[7] // 1000, everyone=True)
    last = await world.clean("bob", "ann")
    again = await world.clean("bob", "ann")
    await world.apply(again, last)
    await world.apply(everyones)
    await world.count()
    numbers = [await world.numbers(one) for one in (settled, applied, everyones, last, again)]
    assert [one and one[0] for one in numbers] == [2, 3, 2, 3, 0]


async def test_an_earlier_clean_with_the_flag_leaves_no_compensation_to_a_later_one(world: World) -> None:
    """What is received and in the window: kept by the clean without the flag alone."""
    sent = [await world.send(at=NOON + number * SECOND) for number in range(4)]
    await world.ack("bob", "ann", sent[-1])
    flagged = await world.clean("bob", "ann", sent_at=sent[2] // 1000, flag=True)
    plain = await world.clean("bob", "ann")
    assert await world.counted(flagged, plain) == [(2, 0, 0, 0), (2, 0, 2, 0)]


async def test_who_joined_late_saw_only_what_came_after(world: World) -> None:
    """And who left saw nothing."""
    g = await world.make_group("bob", "cid")
    await world.post(g)
    await world.membership.join(g, ["dan"])
    await world.membership.leave(g, ["cid"])
    await world.post(g)
    cleans = [await world.clean_in(g, user) for user in ("bob", "cid", "dan")]
    assert await world.counted(*cleans) == [(2, 2, 0, 0), (0, 0, 0, 0), (1, 1, 0, 0)]


async def test_an_open_channel_counts_for_anyone(world: World) -> None:
    """Nothing is missed or compensated there; an expired one hides nothing any more."""
    o = await world.make_open(ttl=1)
    sent = [await world.post(o) for _ in range(3)]
    await world.recall(o, sent[0])
    first = await world.clean_in(o, sent_at=None, undo=0)
    assert await world.counted(first) == [(2, 0, 0, 0)]
    world.clock.set(await world.post(o) + 60 * SECOND)
    assert await world.seen(o, "bob") == []
    late = await world.clean_in(o)
    assert await world.counted(late) == [(0, 0, 0, 0)]


async def test_under_a_hold_all_that_is_hidden_is_kept(world: World) -> None:
    """As it was when the clean was applied."""
    key = world.channel()
    await _everything(world, key)
    hold = await world.policies.place_hold(world.app_key, channel=key, user_id=None, reason="case 7")
    accepted = await world.clean("bob", "ann")
    await world.apply()
    await world.policies.release_hold(world.app_key, hold.id)
    assert await world.counted(accepted) == [(*BOB[:3], BOB[0])]


async def test_a_clean_that_changed_nothing_says_so(world: World) -> None:
    """No such channel, no such participant, nothing below the cutoff: applied, counted, settled, reclaimed."""
    await world.send()
    nowhere = await world.clean_in(world.group("none"), "bob", undo=0)
    stranger = await world.clean_in(world.channel(), "eve", undo=0)
    nothing = await world.clean("bob", "ann", sent_at=1, undo=0)
    assert await world.counted(nowhere, stranger, nothing) == [(0, 0, 0, 0)] * 3
    await world.work()
    receipts = [await world.receipt(one) for one in (nowhere, stranger, nothing)]
    assert [(one.state, one.reclaimed_messages) for one in receipts] == [
        ("reclaimed", 0),
        ("settled", 0),
        ("reclaimed", 0),
    ]


async def test_counting_goes_on_where_it_was_interrupted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies between two steps, before or after one was written; no row counts twice."""
    world.receipts._most_rows = 2
    key = world.channel()
    await _everything(world, key)
    accepted = await world.clean_in(key)
    await world.apply()
    update, calls = store.update_counted, 0

    async def dies(*arguments: object, **named: object) -> None:
        nonlocal calls
        calls += 1
        if calls in (2, 4):
            raise DatabaseUnavailable("away")
        await update(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "update_counted", dies)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await world.receipts.count(until=NEVER)
        assert await world.numbers(accepted) is None
        assert await world.cleans.settle(now=NOON + 400 * DAY) == 0, "what is not counted does not settle"
    await world.count()
    assert await world.numbers(accepted) == ALL


async def test_two_workers_that_count_one_request_count_each_row_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is late writes nothing, at every step."""
    world.receipts._most_rows = 2
    key = world.channel()
    await _everything(world, key)
    accepted = await world.clean_in(key)
    await world.apply()
    update = store.update_counted

    async def twice(*arguments: object, **named: object) -> None:
        for _ in range(2):
            await update(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "update_counted", twice)
    await world.count()
    assert await world.numbers(accepted) == ALL


async def test_a_clean_settles_without_another_of_its_pair_that_is_still_to_be_counted(world: World) -> None:
    """Each for itself."""
    await world.send()
    first = await world.clean("bob", "ann", undo=0)
    await world.apply()
    await world.count()
    second = await world.clean("bob", "ann", undo=0)
    await world.apply()
    assert await world.cleans.settle(now=world.clock.now()) == 1
    assert [(await world.receipt(one)).state for one in (first, second)] == ["settled", "applied"]


Event = Callable[[World, ChannelKey], Awaitable[object]]


async def _acked(world: World, key: ChannelKey) -> None:
    last = (await world.stored_in(key))[-1]
    for user in ("ann", "bob"):
        await world.ack_in(key, user, last)


async def _recalled(world: World, key: ChannelKey) -> None:
    for position in await world.stored_in(key):
        await world.recall(key, position, admin=True)
    await world.work()


async def _hidden(world: World, key: ChannelKey) -> None:
    for user in ("ann", "bob"):
        await world.hide(key, user, *await world.stored_in(key))


async def _cleaned(world: World, key: ChannelKey) -> None:
    for user in ("ann", "bob", EVERYONE):
        await world.clean_in(key, user, flag=True, undo=0)
    await world.apply()


async def _held(world: World, key: ChannelKey) -> None:
    await world.policies.place_hold(world.app_key, channel=key, user_id=None, reason="late")


async def _aged(world: World, key: ChannelKey) -> None:
    world.clock.advance(9 * DAY)
    await world.post(key)


async def _without_compensation(world: World, _: ChannelKey) -> None:
    await world.set(multi_device_sync=False, missed_days=1)


@pytest.mark.parametrize("event", [_acked, _recalled, _hidden, _cleaned, _held, _aged, _without_compensation])
@pytest.mark.parametrize("counted_before", [True, False])
async def test_nothing_after_apply_changes_a_receipt(
    world: World, event: Event, counted_before: bool
) -> None:
    """Nor does it where the counting begins only then, and reclaim came in between."""
    key = world.channel()
    await _everything(world, key)
    cleans = [await world.clean_in(key, "bob"), await world.clean_in(key, "ann")]
    await world.apply()
    if counted_before:
        await world.count()
    await event(world, key)
    await world.reclaim.visit_due(now=world.clock.now())
    assert await world.counted(*cleans) == [BOB, (3, 3, 0, 0)]


async def test_a_message_that_is_still_to_be_counted_is_not_deleted(world: World) -> None:
    """Recalled right after apply, so that nobody needs it; a minute after the count it goes."""
    await world.set(multi_device_sync=False)
    sent = await world.send(echo=True)
    accepted = await world.clean("bob", "ann")
    await world.apply()
    await world.recall(world.channel(), sent)
    await world.reclaim.visit_due(now=world.clock.now())
    assert await world.stored() == [sent]
    assert await world.counted(accepted) == [(1, 1, 0, 0)]
    world.clock.advance(60 * SECOND)
    assert await world.work() == 1


# what is gone from disk ----------------------------------------------------------------------------------------------


async def test_a_receipt_follows_its_messages_until_they_are_gone(world: World) -> None:
    """Nothing before both have cleaned, some while one of them keeps some, all in the end."""
    await world.set(multi_device_sync=False)
    sent = [await world.send(echo=True, at=NOON + number * SECOND) for number in range(4)]
    await world.ack("bob", "ann", sent[-1])

    async def state(accepted: Accepted) -> tuple[str, int | None]:
        receipt = await world.receipt(accepted)
        return receipt.state, receipt.reclaimed_messages

    his = await world.clean("bob", "ann", undo=60)
    assert await state(his) == ("accepted", None)
    await world.apply()
    assert await state(his) == ("applied", None)
    await world.count()
    assert await state(his) == ("applied", 0)
    world.clock.advance(60 * SECOND)
    assert await world.work() == 0
    assert await state(his) == ("settled", 0)
    part = await world.clean("ann", "bob", sent_at=sent[3] // 1000, undo=0)
    assert await world.work() == 3
    assert (await state(his), await state(part)) == (("settled", 3), ("reclaimed", 3))
    rest = await world.clean("ann", "bob", undo=0)
    assert await world.work() == 1
    assert (await state(his), await state(rest)) == (("reclaimed", 4), ("reclaimed", 1))
    await world.sweep.run(now=world.clock.now())
    assert await world.value("SELECT count(*) FROM clean_marks") == 0
    assert [await state(one) for one in (his, part, rest)] == [
        ("reclaimed", 4),
        ("reclaimed", 3),
        ("reclaimed", 1),
    ]
    assert await world.numbers(his) == (4, 0, 0, 0)


async def test_marks_stay_until_nothing_below_the_cutoff_is_on_disk(world: World) -> None:
    """A sweep in between takes none of what a receipt still needs."""
    await world.set(multi_device_sync=False)
    sent = [await world.send(echo=True, at=NOON + number * SECOND) for number in range(2)]
    await world.ack("bob", "ann", sent[-1])
    his = await world.clean("bob", "ann", undo=0)
    await world.clean("ann", "bob", sent_at=sent[1] // 1000, undo=0)
    await world.work()
    await world.sweep.run(now=world.clock.now())
    assert (await world.receipt(his)).reclaimed_messages == 1


async def test_an_unknown_request_is_not_found_and_another_apps_neither(world: World) -> None:
    """By a sentence."""
    accepted = await world.clean("bob", "ann")
    other = (await world.apps.create("other")).app_key
    unused = public_request_id(accepted.pair.channel_id, uuid4())
    for app_key, id_ in ((other, accepted.request_id), (world.app_key, "x"), (world.app_key, unused)):
        with pytest.raises(NotFound, match="no clean request"):
            await world.receipts.get(app_key, id_)
