"""Tell the worker that there is work: pairs into Redis, and a job that takes them out.

Nothing is decided here. Redis may be down, flushed or lost: the journal has every request, and a cron finds what was
forgotten. So a failure is logged and the caller is answered all the same.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import structlog
from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from redis.exceptions import RedisError

from history.batches import Batches
from history.errors import Overloaded
from history.retention.model import WAITING_PAIRS, Accepted, queue_member

log = structlog.get_logger()

APPLY_JOB = "apply_cleans"
REST_SECONDS = 1.0
"""After a failure Redis is left alone for so long, so that a Redis that hangs costs one caller a time-out, not all."""
TIMEOUT_SECONDS = 0.5
_MOST_BATCH = 2_000
_MOST_WAITING = 20_000


class Breaker:
    """Whether Redis is worth asking."""

    def __init__(self) -> None:
        self._rests_until = 0.0

    @property
    def closed(self) -> bool:
        """True where the last failure is long enough ago."""
        return time.monotonic() >= self._rests_until

    def trip(self) -> None:
        """Something failed: leave Redis alone for a while."""
        self._rests_until = time.monotonic() + REST_SECONDS


class Queue:
    """The one place that speaks to the job queue."""

    def __init__(self, redis: ArqRedis, breaker: Breaker) -> None:
        self._redis = redis
        self._breaker = breaker
        self._batches: Batches[Accepted, None] = Batches(
            self._announce, weigh=lambda _: 1, most_weight=_MOST_BATCH, most_waiting=_MOST_WAITING
        )

    async def announce(self, accepted: Accepted) -> None:
        """Say that this clean waits to be applied; never an error."""
        try:
            await self._batches.submit(accepted)
        except Overloaded:
            log.warning(
                "A clean was not announced; the worker finds it in the journal.", request=accepted.request_id
            )

    async def _announce(self, batch: Sequence[Accepted]) -> list[None]:
        if self._breaker.closed:
            scores: dict[str, int] = {}
            for accepted in batch:
                member = queue_member(accepted.pair)
                scores[member] = max(scores.get(member, 0), accepted.cutoff)
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    pipe.zadd(WAITING_PAIRS, scores, gt=True)
                    pipe.exists(f"{job_key_prefix}{APPLY_JOB}")
                    _, there = await pipe.execute()
                # not while such a job waits or runs: a running one looks once more before it ends
                if not there:
                    await self._redis.enqueue_job(APPLY_JOB, _job_id=APPLY_JOB)
            except (RedisError, OSError, TimeoutError) as exc:
                self._breaker.trip()
                log.warning("Redis does not answer; cleans wait in the journal.", error=type(exc).__name__)
        return [None] * len(batch)


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[ArqRedis]:
    """A client that connects when it is first used, so that a process starts without Redis too."""
    redis = ArqRedis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
    redis.job_serializer, redis.job_deserializer = serialize, deserialize
    try:
        yield redis
    finally:
        await redis.aclose()


def serialize(job: dict[str, object]) -> bytes:
    """Jobs travel as MessagePack: nothing that Redis holds can run code."""
    return msgspec.msgpack.encode(job)


def deserialize(data: bytes) -> dict[str, object]:
    """The job again."""
    return msgspec.msgpack.decode(data, type=dict[str, object])
