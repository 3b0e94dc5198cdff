"""What all API processes count together through Redis: cleans a second, a token's calls a minute, nonces that were used.

One Redis call a request would cost two thirds of the throughput, so requests that arrive together are counted together.
Without Redis each process counts its own; nonces cannot be checked then, so those requests are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from limits.aio.storage import MemoryStorage, RedisStorage
from redis.asyncio import Redis
from redis.exceptions import RedisError

from history.apps.model import App, key_hash
from history.axis import SECOND
from history.batches import Batches
from history.errors import BadSignature, QueueUnavailable, RateLimited
from server.queue import Breaker

log = structlog.get_logger()

NONCE_KEPT_SECONDS = 86_400
"""How long a nonce is remembered where signatures do not expire sooner."""
CALLS_A_MINUTE = 100
"""Of one token, on surfaces that count them: RyzeAPI's number."""
_WINDOW_SECONDS = 1
_MINUTE = 60
_MINUTE_KEPT_SECONDS = 2 * _MINUTE
_MOST_BATCH = 5_000
_MOST_WAITING = 50_000
_FAILURES = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How many calls of a minute are used. The minutes are those of the clock, the same for all processes."""

    used: int
    limit: int = CALLS_A_MINUTE
    resets_at: int
    """When the next minute begins, in Unix seconds."""

    @property
    def remaining(self) -> int:
        """How many are left."""
        return max(self.limit - self.used, 0)

    @property
    def exceeded(self) -> bool:
        """Whether this call was one too many."""
        return self.used > self.limit


def standing(*, used: int = 0, now: int) -> Standing:
    """What so many calls in the minute of this instant amount to."""
    return Standing(used=used, resets_at=(_minute(now) + 1) * _MINUTE)


def _minute(now: int) -> int:
    return now // SECOND // _MINUTE


class Limits:
    """Counts what is limited; refuses by exceptions."""

    def __init__(self, redis: Redis, breaker: Breaker) -> None:
        self._redis = redis
        self._breaker = breaker
        self._shared = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="tidemark:rate",
            connection_pool=redis.connection_pool,  # type: ignore[arg-type] # its annotation forgets pools
        )
        self._own = MemoryStorage()
        self._cleans: Batches[tuple[str, int], bool] = Batches(
            self._count, weigh=lambda _: 1, most_weight=_MOST_BATCH, most_waiting=_MOST_WAITING
        )

        self._calls: Batches[str, int] = Batches(
            self._count_calls, weigh=lambda _: 1, most_weight=_MOST_BATCH, most_waiting=_MOST_WAITING
        )

    async def count_call(self, token: str, *, now: int) -> Standing:
        """Where the token stands with this call; whoever asks refuses it where it is one too many."""
        return standing(used=await self._calls.submit(f"{key_hash(token).hex()}:{_minute(now)}"), now=now)

    async def admit_clean(self, app: App) -> None:
        """RateLimited where the app has asked for too many cleans in this second."""
        limit = app.settings.clean_rate_limit
        if limit and not await self._cleans.submit((app.app_key, limit)):
            raise RateLimited(
                f"More than {limit} cleans in one second; try again in a second.", retry_after=1
            )

    async def use_nonce(self, app: App, nonce: str) -> None:
        """BadSignature where this nonce was used before."""
        kept = app.settings.signature_max_age_seconds * 2 or NONCE_KEPT_SECONDS
        name = f"tidemark:nonce:{app.app_key}:{key_hash(nonce).hex()}"
        try:
            fresh = self._breaker.closed and await self._redis.set(name, b"1", nx=True, ex=kept)
        except _FAILURES as exc:
            self._breaker.trip()
            raise QueueUnavailable("Nonces cannot be checked while Redis is away; try again later.") from exc
        if not fresh:
            if not self._breaker.closed:
                raise QueueUnavailable("Nonces cannot be checked while Redis is away; try again later.")
            raise BadSignature("This Nonce was used before; sign every request with a new one.")

    async def _count(self, batch: Sequence[tuple[str, int]]) -> list[bool]:
        wanted = Counter(app_key for app_key, _ in batch)
        # what each app had used of this second before the batch
        used = {app_key: await self._add(app_key, amount) - amount for app_key, amount in wanted.items()}
        admitted = []
        for app_key, limit in batch:
            used[app_key] += 1
            admitted.append(used[app_key] <= limit)
        return admitted

    async def _add(self, app_key: str, amount: int) -> int:
        if self._breaker.closed:
            try:
                return await self._shared.incr(f"tidemark:rate:{app_key}", _WINDOW_SECONDS, amount)
            except _FAILURES as exc:
                self._breaker.trip()
                log.warning("Redis does not answer; each process counts alone.", error=type(exc).__name__)
        return await self._own.incr(app_key, _WINDOW_SECONDS, amount)

    async def _count_calls(self, batch: Sequence[str]) -> list[int]:
        wanted = Counter(batch)
        ends = await self._add_calls(wanted)
        used = {name: ends[name] - amount for name, amount in wanted.items()}
        counted = []
        for name in batch:
            used[name] += 1
            counted.append(used[name])
        return counted

    async def _add_calls(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """What each counter has with these; one round trip for all of them."""
        if self._breaker.closed:
            try:
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for name, amount in wanted.items():
                        pipeline.incrby(f"tidemark:calls:{name}", amount)
                        pipeline.expire(f"tidemark:calls:{name}", _MINUTE_KEPT_SECONDS)
                    return dict(zip(wanted, (await pipeline.execute())[::2], strict=True))
            except _FAILURES as exc:
                self._breaker.trip()
                log.warning("Redis does not answer; each process counts alone.", error=type(exc).__name__)
        return {
            name: await self._own.incr(name, _MINUTE_KEPT_SECONDS, amount) for name, amount in wanted.items()
        }
