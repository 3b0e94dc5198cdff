"""Side tables end: every table that only grows has a period after which its rows go. No message is touched here.

Each statement takes a bounded batch, so that no transaction is long; the job comes again while there is more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from history.database import Connection, Database
from history.retention import store as retention_store
from history.sweep import model, store
from history.sweep.model import SweepReport


class Sweep:
    """Deletes rows of side tables whose period is over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, *, now: int) -> SweepReport:
        """One batch of each table."""
        return SweepReport(
            message_keys=await self._delete("delete_lapsed_keys", now=now),
            recalls=await self._delete("delete_old_recalls", now=now),
            tokens=await self._delete("delete_ended_tokens", now=now),
            # before their requests
            clean_marks=await self._marks(now=now),
            clean_requests=await self._delete("delete_old_requests", now=now),
            devices=await self._devices(now=now),
            conversations=await self._conversations(now=now),
            jobs=await self._delete("delete_old_jobs", now=now),
            retention_runs=await self._delete("delete_old_runs", now=now),
        )

    async def _delete(self, name: str, *, now: int) -> int:
        async def delete(connection: Connection, *, now: int, most: int) -> int:
            return await store.delete_side_rows(connection, name, now=now, most=most)

        return await self._batch(delete, now=now)

    async def _devices(self, *, now: int) -> int:
        return await self._batch(store.delete_unused_devices, now=now)

    async def _conversations(self, *, now: int) -> int:
        return await self._batch(store.delete_ended_conversations, now=now)

    async def _marks(self, *, now: int) -> int:
        return await self._batch(retention_store.delete_old_marks, now=now)

    async def _batch(self, delete: Callable[..., Awaitable[int]], *, now: int) -> int:
        async def work() -> int:
            async with self._database.writing() as connection:
                return await delete(connection, now=now, most=model.MOST_ROWS)

        return await self._database.retrying(work)
