"""Months that are dropped whole. Dangerous as `reclaim` is: what goes with a month, nothing brings back.

A month goes when no message in it is at or above its own channel's grant: then all of it was granted, and what is still there a
visit that was cut short was about to delete. It is never the present month nor a later one. First a look without locks, page
by page over the channels. It stops at a channel that needs the month and begins there the next time, so a month that stays
costs one small question a minute. When no channel is left, in one transaction:

1. the partition is locked against writing, so that no import adds a message; reading goes on;
2. all channels are asked again, in a statement that sees every import which the lock has waited for;
3. it is dropped, for which the whole table is locked for a moment.

Each lock is asked for so briefly that whoever queues behind is late by no more than that, and a month that is in use is left
until the next try. (Detached concurrently it would never make anybody wait, but that cannot be done in the transaction that
asks again: a message of an import could vanish with it.)
"""

from __future__ import annotations

from dataclasses import dataclass

from history.axis import DAY, SECOND
from history.clock import Clock
from history.database import Database
from history.messages import store as messages_store
from history.messages.model import Month
from history.retention import store
from history.retention.model import MonthInUse

AGAIN_AFTER = 60 * SECOND
"""When to look again at a month that somebody needs, or uses."""
CLOSED_FOR = DAY
"""A month has been over for so long before it is looked at: clocks of several machines differ."""
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
            end = await store.get_page_end(connection, seen.first, most=self._most)
            needing = await store.get_needing(connection, month, first=seen.first, end=end)
        if needing is not None:
            seen.first, seen.look_at = needing, self._clock.now() + AGAIN_AFTER
            return False
        seen.first = 0 if end is None else end
        return end is None

    async def _drop(self, month: Month, seen: _Seen) -> bool:
        seen.look_at = self._clock.now() + AGAIN_AFTER
        try:
            async with self._database.writing() as connection:
                await store.lock_month(connection, month)
                if await store.get_needing(connection, month, first=0, end=None) is not None:
                    return False
                await store.drop_month(connection, month)
        except MonthInUse:
            return False
        return True
