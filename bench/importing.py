"""NDJSON over HTTP beside a bare COPY of the same rows by asyncpg, and the memory of the API while it takes 10^6 lines."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import Iterable, Iterator

import msgspec

from bench import filling, load
from bench.ground import Api, Ground
from bench.rows import Row, beside
from history.axis import DAY, MILLISECOND
from history.channels.model import derived_id

_ROUNDS, _LINES, _IN_A_CHANNEL, _PART = 3, 100_000, 1_000, 10_000
_COLUMNS = ("channel_id", "position", "flags", "sender", "type", "content")


async def measure(ground: Ground) -> list[Row]:
    """Without keys, and with a key a line, which makes an import resumable."""
    start = (ground.api.clock.now() - 20 * DAY) // MILLISECOND
    await ground.api.messages.make_months(now=start * MILLISECOND)
    copied: list[float] = []
    rates: dict[bool, list[float]] = {False: [], True: []}
    async with ground.process() as api:
        await _post(ground, api, "warm", 2_000, start=start, keyed=True)
        for number in range(_ROUNDS):
            ground.step(f"import and COPY of {_LINES:,} messages, round {number + 1} of {_ROUNDS}")
            copied.append(await _copy(ground, f"copied{number}", start))
            for keyed, seen in rates.items():
                seen.append(
                    await _post(ground, api, f"into{number}{keyed}", _LINES, start=start, keyed=keyed)
                )
        ground.step("1,000,000 lines in one request")
        before, peak = api.resident(), [0.0]
        watching = asyncio.create_task(_watch(api, peak))
        rate = await _post(ground, api, "million", 10**6, start=start, keyed=True)
        watching.cancel()
    name = f"{_LINES:,} messages imported"
    return [
        beside(name, rates[False], copied, unit="messages/s", limit="a bare COPY", budget=0.45),
        beside(
            f"{name}, each with a key",
            rates[True],
            copied,
            unit="messages/s",
            limit="a bare COPY",
            budget=0.45,
        ),
        Row(
            name="1,000,000 messages imported in one request, each with a key", value=rate, unit="messages/s"
        ),
        beside(
            "resident, API: peak during 1,000,000 lines",
            peak,
            [before],
            unit="MiB",
            limit=f"after {2 * _ROUNDS} imports of {_LINES:,}",
            budget=1.2,
            sense="max",
        ),
    ]


async def _watch(api: Api, peak: list[float]) -> None:
    while True:
        peak[0] = max(peak[0], api.resident())
        await asyncio.sleep(0.05)


async def _copy(ground: Ground, name: str, start: int) -> float:
    ids = [derived_id(filling.group(ground, f"{name}-{n}"), 0) for n in range(_LINES // _IN_A_CHANNEL)]
    rows = [
        (id_, (start + n * 1_500) * MILLISECOND, 9, f"{name}-{place}", "RC:TxtMsg", load.CONTENT)
        for place, id_ in enumerate(ids)
        for n in range(_IN_A_CHANNEL)
    ]
    began = time.perf_counter()
    await ground.raw.copy_records_to_table("messages", records=rows, columns=_COLUMNS)
    return _LINES / (time.perf_counter() - began)


def _lines(name: str, count: int, *, start: int, keyed: bool) -> Iterator[bytes]:
    """Parts of a file, made before they are needed."""
    encode = msgspec.json.Encoder().encode
    for first in range(0, count, _PART):
        lines = []
        for number in range(first, min(count, first + _PART)):
            channel, place = divmod(number, _IN_A_CHANNEL)
            line = {
                "channelType": 1,
                "channelId": f"{name}-b{channel}",
                "fromUserId": f"{name}-a{channel}",
                "messageType": "RC:TxtMsg",
                "content": load.CONTENT,
                "sentAt": start + place * 1_500,
            }
            lines.append(encode({**line, "clientMessageId": f"m{number:09}"} if keyed else line))
        yield b"\n".join(lines) + b"\n"


async def _post(ground: Ground, api: Api, name: str, count: int, *, start: int, keyed: bool) -> float:
    # the file is there before the clock runs, as it would be on a disk; the million is made on the way
    parts: Iterable[bytes] = _lines(name, count, start=start, keyed=keyed)
    if count <= _LINES:
        parts = list(parts)
    began = time.perf_counter()
    answer = await asyncio.to_thread(_send, api.port, ground.keys, parts)
    rate = count / (time.perf_counter() - began)
    summary = msgspec.json.decode(answer.splitlines()[-1])
    if summary["imported"] != count:
        raise RuntimeError(f"An import of {count} lines ended with {summary}.")
    return rate


def _send(port: int, keys: dict[str, str], parts: Iterable[bytes]) -> bytes:
    """Chunked, because nobody knows how long it is."""
    signature = hashlib.sha1(f"{keys['secret']}n1".encode(), usedforsecurity=False).hexdigest()
    head = (
        f"POST /v4/message/import HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nApp-Key: {keys['app_key']}\r\nNonce: n\r\n"
        f"Timestamp: 1\r\nSignature: {signature}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as opened:
        opened.sendall(head.encode())
        for part in parts:
            opened.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        opened.sendall(b"0\r\n\r\n")
        got = b""
        while more := opened.recv(65_536):
            got += more
    return b"\n".join(line for line in got.splitlines() if line.startswith(b"{"))
