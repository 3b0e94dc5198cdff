"""How much is under way at once: requests, and the bytes of their bodies. What is beyond is refused before it costs memory.

While Postgres hangs, everybody waits and others keep coming; so this is what bounds the memory of a process then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from history.errors import Overloaded

MOST_REQUESTS = 4_000
MOST_BYTES = 128 * 1024 * 1024


class Gate:
    """Counts what is under way."""

    def __init__(self, *, most_requests: int = MOST_REQUESTS, most_bytes: int = MOST_BYTES) -> None:
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def passed(self) -> Iterator[Passage]:
        """One request is under way for as long as the block lasts; Overloaded where too many are."""
        if self.requests >= self._most_requests:
            raise Overloaded("Too many requests are under way; try again in a second.")
        passage = Passage(self)
        self.requests += 1
        try:
            yield passage
        finally:
            self.requests -= 1
            self.bytes -= passage.bytes

    def take(self, count: int) -> None:
        """So many bytes more; Overloaded where it would be too many."""
        if self.bytes + count > self._most_bytes:
            raise Overloaded("Too many bytes of requests are under way; try again in a second.")
        self.bytes += count


class Passage:
    """One request under way, and what it holds."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.bytes = 0

    def take(self, count: int) -> None:
        """It has read so many bytes more of its body."""
        self._gate.take(count)
        self.bytes += count


GATE = web.AppKey("gate", Gate)
PASSAGE = web.RequestKey("passage", Passage)
