"""The files of the real thing: services on a folder, and a look at the table and at the folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import UUID

from history.apps.service import Apps
from history.channels.model import derived_id
from history.clock import Clock
from history.errors import Conflict, NotFound
from history.media.model import Media
from history.media.service import Files
from history.media.upkeep import Looked, Upkeep
from history.objects import Objects
from tests.cut_store import Cut, Failing
from tests.properties.files import Spot
from tests.properties.ground import Ground

_MOST_KEPT = 100
Row = tuple[str, int, int | None]
"""State, bytes, and when to look at it."""


class MediaWorld:
    """What the app does with files, and the worker."""

    def __init__(self, ground: Ground, apps: Apps, clock: Clock) -> None:
        self._ground = ground
        self._apps = apps
        self._clock = clock
        self._objects = Objects(str(ground.folder), master_key=bytes(32))
        self.files = Files(ground.database, apps, clock, self._objects)
        self._upkeep = Upkeep(ground.database, clock, self._objects)

    async def upload(
        self, app_key: str, user: str | None, size: int, *, cut: str | None = None
    ) -> Media | None:
        """A file of so many bytes; with `cut` the process dies on the way."""

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * size

        app = await self._apps.find(app_key)
        with suppress(Cut):
            return await self._cut(cut).upload(app, chunks(), type_="image/png", size=None, user=user)
        return None

    async def remove(self, app_key: str, name: str, *, cut: str | None = None) -> bool | None:
        """Whether an admin's word removes it; None where there is no such file. With `cut` the process dies on the way."""
        try:
            await self._cut(cut).remove(app_key, name)
        except NotFound:
            return None
        except Conflict:
            return False
        except Cut:
            return True
        return True

    async def may_read(self, app_key: str, name: str, user: str | None) -> bool:
        """Whether the user, or the backend, is given the file."""
        try:
            await self.files.find(app_key, name, user=user)
        except NotFound:
            return False
        return True

    async def look(self) -> Looked:
        """A round over what is due."""
        return await self._upkeep.look(now=self._clock.now())

    async def kept(self, app_key: str) -> dict[UUID, list[tuple[int, int, str]]]:
        """The list of kept files: of each the channels, positions and names that it tells."""
        page, cursor = await self.files.list(app_key, kept=True, cursor=None, most=_MOST_KEPT)
        assert cursor is None
        return {
            at.media.id: [(derived_id(why.channel, 0), why.sent_at, why.user_id) for why in at.kept]
            for at in page
        }

    async def compare(self, ids: Sequence[UUID]) -> tuple[int, set[UUID], list[UUID]]:
        """What `tidemark media check` says of the shelves of these files: (whole files, unfinished ones, what is wrong)."""
        found = [await self._upkeep.compare(number) for number in sorted({id_.int >> 120 for id_ in ids})]
        unfinished = {id_ for one in found for id_ in one.unfinished}
        return (
            sum(one.files for one in found),
            unfinished,
            [id_ for one in found for id_ in (*one.strays, *one.lost)],
        )

    async def rows(self) -> dict[UUID, Row]:
        """The table."""
        rows = await self._ground.connection.fetch("SELECT id, state, bytes, look_at FROM media")
        return {row["id"]: (row["state"], row["bytes"], row["look_at"]) for row in rows}

    async def references(self) -> dict[Spot, tuple[bool, str | None]]:
        """What refers to what: whether the message was seen to be gone, and who keeps the file."""
        rows = await self._ground.connection.fetch(
            "SELECT channel_id, position, media_id, gone_at IS NOT NULL AS gone, keeper FROM media_refs"
        )
        return {
            Spot(row["channel_id"], row["position"], row["media_id"]): (row["gone"], row["keeper"])
            for row in rows
        }

    def stored(self) -> dict[str, int]:
        """Everything that lies in the folder, by name, and its bytes."""
        paths = self._ground.folder.rglob("*")
        return {path.name: path.stat().st_size for path in paths if path.is_file()}

    def _cut(self, cut: str | None) -> Files:
        if cut is None:
            return self.files
        broken = Files(self._ground.database, self._apps, self._clock, Failing(self._objects, cut))
        if cut.endswith("write"):
            broken._upkeep = None  # what would clean up after it does not run either
        return broken
