"""Over HTTP, while the database is held up: 503 with Retry-After beyond what may be under way, and callers who go away in
the middle disturb nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from server.gate import GATE, Gate
from tests.api.client import ACK, CLEAN, SEND, Answer, Api, signed

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
COUNTS = {
    "send": "SELECT count(*) - 1 AS count FROM messages",
    "ack": "SELECT count(*) FROM device_marks",
    "clean": "SELECT count(*) FROM clean_requests",
}
LOCKS = {"send": "channels", "ack": "conversations", "clean": "apps"}


@asynccontextmanager
async def _held(api: Api, table: str) -> AsyncIterator[asyncpg.Connection]:
    """All rows of a table are locked for as long as the block lasts; a connection to look with, in no transaction."""
    connection, other = [await asyncpg.connect(api.database_url) for _ in range(2)]
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT FROM {table} FOR UPDATE")
            yield other
    finally:
        await connection.close()
        await other.close()


def _gate(api: Api) -> Gate:
    assert api.client.app is not None
    return api.client.app[GATE]


async def _until(connection: asyncpg.Connection, api: Api, requests: int) -> None:
    """So many requests are under way, and one of them waits for the lock."""
    gate = _gate(api)
    for _ in range(5_000):
        if gate.requests == requests and await connection.fetchval(WAITING):
            return
        await asyncio.sleep(0)
    raise AssertionError((gate.requests, requests))


def _send(content: str) -> dict[str, object]:
    return {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": content}


async def _stored(api: Api) -> list[str]:
    return [row["content"] for row in await api.rows("SELECT content FROM messages")]


@pytest.mark.parametrize("kind", ["send", "ack", "clean"])
async def test_beyond_what_may_be_under_way_callers_are_told_to_come_again(api: Api, kind: str) -> None:
    """At once, and the others are answered when the database goes on; whether it is well is answered all the time."""
    gate, room, many = _gate(api), 20, 60
    gate._most_requests = room
    sent = (await api.post(SEND, _send("first"))).done()["messageIds"][0]["messageId"]
    delivered = [{"channelType": 1, "channelId": "ann", "messageId": sent}]
    calls: dict[str, tuple[str, list[Any]]] = {
        "send": (SEND, [_send(str(number)) for number in range(many)]),
        "ack": (ACK, [{"userId": "bob", "deviceId": str(n), "delivered": delivered} for n in range(many)]),
        "clean": (CLEAN, [{"channelType": 1, "fromUserId": "bob", "channelId": "ann"}] * many),
    }
    path, bodies = calls[kind]
    await api.set(cleanRateLimit=0)
    async with _held(api, LOCKS[kind]) as connection:
        tasks = [asyncio.create_task(api.post(path, body)) for body in bodies]
        done: set[asyncio.Task[Answer]] = set()
        while len(done) < many - room:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await _until(connection, api, room)
        for refused in done:
            refused.result().refused(503, 1000, "try again")
            assert refused.result().headers["Retry-After"] == "1"
        assert (await api.request("GET", "/healthz")).status == 200
        assert (await api.request("GET", "/readyz")).status == 200
    answers = await asyncio.gather(*tasks)
    assert sum(answer.status == 200 for answer in answers) == room
    assert (gate.requests, gate.bytes) == (0, 0)
    [row] = await api.rows(COUNTS[kind])
    assert row["count"] == room


async def test_the_bytes_under_way_are_bounded_and_given_back(api: Api) -> None:
    """One large body at a time; a small one passes beside it."""
    gate = _gate(api)
    gate._most_bytes = 100_000
    await api.post(SEND, _send("first"))
    async with _held(api, "channels") as connection:
        large = asyncio.create_task(api.post(SEND, _send("x" * 90_000)))
        await _until(connection, api, 1)
        assert 90_000 < gate.bytes < 100_000
        (await api.post(SEND, _send("y" * 20_000))).refused(503, 1000, "bytes")
        small = asyncio.create_task(api.post(SEND, _send("z")))
        await _until(connection, api, 2)
    for task in (large, small):
        (await task).done()
    assert (gate.requests, gate.bytes) == (0, 0)
    assert sorted(map(len, await _stored(api))) == [1, 5, 90_000]


async def _begin(api: Api, content: str, *, part: int | None = None) -> asyncio.StreamWriter:
    """A send over a connection of its own; with `part` only so many bytes of its body."""
    body = json.dumps(_send(content)).encode()
    headers = {
        "Host": "x",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **signed(api.keys, timestamp=api.now_ms),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    _, writer = await asyncio.open_connection(str(api.client.host), api.client.port)
    writer.write(f"POST {SEND} HTTP/1.1\r\n{head}\r\n".encode() + body[:part])
    await writer.drain()
    return writer


async def test_callers_whose_connection_is_cut_disturb_nobody(api: Api) -> None:
    """One while his batch is in flight, one while he waits for the next, one in the middle of his body."""
    gate = _gate(api)
    await api.post(SEND, _send("first"))
    async with _held(api, "channels") as connection:
        flying = await _begin(api, "cut in flight")
        await _until(connection, api, 1)
        waiting = await _begin(api, "cut while waiting")
        half = await _begin(api, "cut in the middle", part=20)
        await _until(connection, api, 3)
        neighbours = [asyncio.create_task(api.post(SEND, _send(f"neighbour {n}"))) for n in range(5)]
        await _until(connection, api, 8)
        for writer in (flying, waiting, half):
            writer.transport.abort()
    for neighbour in neighbours:
        (await neighbour).done()
    for _ in range(5_000):
        if not gate.requests:
            break
        await asyncio.sleep(0)
    assert (gate.requests, gate.bytes) == (0, 0)
    stored = await _stored(api)
    # nobody takes back what is in flight; who only waited is there whole, or not at all
    expected = ["first", "cut in flight", *(f"neighbour {n}" for n in range(5))]
    assert sorted(stored) in (sorted(expected), sorted([*expected, "cut while waiting"]))
