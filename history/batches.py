"""Group commit: what arrives while a commit is in flight travels in the next one.

Promises: nobody is answered before the commit of his item; one bad item does not fail its neighbours; a caller that goes
away disturbs nobody; the number of waiting items is bounded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from history.errors import Overloaded, Unavailable

Item = TypeVar("Item")
Done = TypeVar("Done")


class Batches(Generic[Item, Done]):
    """Collects items and hands them to `commit` in batches, one batch at a time."""

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Done]]],
        *,
        weigh: Callable[[Item], int],
        most_weight: int,
        most_waiting: int,
    ) -> None:
        """`commit` answers one result an item, in order. A batch holds at most `most_weight`, or a single heavier item."""
        self._commit = commit
        self._weigh = weigh
        self._most_weight = most_weight
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Item, int, asyncio.Future[Done]]] = deque()
        self._waiting_weight = 0
        self._draining: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Done:
        """The item's own result, after its commit; Overloaded where too much is waiting already."""
        weight = self._weigh(item)
        if self._waiting and self._waiting_weight + weight > self._most_waiting:
            raise Overloaded("Too many requests are waiting for the database; try again in a second.")
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, weight, future))
        self._waiting_weight += weight
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            batch = self._next()
            if batch:
                await self._settle(batch)

    def _next(self) -> list[tuple[Item, asyncio.Future[Done]]]:
        batch: list[tuple[Item, asyncio.Future[Done]]] = []
        total = 0
        while self._waiting and (not batch or total + self._waiting[0][1] <= self._most_weight):
            item, weight, future = self._waiting.popleft()
            self._waiting_weight -= weight
            # whoever has gone away before his batch left is not written at all
            if not future.done():
                batch.append((item, future))
                total += weight
        return batch

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Done]]]) -> None:
        try:
            results = await self._commit([item for item, _ in batch])
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the callers' to hear
            if len(batch) > 1 and not isinstance(exc, Unavailable):
                for single in batch:
                    await self._settle([single])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
