"""Files go in as a stream and come out to those who may see a message that refers to them.

Promises: an upload that was answered is whole, in the store and in its row; one that was cut short is neither, in the end.
No file is held in memory as a whole. Who may read a file is asked at every call, of the rules that messages are given by.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from history import cursors
from history.apps import store as apps_store
from history.apps.model import App
from history.apps.service import Apps
from history.axis import SECOND
from history.clock import Clock
from history.config import Settings
from history.database import Database
from history.delivery.model import reach
from history.errors import (
    Conflict,
    InvalidInput,
    MediaUnavailable,
    NotEnabled,
    NotFound,
    Overloaded,
    TooLong,
)
from history.media import store
from history.media.model import (
    AGAIN_AFTER,
    MOST_KEEPERS,
    UNFINISHED_AFTER,
    UPLOAD_SECONDS,
    Listed,
    Media,
    allowed,
    read_id,
    read_type,
)
from history.media.upkeep import Upkeep
from history.objects import Objects

MOST_UPLOADS = 32
"""At once in a process: each holds two parts of its file in memory, 10 MiB."""
_FIRST = UUID(int=0)


@dataclass(slots=True)
class _Measured:
    """The chunks of an upload on their way, counted and digested."""

    chunks: AsyncIterator[bytes]
    most: int
    size: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    async def pass_on(self) -> AsyncIterator[bytes]:
        async for chunk in self.chunks:
            self.size += len(chunk)
            if self.size > self.most:
                raise too_large(self.most)
            self.digest.update(chunk)
            yield chunk


class Files:
    """The use-cases of files."""

    def __init__(self, database: Database, apps: Apps, clock: Clock, objects: Objects | None) -> None:
        """Without `objects` no file is taken: there is nowhere to put it."""
        self._database = database
        self._apps = apps
        self._clock = clock
        self._objects = objects
        self._uploads = 0
        self._upkeep = None if objects is None else Upkeep(database, clock, objects)

    async def upload(
        self, app: App, chunks: AsyncIterator[bytes], *, type_: str | None, size: int | None, user: str | None
    ) -> Media:
        """Take a file in. `size`: what the caller says it is, None where he does not; `user`: None for the backend."""
        objects = self._opened_store()
        most = app.settings.media_max_bytes
        if not most:
            raise NotEnabled("Files are not taken here: the app's setting mediaMaxBytes is 0.")
        known = read_type(type_ or "")
        if known is None or not allowed(known, app.settings.media_types):
            raise InvalidInput(
                "Content-Type", "Content-Type must be a type that the app's mediaTypes allows."
            )
        if size is not None and size > most:
            raise too_large(most)
        if self._uploads >= MOST_UPLOADS:
            raise Overloaded("Too many files are coming in already; try again in a few seconds.")
        self._uploads += 1
        try:
            return await self._upload(objects, app, _Measured(chunks, most), type_=known, user=user)
        finally:
            self._uploads -= 1

    async def _upload(
        self, objects: Objects, app: App, measured: _Measured, *, type_: str, user: str | None
    ) -> Media:
        id_, now = uuid4(), self._clock.now()
        async with self._database.writing() as connection:
            await store.insert_media(
                connection,
                id_,
                app.app_key,
                uploader=user,
                type_=type_,
                now=now,
                given_up_at=now + UNFINISHED_AFTER,
            )
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                await objects.write(id_, measured.pass_on())
            if not measured.size:
                raise InvalidInput("body", "The file is empty; send its bytes as the body.")
            look_at = self._clock.now() + app.settings.media_unused_hours * 3_600 * SECOND
            sha256 = measured.digest.digest()
            async with self._database.writing() as connection:
                if not await store.update_ready(
                    connection, id_, size=measured.size, sha256=sha256, look_at=look_at
                ):
                    raise MediaUnavailable("The upload took too long; send the file again.")
        except TimeoutError as exc:
            await self._give_up(app.app_key, id_)
            raise MediaUnavailable("The upload took too long; send the file again.") from exc
        except BaseException:
            # a commit whose outcome is unknown may have made it ready: then a look finds it unused
            await self._give_up(app.app_key, id_)
            raise
        return Media(
            id=id_,
            app_key=app.app_key,
            uploader=user,
            type=type_,
            size=measured.size,
            sha256=sha256,
            created_at=now,
        )

    async def _give_up(self, app_key: str, id_: UUID) -> None:
        """Remove what an upload left; where that fails too, the sweep does it."""
        if self._upkeep is not None:
            # the first error is the one to tell
            with suppress(Exception):
                await asyncio.shield(self._upkeep.give_up(app_key, id_))

    async def find(self, app_key: str, public_id: str, *, user: str | None) -> Media:
        """A file that the user may read, the backend where there is none; NotFound for everything else, whatever it is."""
        id_, media = read_id(public_id), None
        if id_ is not None:
            settings = await self._apps.settings(app_key)
            now = self._clock.now()
            async with self._database.reading() as connection:
                media = await store.get_media(connection, app_key, id_)
                if (
                    media is not None
                    and user is not None
                    and not await store.may_read(
                        connection, app_key, id_, user, reach(settings, now=now), now=now
                    )
                ):
                    media = None
        if media is None:
            raise _no_file()
        return media

    async def open(self, media: Media, *, first: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a file from `first` up to, not including, `end`; the first of them are read before the answer."""
        chunks = await self._opened_store().read(media.id, first, end)
        if chunks is None:
            # deleted since it was found; or lost, which the sweep and `tidemark media check` tell
            raise _no_file()
        return chunks

    async def list(
        self, app_key: str, *, kept: bool, cursor: str | None, most: int
    ) -> tuple[list[Listed], str | None]:
        """A page of the app's files in no order that means anything, and the cursor of the next page."""
        await self._apps.settings(app_key)
        after = _FIRST if cursor is None else _after(cursor)
        async with self._database.reading() as connection:
            found = await store.list_media(connection, app_key, kept=kept, after=after, most=most + 1)
            page = found[:most]
            keepers = await store.list_keepers(
                connection, app_key, [media.id for media in page], most=MOST_KEEPERS
            )
        listed = [Listed(media=media, kept=keepers.get(media.id, [])) for media in page]
        return listed, cursors.pack(page[-1].id.bytes) if len(found) > most else None

    async def remove(self, app_key: str, public_id: str) -> None:
        """Delete a file that nothing but somebody's wish keeps, or nothing at all.

        Conflict under a hold, and while a message on disk refers to it.
        """
        await self._apps.settings(app_key)
        id_, upkeep = read_id(public_id), self._upkeep
        self._opened_store()
        if id_ is None or upkeep is None:
            raise _no_file()
        now = self._clock.now()

        async def work() -> int | None:
            async with self._database.writing() as connection:
                await apps_store.share_app(connection, app_key)
                locked = await store.lock_media(connection, app_key, id_)
                if locked is None or locked.state == "uploading":
                    return None
                if locked.state == "ready":
                    needs = await store.get_needs(connection, id_)
                    if needs.held:
                        raise Conflict("A legal hold covers this file.")
                    if needs.on_disk:
                        raise Conflict(
                            "A message that somebody may still be given refers to this file; recall it first."
                        )
                    await store.update_deleting(connection, id_, again_at=now + AGAIN_AFTER)
                return locked.size

        size = await self._database.retrying(work)
        if size is None:
            raise _no_file()
        await upkeep.finish(id_, size=size)

    def _opened_store(self) -> Objects:
        if self._objects is None:
            raise NotEnabled("Files are not taken here: set TIDEMARK_MEDIA_DIR or TIDEMARK_MEDIA_URL.")
        return self._objects


def open_objects(settings: Settings) -> Objects | None:
    """Where the process is told to have files; None where it is told nothing."""
    return Objects(settings.media, master_key=settings.master_key) if settings.media else None


def too_large(most: int) -> TooLong:
    """The error for a file over the app's setting."""
    return TooLong("body", f"The file is too large: at most {most} bytes (the app's mediaMaxBytes).")


def _no_file() -> NotFound:
    return NotFound("There is no such file, or no message that you may see refers to it.")


def _after(cursor: str) -> UUID:
    try:
        return UUID(bytes=cursors.unpack(cursor, bytes))
    except (cursors.NotOurs, ValueError) as exc:
        raise InvalidInput("cursor", "cursor must be one that the page before answered.") from exc
