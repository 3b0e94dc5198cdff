"""Callers who go away in the middle: requests written by hand, and waits for what becomes of them here."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from tests.api.client import Api, signed

_NO_LINGER = struct.pack("ii", 1, 0)


async def until(condition: Callable[[], bool]) -> None:
    """It is so, within 20 seconds."""
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Caller:
    """One connection, with its request or a part of it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def end(self, how: str) -> None:
        """Go away: by "FIN" or by "RST"."""
        if how == "RST":
            taken = self.writer.get_extra_info("socket")
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.writer.transport.abort()


async def call(
    api: Api, method: str, path: str, body: bytes = b"", *, length: int | None = None, **more: str
) -> Caller:
    """A signed request; `length`: of a body of which this is the beginning. It takes little of the answer that nobody reads."""
    connecting = socket.socket()
    connecting.settimeout(0)
    connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    host, port = str(api.client.host), api.client.port
    await asyncio.get_running_loop().sock_connect(connecting, (host, port))
    reader, writer = await asyncio.open_connection(sock=connecting, limit=4_096)
    headers = {
        "Host": "x",
        "Content-Type": "application/json",
        "Content-Length": str(len(body) if length is None else length),
        **signed(api.keys, timestamp=api.now_ms),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return Caller(reader, writer)
