"""A database that is held up while others keep coming: what waits is bounded, nothing is lost or done twice, and an item that
the database refuses fails alone. For each of the three that commit in groups."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from history import database
from history.batches import Batches
from history.cursors import message_id
from history.delivery import service as delivery_service
from history.delivery.model import Reader
from history.errors import DatabaseUnavailable, Overloaded
from history.messages import service as messages_service
from history.retention import service as retention_service
from tests.factories import World, clean_draft
from tests.storage.test_races import somebody_waits

MANY, ROOM = 3_000, 400


class Flood(ABC):
    """Many calls of one kind, all of which need one row."""

    lock: str
    """Takes that row."""
    room: int
    """Of what waits, as its batches weigh it."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    @abstractmethod
    def batches(self) -> Batches[object, object]:
        """Where the calls wait."""

    @abstractmethod
    async def call(self, name: str) -> object:
        """One call that says its name; with a NUL in it Postgres refuses it."""

    @abstractmethod
    async def done(self) -> Sequence[str]:
        """The names that are in the database, as often as they are there."""


class Sends(Flood):
    """Messages of one channel; each weighs its content and 200 bytes."""

    lock = "SELECT FROM channels FOR UPDATE"
    room = ROOM * 205

    @property
    def batches(self) -> Batches[object, object]:
        """As the service has them."""
        return self.world.messages._batches  # type: ignore[return-value]

    async def call(self, name: str) -> object:
        """A message of five characters."""
        return await self.world.send(content=f"{name:>5}")

    async def done(self) -> list[str]:
        """Their contents."""
        return [row["content"].strip() for row in await self.world.rows("SELECT content FROM messages")]


class Acknowledgements(Flood):
    """Of as many devices of one user."""

    lock = "SELECT FROM conversations FOR UPDATE"
    room = ROOM

    @property
    def batches(self) -> Batches[object, object]:
        """As the service has them."""
        return self.world.delivery._receipts  # type: ignore[return-value]

    async def call(self, name: str) -> object:
        """The first message is there."""
        text = message_id(await self.world.channel_id(), (await self.world.stored())[0])
        reader = Reader(app_key=self.world.app_key, user_id="bob", device_id=name)
        self.world.delivery._seen[reader] = self.world.clock.now()
        await self.world.delivery.acknowledge(reader, [(self.world.channel(), text)])
        return None

    async def done(self) -> list[str]:
        """The devices with a mark."""
        return [row["device_id"] for row in await self.world.rows("SELECT device_id FROM device_marks")]


class Cleans(Flood):
    """Of one user, each with its reason."""

    lock = "SELECT FROM apps FOR UPDATE"
    room = ROOM

    @property
    def batches(self) -> Batches[object, object]:
        """As the service has them."""
        return self.world.cleans._batches  # type: ignore[return-value]

    async def call(self, name: str) -> object:
        """The name is the source."""
        return await self.world.cleans.accept(replace(clean_draft(self.world.channel(), "bob"), source=name))

    async def done(self) -> list[str]:
        """The journal."""
        return [row["source"] for row in await self.world.rows("SELECT source FROM clean_requests")]


FLOODS = pytest.mark.parametrize("kind", [Sends, Acknowledgements, Cleans])


@asynccontextmanager
async def _flood(
    world: World, kind: type[Flood], patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Flood, asyncpg.Connection]]:
    """A process with little room, a first message, and a connection to hold the row with."""
    patch.setattr(messages_service, "_MOST_WAITING_BYTES", Sends.room)
    patch.setattr(delivery_service, "_MOST_WAITING_RECEIPTS", ROOM)
    patch.setattr(retention_service, "_MOST_WAITING", ROOM)
    async with AsyncExitStack() as opened:
        twin = await opened.enter_async_context(world.twin())
        await twin.send(content="first")
        connection = await asyncpg.connect(world.url)
        opened.push_async_callback(connection.close)
        yield kind(twin), connection


async def _until(flood: Flood, most: int) -> None:
    for _ in range(2_000):
        if len(flood.batches._waiting) >= most:
            return
        await flood.world.value("SELECT 1")
    raise AssertionError("they do not come")


@FLOODS
async def test_beyond_its_room_everybody_is_refused_at_once_and_the_others_are_done_once(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: type[Flood]
) -> None:
    """Thousands come while the row is held."""
    async with _flood(world, kind, monkeypatch) as (flood, connection):
        async with connection.transaction():
            await connection.execute(kind.lock)
            tasks = [asyncio.create_task(flood.call("0"))]
            await somebody_waits(world)
            tasks += [asyncio.create_task(flood.call(str(number))) for number in range(1, MANY)]
            await _until(flood, ROOM)
            refused = MANY - 1 - ROOM
            while sum(task.done() for task in tasks) < refused:
                await flood.world.value("SELECT 1")
            assert flood.batches._waiting_weight == kind.room
        answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=30)
        assert {type(answer) for answer in answers if isinstance(answer, BaseException)} == {Overloaded}
        done = [str(number) for number, one in enumerate(answers) if not isinstance(one, Overloaded)]
        assert len(done) == 1 + ROOM
        assert sorted(set(await flood.done()) - {"first"}) == sorted(done)
        assert len(await flood.done()) == len(done) + (kind is Sends)
        assert flood.batches._waiting_weight == 0
        await flood.call("after")
        assert "after" in await flood.done()


@FLOODS
async def test_an_item_that_the_database_refuses_fails_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: type[Flood]
) -> None:
    """It travels between others, in one batch."""
    async with _flood(world, kind, monkeypatch) as (flood, connection):
        async with connection.transaction():
            await connection.execute(kind.lock)
            tasks = [asyncio.create_task(flood.call("0"))]
            await somebody_waits(world)
            tasks += [asyncio.create_task(flood.call(name)) for name in ("1", "2\x00", "3", "4")]
            await _until(flood, 4)
        answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=30)
        assert [isinstance(answer, Exception) for answer in answers] == [False, False, True, False, False]
        assert isinstance(answers[2], asyncpg.CharacterNotInRepertoireError)
        assert sorted(set(await flood.done()) - {"first"}) == ["0", "1", "3", "4"]
        assert len(await flood.done()) == 4 + (kind is Sends)


@FLOODS
async def test_a_lock_that_is_not_given_back_ends_the_wait(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: type[Flood]
) -> None:
    """Those in flight are told to come again, and nothing of theirs is there."""
    monkeypatch.setattr(database, "LOCK_TIMEOUT", "50ms")
    async with _flood(world, kind, monkeypatch) as (flood, connection):
        async with connection.transaction():
            await connection.execute(kind.lock)
            with pytest.raises(DatabaseUnavailable):
                await flood.call("0")
        assert set(await flood.done()) <= {"first"}
        await flood.call("0")
        assert set(await flood.done()) - {"first"} == {"0"}
