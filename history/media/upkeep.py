"""Files end: what nothing needs is deleted, what was cut short is finished, and store and table are compared.

What could go wrong: a file is deleted while a message that somebody may still be given refers to it. So:

1. the row is locked, which waits for sends that share it and makes later ones wait;
2. what needs the file is asked in a later statement, which sees them;
3. `deleting` is committed: from here on a send that refers to it is refused;
4. then the object goes, then the row. Whoever dies between two steps is followed by the next look.

An object without a row is never of an upload that is under way, because rows come first and are read after the objects: it
is deleted. A row without an object is told, never deleted by itself: the store may just not be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from history.apps import store as apps_store
from history.axis import SECOND
from history.clock import Clock
from history.database import Database
from history.media import store
from history.media.model import AGAIN_AFTER
from history.objects import Objects

_MOST_DUE = 100
_HELD_AFTER = 600 * SECOND
"""When to look again at a file that a hold covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one round over due files did."""

    seen: int
    files: int
    """Deleted."""
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one shelf of the store and its rows say of each other."""

    files: int
    bytes: int
    strays: Sequence[UUID]
    """Objects, or parts of uploads, without a row."""
    lost: Sequence[UUID]
    """Rows of whole files whose object is not there, or of another size."""
    unfinished: Sequence[UUID]
    """Rows of uploads or deletions that were cut short, or are under way."""


class Upkeep:
    """What the worker does for files, and `tidemark media check`."""

    def __init__(self, database: Database, clock: Clock, objects: Objects) -> None:
        self._database = database
        self._clock = clock
        self._objects = objects

    async def look(self, *, now: int) -> Looked:
        """Look at files that are due: delete those that nothing needs. Again while `seen` is not 0."""
        async with self._database.reading() as connection:
            due = await store.list_due(connection, now=now, most=_MOST_DUE)
        files = size = 0
        for id_, app_key in due:
            gone = await self._database.retrying(partial(self._decide, app_key, id_, now=now))
            if gone is not None and await self.finish(id_, size=gone):
                files, size = files + 1, size + gone
        return Looked(seen=len(due), files=files, bytes=size)

    async def _decide(self, app_key: str, id_: UUID, *, now: int, lost: bool = False) -> int | None:
        """Give the file up for good, where it may go; then its bytes, else None."""
        async with self._database.writing() as connection:
            # no hold comes in between
            await apps_store.share_app(connection, app_key)
            locked = await store.lock_media(connection, app_key, id_)
            if locked is None or (not lost and (locked.look_at is None or locked.look_at > now)):
                return None
            if locked.state == "ready" and not lost:
                # a statement of its own: it sees every send that was waited for
                needs = await store.get_needs(connection, id_)
                if needs.held or needs.needed:
                    at = now + _HELD_AFTER if needs.held and not needs.needed else None
                    await store.keep(connection, id_, look_at=at)
                    return None
            await store.update_deleting(connection, id_, again_at=now + AGAIN_AFTER)
        return locked.size

    async def finish(self, id_: UUID, *, size: int) -> bool:
        """Delete the object of a file that is given up, then its row; False where somebody else did."""
        await self._objects.delete(id_)

        async def work() -> bool:
            async with self._database.writing() as connection:
                return await store.delete_media(connection, id_, size=size)

        return await self._database.retrying(work)

    async def give_up(self, app_key: str, id_: UUID) -> None:
        """Remove what a broken upload left, at once; one that was found whole is left to its look."""
        now = self._clock.now()
        async with self._database.writing() as connection:
            locked = await store.lock_media(connection, app_key, id_)
            if locked is not None and locked.state == "ready":
                return
            await store.update_deleting(connection, id_, again_at=now + AGAIN_AFTER)
        # also where the sweep was here before and the row is gone: its object came later
        await self.finish(id_, size=0)

    async def compare(self, shelf: int) -> Compared:
        """What one shelf and its rows say of each other. Nothing is changed."""
        there = await self._objects.shelf(shelf)
        first, last = UUID(int=shelf << 120), UUID(int=(shelf + 1 << 120) - 1)
        async with self._database.reading() as connection:
            rows = await store.list_shelf(connection, first, last)
        whole = {id_: row for id_, row in rows.items() if row.state == "ready"}
        # what was uploaded since the shelf was read is no loss, nor is what was deleted
        lost = [id_ for id_, row in whole.items() if there.objects.get(id_) != row.size]
        lost = [id_ for id_ in sorted(lost) if await self._objects.size(id_) != whole[id_].size]
        lost = [id_ for id_ in lost if await self._row(id_) == whole[id_]]
        return Compared(
            files=len(whole),
            bytes=sum(row.size for row in whole.values()),
            strays=sorted((there.objects.keys() | there.parts) - rows.keys()),
            lost=lost,
            unfinished=sorted(rows.keys() - whole.keys()),
        )

    async def delete_strays(self, ids: Sequence[UUID]) -> None:
        """Delete objects that `compare` found without a row."""
        for id_ in ids:
            await self._objects.delete(id_)

    async def forget_lost(self, ids: Sequence[UUID]) -> int:
        """Delete the rows of files whose objects are gone for good, whoever needs them; how many."""
        now, forgotten = self._clock.now(), 0
        for id_ in ids:
            row = await self._row(id_)
            if row is None:
                continue
            gone = await self._database.retrying(partial(self._decide, row.app_key, id_, now=now, lost=True))
            forgotten += gone is not None and await self.finish(id_, size=gone)
        return forgotten

    async def _row(self, id_: UUID) -> store.Rowed | None:
        async with self._database.reading() as connection:
            return (await store.list_shelf(connection, id_, id_)).get(id_)
