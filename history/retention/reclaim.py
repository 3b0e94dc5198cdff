"""Reclaim: the physical deletion of what nobody may still be given. The dangerous module.

What could go wrong: a message is deleted that somebody may still be given, and nothing brings it back. What the design
never does: delete above `reclaimed_to`, let that fall, compute a floor and lock its channel in one statement (which grants
away a message that commits meanwhile), or delete in any other place. First the grant, then the delete:

1. the app's row is shared, so that no setting moves while its floor is computed;
2. the floor is read by a plain SELECT without any lock: what commits later lies at or above its `last_position + 1`;
3. `reclaimed_to` is raised to that value, handed over as a parameter.

There is no undo here; undo ends before a clean settles, and only settled cutoffs are looked at.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from history.apps import store as apps_store
from history.axis import DAY, SECOND
from history.channels import store as channels_store
from history.clock import Clock
from history.database import Database
from history.delivery.model import reach
from history.errors import NotFound
from history.retention import store
from history.retention.model import Floor, ReclaimReport

LEASE = 20 * SECOND
"""How long a channel is left to the worker that claimed it. A visit ends well before; a dead worker's channel is due again."""
_MOST_CHANNELS = 50
_MOST_APPS, _MOST_MARKED = 10, 1_000
_SLOW_SECONDS = 0.1
_MOST_SIDE_ROWS = 5_000
_LEAST_BATCH, _FIRST_BATCH, _MOST_BATCH = 100, 1_000, 5_000


@dataclass(slots=True)
class Pace:
    """Batch size and pauses follow the database: a batch slower than 0.1 s halves the next one, a faster one lets it grow
    by half, and between two batches reclaim rests as long as the last one took, so that it never takes more than half of
    one connection."""

    batch: int

    async def after(self, seconds: float) -> None:
        """Adapt to what the last batch took, and rest."""
        grown = self.batch // 2 if seconds > _SLOW_SECONDS else self.batch * 3 // 2
        self.batch = min(_MOST_BATCH, max(_LEAST_BATCH, grown))
        await asyncio.sleep(seconds)


class Reclaim:
    """Deletes, in short transactions and bounded batches, what lies below the floors."""

    def __init__(self, database: Database, clock: Clock, *, batch: int | None = None) -> None:
        """With `batch` the size is fixed and nothing rests between two batches."""
        self._database = database
        self._clock = clock
        self._batch = batch

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

    async def visit_due(self, *, now: int) -> list[ReclaimReport]:
        """Visit channels that are due, each to its end or until half its lease is over. Again while it is not empty."""
        lease = now + LEASE
        async with self._database.reading() as connection:
            due = await store.list_due_channels(connection, now=now, most=_MOST_CHANNELS)
        async with self._database.writing() as connection:
            claimed = await store.claim_channels(connection, due, now=now, lease_ends=lease)
        return [
            await self._visit(id_, app_key, now=now, lease=lease) for id_, app_key in sorted(claimed.items())
        ]

    async def _visit(self, channel_id: int, app_key: str, *, now: int, lease: int) -> ReclaimReport:
        async with self._database.writing() as connection:
            await channels_store.expire_channel(connection, channel_id, now=now)
        pace, deleted = Pace(batch=self._batch or _FIRST_BATCH), 0
        while True:
            began = self._clock.now()
            floor, next_look = await self._grant(channel_id, app_key, now=now, most=pace.batch)
            async with self._database.writing() as connection:
                deleted += await store.delete_reclaimed(connection, channel_id, floor.position)
            late = self._clock.now() > now + LEASE // 2
            if floor.found or late:
                done, kept_from = await self._finish(channel_id, app_key, now=now, ends=now + LEASE // 2)
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
                    )
                return ReclaimReport(
                    app_key=app_key, channel_id=channel_id, deleted=deleted, finished=finished
                )
            if self._batch is None:
                await pace.after((self._clock.now() - began) / SECOND)

    async def _finish(self, channel_id: int, app_key: str, *, now: int, ends: int) -> tuple[bool, int | None]:
        """Let go what went with the messages, in bounded steps; whether that was all, and the lowest position whose message
        is gone while somebody keeps its files."""

        async def step() -> tuple[bool, int | None]:
            async with self._database.writing() as connection:
                await apps_store.share_app(connection, app_key)
                return await store.finish_reclaimed(connection, channel_id, now=now, most=_MOST_SIDE_ROWS)

        while True:
            more, kept_from = await self._database.retrying(step)
            if not more or self._clock.now() > ends:
                return not more, kept_from

    async def _grant(self, channel_id: int, app_key: str, *, now: int, most: int) -> tuple[Floor, int | None]:
        async with self._database.writing() as connection:
            settings = await apps_store.share_app(connection, app_key)
            if settings is None:
                raise NotFound("The channel's app is gone.")
            reaches = reach(settings, now=now)
            floor = await store.get_floor(connection, channel_id, reaches, most=most, now=now)
            await store.grant(connection, channel_id, floor.position)
        return floor, floor.next_look(reaches, missed_for=settings.missed_days * DAY, now=now)


def _earliest(next_look: int | None, floor: Floor, kept_from: int | None) -> int | None:
    """The next look, no later than a policy lets go of the oldest file that somebody keeps here."""
    if kept_from is None or floor.max_age is None:
        return next_look
    lets_go = kept_from + floor.max_age + 1
    return lets_go if next_look is None else min(next_look, lets_go)
