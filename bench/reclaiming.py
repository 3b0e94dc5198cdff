"""Deleting what nobody may still be given: as fast as it can beside one raw DELETE, and so that nobody notices."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from bench import filling, histories, load, sending
from bench.ground import HOUSE, Ground
from bench.rows import Row, beside, times
from history.retention.reclaim import Reclaim
from worker.jobs import months

_ROWS, _ROUNDS, _BATCH = 200_000, 3, 20_000
_PACED_ROWS, _PACED_ROUNDS, _SECONDS = 200_000, 4, 4.0
_READS, _WRITES, _LINES = 100, 200, 8
"""A second each, and the connections of each."""
_Took = list[tuple[float, float]]
"""When a request was due, and the milliseconds until it was answered."""


async def measure(ground: Ground) -> list[Row]:
    """Unpaced, then paced, then a whole month."""
    return [await _unpaced(ground), *await _paced(ground), await _month(ground)]


async def _cleaned(ground: Ground, name: str, count: int) -> int:
    """A history that both users have cleaned, settled, with nothing missed; not due yet."""
    id_ = await filling.history(ground, f"{name}-a", f"{name}-b", count)
    await ground.raw.execute(
        """UPDATE conversations SET history_cutoff = $2, settled_history_cutoff = $2, sync_cutoff = $2,
        settled_sync_cutoff = $2 WHERE channel_id = $1""",
        id_,
        ground.api.clock.now(),
    )
    return id_


async def _due(ground: Ground, ids: Sequence[int], at: int | None) -> None:
    await ground.raw.execute("UPDATE channels SET next_reclaim_at = $2 WHERE id = ANY ($1)", ids, at)


async def _unpaced(ground: Ground) -> Row:
    ours, raw = [], []
    for number in range(_ROUNDS):
        ground.step(f"reclaim and a raw DELETE of {_ROWS:,} messages, round {number + 1} of {_ROUNDS}")
        id_ = await _cleaned(ground, f"ours{number}", _ROWS)
        other = await _cleaned(ground, f"raw{number}", _ROWS)
        await filling.settle(ground)
        began = time.perf_counter()
        await ground.raw.execute("DELETE FROM messages WHERE channel_id = $1", other)
        raw.append(_ROWS / (time.perf_counter() - began))
        await filling.settle(ground)
        reclaim = Reclaim(ground.api.database, ground.worker.clock, batch=_BATCH)
        await _due(ground, [id_], 0)
        began, deleted = time.perf_counter(), 0
        while reports := await reclaim.visit_due(now=ground.worker.clock.now()):
            deleted += sum(report.deleted for report in reports)
        ours.append(deleted / (time.perf_counter() - began))
        if deleted != _ROWS:
            raise RuntimeError(f"{deleted} of {_ROWS} messages were reclaimed.")
    return beside(
        "messages reclaimed, unpaced", ours, raw, unit="messages/s", limit="one raw DELETE", budget=0.7
    )


def _p99(took: _Took, first: float, end: float) -> float:
    """Of the requests that were due in this time."""
    ranked = sorted(milliseconds for at, milliseconds in took if first <= at < end)
    return ranked[int(len(ranked) * 0.99)]


async def _keep(line: load.Line, requests: Iterator[bytes], rate: float, took: _Took) -> None:
    """So many requests a second; one that is late is followed at once."""
    following = time.perf_counter()
    while True:
        await asyncio.sleep(max(0.0, following - time.perf_counter()))
        # from when it was due: what waits behind a slow one waits as well
        await line.ask(next(requests))
        took.append((following, (time.perf_counter() - following) * 1000))
        following = max(following + 1 / rate, time.perf_counter() - 1)


@asynccontextmanager
async def _load(ground: Ground) -> AsyncIterator[tuple[_Took, _Took]]:
    """An API that is read and written at a steady rate, and a worker beside it."""
    worker = subprocess.Popen(  # noqa: ASYNC220 # it only starts
        [sys.executable, "-m", "cli", "worker"],
        cwd=HOUSE,
        env=ground.whole_environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    reads: _Took = []
    writes: _Took = []
    try:
        async with ground.process() as process:
            pages = itertools.cycle([histories.page(ground, "paced-reader", "writer")])
            sends = sending.requests(ground, sending.SEND)
            tasks = [
                asyncio.create_task(_keep(await load.Line.open(process.port), requests, rate / _LINES, took))
                for requests, rate, took in ((pages, _READS, reads), (sends, _WRITES, writes))
                for _ in range(_LINES)
            ]
            yield reads, writes
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        worker.terminate()
        worker.wait()


async def _paced(ground: Ground) -> list[Row]:
    ground.step(f"writing {_PACED_ROUNDS * _PACED_ROWS:,} messages to reclaim")
    await filling.history(ground, "paced-reader", "writer", 100_000)
    rounds = [
        [await _cleaned(ground, f"paced{number}-{part}", _PACED_ROWS // 10) for part in range(10)]
        for number in range(_PACED_ROUNDS)
    ]
    await filling.settle(ground)
    every = [id_ for ids in rounds for id_ in ids]
    count = "SELECT count(*) FROM messages WHERE channel_id = ANY ($1)"
    left: int = await ground.raw.fetchval(count, every)
    idle, busy, drained, inflow, spans = [], [], [], [], []
    async with _load(ground) as (reads, writes):
        await asyncio.sleep(3)
        for number, ids in enumerate(rounds):
            ground.step(f"reads without and with reclaim, round {number + 1} of {_PACED_ROUNDS}")
            began = time.perf_counter()
            await asyncio.sleep(_SECONDS)
            resumed, written = time.perf_counter(), len(writes)
            idle.append(_p99(reads, began, resumed))
            await _due(ground, ids, 0)
            await asyncio.sleep(_SECONDS)
            ended = time.perf_counter()
            await _due(ground, ids, None)
            # of all rounds: a worker that is slow is still at an earlier one
            left, before = await ground.raw.fetchval(count, every), left
            busy.append(_p99(reads, resumed, ended))
            drained.append((before - left) / (ended - resumed))
            inflow.append((len(writes) - written) / (ended - resumed))
            spans.append((resumed, ended))
            await asyncio.sleep(1)
    ground.figures["reclaiming"] = {"reads": reads, "spans": spans}
    return [
        times("a page while reclaim runs, p99", busy, idle, limit="without", budget=1.5),
        beside(
            "messages reclaimed meanwhile", drained, inflow, unit="messages/s", limit="what came in", budget=2
        ),
    ]


async def _month(ground: Ground) -> Row:
    """An old month that everybody cleaned: reclaimed row by row, then dropped whole."""
    ground.step(f"dropping a month of {_ROWS:,} messages")
    month = 1_580_515_200_000_000
    await ground.api.messages.make_months(now=month)
    id_ = await _cleaned(ground, "old", 1)
    await filling.messages(ground, [id_], month + 1, _ROWS, senders=["old-a"])
    before = await _database_size(ground)
    reclaim = Reclaim(ground.api.database, ground.worker.clock, batch=_BATCH)
    await _due(ground, [id_], 0)
    while await reclaim.visit_due(now=ground.worker.clock.now()):
        pass
    began, dropped = time.perf_counter(), list[str]()
    for _ in range(100):
        names, _ = await months.drop_months(ground.worker.months, ground.worker.runs)
        dropped += names
        if "messages_2020_02" in dropped:
            break
    else:
        raise RuntimeError("The month was not dropped.")
    took, after = time.perf_counter() - began, await _database_size(ground)
    return Row(
        name=f"a month of {_ROWS:,} cleaned messages dropped",
        value=(before - after) / 2**20,
        unit="MiB less on disk",
        limit=f"in {took * 1000:.0f} ms; the database had {before / 2**20:.0f} MiB",
    )


async def _database_size(ground: Ground) -> int:
    size: int = await ground.raw.fetchval("SELECT pg_database_size(current_database())")
    return size
