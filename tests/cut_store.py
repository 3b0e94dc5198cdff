"""A store of files that dies between two steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from history.objects import Objects


class Cut(Exception):
    """The process dies here."""


class Failing(Objects):
    """A store that dies before or after it does something."""

    def __init__(self, inner: Objects, cut: str, *, error: Exception | None = None) -> None:
        """`cut`: before or after, and what: "before write". Without an `error` the process dies."""
        self._name, self._folder, self._store = inner._name, inner._folder, inner._store
        self._cut, self._error = cut, error or Cut()

    async def write(self, id_: UUID, chunks: AsyncIterator[bytes]) -> None:
        self._die("before write")
        await super().write(id_, chunks)
        self._die("after write")

    async def delete(self, id_: UUID) -> None:
        self._die("before delete")
        await super().delete(id_)
        self._die("after delete")

    def _die(self, here: str) -> None:
        if here == self._cut:
            raise self._error
