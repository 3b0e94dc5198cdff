"""Reclaim: the physical deletion of what nobody may still be given. The dangerous module.

What could go wrong: a message is deleted that somebody may still be given, and nothing brings it back. What the design
never does: delete above `reclaimed_to`, let that fall, compute a floor and lock its channel in one statement (which grants
away a message that commits meanwhile), or delete in any other place (a month that is dropped whole, in `months`, is below
every grant as well). First the grant, then the delete:

1. the app's row is shared, so that no setting moves while its floor is computed;
2. the floor is read by a plain SELECT without any lock: what commits later lies at or above its `last_position + 1`;
3. `reclaimed_to` is raised to that value, handed over as a parameter.

A channel has one owner: who claimed it holds a lease, and every grant and delete asks for it. A worker that dies, or wakes up
after another took its channel, does nothing more there, and the other goes on where the grant stands.

There is no undo here; undo ends before a clean settles, and only settled cutoffs are looked at.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from history.apps import store as apps_store
from history.axis import DAY, SECOND
from history.channels import store as channels_store
from history.clock import Clock
from history.database import Database
from history.delivery.model import reach
from history.errors import NotFound
from history.retention import store
from history.retention.model import Floor, LeaseLost, ReclaimReport
from history.retention.pace import Pace

LEASE = 20 * SECOND
"""How long a channel is left to the worker that claimed it. A visit ends well before; a dead worker's channel is due again."""
_MOST_CHANNELS = 50
_MOST_APPS, _MOST_MARKED = 10, 1_000
_MOST_SIDE_ROWS = 5_000


class _Batch(NamedTuple):
    """A batch that was deleted."""

    rows: int
    took: float
    """Seconds."""
    read: float
    """The seconds that a read took meanwhile."""


class Reclaim:
    """Deletes, in short transactions and bounded batches, what lies below the floors."""

    def __init__(self, database: Database, clock: Clock, *, batch: int | None = None) -> None:
        """With `batch` the size is fixed and nothing rests between two batches."""
        self._database = database
        self._clock = clock
        self._batch = batch
        self._pace = Pace()
        self._rested_at = 0
        self._inflow = 0.0

    async def mark_moved(self, *, now: int) -> int:
        """Mark channels due whose app had a setting changed that moves floors, a step in each of some apps; in how many.

        Again while it is not 0: an app without channels is a step as well, and others may come after it.
        """
        async with self._database.reading() as connection:
            apps = await store.list_apps_to_mark(connection, most=_MOST_APPS)
        for app_key, after in apps:
            async with self._database.writing() as connection:
                ids = await store.list_channels_after(connection, app_key, after, most=_MOST_MARKED)
                # the app's row first, as a grant does
                await store.update_mark_due_after(connection, app_key, after, ids[-1] if ids else None)
                await store.mark_due(connection, ids, now=now)
        return len(apps)

    async def visit_due(self, *, now: int, inflow: float = 0.0) -> list[ReclaimReport]:
        """Visit channels that are due, until half their lease is over. Again while it is not empty.

        `inflow` is how many messages a second come in: more than twice as many go, where there are so many.
        """
        self._rested_at, self._inflow = self._clock.now(), inflow
        lease, reports = now + LEASE, list[ReclaimReport]()
        async with self._database.reading() as connection:
            due = await store.list_due_channels(connection, now=now, most=_MOST_CHANNELS)
        if not due:
            return []
        async with self._database.writing() as connection:
            claimed = await store.claim_channels(connection, due, now=now, lease=lease)
        left = [id_ for id_ in due if id_ in claimed]
        # the first one at any rate, so that every round gets on
        while left and not (reports and self._is_late(lease)):
            id_ = left.pop(0)
            reports.append(await self._visit(id_, claimed[id_], now=now, lease=lease))
        if left:
            async with self._database.writing() as connection:
                await store.return_channels(connection, left, lease=lease)
        return reports

    def _is_late(self, lease: int) -> bool:
        return self._clock.now() > lease - LEASE // 2

    async def _visit(self, channel_id: int, app_key: str, *, now: int, lease: int) -> ReclaimReport:
        deleted, finished = 0, False
        try:
            async with self._database.writing() as connection:
                await channels_store.expire_channel(connection, channel_id, now=now)
            below = 0
            while True:
                floor, next_look = await self._grant(channel_id, app_key, now=now, lease=lease)
                batch = await self._delete(channel_id, floor.position, above=below, lease=lease)
                deleted, below = deleted + batch.rows, floor.position
                if floor.found or self._is_late(lease):
                    break
                await self._rest(batch)
            done, kept_from = await self._finish(channel_id, app_key, now=now, lease=lease)
            finished = done and floor.found
            at = _earliest(next_look, floor, kept_from) if finished else now
            async with self._database.writing() as connection:
                await store.release_channel(
                    connection,
                    channel_id,
                    lease=lease,
                    next_look=at,
                    tip=floor.tip,
                    look_at_rest=now + DAY,
                    finished=finished,
                )
            await self._rest(batch)
        except LeaseLost:
            finished = False
        return ReclaimReport(app_key=app_key, channel_id=channel_id, deleted=deleted, finished=finished)

    async def _finish(
        self, channel_id: int, app_key: str, *, now: int, lease: int
    ) -> tuple[bool, int | None]:
        """Let go what went with the messages, in bounded steps; whether that was all, and the lowest position whose message
        is gone while somebody keeps its files."""

        async def step() -> tuple[bool, int | None]:
            async with self._database.writing() as connection:
                await apps_store.share_app(connection, app_key)
                await store.check_lease(connection, channel_id, lease)
                return await store.finish_reclaimed(connection, channel_id, now=now, most=_MOST_SIDE_ROWS)

        while True:
            more, kept_from = await self._database.retrying(step)
            if not more or self._is_late(lease):
                return not more, kept_from

    async def _grant(
        self, channel_id: int, app_key: str, *, now: int, lease: int
    ) -> tuple[Floor, int | None]:
        async with self._database.writing(durable=False) as connection:
            settings = await apps_store.share_app(connection, app_key)
            if settings is None:
                raise NotFound("The channel's app is gone.")
            reaches = reach(settings, now=now)
            most = self._batch or self._pace.batch
            floor = await store.get_floor(connection, channel_id, reaches, most=most, now=now)
            await store.grant(connection, channel_id, floor.position, lease=lease)
        return floor, floor.next_look(reaches, missed_for=settings.missed_days * DAY, now=now)

    async def _delete(self, channel_id: int, below: int, *, above: int, lease: int) -> _Batch:
        async def delete() -> tuple[int, float]:
            began = self._clock.now()
            async with self._database.writing(durable=False) as connection:
                rows = await store.delete_reclaimed(connection, channel_id, below, above=above, lease=lease)
            return rows, (self._clock.now() - began) / SECOND

        if self._batch is not None:
            rows, took = await delete()
            return _Batch(rows, took, 0.0)
        (rows, took), read = await asyncio.gather(delete(), self._database.latency())
        return _Batch(rows, took, read)

    async def _rest(self, batch: _Batch) -> None:
        if self._batch is not None:
            return
        now = self._clock.now()
        work = max(0, now - self._rested_at) / SECOND
        rest = self._pace.after(
            rows=batch.rows, took=batch.took, work=work, read=batch.read, inflow=self._inflow, now=now
        )
        await asyncio.sleep(rest)
        self._rested_at = self._clock.now()


def _earliest(next_look: int | None, floor: Floor, kept_from: int | None) -> int | None:
    """The next look, no later than a policy lets go of the oldest file that somebody keeps here."""
    if kept_from is None or floor.max_age is None:
        return next_look
    lets_go = kept_from + floor.max_age + 1
    return lets_go if next_look is None else min(next_look, lets_go)
