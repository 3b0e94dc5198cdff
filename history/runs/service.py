"""Runs of the retention job: begun, added to, listed; and the line that says that they fall behind.

Every minute of the job leaves one row an app, also where there was nothing to do: a minute without a row is one in which no
worker ran. Numbers are added to the row as the work is done, so several workers share it, and one that dies takes no more
than its last round with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from history import cursors
from history.apps import store as apps_store
from history.apps.service import Apps
from history.axis import NEVER, SECOND
from history.clock import Clock
from history.database import Database
from history.errors import InvalidInput
from history.retention.model import ReclaimReport
from history.runs import store
from history.runs.model import MOST_COUNTED, NO_WORK, SILENT, WINDOW, Run, Work, behind, inflow, silent

LINE_GOOD_FOR = 10 * SECOND
"""Load balancers ask for the line often."""


class Runs:
    """The use-cases of runs."""

    def __init__(
        self, database: Database, apps: Apps, clock: Clock, *, most_counted: int = MOST_COUNTED
    ) -> None:
        self._database = database
        self._apps = apps
        self._clock = clock
        self._most_counted = most_counted
        self._begun = -1
        self._line: tuple[int, str | None] | None = None

    async def begin(self) -> int:
        """Have the row of this minute there for every app; when the run began. Called before there is work to record."""
        started_at = _window(self._clock.now())
        if started_at != self._begun:
            async with self._database.reading() as connection:
                apps = await apps_store.list_apps(connection)
                size = await store.get_bytes(connection)
            await self._add(started_at, {app.app_key: NO_WORK for app in apps}, size=size)
            self._begun = started_at
        return started_at

    async def record(self, started_at: int, reports: Sequence[ReclaimReport]) -> None:
        """Add what a round of visits did to the run in which it began, and measure what is left."""
        await self._add(
            started_at, {app_key: _sum(app_key, reports) for app_key in {one.app_key for one in reports}}
        )

    async def record_dropped(self, started_at: int, months: Sequence[str]) -> int:
        """Tell the run in which they were dropped of months, and what messages take on disk now, in bytes."""
        async with self._database.reading() as connection:
            size = await store.get_bytes(connection)

        async def write() -> None:
            async with self._database.writing() as connection:
                await store.add_dropped(connection, started_at, months, size=size)

        await self._database.retrying(write)
        return size

    async def inflow(self) -> float:
        """How many messages a second come in, of all apps."""
        now = self._clock.now()
        async with self._database.reading() as connection:
            return inflow(await store.get_inflow(connection, first=_window(now) - WINDOW), now=now)

    async def _add(self, started_at: int, work: dict[str, Work], *, size: int | None = None) -> None:
        now = self._clock.now()
        async with self._database.reading() as connection:
            measured = {
                app_key: (
                    await store.get_backlog(connection, app_key, now=now, most=self._most_counted),
                    done,
                )
                for app_key, done in work.items()
            }

        async def write() -> None:
            async with self._database.writing() as connection:
                await store.upsert_runs(connection, started_at, measured, size=size)

        await self._database.retrying(write)

    async def tell_appended(self, appended: Counter[str]) -> None:
        """Add what this process stored since it last told, and take it off the counter.

        Where no worker has begun the run of this minute, it waits in the counter for the next one.
        """
        told = +appended
        if not told:
            return
        appended.clear()

        async def write() -> set[str]:
            async with self._database.writing() as connection:
                return await store.add_appended(connection, _window(self._clock.now()), told)

        try:
            for app_key in await self._database.retrying(write):
                del told[app_key]
        finally:
            appended.update(told)

    async def list(self, app_key: str, *, cursor: str | None, most: int) -> tuple[list[Run], str | None]:
        """A page of an app's runs, the newest first, and the cursor of the next page."""
        await self._apps.settings(app_key)
        below = _below(cursor) if cursor else NEVER
        async with self._database.reading() as connection:
            found = await store.list_runs(connection, app_key, below=below, most=most + 1)
        page = found[:most]
        return page, cursors.pack(page[-1].started_at) if len(found) > most else None

    async def line(self) -> str | None:
        """That retention falls behind, and by how much, as it was at most ten seconds ago; None where it keeps up.

        Runs that are over are judged, the last one of each app.
        """
        now = self._clock.now()
        if self._line is None or not 0 <= now - self._line[0] < LINE_GOOD_FOR:
            self._line = (now, await self._judge(now))
        return self._line[1]

    async def _judge(self, now: int) -> str | None:
        async with self._database.reading() as connection:
            runs = await store.list_last_runs(connection, first=now - SILENT, last=now - WINDOW)
            if runs:
                return behind(runs)
            last, first_app = await store.get_silence(connection)
        return silent(last=last, first_app=first_app, now=now)


def _window(now: int) -> int:
    return now - now % WINDOW


def _sum(app_key: str, reports: Sequence[ReclaimReport]) -> Work:
    ours = [report for report in reports if report.app_key == app_key]
    return Work(
        done=sum(report.finished for report in ours),
        unfinished=sum(not report.finished for report in ours),
        deleted=sum(report.deleted for report in ours),
    )


def _below(cursor: str) -> int:
    try:
        return min(cursors.unpack(cursor, int), NEVER)
    except cursors.NotOurs as exc:
        raise InvalidInput("cursor", "cursor must be one that the page before answered.") from exc
