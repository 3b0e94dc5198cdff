"""Imports: own times, the order of a channel, months, keys, and one batch beside others."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

import asyncpg
import pytest
from asyncpg.transaction import Transaction

from history.axis import DAY, MILLISECOND, SECOND
from history.database import Connection
from history.errors import DatabaseUnavailable, InvalidInput, NotFound, OutcomeUnknown, Overloaded
from history.messages import store as messages_store
from history.messages.model import Draft, Flags
from history.transfer import store
from history.transfer.model import EARLIEST, Outcome, Stand, check_time
from tests.factories import NOON, World
from tests.storage.test_races import append, held, somebody_waits
from tests.transfer import QUIET, Transfer, counted, said

OLD = NOON - 100 * DAY


@pytest.fixture
def transfer(world: World) -> Transfer:
    return Transfer(world)


async def positions(world: World) -> list[tuple[int, str]]:
    """What is on disk, in order."""
    rows = await world.rows("SELECT position, content FROM messages ORDER BY channel_id, position")
    return [(row["position"], row["content"]) for row in rows]


# times and order


async def test_a_message_stands_at_its_own_time_or_the_next_free_place_of_its_millisecond(
    world: World, transfer: Transfer
) -> None:
    lines = [transfer.line(OLD + at, str(at)) for at in (0, 0, 0, 5 * SECOND)]
    await transfer.loaded(*lines)
    assert await positions(world) == [
        (OLD, "0"),
        (OLD + 1, "0"),
        (OLD + 2, "0"),
        (OLD + 5 * SECOND, str(5 * SECOND)),
    ]
    assert await world.history("bob", "ann") == [OLD + 5 * SECOND, OLD + 2, OLD + 1, OLD]
    assert await world.value("SELECT last_position FROM channels") == OLD + 5 * SECOND


@pytest.mark.parametrize("same_batch", [True, False])
async def test_a_line_may_lie_a_millisecond_below_the_last_position_and_no_more(
    world: World, transfer: Transfer, *, same_batch: bool
) -> None:
    first, low, lower = (
        transfer.line(OLD),
        transfer.line(OLD - MILLISECOND),
        transfer.line(OLD - 2 * MILLISECOND),
    )
    if same_batch:
        outcome = await transfer.load(first, lower, low)
    else:
        await transfer.loaded(first)
        outcome = await transfer.load(lower, low)
    assert [at for at, _ in await positions(world)] == [OLD, OLD + 1]
    (sentence,) = said(outcome).values()
    assert str((OLD - 2 * MILLISECOND) // MILLISECOND) in sentence
    assert str(OLD) in sentence


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("size", [2_500, 700])
async def test_lines_of_one_time_find_the_next_free_positions_however_many_they_are(
    world: World, transfer: Transfer, size: int, *, keyed: bool
) -> None:
    """Also batch by batch, and in another stream that brings those of before again."""
    lines = [transfer.line(OLD, f"{n}", key=f"k{n}" if keyed else None) for n in range(2_500)]
    lines.append(transfer.line(OLD + MILLISECOND, "after"))
    for first in range(0, 2_000, size):
        await transfer.loaded(*lines[first : min(first + size, 2_000)])
    if keyed:
        assert counted(await transfer.load(*lines[1_000:2_200])) == (200, 1_000, 0)
        assert counted(await transfer.load(*lines)) == (301, 2_200, 0)
    else:
        await transfer.loaded(*lines[2_000:])
    assert await positions(world) == [
        *((OLD + n, f"{n}") for n in range(2_500)),
        (OLD + 2_500, "after"),
    ]
    assert await world.value("SELECT last_position FROM channels") == OLD + 2_500
    if keyed:
        assert await keys(world) == {f"k{n}": OLD + n for n in range(2_500)}


@pytest.mark.parametrize("same_batch", [True, False])
async def test_after_very_many_lines_of_one_time_one_that_is_too_late_is_refused(
    world: World, transfer: Transfer, *, same_batch: bool
) -> None:
    """Its position, or one after it, is free: there it belongs, and there something comes after it."""
    lines = [transfer.line(OLD) for _ in range(1_500)]
    late = transfer.line(OLD - MILLISECOND)
    more, later = transfer.line(OLD), transfer.line(OLD + 3 * MILLISECOND)
    tail = [late, more, later, late, more]
    if same_batch:
        outcomes = [await transfer.load(*lines, *tail)]
    else:
        outcomes = [await transfer.load(*part) for part in (lines, *([one] for one in tail))]
    assert [at for at, _ in await positions(world)] == [
        *range(OLD, OLD + 1_501),
        OLD + 3 * MILLISECOND,
    ]
    first, _, last = [str(error) for outcome in outcomes for _, error in outcome.refused]
    low, high = (OLD - MILLISECOND) // MILLISECOND, OLD // MILLISECOND
    assert f"sentAt {low} is below the channel's last position {OLD + 1_499} (of {high + 1})" in first
    assert (
        f"sentAt {high} is below the channel's last position {OLD + 3 * MILLISECOND} (of {high + 3})" in last
    )


async def test_lines_of_one_time_go_on_after_those_of_others_channel_by_channel(
    world: World, transfer: Transfer
) -> None:
    """One statement looks at all channels of a batch, and at each for itself."""
    others = [world.channel("ann", other) for other in ("cid", "dan", "eve")]
    await transfer.loaded(*(transfer.line(OLD, channel=key) for key in others for _ in range(1_200)))
    await world.post(others[1])
    outcome = await transfer.load(*(transfer.line(OLD, "more", channel=key) for key in others))
    assert counted(outcome) == (2, 0, 1)
    more = [at for at, content in await positions(world) if content == "more"]
    assert more == [OLD + 1_200, OLD + 1_200]


async def test_of_the_lines_of_a_batch_only_those_of_the_last_run_go_on_with_it(
    world: World, transfer: Transfer
) -> None:
    await transfer.loaded(transfer.line(OLD - DAY), *(transfer.line(OLD) for _ in range(1_500)))
    outcome = await transfer.load(transfer.line(OLD - DAY), transfer.line(OLD, "more"))
    assert counted(outcome) == (1, 0, 1)
    assert (await positions(world))[-1] == (OLD + 1_500, "more")
    # also beside lines with keys, for which nobody looks as long as they are in time
    await transfer.loaded(transfer.line(OLD), transfer.line(OLD + SECOND, key="k"))


async def test_a_channel_of_which_the_last_message_is_gone_takes_nothing_below_it(
    world: World, transfer: Transfer
) -> None:
    await transfer.loaded(*(transfer.line(OLD) for _ in range(1_500)))
    connection = await asyncpg.connect(world.url)
    await connection.execute("DELETE FROM messages WHERE position = $1", OLD + 1_499)
    await connection.close()
    assert counted(await transfer.load(transfer.line(OLD))) == (0, 0, 1)


@pytest.mark.parametrize("same_batch", [True, False])
async def test_no_position_runs_ahead_of_the_clock(
    world: World, transfer: Transfer, *, same_batch: bool
) -> None:
    """By more than the millisecond that it always may. What had no room has some a moment later."""
    lines = [transfer.line(NOON, f"{n}", key=f"k{n}") for n in range(2_500)]
    parts = [lines] if same_batch else [lines[n : n + 100] for n in range(0, 2_500, 100)]
    outcomes = [await transfer.load(*part) for part in parts]
    assert sum(outcome.imported for outcome in outcomes) == 1_002
    refused = [error for outcome in outcomes for error in said(outcome).values()]
    assert len(refused) == 1_498
    assert {"no free position up to now" in sentence for sentence in refused} == {True}
    assert await world.send() == NOON + 1_002
    world.clock.advance(2 * MILLISECOND)
    outcome = await transfer.load(*lines)
    assert counted(outcome) == (998, 1_002, 500)
    assert await world.value("SELECT last_position FROM channels") == NOON + 2_000
    world.clock.advance(MILLISECOND)
    assert counted(await transfer.load(*lines)) == (500, 2_000, 0)
    stored = await positions(world)
    assert len(stored) == len({at for at, _ in stored}) == 2_501


async def test_nothing_is_put_between_messages_that_were_sent(world: World, transfer: Transfer) -> None:
    sent = await world.send()
    outcome = await transfer.load(transfer.line(OLD), transfer.line(OLD, channel=world.channel("ann", "cid")))
    assert counted(outcome) == (1, 0, 1)
    assert await world.history("bob", "ann") == [sent]
    assert await world.send() == sent + 1


def test_times_that_cannot_be_are_refused_with_a_sentence() -> None:
    now = NOON // MILLISECOND
    check_time(now, now=now)
    check_time(EARLIEST, now=now)
    with pytest.raises(InvalidInput, match=rf"{now + 1} is after now \({now}\)"):
        check_time(now + 1, now=now)
    with pytest.raises(InvalidInput, match=r"97372800000 is before 3 March 1973 \(100000000000\)"):
        check_time(97_372_800_000, now=now)
    with pytest.raises(InvalidInput, match="not seconds"):
        check_time(now // 1000, now=now)


# months


async def test_old_months_are_made_as_they_are_needed(world: World, transfer: Transfer) -> None:
    years = [NOON - 400 * DAY * n for n in (9, 5, 1, 0)]
    await transfer.loaded(*(transfer.line(at) for at in years))
    names = await world.rows("SELECT tableoid::regclass::text AS name FROM messages ORDER BY position")
    assert [row["name"] for row in names] == [
        "messages_2016_05",
        "messages_2020_09",
        "messages_2025_02",
        "messages_2026_03",
    ]


async def test_a_month_that_was_dropped_is_made_again(world: World, transfer: Transfer) -> None:
    await transfer.loaded(transfer.line(OLD))
    name = await world.value("SELECT tableoid::regclass::text FROM messages")
    connection = await asyncpg.connect(world.url)
    await connection.execute(f"DROP TABLE {name}")
    await connection.close()
    await transfer.loaded(transfer.line(OLD + SECOND))
    assert await positions(world) == [(OLD + SECOND, "hello")]


async def test_the_last_millisecond_of_a_month_may_go_over_into_the_next(
    world: World, transfer: Transfer
) -> None:
    february = 1_769_904_000 * SECOND
    lines = [transfer.line(february - MILLISECOND) for _ in range(1001)]
    await transfer.loaded(*lines)
    last = await world.rows(
        "SELECT tableoid::regclass::text AS name, position FROM messages ORDER BY position DESC LIMIT 1"
    )
    assert tuple(last[0]) == ("messages_2026_02", february)


# keys


async def keys(world: World) -> dict[str, int]:
    """Key by key where its message stands."""
    rows = await world.rows("SELECT key, position FROM message_keys")
    return {row["key"]: row["position"] for row in rows}


async def test_the_same_file_again_brings_nothing(world: World, transfer: Transfer) -> None:
    """Though every line lies below the channel's last position by then."""
    lines = [transfer.line(OLD + n * SECOND, key=f"k{n}") for n in range(5)]
    await transfer.loaded(*lines)
    before = await positions(world)
    assert counted(await transfer.load(*lines)) == (0, 5, 0)
    more = [*lines, transfer.line(OLD + 9 * SECOND, "new", key="k9")]
    assert counted(await transfer.load(*more)) == (1, 5, 0)
    assert await positions(world) == [*before, (OLD + 9 * SECOND, "new")]
    assert await keys(world) == {f"k{n}": OLD + n * SECOND for n in (0, 1, 2, 3, 4, 9)}


async def test_a_key_twice_in_a_batch_is_one_message(world: World, transfer: Transfer) -> None:
    lines = [transfer.line(OLD, "first", key="k"), transfer.line(OLD + SECOND, "second", key="k")]
    assert counted(await transfer.load(*lines, transfer.line(OLD + SECOND, key="k", sender="bob"))) == (
        2,
        1,
        0,
    )
    assert [content for _, content in await positions(world)] == ["first", "hello"]


async def test_a_key_that_was_sent_with_is_known(world: World, transfer: Transfer) -> None:
    await world.post(world.channel(), client_key="k")
    outcome = await transfer.load(transfer.line(OLD, key="k"), transfer.line(OLD, key="other"))
    assert counted(outcome) == (0, 1, 1)
    assert await keys(world) == {"k": NOON}


async def test_a_key_that_is_taken_is_seen_though_its_line_is_in_time(
    world: World, transfer: Transfer
) -> None:
    """Nothing asks for keys before they are written: the conflict shows it."""
    await transfer.loaded(transfer.line(OLD, key="a"))
    lines = [transfer.line(OLD + n * SECOND, key=key) for n, key in enumerate("bac", start=1)]
    assert counted(await transfer.load(*lines)) == (2, 1, 0)
    assert await keys(world) == {"a": OLD, "b": OLD + SECOND, "c": OLD + 3 * SECOND}


async def test_a_line_that_fits_once_another_turns_out_to_be_there_is_stored_with_its_key(
    world: World, transfer: Transfer
) -> None:
    await transfer.loaded(transfer.line(OLD, key="a"))
    lines = [transfer.line(OLD + 100 * SECOND, key="a"), transfer.line(OLD + 50 * SECOND, key="b")]
    assert counted(await transfer.load(*lines)) == (1, 1, 0)
    assert await keys(world) == {"a": OLD, "b": OLD + 50 * SECOND}
    assert counted(await transfer.load(*lines)) == (0, 2, 0)


async def test_a_lapsed_key_is_as_none(world: World, transfer: Transfer) -> None:
    await transfer.loaded(transfer.line(OLD, key="a"))
    world.clock.advance(DAY)
    await transfer.loaded(transfer.line(OLD + SECOND, key="a"))
    assert await keys(world) == {"a": OLD + SECOND}
    assert counted(await transfer.load(transfer.line(OLD, key="a"))) == (0, 1, 0)


async def test_a_line_that_is_refused_leaves_nothing(world: World, transfer: Transfer) -> None:
    """Neither its key nor a channel, nor a conversation on anybody's list."""
    sent = await world.send("cid", "dan")
    before = await world.rows("SELECT * FROM channels")
    nowhere = transfer.line(OLD, channel=world.group("nope"), key="g")
    low = transfer.line(OLD, channel=world.channel("cid", "dan"), sender="cid", key="low")
    file = transfer.line(
        OLD, "media:[BQAAAAAAAAAAAAAAAAAAAAA]", channel=world.channel("eve", "fay"), key="file"
    )
    outcome = await transfer.load(nowhere, low, file)
    assert counted(outcome) == (0, 0, 3)
    assert isinstance(outcome.refused[0][1], NotFound | InvalidInput)
    assert await keys(world) == {}
    assert await world.rows("SELECT * FROM channels") == before
    assert [at for at, _ in await positions(world)] == [sent]


async def test_a_line_exported_from_its_own_channel_is_there_already(
    world: World, transfer: Transfer
) -> None:
    for _ in range(3):
        await world.send()
    (await world.send("cid", "dan"))
    lines = await transfer.exported(channel=world.channel())
    own = [transfer.line(one.message.position, key=one.message.id) for one in lines]
    assert counted(await transfer.load(*own)) == (0, 3, 0)
    other = [transfer.line(NOON, key=lines[0].message.id, channel=world.channel("cid", "dan"), sender="cid")]
    assert counted(await transfer.load(*other)) == (1, 0, 0)


# beside others


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, world: World, *, client_key: str | None, at: int | None = None
) -> list[int]:
    """A message is sent between the look at a channel and its lock, once, at that instant; its position."""
    asked, sent = store.list_stands, list[int]()

    async def look(connection: Connection, *args: Any, **kwargs: Any) -> dict[int, Stand]:
        found = await asked(connection, *args, **kwargs)
        if not sent:
            sent.append(await world.post(world.channel(), client_key=client_key, at=at))
        return found

    monkeypatch.setattr(store, "list_stands", look)
    return sent


async def test_a_send_between_the_look_and_the_lock_keeps_its_place(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that fits comes after it, the one that does not is refused, and the keys say where the messages stand."""
    await transfer.loaded(transfer.line(OLD))
    sent = meanwhile(monkeypatch, world, client_key=None)
    outcome = await transfer.load(
        transfer.line(OLD + SECOND, key="low"), transfer.line(NOON, "fits", key="fits")
    )
    assert counted(outcome) == (1, 0, 1)
    assert [at for at, _ in await positions(world)] == [OLD, sent[0], sent[0] + 1]
    assert await keys(world) == {"fits": sent[0] + 1}


@pytest.mark.parametrize("between", [True, False])
async def test_a_send_between_the_look_and_the_lock_goes_on_with_a_run_or_ends_it(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch, *, between: bool
) -> None:
    await transfer.loaded(*(transfer.line(OLD) for _ in range(1_500)))
    sent = meanwhile(monkeypatch, world, client_key=None, at=NOON if between else OLD)
    outcome = await transfer.load(transfer.line(OLD, "more", key="k"))
    if between:
        assert counted(outcome) == (0, 0, 1)
        assert f"below the channel's last position {NOON} " in said(outcome).popitem()[1]
        assert await keys(world) == {}
    else:
        assert (counted(outcome), sent) == ((1, 0, 0), [OLD + 1_500])
        assert await keys(world) == {"k": OLD + 1_501}
    assert len(await positions(world)) == 1_502 - between


async def test_a_key_that_a_send_takes_meanwhile_is_already_there(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await transfer.loaded(transfer.line(OLD))
    sent = meanwhile(monkeypatch, world, client_key="k")
    outcome = await transfer.load(transfer.line(NOON, key="k"), transfer.line(NOON, key="mine"))
    assert counted(outcome) == (1, 1, 0)
    assert await keys(world) == {"k": sent[0], "mine": sent[0] + 1}


async def test_imports_and_sends_to_the_same_channels_are_all_stored_in_one_order(
    world: World, transfer: Transfer
) -> None:
    others = [f"user{n}" for n in range(5)]
    lines = [
        [transfer.line(NOON, f"in {n}", channel=world.channel("ann", other), key=f"k{n}") for other in others]
        for n in range(20)
    ]
    sends = [world.send("ann", other, content=f"out {n}") for n in range(20) for other in others]
    _, outcomes = await asyncio.gather(
        asyncio.gather(*sends), asyncio.gather(*(transfer.load(*part) for part in lines))
    )
    assert sum(outcome.imported for outcome in outcomes) == 100
    rows = await world.rows("SELECT channel_id, position, content FROM messages")
    assert len({(row["channel_id"], row["position"]) for row in rows}) == 200
    for other in others:
        [id_] = await world.channels.locate([world.channel("ann", other)])
        there = sorted(row["position"] for row in rows if row["channel_id"] == id_)
        assert there == list(range(NOON, NOON + 40))
        assert await world.value("SELECT last_position FROM channels WHERE id = $1", id_) == there[-1]


async def test_an_import_and_a_send_of_one_key_do_not_wait_for_each_other(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that writes to both systems while it moves: the import waits for the key, and holds nothing then."""
    await transfer.loaded(transfer.line(OLD))
    write, tries = transfer.imports._write, list[object]()

    async def trying(*args: Any) -> Outcome:
        tries.append(args)
        return await write(*args)

    monkeypatch.setattr(transfer.imports, "_write", trying)
    channel_id = await world.channel_id()
    async with held(world) as send:
        key = {(channel_id, "ann", "k"): world.clock.now() + DAY}
        await messages_store.claim_keys(send, key, now=world.clock.now())  # type: ignore[arg-type]
        task = asyncio.create_task(transfer.load(transfer.line(NOON, key="k"), transfer.line(NOON)))
        await somebody_waits(world)
        sent = await append(send, world)
        await messages_store.update_key_positions(send, dict.fromkeys(key, sent))  # type: ignore[arg-type]
    assert counted(await task) == (1, 1, 0)
    assert len(tries) == 1
    assert [at for at, _ in await positions(world)] == [OLD, sent, sent + 1]


async def test_two_processes_with_one_file_store_each_line_once(world: World, transfer: Transfer) -> None:
    async with world.twin() as twin:
        second = Transfer(twin)
        lines = [transfer.line(OLD + n * SECOND, key=f"k{n}") for n in range(60)]
        parts = [lines[n : n + 10] for n in range(0, 60, 10)]

        async def all_of(one: Transfer) -> int:
            return sum([(await one.load(*part)).imported for part in parts])

        assert sum(await asyncio.gather(all_of(transfer), all_of(second))) == 60
    assert len(await positions(world)) == 60


async def test_what_the_database_refuses_fails_alone(world: World, transfer: Transfer) -> None:
    """For a reason that nobody foresaw: the line is found, its neighbours are stored in their order."""
    lines = [transfer.line(OLD + n * SECOND, "nul\x00" if n == 3 else str(n)) for n in range(7)]
    outcome = await transfer.load(*lines)
    assert (outcome.imported, [number for number, _ in outcome.refused]) == (6, [4])
    assert [content for _, content in await positions(world)] == ["0", "1", "2", "4", "5", "6"]


def commit_breaks(patch: pytest.MonkeyPatch, *, after: bool) -> None:
    """The connection breaks while it commits, once: after the server did so, or before."""
    commit, left = Transaction.commit, [1]

    async def broken(self: Transaction) -> None:
        # a savepoint is no commit
        if left[0] and not getattr(self, "_nested", False):
            left[0] -= 1
            await (commit(self) if after else self.rollback())
            raise ConnectionResetError
        await commit(self)

    patch.setattr(Transaction, "commit", broken)


@pytest.mark.parametrize("after", [True, False])
async def test_after_a_lost_commit_the_database_is_asked(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    await transfer.loaded(transfer.line(OLD, key="a"))
    commit_breaks(monkeypatch, after=after)
    line = transfer.line(OLD + SECOND, key="b")
    if after:
        assert counted(await transfer.load(line)) == (1, 0, 0)
    else:
        with pytest.raises(DatabaseUnavailable):
            await transfer.load(line)
    assert len(await positions(world)) == 1 + after
    assert counted(await transfer.load(line)) == (0, 1, 0) if after else (1, 0, 0)


async def test_what_nobody_can_say_is_unknown(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await transfer.loaded(transfer.line(OLD))
    commit_breaks(monkeypatch, after=True)

    async def silent(self: object, transaction_id: str) -> None:
        del self, transaction_id

    monkeypatch.setattr(type(world.database), "committed", silent)
    with pytest.raises(OutcomeUnknown):
        await transfer.load(transfer.line(OLD + SECOND))


async def test_a_channel_that_vanished_is_an_error_once(world: World, transfer: Transfer) -> None:
    await transfer.loaded(transfer.line(OLD))
    connection = await asyncpg.connect(world.url)
    await connection.execute("DELETE FROM messages; DELETE FROM conversations; DELETE FROM channels")
    await connection.close()
    with pytest.raises(DatabaseUnavailable):
        await transfer.load(transfer.line(OLD))
    await transfer.loaded(transfer.line(OLD))


async def test_streams_are_bounded(transfer: Transfer) -> None:
    """Of imports and of exports."""
    for room, kind in ((transfer.imports.room, "imports"), (transfer.exports.room, "exports")):
        with ExitStack() as under_way:
            for _ in range(15):
                under_way.enter_context(room.taken())
            with room.taken(), pytest.raises(Overloaded, match=kind), room.taken():
                pass
            with room.taken():
                assert room.streams == 16
        assert room.streams == 0


# channels that are made by a call, and that end


async def test_a_channel_that_is_not_there_or_has_ended_takes_no_line(
    world: World, transfer: Transfer
) -> None:
    """What came before its end is there already; the others of the batch are stored."""
    group, hall = await world.make_group("bob"), await world.make_open(ttl=60, from_last_message=False)
    await transfer.loaded(*(transfer.line(OLD, channel=key, key="old") for key in (group, hall)))
    await world.membership.dismiss(group)
    world.clock.advance(3601 * SECOND)
    lines = [
        transfer.line(OLD, channel=group, key="old"),
        transfer.line(OLD, channel=hall, key="old"),
        transfer.line(NOON, channel=group, key="new"),
        transfer.line(NOON, channel=hall),
        transfer.line(NOON, channel=world.group("nope")),
        transfer.line(NOON),
    ]
    outcome = await transfer.load(*lines)
    assert counted(outcome) == (1, 2, 3)
    assert set(said(outcome).values()) == {
        "There is no group 'g'; create it first.",
        "There is no open channel 'o'; create it first.",
        "There is no group 'nope'; create it first.",
    }
    assert (await keys(world)).keys() == {"old"}


async def test_two_names_of_a_direct_channel_are_one_channel(world: World, transfer: Transfer) -> None:
    lines = [
        transfer.line(OLD, channel=world.channel("ann", "bob")),
        transfer.line(OLD, channel=world.channel("bob", "ann"), sender="bob"),
        transfer.line(OLD + SECOND, channel=world.channel("ann", "bob")),
    ]
    await transfer.loaded(*lines)
    assert [at for at, _ in await positions(world)] == [OLD, OLD + 1, OLD + SECOND]


TARGETS = [
    [None, None],
    [("bob",), None],
    [None, ("bob",)],
    [("bob",), ("cid",)],
    [None, ("bob",), ("cid", "bob")],
    [("bob",), None, ("cid",), None],
]


@pytest.mark.parametrize("targets", TARGETS, ids=str)
@pytest.mark.parametrize("before", [None, ("cid",)], ids=str)
async def test_lists_are_told_what_a_send_tells_them(
    world: World, transfer: Transfer, targets: list[tuple[str, ...] | None], before: tuple[str, ...] | None
) -> None:
    """The same messages sent to one group and imported into another leave the same marks."""
    sent, loaded = [await world.make_group("bob", "cid", id_=id_) for id_ in "sl"]
    for key in (sent, loaded):
        await world.post(key, to=before, at=NOON)
    drafts = [transfer.line(NOON, channel=loaded, to=to) for to in targets]
    await transfer.loaded(*drafts)
    parts: dict[str, Any] = {"channels": (sent,), "sender": "ann", "type": "t", "content": "c"}
    await world.messages.appends.append(
        [Draft(**parts, flags=Flags.PERSISTED, recipients=to) for to in targets]
    )
    sql = """SELECT ch.last_position, ch.common_position, array_agg(c.targeted_position ORDER BY c.user_id) FROM channels ch
        JOIN conversations c ON c.channel_id = ch.id WHERE ch.key[1] = $1 GROUP BY ch.id"""
    assert [tuple(row) for row in await world.rows(sql, "l")] == [
        tuple(row) for row in await world.rows(sql, "s")
    ]


async def test_who_wrote_in_a_group_is_noted_day_by_day(world: World, transfer: Transfer) -> None:
    group = await world.make_group("bob")
    await transfer.loaded(*(transfer.line(OLD + n * DAY, channel=group, sender="eve") for n in range(3)))
    await transfer.loaded(transfer.line(OLD + 5 * DAY, channel=group, sender="eve"))
    rows = await world.rows("SELECT user_id, position FROM senders")
    assert [tuple(row) for row in rows] == [("eve", OLD + 5 * DAY)]


async def test_imported_messages_are_counted_as_what_came_in(world: World, transfer: Transfer) -> None:
    await transfer.load(transfer.line(OLD), transfer.line(OLD), transfer.line(OLD - DAY))
    assert world.messages.appended[world.app_key] == 2


# files


async def test_a_reference_is_written_or_its_line_refused(world: World, transfer: Transfer) -> None:
    file = await world.upload()
    there, gone = f"media:[{file.public_id}]", "media:[BQAAAAAAAAAAAAAAAAAAAAA]"
    outcome = await transfer.load(
        transfer.line(OLD, gone), transfer.line(OLD, there), transfer.line(OLD, f"media:[x] {there}")
    )
    assert counted(outcome) == (2, 0, 1)
    assert "not there" in said(outcome)[1]
    rows = await world.rows("SELECT position, flags FROM media_refs ORDER BY position")
    assert [tuple(row) for row in rows] == [(OLD, QUIET), (OLD + 1, QUIET)]


async def test_a_file_that_goes_while_its_line_is_stored_refuses_the_line(
    world: World, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await world.upload()
    look, looks = transfer.imports._unknown_files, list[int]()

    async def then_gone(*args: Any) -> dict[int, Exception] | None:
        found = await look(*args)
        if not looks:
            connection = await asyncpg.connect(world.url)
            await connection.execute("UPDATE media SET state = 'deleting'")
            await connection.close()
        looks.append(len(found or ()))
        return found

    monkeypatch.setattr(transfer.imports, "_unknown_files", then_gone)
    outcome = await transfer.load(
        transfer.line(OLD, f"media:[{file.public_id}]"), transfer.line(OLD, "other")
    )
    assert counted(outcome) == (1, 0, 1)
    assert looks == [0, 1]
    assert [content for _, content in await positions(world)] == ["other"]
