"""A page of history and a clean, beside the same with a shorter history."""

from __future__ import annotations

import statistics
import time

import asyncpg

from bench import filling, load
from bench.ground import Ground
from bench.latency import BLOCK, BLOCKS, in_turn
from bench.rows import Row, times
from history.axis import DAY, MILLISECOND
from history.database import READER
from history.messages.model import MOST_PAGE_BYTES
from history.queries import statement

HISTORY = "/v4/direct-channel/history-message/list"
CLEAN = "/v4/channel/message/history/clean"
LONG_AGO = 1_600_000_000_000
"""Milliseconds: before all that is measured here."""
_PAGE = 50


def page(ground: Ground, user: str, other: str) -> bytes:
    """A request for the newest page."""
    now = ground.api.clock.now() // MILLISECOND
    body = {
        "userId": user,
        "channelId": other,
        "startAt": now,
        "endAt": now - DAY // MILLISECOND,
        "includeStart": True,
        "pageSize": _PAGE,
    }
    return load.request(HISTORY, body, ground.keys)


def clean(ground: Ground, user: str, other: str) -> bytes:
    """A request to clean a direct channel up to long ago, so that it can be made again."""
    body = {"channelType": 1, "fromUserId": user, "channelId": other, "sentAt": LONG_AGO}
    return load.request(CLEAN, body, ground.keys)


async def measure(ground: Ground) -> list[Row]:
    """Pages and cleans of histories of 10^4 messages and more."""
    sizes = [10**4, 10**5, 10**6, *([10**7] if ground.full else [])]
    ids = {}
    for size in sizes:
        ground.step(f"writing a history of {size:,} messages")
        ids[size] = await filling.history(ground, f"reader{size}", "writer", size)
    ground.step("writing one of 10^6 messages of one sender, who is not told of them")
    await filling.history(ground, "alone", "silent", 10**6, senders=["alone"], flags=1)
    await filling.settle(ground)
    async with ground.process() as api:
        ground.step("reading")
        pages = {f"{size:,}": [page(ground, f"reader{size}", "writer")] for size in sizes}
        pages["not echoed"] = [page(ground, "alone", "silent")]
        read = await in_turn(api, pages)
        sql = await _same_sql(ground, ids[10**4], f"reader{10**4}")
        cleans = {f"{size:,}": [clean(ground, f"reader{size}", "writer")] for size in sizes}
        cleans["not echoed"] = [clean(ground, "alone", "silent")]
        cleaned = await in_turn(api, cleans)
    first, largest = f"{sizes[0]:,}", f"{sizes[-1]:,}"
    ground.figures["histories"] = {"page": read, "clean": cleaned}
    return [
        times(
            "a page of 50 over HTTP, p50",
            read[first],
            sql,
            limit="the same SQL by asyncpg",
            budget=5,
        ),
        times(
            f"a page of a history of {largest}",
            read[largest],
            read[first],
            limit=f"of {first}",
            budget=1.2,
        ),
        times(
            "a page for a sender of 1,000,000 without echo",
            read["not echoed"],
            read[first],
            limit=f"of {first}",
        ),
        times(
            f"a clean of a history of {largest} accepted",
            cleaned[largest],
            cleaned[first],
            limit=f"of {first}",
            budget=1.2,
        ),
        times(
            "a clean of 1,000,000 without echo accepted",
            cleaned["not echoed"],
            cleaned[first],
            limit=f"of {first}",
            budget=1.2,
        ),
    ]


async def _same_sql(ground: Ground, channel_id: int, user: str) -> list[float]:
    medians = []
    now = ground.api.clock.now()
    arguments = (ground.app_key, channel_id, user, now, now - DAY, now, _PAGE, MOST_PAGE_BYTES, False)
    # with the settings of the API's own connections
    reader = await asyncpg.connect(ground.settings.database_url, server_settings=READER)
    prepared = await reader.prepare(statement("messages", "history_page"))
    for _ in range(BLOCKS):
        latencies = []
        for _ in range(BLOCK):
            began = time.perf_counter()
            assert len(await prepared.fetch(*arguments)) >= _PAGE
            latencies.append((time.perf_counter() - began) * 1000)
        medians.append(statistics.median(latencies))
    await reader.close()
    return medians
