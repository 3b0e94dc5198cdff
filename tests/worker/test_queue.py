"""What lies in Redis is not trusted, and Redis itself may go at any moment."""

from __future__ import annotations

import asyncio
import gc
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis

from cli.binaries import valkey_server
from cli.valkey import Valkey
from history.axis import NEVER, SECOND
from history.retention.model import WAITING_PAIRS, ApplyReport, queue_member
from server.queue import APPLY_JOB, Breaker, Queue, open_redis, serialize
from tests.api.client import settings_for
from tests.factories import World
from tests.worker.bursts import burst, services_of, worker_of
from worker.settings import _work_until, build_worker

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

EVERYTHING = ("apps", "channels", "messages", "conversations", "device_marks", "clean_requests")


async def everything(world: World) -> list[list[str]]:
    return [
        [row[0] for row in await world.rows(f"SELECT t::text FROM {table} t ORDER BY 1")]  # noqa: S608
        for table in EVERYTHING
    ]


async def forged(world: World) -> dict[bytes, float]:
    """Members and scores that no API of ours wrote."""
    channel = await world.channel_id()
    ours = f"{world.app_key}:{channel}:bob".encode()
    return {
        ours: float(NEVER),
        f"{world.app_key}:{channel}:".encode(): float(NEVER),
        f"{world.app_key}:{channel}:eve".encode(): 1.0,
        f"another:{channel}:ann".encode(): float(NEVER),
        f"{world.app_key}:{channel + 1}:bob".encode(): float(NEVER),
        b"": 1.0,
        b"::": 2.0,
        b"nonsense": 3.0,
        b"app:-1:bob": 4.0,
        b"app:0001:bob": 5.0,
        b"app:\xd9\xa1:bob": 6.0,
        b"app:%d:bob" % (NEVER + 1): 7.0,
        b"app:1:\xff\xfe": 8.0,
        b"app:1:a\x00b": 9.0,
    }


async def test_forged_pairs_and_scores_are_dropped_and_change_nothing(
    world: World, redis: ArqRedis, redis_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await world.send()
    before = await everything(world)
    await redis.zadd(WAITING_PAIRS, await forged(world))
    await burst(world, redis_url, APPLY_JOB)
    assert await everything(world) == before
    assert await redis.exists(WAITING_PAIRS) == 0
    said = "".join(capfd.readouterr())
    assert "A score above every cutoff of its pair was refused." in said
    assert "Members that are no pairs were taken out of Redis." in said
    assert await world.history("bob", "ann") == [world.clock.now()]


@pytest.mark.parametrize("score", ["inf", "-inf", "1.5", "-1", "1e300", "9007199254740993", "0"])
async def test_no_score_keeps_the_worker_from_its_work(
    world: World, redis: ArqRedis, redis_url: str, score: str
) -> None:
    position = await world.send()
    accepted = await world.clean("bob", "ann")
    before = await world.rows("SELECT count(*) FROM messages")
    await redis.zadd(WAITING_PAIRS, {f"{world.app_key}:7:x": float(score)})
    await Queue(redis, Breaker()).announce(accepted)
    async with asyncio.timeout(15):
        await burst(world, redis_url)
    assert await world.value("SELECT state FROM clean_requests") == "applied"
    assert await redis.exists(WAITING_PAIRS) == 0
    assert await world.rows("SELECT count(*) FROM messages") == before
    assert await world.value("SELECT max(history_cutoff) FROM conversations") == position + 1


@pytest.mark.parametrize("digits", [19, 20, 4_000, 5_000])
async def test_no_member_keeps_the_worker_from_its_work(
    world: World, redis: ArqRedis, redis_url: str, digits: int
) -> None:
    await world.send()
    accepted = await world.clean("bob", "ann")
    await redis.zadd(WAITING_PAIRS, {b"app:" + b"9" * digits + b":bob": 1.0})
    await Queue(redis, Breaker()).announce(accepted)
    async with asyncio.timeout(15):
        await burst(world, redis_url)
    assert await world.value("SELECT state FROM clean_requests") == "applied"
    assert await redis.exists(WAITING_PAIRS) == 0


async def test_a_forged_score_beside_a_real_clean_takes_no_more_than_the_clean(
    world: World, redis: ArqRedis, redis_url: str
) -> None:
    await world.send()
    accepted = await world.clean("bob", "ann")
    later = await world.send()
    await redis.zadd(WAITING_PAIRS, {queue_member(accepted.pair): NEVER})
    await burst(world, redis_url, APPLY_JOB)
    assert await world.history("bob", "ann") == [later]
    assert await redis.exists(WAITING_PAIRS) == 0


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


async def test_a_pickle_in_the_queue_runs_no_code(
    world: World, redis: ArqRedis, redis_url: str, tmp_path: Path
) -> None:
    proof = tmp_path / "code-was-run"
    pickled = pickle.dumps({"t": 1, "f": APPLY_JOB, "a": (Bomb(proof),), "k": {}, "et": 1})
    await redis.set("arq:job:evil", pickled)
    await redis.zadd("arq:queue", {"evil": 1})
    await world.send()
    await Queue(redis, Breaker()).announce(await world.clean("bob", "ann"))
    await burst(world, redis_url)
    assert not proof.exists()
    assert await redis.zcard("arq:queue") == 0
    assert await world.value("SELECT state FROM clean_requests") == "applied"
    pickle.loads(pickled)  # noqa: S301 - the control: it would have
    assert proof.exists()


async def test_jobs_are_messagepack(redis: ArqRedis, world: World) -> None:
    await Queue(redis, Breaker()).announce(await world.clean("bob", "ann"))
    raw = await redis.get(f"arq:job:{APPLY_JOB}")
    assert raw is not None
    job = redis.job_deserializer(raw)  # type: ignore[misc] # ours is set
    assert job["f"] == APPLY_JOB
    assert raw == serialize(job)


async def test_a_job_of_no_name_of_ours_harms_nobody(world: World, redis: ArqRedis, redis_url: str) -> None:
    await redis.enqueue_job("rm_rf", "/")
    await Queue(redis, Breaker()).announce(await world.clean("bob", "ann"))
    await burst(world, redis_url)
    assert await world.value("SELECT state FROM clean_requests") == "applied"


async def test_a_worker_that_is_stopped_in_the_middle_leaves_nothing_in_the_way(
    world: World, redis: ArqRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next clean's job is queued and runs, although one of the same id was cut short."""
    began = asyncio.Event()

    async def hang(*_: Any, **__: Any) -> None:
        began.set()
        await asyncio.sleep(60)

    queue = Queue(redis, Breaker())
    with monkeypatch.context() as broken:
        broken.setattr(world.cleans, "apply", hang)
        await queue.announce(await world.clean("bob", "ann"))
        stopped = asyncio.Event()
        working = asyncio.create_task(
            _work_until(stopped, build_worker(settings_for(world.url, redis_url), services_of(world)))
        )
        await asyncio.wait_for(began.wait(), 10)
        stopped.set()
        await asyncio.wait_for(working, 10)
    for _ in range(2):
        await queue.announce(await world.clean("bob", "ann"))
        await burst(world, redis_url)
    assert await world.value("SELECT count(*) FROM clean_requests WHERE state <> 'applied'") == 0
    assert not await redis.keys("arq:result:*")


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A server of the test's own, which it may stop and start; empty after every start."""
    folder = Path(tempfile.mkdtemp(prefix="tdm-", dir="/tmp"))
    server = Valkey(
        program=valkey_server(),
        sockets=folder,
        address=folder,
        log=folder / "log",
        mark="",
        databases=16,
    )
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


async def test_a_worker_that_loses_redis_goes_on_when_it_is_back(
    world: World, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, apply = asyncio.Event(), world.cleans.apply
    settings, found = settings_for(world.url, valkey.url), asyncio.Queue[int]()

    async def work() -> None:
        while not stopped.is_set():
            await _work_until(stopped, build_worker(settings, services_of(world)))

    async def tell(*args: Any, **more: Any) -> ApplyReport:
        report = await apply(*args, **more)
        found.put_nowait(report.applied)
        return report

    async def one_is_applied() -> None:
        async with asyncio.timeout(20):
            while not await found.get():
                pass

    monkeypatch.setattr(world.cleans, "apply", tell)
    await world.send()
    working = asyncio.create_task(work())
    try:
        async with open_redis(valkey.url) as redis:
            await Queue(redis, Breaker()).announce(await world.clean("bob", "ann"))
        await one_is_applied()
        for _ in range(2):
            await asyncio.to_thread(valkey.stop)
            await world.clean("bob", "ann")  # accepted while Redis is away: nobody hears of it
            world.clock.advance(10 * SECOND)
            await asyncio.to_thread(valkey.start)
            await one_is_applied()
    finally:
        stopped.set()
        await asyncio.wait_for(working, 15)
        # a connection that nobody closed is told of here, not in another test
        del working
        gc.collect()
    assert await world.value("SELECT count(*) FROM clean_requests WHERE state = 'applied'") == 3


async def test_the_next_worker_finds_what_a_dead_one_had_begun(
    world: World, redis: ArqRedis, redis_url: str
) -> None:
    """kill -9 of a worker leaves its job in Redis as if it still ran; the cron does not wait for it."""
    await world.send()
    await Queue(redis, Breaker()).announce(await world.clean("bob", "ann"))
    await redis.psetex(f"arq:in-progress:{APPLY_JOB}", 60_000, b"1")
    world.clock.advance(5 * SECOND)
    async with asyncio.timeout(10):
        await redis.zrem("arq:queue", APPLY_JOB)  # or a burst would wait for it
        await burst(world, redis_url, "apply_forgotten")
    assert await world.value("SELECT state FROM clean_requests") == "applied"
    assert worker_of(world, redis_url).in_progress_timeout_s <= 120
