"""One request whose body and answer go their ways at the same time.

A body of any length may be answered before it is sent: who sends all of it first and reads afterwards may wait for a server
that waits for him.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from urllib.parse import urlencode, urlsplit

from cli.backend import Backend
from cli.errors import Refused, reason

_BLOCK_BYTES = 64 * 1024
_MOST_FAULT_BYTES = 64 * 1024
_BROKEN = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


async def lines(
    backend: Backend, method: str, path: str, *, query: dict[str, str], body: Iterable[bytes] | None = None
) -> AsyncIterator[bytes]:
    """The lines of the answer as they come, each with its end; `body` goes as lines of JSON, read as the server takes them.

    Refused where nobody answers, where the answer is an error, and where it breaks off.
    """
    reader, writer = await _connect(backend)
    sending = asyncio.create_task(_send(backend, writer, method, path, query, body))
    sending.add_done_callback(lambda task: _end_with(task, writer))
    try:
        async with aclosing(_answer(reader)) as pieces:
            tail = b""
            async for piece in pieces:
                *whole, tail = (tail + piece).splitlines(keepends=True) or [b""]
                if tail.endswith(b"\n"):
                    whole, tail = [*whole, tail], b""
                for line in whole:
                    yield line
        if tail:
            raise Refused("The answer broke off.")
    except _BROKEN as error:
        if sending.done() and not sending.cancelled() and not isinstance(sending.exception(), _BROKEN):
            # what could not be read here is why it broke
            await sending
        raise Refused(f"The connection to {backend.base_url} broke.") from error
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        writer.close()


def _end_with(sending: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
    """A body that fails on our side ends the request, for which the server would wait."""
    error = None if sending.cancelled() else sending.exception()
    if error is not None and not isinstance(error, _BROKEN):
        writer.transport.abort()


async def _connect(backend: Backend) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    secure, host, port = _address(backend)
    try:
        return await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if secure else None)
    except OSError as error:
        raise Refused(
            f"Nothing answers at {backend.base_url} ({reason(error)}): is Tidemark running?"
        ) from error


def _address(backend: Backend) -> tuple[bool, str, int]:
    """Whether by TLS, the host, the port."""
    try:
        address = urlsplit(backend.base_url)
        secure = address.scheme == "https"
        host, port = address.hostname, address.port or (443 if secure else 80)
        if (secure or address.scheme == "http") and host:
            # also what no name of a host can be is a ValueError
            host.encode("idna")
            return secure, host, port
    except ValueError:
        pass
    raise Refused(f"{backend.base_url} is no address: say --url http://host:port.")


async def _send(
    backend: Backend,
    writer: asyncio.StreamWriter,
    method: str,
    path: str,
    query: dict[str, str],
    body: Iterable[bytes] | None,
) -> None:
    address = urlsplit(backend.base_url)
    target = address.path + path + (f"?{urlencode(query)}" if query else "")
    headers = {"Host": address.netloc.rpartition("@")[2], "Connection": "close", **backend.signed()}
    if body is not None:
        headers |= {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
    if body is not None:
        for block in _blocks(body):
            writer.write(b"%x\r\n%b\r\n" % (len(block), block))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()


def _blocks(parts: Iterable[bytes]) -> Iterable[bytes]:
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _BLOCK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


async def _answer(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """The body of a success, piece by piece, to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    pieces = _chunks(reader) if chunked else _plain(reader, headers.get("content-length"))
    if status != 200:
        fault = b""
        async for piece in pieces:
            fault += piece
            if len(fault) > _MOST_FAULT_BYTES:
                break
        raise Refused(_sentence(status, fault))
    async for piece in pieces:
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield (await reader.readexactly(size + 2))[:-2]


async def _plain(reader: asyncio.StreamReader, length: str | None) -> AsyncIterator[bytes]:
    left = None if length is None else int(length)
    while left is None or left > 0:
        piece = await reader.read(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
        if not piece:
            if left:
                raise asyncio.IncompleteReadError(b"", left)
            return
        yield piece
        left = None if left is None else left - len(piece)


def _sentence(status: int, fault: bytes) -> str:
    """What the API said; its errors are sentences."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(fault)["errorMessage"])
    return f"What answers there is not tidemark (HTTP {status})."
