"""At most so many cleans a second an app, counted by all processes together."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from server import limits
from server.queue import open_redis
from tests.api.client import CLEAN, Api, Keys, open_api

NO_REDIS = "unix:///nonexistent/redis.sock"
WINDOW, LONG = limits._WINDOW_SECONDS, 3_600


async def clean_many(*apis: Api, count: int, keys: Keys | None = None) -> Counter[int]:
    """So many cleans at once, from these processes in turn; how many got which status."""
    body = {"channelType": 1, "fromUserId": "bob", "channelId": "ann"}
    answers = await asyncio.gather(
        *(apis[number % len(apis)].post(CLEAN, body, keys=keys) for number in range(count))
    )
    return Counter(answer.status for answer in answers)


@pytest.fixture(autouse=True)
def _long_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, the second of a test ends when the test ends it."""
    monkeypatch.setattr(limits, "_WINDOW_SECONDS", LONG)


async def end_the_second(redis_url: str) -> None:
    """What Redis counts ends, as it would by itself when the window is over."""
    async with open_redis(redis_url) as redis:
        [name] = await redis.keys("tidemark:rate*")
        assert LONG - 600 < await redis.ttl(name) <= LONG
        await redis.expire(name, 0)


def test_the_window_is_a_second() -> None:
    assert WINDOW == 1


async def test_the_101st_of_a_second_is_refused_and_the_next_second_is_free(api: Api, redis_url: str) -> None:
    assert await clean_many(api, count=101) == {200: 100, 429: 1}
    answer = await api.clean()
    answer.refused(429, 1008, "100")
    assert answer.headers["Retry-After"] == "1"
    assert len((await api.everything())["clean_requests"]) == 100
    await end_the_second(redis_url)
    assert await clean_many(api, count=101) == {200: 100, 429: 1}


async def test_two_processes_count_together(api: Api, redis_url: str) -> None:
    async with open_api(api.database_url, redis_url, like=api) as second:
        assert await clean_many(api, second, count=120) == {200: 100, 429: 20}


async def test_each_app_has_its_own(api: Api) -> None:
    other = await api.new_app()
    await api.set(cleanRateLimit=3)
    assert await clean_many(api, count=5) == {200: 3, 429: 2}
    assert await clean_many(api, count=5, keys=other) == {200: 5}


async def test_nothing_else_is_limited_by_it(api: Api) -> None:
    await api.set(cleanRateLimit=1)
    await clean_many(api, count=3)
    await api.send()
    assert await api.contents() == ["hello"]
    assert await api.given() == [("hello", "missed")]


async def test_zero_is_no_limit(api: Api) -> None:
    await api.set(cleanRateLimit=0)
    assert await clean_many(api, count=150) == {200: 150}


async def test_a_refused_body_is_not_counted(api: Api) -> None:
    await api.set(cleanRateLimit=1)
    for _ in range(5):
        (await api.clean(sentAt="soon")).refused(400, 1002)
    (await api.clean()).done()


async def test_without_redis_each_process_counts_alone(api: Api) -> None:
    await api.set(cleanRateLimit=10)
    async with (
        open_api(api.database_url, NO_REDIS, like=api) as first,
        open_api(api.database_url, NO_REDIS, like=api) as second,
    ):
        assert await clean_many(first, count=15) == {200: 10, 429: 5}
        assert await clean_many(second, count=15) == {200: 10, 429: 5}
