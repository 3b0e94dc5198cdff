"""What a preview says is what the receipt says afterwards, and its hash stands for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from history.axis import DAY, SECOND
from history.receipts import service
from history.receipts.model import Plan
from history.retention.model import EVERYONE
from tests.factories import NOON, World, clean_draft, of_numbers
from tests.storage.test_receipts import _everything

CLEANS = "SELECT count(*) FROM clean_requests"


async def _plan(
    world: World, user: str = "bob", *, sent_at: int | None = None, flag: bool | None = None
) -> Plan:
    return await world.receipts.preview(clean_draft(world.channel(), user, sent_at=sent_at, flag=flag))


@pytest.mark.parametrize(
    ("user", "flag"),
    [
        ("bob", False),
        ("bob", True),
        ("bob", None),
        (EVERYONE, False),
        (EVERYONE, True),
        ("ann", None),
        ("eve", None),
    ],
)
async def test_the_numbers_are_those_of_the_receipt(world: World, user: str, flag: bool | None) -> None:
    """After a settled clean, an applied one with the flag and a waiting one; under the app's flag; held; nothing is done."""
    key = world.channel()
    await world.set(delete_compensated_on_clean=True)
    await _everything(world, key)
    sent = await world.stored()
    await world.clean_in(key, user, sent_at=sent[1] // 1000, undo=0)
    await world.work()
    await world.clean_in(key, "bob", sent_at=sent[6] // 1000, flag=True)
    await world.apply()
    await world.clean_in(key, sent_at=sent[7] // 1000, flag=False)
    await world.policies.place_hold(world.app_key, channel=key, user_id=None, reason="case")
    for sent_at in (sent[-1] // 1000, None):
        before = await world.value(CLEANS)
        plan = await _plan(world, user, sent_at=sent_at, flag=flag)
        assert await world.value(CLEANS) == before
        accepted = await world.clean_in(key, user, sent_at=sent_at, flag=flag)
        assert plan.cutoff == accepted.cutoff
        assert plan.complete
        assert await world.counted(accepted) == [of_numbers(plan.numbers)]
        await world.cancel(accepted)


async def test_a_plan_of_a_group_counts_each_message_once(world: World) -> None:
    """Targeted, joined late, left: as the receipt."""
    g = await world.make_group("bob", "cid")
    for to in (("bob",), ("bob", "cid"), None, ("eve",)):
        await world.post(g, to=to)
    await world.membership.join(g, ["dan"])
    await world.post(g)
    for user in ("bob", "cid", "dan", EVERYONE):
        plan = await world.receipts.preview(clean_draft(g, user))
        accepted = await world.clean_in(g, user)
        assert await world.counted(accepted) == [of_numbers(plan.numbers)]
        await world.cancel(accepted)


async def test_an_open_channel_has_a_plan_for_everyone(world: World) -> None:
    """Expired, it has nothing left to take."""
    o = await world.make_open(ttl=1)
    last = [await world.post(o) for _ in range(3)][-1]
    assert of_numbers((await world.receipts.preview(clean_draft(o))).numbers) == (3, 0, 0, 0)
    world.clock.set(last + 60 * SECOND)
    assert of_numbers((await world.receipts.preview(clean_draft(o))).numbers) == (0, 0, 0, 0)


async def test_a_channel_that_is_not_there_has_an_empty_plan(world: World) -> None:
    """With the cutoff that such a clean has."""
    for sent_at in (None, 5):
        plan = await _plan(world, sent_at=sent_at)
        assert plan.cutoff == (await world.clean("bob", "ann", sent_at=sent_at)).cutoff
        assert of_numbers(plan.numbers) == (0, 0, 0, 0)


async def test_a_policy_takes_part(world: World) -> None:
    """What it hides already is not hidden again."""
    await world.send(at=NOON - 3 * DAY)
    await world.send(at=NOON)
    await world.execute("UPDATE apps SET retention_days = 2")
    plan = await _plan(world)
    assert of_numbers(plan.numbers) == (1, 1, 0, 0)
    assert await world.counted(await world.clean("bob", "ann")) == [(1, 1, 0, 0)]


async def test_the_hash_is_of_cutoff_and_numbers_and_nothing_else(world: World) -> None:
    """The same twice; another with each of them."""
    await world.send()
    plan = await _plan(world)
    assert (await _plan(world)).hash == plan.hash
    names = ("hidden", "kept_missed", "kept_compensation", "kept_held")
    others = {replace(plan, numbers=replace(plan.numbers, **{name: 9})).hash for name in names}
    changed: list[dict[str, int]] = [{"cutoff": 9}, {"reclaimed_files": 9}, {"reclaimed_bytes": 9}]
    others |= {replace(plan, **change).hash for change in changed}  # type: ignore[arg-type] # all are numbers
    assert len(others | {plan.hash}) == 8


@pytest.mark.parametrize("event", ["send", "ack", "hold", "clean"])
async def test_the_hash_changes_with_what_the_clean_would_do(world: World, event: str) -> None:
    """A message more, an acknowledgement, a hold, another clean."""
    sent = await world.send()
    plan = await _plan(world)
    if event == "send":
        await world.send()
    elif event == "ack":
        await world.ack("bob", "ann", sent)
    elif event == "hold":
        await world.policies.place_hold(world.app_key, channel=None, user_id="ann", reason="case")
    else:
        await world.clean("bob", "ann", sent_at=sent // 1000 + 1)
    assert (await _plan(world)).hash != plan.hash


async def test_a_preview_counts_up_to_its_end_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least so many."""
    monkeypatch.setattr(service, "MOST_PREVIEWED", 3)
    for number in range(4):
        plan = await _plan(world)
        assert (plan.complete, plan.numbers.hidden) == (number < 3, number)
        await world.send()
    plan = await _plan(world)
    assert (plan.complete, plan.numbers.hidden) == (False, 3)
