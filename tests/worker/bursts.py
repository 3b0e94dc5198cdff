"""A worker in this process: the services of a World and an arq worker in burst mode."""

from __future__ import annotations

from arq import Worker

from history.jobs.service import Jobs
from history.receipts.service import Receipts
from history.sweep.service import Sweep
from server.queue import open_redis
from tests.api.client import settings_for
from tests.factories import World
from worker.settings import Services, build_worker


def services_of(world: World) -> Services:
    """What jobs call."""
    return Services(
        cleans=world.cleans,
        reclaim=world.reclaim,
        months=world.months,
        receipts=Receipts(world.database, world.apps, world.channels, world.cleans, world.clock),
        jobs=Jobs(world.database, world.channels, world.cleans, world.clock),
        runs=world.runs,
        sweep=Sweep(world.database),
        messages=world.messages,
        clock=world.clock,
        upkeep=world.upkeep,
    )


def worker_of(world: World, redis_url: str, *, burst: bool = True) -> Worker:
    """The worker that the product builds; in a burst it ends when its queue is empty, and nothing runs by the clock."""
    return build_worker(settings_for(world.url, redis_url), services_of(world), burst=burst)


async def burst(world: World, redis_url: str, *jobs: str) -> Worker:
    """Queue these jobs, one after the other, then work until the queue is empty."""
    async with open_redis(redis_url) as redis:
        for job in jobs:
            await redis.enqueue_job(job)
    worker = worker_of(world, redis_url)
    try:
        await worker.async_run()
    finally:
        await worker.close()
    return worker
