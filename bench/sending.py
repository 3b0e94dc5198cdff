"""One message a request from 64 connections, beside a request that does nothing, commits of one, and raw INSERTs."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator

import asyncpg

from bench import api, load
from bench.ground import Ground
from bench.rows import Row, beside

SEND = "/v4/direct-channel/message/send"
_USERS = 2_000
_ROUNDS, _SECONDS = 4, 1.5
_INSERT = """INSERT INTO messages (channel_id, position, flags, sender, type, content)
VALUES ($1, $2, 3, $3, 'RC:TxtMsg', $4)"""


def body(sender: int, to: int) -> dict[str, object]:
    """A direct message."""
    return {
        "fromUserId": f"user{sender}",
        "toUserIds": [f"user{to}"],
        "messageType": "RC:TxtMsg",
        "content": load.CONTENT,
    }


def requests(ground: Ground, path: str) -> Iterator[bytes]:
    """Sends between pairs of users, each pair's channel again and again, in no order."""
    pairs = [(2 * n, 2 * n + 1) for n in range(_USERS // 2)]
    random.Random(7).shuffle(pairs)
    return itertools.cycle([load.request(path, body(*pair), ground.keys) for pair in pairs])


async def measure(ground: Ground) -> list[Row]:
    """Rounds of each in turn."""
    names = ("send", "no-op", "commits of one", "raw INSERT")
    rates: dict[str, list[float]] = {name: [] for name in names}
    async with ground.process() as group, ground.process("single") as single:
        ground.step("making the channels")
        await load.run(group.port, itertools.islice(requests(ground, SEND), _USERS))
        for number in range(_ROUNDS):
            ground.step(f"round {number + 1} of {_ROUNDS}")
            for name, port, path in (
                ("send", group.port, SEND),
                ("no-op", group.port, api.NO_SEND),
                ("commits of one", single.port, SEND),
            ):
                got = await load.run(port, requests(ground, path), seconds=_SECONDS)
                rates[name].append(got.check().rate)
            rates["raw INSERT"].append(await _insert(ground, connections=16))
    ground.figures["sending"] = rates
    return [
        beside(
            "messages sent, one a request, 64 connections",
            rates["send"],
            rates[other],
            unit="messages/s",
            limit=limit,
            budget=budget,
        )
        for other, limit, budget in (
            ("no-op", "the signed no-op", 0.6),
            ("commits of one", "the same with batch size 1", 3.5),
            ("raw INSERT", "raw INSERT on 16 connections", 1.0),
        )
    ]


async def _insert(ground: Ground, *, connections: int) -> float:
    opened = [await asyncpg.connect(ground.settings.database_url) for _ in range(connections)]
    until, count = time.perf_counter() + _SECONDS, itertools.count()

    async def write(connection: asyncpg.Connection, channel: int) -> None:
        statement = await connection.prepare(_INSERT)
        while time.perf_counter() < until:
            position = ground.api.clock.now() + next(count)
            await statement.fetch(-channel, position, "user1", load.CONTENT)

    began, before = time.perf_counter(), next(count)
    await asyncio.gather(*(write(one, number + 1) for number, one in enumerate(opened)))
    rate = (next(count) - before) / (time.perf_counter() - began)
    for one in opened:
        await one.close()
    return rate
