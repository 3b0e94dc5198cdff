"""What all examples of a property test share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from arq.connections import ArqRedis

from history.database import Database, open_database
from server.queue import open_redis

_EMPTY = (
    "DELETE FROM media_refs; DELETE FROM media;"
    " DELETE FROM clean_marks; DELETE FROM job_steps; DELETE FROM jobs; DELETE FROM senders;"
    " DELETE FROM hidden_messages; DELETE FROM holds; DELETE FROM policies;"
    " DELETE FROM messages; DELETE FROM message_keys; DELETE FROM recalls; DELETE FROM device_marks; DELETE FROM devices;"
    " DELETE FROM conversations; DELETE FROM clean_requests; DELETE FROM channels; DELETE FROM keys; DELETE FROM apps"
)


@dataclass(frozen=True, slots=True)
class Ground:
    """One event loop, one database, one Redis, one folder of files."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    database: Database
    redis: ArqRedis
    connection: asyncpg.Connection[asyncpg.Record]
    folder: Path

    async def empty(self) -> None:
        """What the last example left would only make the worker's rounds longer."""
        await self.connection.execute(_EMPTY)
        await self.redis.flushdb()
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.unlink()


@contextmanager
def open_ground(database_url: str, redis_url: str) -> Iterator[Ground]:
    """Connections for as long as the test lasts."""

    async def enter(stack: AsyncExitStack) -> Ground:
        database = await stack.enter_async_context(open_database(database_url))
        redis = await stack.enter_async_context(open_redis(redis_url))
        connection = await asyncpg.connect(database_url)
        stack.push_async_callback(connection.close)
        folder = stack.enter_context(TemporaryDirectory(prefix="tidemark-media-"))
        return Ground(runner.run, database, redis, connection, Path(folder))

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield runner.run(enter(stack))
        finally:
            runner.run(stack.aclose())
