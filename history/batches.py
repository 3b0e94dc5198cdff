"""Group commit: what arrives while a commit is in flight travels in the next one.

Promises: nobody is answered before the commit of his item; one bad item does not fail its neighbours; a caller that goes
away disturbs nobody; what waits is bounded in weight and in time, so that a database that hangs costs neither memory nor
callers who wait for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from history.errors import Overloaded, Unavailable

Item = TypeVar("Item")
Done = TypeVar("Done")
PATIENCE_SECONDS = 10.0
"""How long an item waits for its turn. Nothing was done with it then, so its caller may simply come again."""
_LOOKS_EVERY = 1.0


@dataclass(slots=True)
class _Waiting(Generic[Item, Done]):
    """An item that has not left yet."""

    item: Item
    weight: int
    future: asyncio.Future[Done]
    since: float


class Batches(Generic[Item, Done]):
    """Collects items and hands them to `commit` in batches, one batch at a time."""

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Done]]],
        *,
        weigh: Callable[[Item], int],
        most_weight: int,
        most_waiting: int,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`commit` answers one result an item, in order. A batch holds at most `most_weight`, or a single heavier item.

        What waits weighs at most `most_waiting`, or is a single heavier item; and waits for `patience` seconds at most.
        """
        self._commit = commit
        self._weigh = weigh
        self._most_weight = most_weight
        self._most_waiting = most_waiting
        self._patience = patience
        self._waiting: deque[_Waiting[Item, Done]] = deque()
        self._waiting_weight = 0
        self._looking: asyncio.TimerHandle | None = None
        self._draining: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Done:
        """The item's own result, after its commit; Overloaded where too much is waiting already."""
        weight = self._weigh(item)
        if self._waiting and self._waiting_weight + weight > self._most_waiting:
            raise Overloaded("Too many requests are waiting for the database; try again in a second.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Done] = loop.create_future()
        self._waiting.append(_Waiting(item, weight, future, loop.time()))
        self._waiting_weight += weight
        if self._looking is None:
            self._looking = loop.call_later(_LOOKS_EVERY, self._look)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            batch = self._next()
            if batch:
                await self._settle(batch)

    def _look(self) -> None:
        """Send away who has waited too long, while the batch before them does not come back."""
        loop = asyncio.get_running_loop()
        while self._waiting and loop.time() - self._waiting[0].since >= self._patience:
            future = self._pop().future
            if not future.done():
                future.set_exception(
                    Overloaded(
                        "This waited too long for the database and was not done; try again in a second."
                    )
                )
        self._looking = loop.call_later(_LOOKS_EVERY, self._look) if self._waiting else None

    def _pop(self) -> _Waiting[Item, Done]:
        first = self._waiting.popleft()
        self._waiting_weight -= first.weight
        return first

    def _next(self) -> list[tuple[Item, asyncio.Future[Done]]]:
        batch: list[tuple[Item, asyncio.Future[Done]]] = []
        total = 0
        while self._waiting and (not batch or total + self._waiting[0].weight <= self._most_weight):
            first = self._pop()
            # whoever has gone away before his batch left is not written at all
            if not first.future.done():
                batch.append((first.item, first.future))
                total += first.weight
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
