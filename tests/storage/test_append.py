"""Messages go in: group commit, positions, months, colliding ids, lost commits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest
from asyncpg.transaction import Transaction

from history import database
from history.axis import DAY, SECOND
from history.channels.model import ChannelKey, derived_id
from history.channels.service import Channels
from history.cursors import read_message_id
from history.database import open_database
from history.errors import ClockJumped, DatabaseUnavailable, OutcomeUnknown
from history.messages.model import Draft, Flags
from history.messages.service import Messages
from tests.clock import FixedClock
from tests.factories import NOON, World


async def test_concurrent_sends_share_a_commit(world: World) -> None:
    """Fifty sends at once are at most two commits, and each is answered with its own message."""
    await world.send()
    ids = await asyncio.gather(
        *(world.messages.send(world.draft("ann", "bob", content=str(n))) for n in range(50))
    )
    rows = await world.rows(
        "SELECT position, content, xmin::text AS transaction FROM messages WHERE content <> 'hello'"
    )
    contents = {row["position"]: row["content"] for row in rows}
    assert [contents[read_message_id(id_)[1]] for (id_,) in ids] == [str(n) for n in range(50)]
    assert len({row["transaction"] for row in rows}) <= 2


async def test_positions_are_unique_and_in_the_order_of_sends(world: World) -> None:
    """On a clock that stands still, each is one above the last."""
    sends = (world.send("ann", "bob", content=str(n)) for n in range(20))
    assert list(await asyncio.gather(*sends)) == list(range(NOON, NOON + 20))


async def test_positions_increase_when_the_clock_is_behind(world: World) -> None:
    """`max(last_position + 1, now)`: a clock set back never gives a position again."""
    first = await world.send(at=NOON + 10)
    assert await world.send(at=NOON - 5 * SECOND) == first + 1
    assert await world.send(at=NOON + DAY) == NOON + DAY


async def test_one_draft_reaches_all_its_channels_in_one_commit(world: World) -> None:
    """All or none; the answer has an id for each channel, in their order."""
    ids = await world.messages.send(world.draft("ann", "bob", "cid", "dan"))
    wanted = [await world.channel_id("ann", other) for other in ("bob", "cid", "dan")]
    assert [read_message_id(id_)[0] for id_ in ids] == wanted
    assert await world.value("SELECT count(DISTINCT xmin::text) FROM messages") == 1


async def test_one_bad_message_does_not_fail_its_neighbours(world: World) -> None:
    """A text that Postgres refuses fails alone."""
    drafts = [world.draft("ann", "bob", content=text) for text in ("one", "nul\x00", "two")]
    answers = await asyncio.gather(*(world.messages.send(draft) for draft in drafts), return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert [row["content"] for row in await world.rows("SELECT content FROM messages ORDER BY position")] == [
        "one",
        "two",
    ]


async def test_a_channel_and_its_conversations_appear_with_the_first_message(world: World) -> None:
    """Both users take part from the start, whoever wrote first."""
    await world.send("bob", "ann")
    rows = await world.rows(
        "SELECT user_id, join_position, left_position FROM conversations ORDER BY user_id"
    )
    assert [tuple(row) for row in rows] == [("ann", 0, None), ("bob", 0, None)]


async def test_a_missing_month_is_made_on_demand(world: World) -> None:
    """A month's end never stops a send, however long nobody made months."""
    far = NOON + 400 * DAY
    assert await world.send(at=far) == far
    assert await world.value("SELECT tableoid::regclass::text FROM messages") == "messages_2027_04"


async def test_messages_of_two_months_travel_in_one_order(world: World) -> None:
    """The last microsecond of a month and the first of the next lie in two partitions."""
    april = 1_775_001_600 * SECOND
    assert [await world.send(at=april - 1), await world.send(at=april - 1)] == [april - 1, april]
    assert await world.history("bob", "ann") == [april, april - 1]
    names = await world.rows("SELECT tableoid::regclass::text AS name FROM messages ORDER BY position")
    assert [row["name"] for row in names] == ["messages_2026_03", "messages_2026_04"]


def _colliding(*keys: ChannelKey) -> Callable[[ChannelKey, int], int]:
    """These keys want one id at the first attempt."""
    return lambda key, attempt: 7 if key in keys and attempt == 0 else derived_id(key, attempt)


async def test_keys_that_want_one_id_get_channels_of_their_own(world: World) -> None:
    """In one batch, in later batches, and in a process that remembers nothing."""
    keys = [world.channel("ann", other) for other in ("bob", "cid", "dan")]
    channels = Channels(world.database, derive=_colliding(*keys))
    messages = Messages(world.database, channels, world.clock)
    await asyncio.gather(*(messages.send(_draft(key)) for key in keys[:2]))
    await messages.send(_draft(keys[2]))
    anew = Channels(world.database, derive=_colliding(*keys))
    found = await anew.locate(keys)
    assert found == await channels.locate(keys)
    assert len(set(found)) == 3
    assert 7 in found
    rows = await world.rows(
        "SELECT ch.key[2] AS other, m.content FROM messages m JOIN channels ch ON ch.id = m.channel_id"
    )
    assert sorted(tuple(row) for row in rows) == [("bob", "bob"), ("cid", "cid"), ("dan", "dan")]


def _draft(key: ChannelKey) -> Draft:
    return Draft(channels=(key,), sender="ann", type="text", content=key.key[1], flags=Flags.PERSISTED)


async def test_writers_with_overlapping_batches_do_not_deadlock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three processes, thirty channels, drafts to eight of them in any order: nobody needs a second try."""
    monkeypatch.setattr(database, "DEADLOCK_TRIES", 1)
    users = [f"user{n}" for n in range(30)]
    dice = random.Random(2)
    async with AsyncExitStack() as stack:
        writers = []
        for _ in range(3):
            own = await stack.enter_async_context(open_database(world.url, readers=1, writers=2))
            # two drafts a batch: a hundred and fifty commits, three at a time
            writers.append(Messages(own, Channels(own), FixedClock(NOON), most_batch_bytes=5_000))
        await asyncio.gather(
            *(
                writer.send(world.draft("ann", *dice.sample(users, 8), content="x" * 100))
                for _ in range(100)
                for writer in writers
            )
        )
    assert await world.value("SELECT count(*) FROM messages") == 3 * 100 * 8
    assert await world.value("SELECT count(DISTINCT (channel_id, position)) FROM messages") == 3 * 100 * 8


def _commit_breaks(patch: pytest.MonkeyPatch, *, after: bool, times: int = 1) -> None:
    """The connection breaks while it commits: after the server did so, or before."""
    commit, left = Transaction.commit, [times]

    async def broken(self: Transaction) -> None:
        if left[0]:
            left[0] -= 1
            if after:
                await commit(self)
            else:
                await self.rollback()
            raise ConnectionResetError
        await commit(self)

    patch.setattr(Transaction, "commit", broken)


async def test_a_commit_whose_answer_was_lost_is_answered_once_and_stored_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked for the transaction's fate; nothing is sent again."""
    await world.send()
    _commit_breaks(monkeypatch, after=True)
    position = await world.send(content="once")
    rows = await world.rows("SELECT position FROM messages WHERE content = 'once'")
    assert [row["position"] for row in rows] == [position]


async def test_a_commit_that_did_not_happen_is_an_error_and_stores_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told that nothing was changed; his second try is stored once."""
    await world.send()
    _commit_breaks(monkeypatch, after=False)
    with pytest.raises(DatabaseUnavailable):
        await world.send(content="lost")
    assert await world.value("SELECT count(*) FROM messages WHERE content = 'lost'") == 0
    await world.send(content="lost")
    assert await world.value("SELECT count(*) FROM messages WHERE content = 'lost'") == 1


async def test_a_commit_that_nobody_can_ask_about_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither stored nor refused: the caller must ask."""
    await world.send()
    _commit_breaks(monkeypatch, after=True)

    async def silent(self: object, transaction_id: str) -> None:
        del self, transaction_id

    monkeypatch.setattr(type(world.database), "committed", silent)
    with pytest.raises(OutcomeUnknown):
        await world.send(content="where?")


async def test_a_jump_of_the_clock_refuses_the_batch_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was reserved with the wrong time is rolled back; with the corrected clock it is stored."""
    answers = [False, True, False, False]
    monkeypatch.setattr(FixedClock, "observe", lambda *_: answers.pop(0))
    await world.send()
    with pytest.raises(ClockJumped):
        await world.send()
    assert await world.stored() == [NOON]


async def test_a_failed_first_message_is_not_remembered_as_a_channel(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a rolled back transaction made is not there; the next send makes it."""
    with monkeypatch.context() as patch:
        _commit_breaks(patch, after=False)
        with pytest.raises(DatabaseUnavailable):
            await world.send()
    assert await world.channels.locate([world.channel()]) == [None]
    assert await world.send() == NOON


async def test_a_channel_that_vanished_is_an_error_once(world: World) -> None:
    """The database was restored to an earlier time under a running process."""
    await world.send()
    connection = await asyncpg.connect(world.url)
    try:
        await connection.execute("DELETE FROM messages; DELETE FROM conversations; DELETE FROM channels")
    finally:
        await connection.close()
    with pytest.raises(DatabaseUnavailable):
        await world.send()
    assert await world.send() == NOON
