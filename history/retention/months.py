"""Months that are dropped whole. Dangerous as `reclaim` is: what goes with a month, nothing brings back.

A month goes when no message in it is at or above its own channel's grant: then all of it was granted, and what is still there a
visit that was cut short was about to delete. It is never the present month nor a later one. First a look without locks, page
by page over the channels. It stops at a channel that needs the month and begins there the next time, so a month that stays
costs one small question a minute. When no channel is left, in one transaction:

1. the month's advisory lock is taken, unless an import has it. Whoever writes into a month that is over shares that lock from
   the beginning of his transaction to its end (`history/transfer/imports.py`), so none does from here on;
2. all channels are asked again, page by page, in statements that see all that was written before the lock was had. Where an
   import waits by now, the month is left to it;
3. it is dropped, for which the whole table is locked for a moment.

Nothing else may add a message to such a month: an append writes at the present time, and a grant never falls, so what nobody
needs is never needed again. Statements that edit, recall and delete may come at any time: with the plans that are kept for
them, each locks every month, whichever it touches. So no lock that they wait for is held while a question is asked, however
many channels there are. The lock of step 3 is asked for so briefly that whoever queues behind is late by no more than that,
and a few times, because what is in the way is mostly just passing; a month that stays in use is left until the next try.
"""

from __future__ import annotations

from dataclasses import dataclass

from history.axis import DAY, SECOND
from history.clock import Clock
from history.database import Connection, Database
from history.messages import store as messages_store
from history.messages.model import Month
from history.retention import store
from history.retention.model import MonthInUse

AGAIN_AFTER = 60 * SECOND
"""When to look again at a month that somebody needs, or uses."""
CLOSED_FOR = DAY
"""A month has been over for so long before it is looked at: clocks of several machines differ."""
DROP_TRIES = 5
"""Each waits for 50 ms at most, and whoever queued behind one is through before the next."""
_MOST_CHANNELS = 20_000
_MOST_PAGES = 20


@dataclass(slots=True)
class _Seen:
    """How far the look at a month has come."""

    first: int = 0
    """The first channel that may need it: those with lower ids do not."""
    look_at: int = 0


class Months:
    """Drops months of which nothing is needed."""

    def __init__(
        self, database: Database, clock: Clock, *, most: int = _MOST_CHANNELS, pages: int = _MOST_PAGES
    ) -> None:
        """`most`: channels that one question asks; `pages`: questions of one call."""
        self._database = database
        self._clock = clock
        self._most, self._pages = most, pages
        self._seen: dict[Month, _Seen] = {}

    async def drop(self) -> list[str]:
        """Look at months that are over, oldest first, and drop those of which nothing is needed; their partitions."""
        now = self._clock.now()
        async with self._database.reading() as connection:
            there = sorted(await messages_store.list_months(connection))
        months = [month for table in there if (month := Month.named(table))]
        over = [month for month in months if month.next().first + CLOSED_FOR <= now]
        self._seen = {month: self._seen.get(month, _Seen()) for month in over}
        dropped, pages = [], self._pages
        for month, seen in self._seen.items():
            while pages and seen.look_at <= now:
                pages -= 1
                if await self._look(month, seen) and await self._drop(month, seen):
                    dropped.append(month.table)
        return dropped

    async def _look(self, month: Month, seen: _Seen) -> bool:
        """Ask a page of channels; whether it was the last one and no channel needs the month."""
        async with self._database.reading() as connection:
            needing, end = await self._ask(connection, month, seen.first)
        if needing is not None:
            seen.first, seen.look_at = needing, self._clock.now() + AGAIN_AFTER
            return False
        seen.first = 0 if end is None else end
        return end is None

    async def _ask(self, connection: Connection, month: Month, first: int) -> tuple[int | None, int | None]:
        """Of a page of channels the first that needs the month; and where the next page begins."""
        end = await store.get_page_end(connection, first, most=self._most)
        return await store.get_needing(connection, month, first=first, end=end), end

    async def _drop(self, month: Month, seen: _Seen) -> bool:
        seen.look_at = self._clock.now() + AGAIN_AFTER
        try:
            async with self._database.writing() as connection:
                await store.lock_month(connection, month)
                first: int | None = 0
                while first is not None:
                    needing, first = await self._ask(connection, month, first)
                    if needing is not None:
                        seen.first = needing
                        return False
                    await store.check_month(connection, month)
                return await _tried(connection, month)
        except MonthInUse:
            return False


async def _tried(connection: Connection, month: Month) -> bool:
    """Drop a month that is locked, and whose channels are asked; whether it could be had."""
    for _ in range(DROP_TRIES):
        try:
            await store.drop_month(connection, month)
        except MonthInUse:
            continue
        return True
    return False
