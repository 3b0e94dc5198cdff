"""Where the bytes of files are: a folder, or a bucket that speaks S3. A base module: it knows no rule and no row.

An object is written under the id of its file and never changed. All objects of one installation lie in a folder of their
own, named after its master key: two installations that share a bucket by mistake never see, and so never sweep, each other.
What an upload that was cut short left behind in a folder is found as a part; in a bucket it is invisible, and a rule of the
bucket ends it (docs/operations.md).
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from history.errors import ConfigurationError, MediaUnavailable

SHELVES = 256
"""Objects are spread by the first byte of their id, so that a sweep can take a part of them at a time."""
PIECE = 4 * 1024 * 1024
"""Bytes that are read at once: what one download holds in memory."""
PART = 5 * 1024 * 1024
"""Bytes that are written at once, the fewest that S3 takes: what one upload holds in memory, twice at most."""
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What lies on one shelf."""

    objects: dict[UUID, int]
    """The bytes of each file."""
    parts: frozenset[UUID]
    """Files whose upload was cut short, in a folder."""


class Objects:
    """The objects of one installation."""

    def __init__(self, place: str, *, master_key: bytes) -> None:
        """`place`: a folder, made if it is not there, or s3://bucket/prefix with what AWS_… in the environment says."""
        self._name = hmac.digest(master_key, b"tidemark media", "sha256")[:8].hex()
        self._folder: Path | None = None
        self._store: LocalStore | S3Store
        if place.startswith("s3://"):
            self._store = _bucket(place)
        else:
            self._folder = Path(place)
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as exc:
                raise ConfigurationError("The folder that TIDEMARK_MEDIA_DIR names cannot be made.") from exc
            self._store = LocalStore(self._folder)

    async def write(self, id_: UUID, chunks: AsyncIterator[bytes]) -> None:
        """Write an object as its chunks come; whole and on disk when it returns, and not there where it fails.

        MediaUnavailable where the store fails; what the chunks raise passes.
        """
        path = self._path(id_)
        with _unavailable():
            writer = obstore.open_writer_async(self._store, path, buffer_size=PART, max_concurrency=1)
        try:
            async for chunk in chunks:
                with _unavailable():
                    await writer.write(chunk)
            with _unavailable():
                await writer.close()
        except BaseException as exc:
            # left by an exception the writer drops what it had; one that was closing has nothing to drop
            with suppress(OSError):
                await writer.__aexit__(type(exc), exc, exc.__traceback__)
            raise
        if self._folder is not None:
            with _unavailable():
                await asyncio.to_thread(_make_last, self._folder / path)

    async def read(self, id_: UUID, first: int, end: int) -> AsyncGenerator[bytes, None] | None:
        """The bytes from `first` up to, not including, `end`; None where there is no such object."""
        try:
            head = await self._piece(id_, first, end)
        except FileNotFoundError:
            return None
        return self._pieces(id_, head, first + len(head), end)

    async def _pieces(self, id_: UUID, head: bytes, first: int, end: int) -> AsyncGenerator[bytes, None]:
        yield head
        # piece by piece: a slow reader holds no connection to the store, and no request to it grows old
        while first < end:
            piece = await self._piece(id_, first, end)
            yield piece
            first += len(piece)

    async def _piece(self, id_: UUID, first: int, end: int) -> bytes:
        with _unavailable(may_lack=True):
            found = await obstore.get_range_async(
                self._store, self._path(id_), start=first, end=min(end, first + PIECE)
            )
        return bytes(found)

    async def delete(self, id_: UUID) -> None:
        """Delete an object, and what a cut upload of it left; one that is not there is no error."""
        path = self._path(id_)
        if self._folder is not None:
            with _unavailable():
                await asyncio.to_thread(_delete_parts, self._folder / path)
        try:
            with _unavailable(may_lack=True):
                await obstore.delete_async(self._store, path)
        except FileNotFoundError:
            return

    async def size(self, id_: UUID) -> int | None:
        """The bytes of an object; None where there is none."""
        try:
            with _unavailable(may_lack=True):
                return (await obstore.head_async(self._store, self._path(id_)))["size"]
        except FileNotFoundError:
            return None

    async def shelf(self, number: int) -> Shelf:
        """What lies on one of the SHELVES."""
        prefix = f"{self._name}/{number:02x}"
        objects: dict[UUID, int] = {}
        with _unavailable():
            async for page in obstore.list(self._store, prefix):
                for meta in page:
                    id_ = _id_of(meta["path"].rpartition("/")[2])
                    if id_ is not None:
                        objects[id_] = meta["size"]
            parts = frozenset[UUID]()
            if self._folder is not None:
                parts = await asyncio.to_thread(_parts_in, self._folder / prefix)
        return Shelf(objects=objects, parts=parts)

    def _path(self, id_: UUID) -> str:
        return f"{self._name}/{id_.hex[:2]}/{id_.hex}"


@contextmanager
def _unavailable(*, may_lack: bool = False) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as exc:
        if may_lack and isinstance(exc, FileNotFoundError):
            raise
        # what the store says may hold its address: it is the cause, never the sentence
        raise MediaUnavailable("The store of files does not answer; try again in a few seconds.") from exc


def _bucket(url: str) -> S3Store:
    parts = urlsplit(url)
    if not parts.netloc or "@" in parts.netloc:
        raise ConfigurationError(
            "Set TIDEMARK_MEDIA_URL to s3://bucket/prefix; keys go into AWS_ACCESS_KEY_ID and the like."
        )
    try:
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={
                # only an endpoint that says http:// itself is spoken to like that
                "allow_http": True,
                "timeout": timedelta(seconds=60),
                "connect_timeout": timedelta(seconds=5),
            },
            retry_config={"max_retries": _TRIES, "retry_timeout": timedelta(seconds=15)},
        )
    except (BaseError, ValueError) as exc:
        raise ConfigurationError(
            "TIDEMARK_MEDIA_URL and the AWS_… variables do not make a bucket's address."
        ) from exc


def _id_of(name: str) -> UUID | None:
    try:
        return UUID(hex=name)
    except ValueError:
        return None


def _make_last(path: Path) -> None:
    """A file, and that it is in its folder, outlive a crash of the machine."""
    for place in (path, path.parent, path.parent.parent):
        number = os.open(place, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _delete_parts(path: Path) -> None:
    for part in path.parent.glob(f"{path.name}#*"):
        part.unlink(missing_ok=True)


def _parts_in(folder: Path) -> frozenset[UUID]:
    ids = (_id_of(part.name.partition("#")[0]) for part in folder.glob("*#*"))
    return frozenset(id_ for id_ in ids if id_ is not None)
