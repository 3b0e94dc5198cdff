"""Load on an API from many connections, as cheap as Python can make it: what it takes, the API does not get.

Each connection sends one request, reads the answer, and sends the next.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self, cast

import msgspec

CONTENT = '{"content":"' + "x" * 101 + '"}'
"""What a message says: 115 characters."""
_LENGTH = b"Content-Length: "


@dataclass(slots=True, kw_only=True)
class Load:
    """What came back."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    """Seconds each."""
    refusal: bytes = b""
    """One answer that was no success."""

    @property
    def rate(self) -> float:
        """Answers with status 200 a second."""
        return self.statuses[200] / self.seconds

    def check(self) -> Load:
        """Refuse to be measured where anything was refused."""
        if set(self.statuses) != {200}:
            raise RuntimeError(f"The API answered {dict(self.statuses)}, as {self.refusal!r}.")
        return self

    def quantile(self, part: float) -> float:
        """The latency that this part of the requests did not exceed."""
        ranked = sorted(self.latencies)
        return ranked[min(len(ranked) - 1, int(part * len(ranked)))]


def request(
    path: str, body: object, keys: Mapping[str, str], *, method: str = "POST", nonce: str = "bench"
) -> bytes:
    """A signed request, ready to be written."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    stamp = "1"
    signature = hashlib.sha1(f"{keys['secret']}{nonce}{stamp}".encode(), usedforsecurity=False).hexdigest()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nApp-Key: {keys['app_key']}\r\nNonce: {nonce}\r\n"
        f"Timestamp: {stamp}\r\nSignature: {signature}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class _Caller(asyncio.Protocol):
    def __init__(self, following: Callable[[], bytes | None], load: Load) -> None:
        self._following = following
        self._load = load
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses of asyncio's
        self._transport = cast("asyncio.WriteTransport", transport)

    def start(self) -> None:
        """Send the first request, or the next one."""
        following = self._following()
        if following is None:
            if not self.done.done():
                self.done.set_result(None)
            return
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(following)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._buffer.find(_LENGTH, 0, end)
        length = int(self._buffer[at + len(_LENGTH) : self._buffer.find(b"\r\n", at)])
        if len(self._buffer) < end + 4 + length:
            return
        self._load.latencies.append(time.perf_counter() - self._sent_at)
        status = int(self._buffer[9:12])
        self._load.statuses[status] += 1
        self.answer = self._buffer[end + 4 :]
        if status != 200:
            self._load.refusal = self.answer
        self._buffer = b""
        self.start()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("The API hung up."))


async def run(
    port: int, requests: Iterator[bytes], *, connections: int = 64, seconds: float | None = None
) -> Load:
    """Requests in turn from all connections, for so many seconds or to their end."""
    load = Load(seconds=0)
    until = None if seconds is None else time.perf_counter() + seconds

    def following() -> bytes | None:
        if until is not None and time.perf_counter() > until:
            return None
        return next(requests, None)

    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: _Caller(following, load), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    began = time.perf_counter()
    for caller in callers:
        caller.start()
    await asyncio.gather(*(caller.done for caller in callers))
    load.seconds = time.perf_counter() - began
    for caller in callers:
        caller.close()
    return load


class Line:
    """One connection that is kept, for one request after the other."""

    def __init__(self, caller: _Caller, waiting: list[bytes], load: Load) -> None:
        self._caller = caller
        self._waiting = waiting
        self._load = load

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect."""
        waiting, load = list[bytes](), Load(seconds=0)
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(
            lambda: _Caller(lambda: waiting.pop() if waiting else None, load), "127.0.0.1", port
        )
        return cls(caller, waiting, load)

    async def ask(self, one: bytes) -> float:
        """How many seconds the answer took; an error where it was no success."""
        self._waiting.append(one)
        self._caller.done = asyncio.get_running_loop().create_future()
        self._caller.start()
        await self._caller.done
        self._load.check()
        return self._load.latencies[-1]


async def ask(port: int, one: bytes) -> bytes:
    """The body of one answer, whatever its status."""
    once = iter([one])
    load = Load(seconds=0)
    _, caller = await asyncio.get_running_loop().create_connection(
        lambda: _Caller(lambda: next(once, None), load), "127.0.0.1", port
    )
    with suppress(ConnectionError):
        caller.start()
        await caller.done
    caller.close()
    return caller.answer
