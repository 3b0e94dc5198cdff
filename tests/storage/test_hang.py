"""A database that hangs with its connections open: nobody waits for ever, and once it goes on so does everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from history import database
from history.errors import DatabaseUnavailable, OutcomeUnknown
from tests.clock import FixedClock
from tests.factories import NOON, World, open_world

SECONDS = 0.3
"""In place of the minute that a statement may take."""


class Wire:
    """Stands between a process and its database, and can hold back what they say."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self.flows, self.answers = asyncio.Event(), asyncio.Event()
        self.flows.set()
        self.answers.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder = parse_qs(self._parts.query).get("host")
        if folder:
            return await asyncio.open_unix_connection(f"{unquote(folder[0])}/.s.PGSQL.5432")
        return await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, open_: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self.flows.wait()
                await open_.wait()
                sink.write(data)
                await sink.drain()
        sink.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await self._connect()
        for one in (self._pass_on(reader, here, self.flows), self._pass_on(there, writer, self.answers)):
            task = asyncio.create_task(one)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def url(self) -> AsyncIterator[str]:
        """Where a process finds the database by way of it."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        user = f"{self._parts.username}@" if self._parts.username else ""
        try:
            yield f"postgresql://{user}127.0.0.1:{port}{self._parts.path}?sslmode=disable"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def _behind(url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[tuple[World, Wire]]:
    patch.setattr(database, "_COMMAND_SECONDS", SECONDS)
    patch.setattr(database, "_ASK_SECONDS", SECONDS)
    patch.setattr(database, "_ASK_AGAIN_AFTER", (0.0,))
    wire = Wire(url)
    async with wire.url() as by_wire, open_world(by_wire, clock=FixedClock(NOON)) as world:
        yield world, wire


async def test_sends_reads_and_cleans_are_answered_while_it_hangs_and_after(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is refused; those in flight and those that come later. Then it goes on, and what was refused is not there."""
    async with _behind(database_url, monkeypatch) as (world, wire):
        await world.send(content="before")
        async with world.database.writing(), world.database.writing(), world.database.reading():
            # connections are there: opening one may take ten seconds
            await world.value("SELECT 1")
        wire.flows.clear()
        calls = [
            *(world.send(content=str(number)) for number in range(50)),
            *(world.clean("bob", "ann") for _ in range(50)),
            world.history("bob", "ann"),
        ]
        answers = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), timeout=5)
        assert {type(answer) for answer in answers} <= {DatabaseUnavailable, OutcomeUnknown}
        wire.flows.set()
        await world.send(content="after")
        contents = [
            row["content"] for row in await world.rows("SELECT content FROM messages ORDER BY position")
        ]
        assert contents == ["before", "after"]
        assert await world.value("SELECT count(*) FROM clean_requests") == 0
        await world.clean("bob", "ann")
        assert await world.history("bob", "ann") == []


async def test_a_commit_whose_answer_does_not_come_is_asked_about(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was committed, and a later question says so: the sender has his message, once."""
    async with _behind(database_url, monkeypatch) as (world, wire):
        await world.send(content="before")
        commit = database._commit

        async def held(transaction: object) -> None:
            wire.answers.clear()
            try:
                await commit(transaction)  # type: ignore[arg-type]
            finally:
                wire.answers.set()

        with monkeypatch.context() as patch:
            patch.setattr(database, "_commit", held)
            sent = await asyncio.wait_for(world.send(content="held"), timeout=20)
        assert (await world.stored())[-1] == sent
        assert len(await world.stored()) == 2
