"""At most so many cleans a second an app, counted by all processes together."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.api.client import CLEAN, Api, Keys, open_api

NO_REDIS = "unix:///nonexistent/redis.sock"


async def clean_many(*apis: Api, count: int, keys: Keys | None = None) -> Counter[int]:
    """So many cleans at once, from these processes in turn; how many got which status."""
    body = {"channelType": 1, "fromUserId": "bob", "channelId": "ann"}
    answers = await asyncio.gather(
        *(apis[number % len(apis)].post(CLEAN, body, keys=keys) for number in range(count))
    )
    return Counter(answer.status for answer in answers)


async def until_the_second_is_over(api: Api) -> None:
    async with asyncio.timeout(5):
        while (await api.clean()).status == 429:  # noqa: ASYNC110 - another process makes it come true
            await asyncio.sleep(0.05)


async def test_the_101st_of_a_second_is_refused_and_the_next_second_is_free(api: Api) -> None:
    assert await clean_many(api, count=101) == {200: 100, 429: 1}
    answer = await api.clean()
    answer.refused(429, 1008, "100")
    assert answer.headers["Retry-After"] == "1"
    assert len((await api.everything())["clean_requests"]) == 100
    await until_the_second_is_over(api)


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
