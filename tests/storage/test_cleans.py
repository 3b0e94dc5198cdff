"""Cleans: accepted, applied, settled."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from history.axis import DAY, MILLISECOND, SECOND
from history.database import Connection
from history.retention import service, store
from history.retention.model import EVERYONE, Journalled, Pair
from tests.factories import NOON, World

MARKS = """SELECT history_cutoff, sync_cutoff, settled_history_cutoff, settled_sync_cutoff
FROM conversations WHERE user_id = $1"""
STATES = "SELECT state FROM clean_requests ORDER BY id"


async def _marks(world: World, user: str = "bob") -> tuple[int, ...]:
    (row,) = await world.rows(MARKS, user)
    return tuple(row)


async def _states(world: World) -> list[str]:
    return [row["state"] for row in await world.rows(STATES)]


@pytest.mark.parametrize(
    ("sent_at", "offset"),
    [
        (None, 1),
        (NOON // MILLISECOND + 60_000, 1),
        (NOON // MILLISECOND, 0),
        (NOON // MILLISECOND - 1, -1_000),
    ],
)
async def test_a_cutoff_is_never_above_the_end_of_the_channel(
    world: World, sent_at: int | None, offset: int
) -> None:
    """The lower of `sentAt` and `last_position + 1`; what is sent later survives."""
    sent = await world.send()
    accepted = await world.clean("bob", "ann", sent_at=sent_at)
    assert accepted.cutoff == sent + offset
    later = await world.send()
    await world.apply(accepted)
    assert (await world.history("bob", "ann"))[0] == later


async def test_a_clean_of_nothing_is_journalled_and_makes_nothing(world: World) -> None:
    """Neither a channel nor a conversation; what is sent afterwards survives it."""
    accepted = await world.clean("bob", "ann")
    assert (await world.apply(accepted)).applied == 1
    assert accepted.cutoff == 1
    assert await world.value("SELECT count(*) FROM channels") == 0
    assert await world.value("SELECT count(*) FROM conversations") == 0
    sent = await world.send()
    assert await world.history("bob", "ann") == [sent]
    assert await world.channel_id() == accepted.pair.channel_id


async def test_a_stranger_cleans_nothing(world: World) -> None:
    """A user without a conversation does not get one by cleaning."""
    sent = await world.send()
    stranger = Pair(world.app_key, await world.channel_id(), "eve")
    async with world.database.writing() as connection:
        await connection.execute(
            "INSERT INTO clean_requests (channel_id, id, app_key, channel_type, channel_key, user_id, cutoff,"
            " delete_compensated, delete_compensated_from, source, accepted_at, undo_until)"
            " VALUES ($1, gen_random_uuid(), $2, 1, '{ann,bob}', 'eve', $3, true, 'app', 'test', 0, 0)",
            stranger.channel_id,
            world.app_key,
            sent + 1,
        )
    assert (await world.cleans.apply({stranger: sent + 1}, now=NOON)).applied == 1
    assert await world.value("SELECT count(*) FROM conversations") == 2
    assert await world.history("bob", "ann") == [sent]


async def test_the_journal_keeps_who_what_and_when(world: World) -> None:
    """One row a request, the undo window fixed by the setting of that moment."""
    await world.set(undo_seconds=60)
    await world.send()
    await world.clean("bob", "ann")
    await world.set(undo_seconds=0)
    (row,) = await world.rows("SELECT * FROM clean_requests")
    assert (row["app_key"], row["channel_type"], row["channel_key"]) == (world.app_key, 1, ["ann", "bob"])
    assert (row["user_id"], row["state"], row["accepted_at"]) == ("bob", "accepted", NOON)
    assert row["undo_until"] == NOON + 60 * SECOND
    assert (row["delete_compensated"], row["delete_compensated_from"]) == (False, "app")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_marks_are_the_same_whatever_the_order_of_applying(
    world: World, order: tuple[int, ...]
) -> None:
    """Out of order, twice, and late, with another clean of the same pair in between."""
    sent = [await world.send(at=NOON + n * SECOND) for n in range(3)]
    accepted = [
        await world.clean("bob", "ann", sent_at=(at // MILLISECOND) + 1, flag=number == 1)
        for number, at in enumerate(sent)
    ]
    ids = [row["id"] for row in await world.rows("SELECT id FROM clean_requests ORDER BY cutoff")]
    for number in order:
        # one request at a time: the others wait as if they had not been accepted yet
        async with world.database.writing() as connection:
            hide = "UPDATE clean_requests SET state = 'settled' WHERE id <> $1 AND state = 'accepted' RETURNING id"
            hidden = [row["id"] for row in await connection.fetch(hide, ids[number])]
        assert (await world.apply(accepted[number])).applied == 1
        assert (await world.apply(accepted[number])).applied == 0
        async with world.database.writing() as connection:
            await connection.execute(
                "UPDATE clean_requests SET state = 'accepted' WHERE id = ANY ($1)", hidden
            )
    assert await _marks(world) == (accepted[2].cutoff, accepted[1].cutoff, 0, 0)


async def test_a_pair_with_several_requests_gets_the_highest_of_each_kind(world: World) -> None:
    """A lower cutoff with the flag beside a higher one without, in one round."""
    sent = [await world.send(at=NOON + n * SECOND) for n in range(2)]
    low = await world.clean("bob", "ann", sent_at=sent[1] // MILLISECOND, flag=True)
    high = await world.clean("bob", "ann", flag=False)
    assert (await world.apply(high)).applied == 2
    assert await _marks(world) == (high.cutoff, low.cutoff, 0, 0)
    assert await _states(world) == ["applied", "applied"]
    assert await _marks(world, "ann") == (0, 0, 0, 0)


async def test_a_forged_score_is_reported_and_changes_nothing(world: World) -> None:
    """Above every cutoff of its pair, or for a pair that never had one. An old score of a real clean is neither."""
    await world.send()
    accepted = await world.clean("bob", "ann")
    await world.apply(accepted)
    before = await _marks(world)
    await world.send()
    nobody = Pair(world.app_key, accepted.pair.channel_id, "ann")
    report = await world.cleans.apply({accepted.pair: accepted.cutoff + 1, nobody: 5}, now=NOON)
    assert (report.applied, sorted(report.forged)) == (0, sorted([accepted.pair, nobody]))
    assert await _marks(world) == before
    assert await _marks(world, "ann") == (0, 0, 0, 0)
    assert (await world.apply(accepted)).forged == []


async def test_a_real_clean_is_applied_beside_a_forged_score(world: World) -> None:
    """The journal decides, not the score."""
    await world.send()
    accepted = await world.clean("bob", "ann")
    report = await world.cleans.apply({accepted.pair: 1 << 52}, now=NOON)
    assert (report.applied, report.forged) == (1, [accepted.pair])
    assert (await _marks(world))[0] == accepted.cutoff


async def test_many_pairs_are_applied_in_several_transactions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member, everyone and strangers, whichever transaction they are in; nobody else's marks move."""
    monkeypatch.setattr(service, "MOST_PAIRS", 2)
    members = ["bob", "cid", "dan"]
    groups = [await world.make_group(*members, id_=f"g{number}") for number in range(3)]
    accepted = []
    for group in groups:
        await world.post(group, "ann")
        accepted += [await world.clean_in(group, user) for user in ("bob", "cid")]
    accepted.append(await world.clean_in(groups[1], EVERYONE))
    scores: dict[Pair, int | None] = {one.pair: one.cutoff for one in accepted}
    nobody = Pair(world.app_key, accepted[0].pair.channel_id, "zoe")
    report = await world.cleans.apply({**scores, nobody: NOON}, now=world.clock.now())
    assert (report.applied, report.forged) == (7, [nobody])
    assert await _states(world) == ["applied"] * 7
    rows = await world.rows(
        "SELECT channel_id, user_id, history_cutoff FROM conversations WHERE history_cutoff > 0"
    )
    raised = {(row["channel_id"], row["user_id"]): row["history_cutoff"] for row in rows}
    assert raised == {
        (one.pair.channel_id, one.pair.user_id): one.cutoff
        for one in accepted
        if one.pair.user_id != EVERYONE
    }
    [row] = await world.rows("SELECT id, history_cutoff FROM channels WHERE history_cutoff > 0")
    assert (row["id"], row["history_cutoff"]) == (accepted[-1].pair.channel_id, accepted[-1].cutoff)


async def test_everyone_of_a_group_weighs_as_many_as_its_members(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cleans of everyone are applied a few members at a time; one of many members alone."""
    monkeypatch.setattr(service, "MOST_MEMBERS", 4)
    large = await world.make_group("bob", "cid", "dan", "eve", id_="large")
    small = [await world.make_group("bob", id_=f"small{number}") for number in range(3)]
    accepted = [await world.clean_in(group, EVERYONE) for group in (large, *small)]
    accepted.append(await world.clean_in(large, "bob"))
    insert, sizes = store.insert_clean_marks, list[int]()

    async def noted(connection: Connection, rows: Sequence[Journalled], *, now: int) -> None:
        await insert(connection, rows, now=now)
        count = "SELECT count(*) FROM clean_marks WHERE request_id = ANY ($1)"
        sizes.append(await connection.fetchval(count, [row.id for row in rows]))

    monkeypatch.setattr(store, "insert_clean_marks", noted)
    assert (await world.apply(*accepted)).applied == 5
    assert sum(sizes) == 5 + 3 * 2 + 1
    assert max(sizes) == 5
    assert sum(size > 4 for size in sizes) == 1


async def test_forgotten_requests_are_found_when_they_are_old_enough(world: World) -> None:
    """What Redis usually takes first is left alone."""
    await world.send()
    accepted = await world.clean("bob", "ann")
    assert await world.cleans.forgotten(accepted_before=NOON - 1) == []
    assert await world.cleans.forgotten(accepted_before=NOON) == [accepted.pair]
    await world.apply(accepted)
    assert await world.cleans.forgotten(accepted_before=NOON) == []


async def test_requests_settle_when_their_undo_window_is_over(world: World) -> None:
    """Not an instant before, never before they are applied, and history first of all stays cleaned."""
    await world.set(undo_seconds=60)
    await world.send()
    accepted = await world.clean("bob", "ann", flag=True)
    end = NOON + 60 * SECOND
    assert await world.settle(now=end) == 0
    await world.apply(accepted)
    assert await world.settle(now=end - 1) == 0
    assert await _marks(world) == (accepted.cutoff, accepted.cutoff, 0, 0)
    assert await world.settle(now=end) == 1
    assert await _marks(world) == (accepted.cutoff,) * 4
    assert await world.settle(now=end) == 0
    assert await _states(world) == ["settled"]
    assert await world.value("SELECT next_reclaim_at FROM channels") == end


async def test_settling_takes_only_what_is_due(world: World) -> None:
    """A later request of the same pair with a longer window stays unsettled."""
    await world.set(undo_seconds=60)
    await world.send()
    first = await world.clean("bob", "ann")
    await world.send()
    await world.set(undo_seconds=3600)
    second = await world.clean("bob", "ann", flag=True)
    await world.apply(first, second)
    assert await world.settle(now=NOON + 61 * SECOND) == 1
    assert await _marks(world) == (second.cutoff, second.cutoff, first.cutoff, 0)
    assert await world.settle(now=NOON + DAY) == 1
    assert await _marks(world) == (second.cutoff,) * 4


async def test_everyones_clean_raises_the_marks_of_the_channel(world: World) -> None:
    """And no conversation's."""
    await world.set(undo_seconds=0)
    sent = await world.send()
    accepted = await world.clean("bob", "ann", everyone=True, flag=True)
    assert accepted.pair.user_id == EVERYONE
    await world.apply(accepted)
    await world.settle(now=NOON)
    sql = "SELECT history_cutoff, sync_cutoff, settled_history_cutoff, settled_sync_cutoff FROM channels"
    (row,) = await world.rows(sql)
    assert tuple(row) == (sent + 1,) * 4
    assert await _marks(world) == await _marks(world, "ann") == (0, 0, 0, 0)


async def test_a_clean_of_another_app_with_the_same_names_takes_nothing_here(world: World) -> None:
    """No query ever crosses apps: the channel's id already differs."""
    sent = await world.send(echo=True)
    new = await world.apps.create("other")
    key = world.channel("bob", "ann")
    draft_key = type(key)(new.app_key, key.type, key.key)
    assert (await world.channels.locate([draft_key])) == [None]
    assert await world.channels.locate([key]) == [await world.channel_id()]
    assert await world.history("bob", "ann") == [sent]
