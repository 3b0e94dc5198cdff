"""Side tables end: rows just inside and just outside of their period, and all that must survive."""

from __future__ import annotations

import asyncio

import pytest

from history.axis import DAY, SECOND
from history.sweep import model
from history.sweep.model import SweepReport
from tests.factories import NOON, World
from tests.storage.test_races import held, somebody_waits
from worker.jobs.sweep import sweep_all

NONE = SweepReport(**dict.fromkeys(SweepReport.__dataclass_fields__, 0))
HOUR = 3_600 * SECOND


async def _ended(world: World, now: int) -> dict[str, int]:
    """What one round lets go, where it is anything."""
    report = await world.sweep.run(now=now)
    return {name: count for name in SweepReport.__dataclass_fields__ if (count := getattr(report, name))}


async def test_keys_of_idempotency_end_when_they_lapse(world: World) -> None:
    """The younger one stays; the messages of both do."""
    await world.post(world.channel(), client_key="old")
    await world.post(world.channel(), client_key="young", at=NOON + SECOND)
    assert await _ended(world, NOON + DAY - 1) == {}
    assert await _ended(world, NOON + DAY) == {"message_keys": 1}
    assert await world.value("SELECT array_agg(key) FROM message_keys") == ["young"]
    assert len(await world.stored()) == 2


async def test_a_key_that_is_claimed_anew_while_the_sweep_waits_stays(world: World) -> None:
    """The sweep saw it lapsed, then waited for the claim."""
    await world.post(world.channel(), client_key="k")
    async with held(world) as connection:
        await connection.execute("UPDATE message_keys SET expires_at = $1", NOON + 3 * DAY)
        sweeping = asyncio.create_task(world.sweep.run(now=NOON + 2 * DAY))
        await somebody_waits(world)
    assert (await sweeping).message_keys == 0
    assert await world.value("SELECT count(*) FROM message_keys") == 1


async def test_a_device_that_comes_back_while_the_sweep_waits_stays_with_its_marks(world: World) -> None:
    """And so does who rejoined and left again just now."""
    g = await world.make_group("bob")
    await world.ack_in(g, "bob", await world.post(g), "phone")
    await world.membership.leave(g, ["bob"])
    late = NOON + 400 * DAY
    left, seen = (
        "UPDATE conversations SET left_at = $1 WHERE left_at > 0",
        "UPDATE devices SET last_seen_at = $1",
    )
    for changed, other in ((seen, left), (left, seen)):
        await world.execute(changed, NOON)
        await world.execute(other, late)
        async with held(world) as connection:
            await connection.execute(changed, late)
            sweeping = asyncio.create_task(world.sweep.run(now=late))
            await somebody_waits(world)
        assert await sweeping == NONE
    assert await world.value("SELECT count(*) FROM device_marks") == 1


async def test_recalls_end_after_the_days_of_their_app(world: World) -> None:
    """Each app's own; until then a device learns of them."""
    await world.set(recall_days=8)
    old, young = await world.send(), await world.send()
    await world.recall(world.channel(), old)
    world.clock.set(NOON + SECOND)
    await world.recall(world.channel(), young)
    assert await _ended(world, NOON + 8 * DAY - 1) == {}
    assert len((await world.sync("bob")).recalls) == 2
    assert await _ended(world, NOON + 8 * DAY) == {"recalls": 1}
    assert len((await world.sync("bob")).recalls) == 1


async def test_tokens_end_when_they_expire(world: World) -> None:
    """And only then."""
    app = await world.apps.find(world.app_key)
    await world.apps.issue_token(app, "ann")
    world.clock.advance(1)
    kept = await world.apps.issue_token(app, "ann")
    assert await _ended(world, NOON + 365 * DAY - 1) == {}
    assert await _ended(world, NOON + 365 * DAY) == {"tokens": 1}
    await world.apps.find_token(kept)


async def test_unused_devices_end_with_their_marks_in_every_channel(world: World) -> None:
    """Of that device alone: the user's other one and another user's of the same name stay."""
    await world.set(device_days=8)
    g = await world.make_group("bob")
    sent, other = await world.post(g), await world.send()
    await world.ack_in(g, "bob", sent, "old")
    await world.ack("bob", "ann", other, "old")
    world.clock.set(NOON + SECOND)
    await world.ack("bob", "ann", other, "young")
    await world.ack_in(g, "ann", sent, "old")
    assert await _ended(world, NOON + 8 * DAY - 1) == {}
    assert await _ended(world, NOON + 8 * DAY) == {"devices": 1}
    marks = await world.rows("SELECT user_id, device_id FROM device_marks ORDER BY user_id, device_id")
    assert [tuple(row) for row in marks] == [("ann", "old"), ("bob", "young")]
    assert [one.device_id for one in await world.delivery.devices(world.app_key, "bob")] == ["young"]
    assert await world.value("SELECT min(delivered_position) FROM conversations WHERE user_id = 'bob'") > 0


async def test_a_device_that_is_used_stays(world: World) -> None:
    """Seen an hour ago at most: its period counts from its last visit."""
    await world.set(device_days=8)
    await world.sync("bob")
    world.clock.set(NOON + 7 * DAY)
    await world.sync("bob")
    assert await _ended(world, NOON + 15 * DAY - 1) == {}
    assert await _ended(world, NOON + 15 * DAY) == {"devices": 1}


async def test_who_left_is_forgotten_with_his_marks(world: World) -> None:
    """Members stay, those who rejoined stay, a direct channel's two stay; joining again starts anew all the same."""
    await world.set(left_days=2)
    g = await world.make_group("bob", "cid", "dan")
    sent = await world.post(g)
    await world.send("bob", "dan")
    for user in ("bob", "cid", "dan"):
        await world.ack_in(g, user, sent)
    await world.membership.leave(g, ["bob", "cid"])
    await world.membership.join(g, ["cid"])
    world.clock.set(NOON + 1)
    await world.membership.leave(g, ["dan"])
    assert await _ended(world, NOON + 2 * DAY - 1) == {}
    assert await _ended(world, NOON + 2 * DAY) == {"conversations": 1}
    id_ = await world.id_of(g)
    for sql, wanted in (
        ("SELECT user_id FROM conversations WHERE channel_id = $1 ORDER BY 1", ["ann", "cid", "dan"]),
        ("SELECT user_id FROM device_marks WHERE channel_id = $1 ORDER BY 1", ["cid", "dan"]),
    ):
        assert [row["user_id"] for row in await world.rows(sql, id_)] == wanted
    assert await world.value("SELECT count(*) FROM conversations WHERE channel_id <> $1", id_) == 2
    await world.membership.join(g, ["bob"])
    assert await world.has_nothing(g, "bob")
    assert (await world.membership.group(g)).member_count == 3


async def test_settled_requests_end_after_the_days_of_their_app(world: World) -> None:
    """What is accepted or applied stays however old; what a settled one took stays cleaned."""
    await world.set(journal_days=31, undo_seconds=0)
    await world.send()
    await world.clean("bob", "ann", flag=True)
    await world.apply()
    await world.settle(now=NOON)
    await world.set(undo_seconds=2_592_000)
    await world.clean("ann", "bob")
    await world.apply()
    await world.clean("ann", "bob", everyone=True)
    assert await _ended(world, NOON + 31 * DAY - 1) == {}
    assert await _ended(world, NOON + 31 * DAY) == {"clean_requests": 1, "clean_marks": 1}
    states = await world.rows("SELECT state FROM clean_requests ORDER BY state")
    assert [row["state"] for row in states] == ["accepted", "applied"]
    assert await world.history("bob", "ann") == []
    sent = await world.send()
    assert await world.history("bob", "ann") == [sent]


async def test_cancelled_requests_end_as_settled_ones_do_and_their_marks_with_them(world: World) -> None:
    """Counted or not, applied or not."""
    await world.set(journal_days=31)
    await world.send()
    never = await world.clean("bob", "ann")
    await world.cancel(never)
    applied = await world.clean("bob", "ann")
    await world.apply()
    await world.cancel(applied)
    ended = world.clock.now() + 31 * DAY
    assert await _ended(world, NOON + 31 * DAY - 1) == {}
    assert await _ended(world, ended) == {"clean_requests": 2, "clean_marks": 1}


async def test_finished_jobs_end_after_the_days_of_the_journal(world: World) -> None:
    """One that runs stays, however old."""
    await world.set(journal_days=31)
    for _ in range(2):
        await world.jobs.clean_user(
            world.app_key, "bob", before=1, flag=None, undo_seconds=None, reason=None, source="test"
        )
    await world.execute("UPDATE jobs SET finished_at = NULL, leased_until = $1", NOON)
    await world.execute(
        "UPDATE jobs SET finished_at = $1, state = 'done' WHERE id = (SELECT id FROM jobs LIMIT 1)", NOON
    )
    assert await _ended(world, NOON + 31 * DAY - 1) == {}
    assert await _ended(world, NOON + 31 * DAY) == {"jobs": 1}
    assert await world.value("SELECT state FROM jobs") == "running"


async def test_the_days_are_each_apps_own(world: World) -> None:
    """Nothing of an app with a longer period goes with its neighbour's."""
    other = (await world.apps.create("other")).app_key
    await world.set(device_days=8)
    for app_key in (world.app_key, other):
        await world.execute("INSERT INTO devices VALUES ($1, 'bob', 'phone', $2, $2)", app_key, NOON)
    assert await _ended(world, NOON + 8 * DAY) == {"devices": 1}
    assert await world.value("SELECT app_key FROM devices") == other
    assert await _ended(world, NOON + 90 * DAY) == {"devices": 1}


async def test_a_round_is_bounded_and_the_job_comes_again_while_there_is_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five keys, two a round; one that must stay stays."""
    monkeypatch.setattr(model, "MOST_ROWS", 2)
    for number in range(5):
        await world.post(world.channel(), client_key=f"k{number}")
    await world.post(world.channel(), client_key="young", at=NOON + HOUR)
    world.clock.set(NOON + DAY)
    reports = await sweep_all(world.sweep, world.clock)
    assert [report.message_keys for report in reports] == [2, 2, 1]
    assert await world.value("SELECT array_agg(key) FROM message_keys") == ["young"]
    assert await world.sweep.run(now=NOON + DAY) == NONE


async def test_a_sweep_touches_no_message(world: World) -> None:
    """However far in the future."""
    sent = await world.send(echo=True)
    await world.sweep.run(now=NOON + 10_000 * DAY)
    assert await world.stored() == [sent]
    assert await world.history("bob", "ann") == [sent]
