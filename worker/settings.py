"""The composition root of the worker process: what is opened, which jobs there are, and when they run by themselves."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

import msgspec
import structlog
import uvloop
from arq import Worker, cron, func
from arq.connections import ArqRedis, RedisSettings
from arq.cron import CronJob
from redis.asyncio import Redis
from redis.exceptions import RedisError

from history import migrate
from history.apps.service import Apps
from history.channels.service import Channels
from history.clock import Clock
from history.config import Settings
from history.database import open_database
from history.errors import MediaUnavailable
from history.jobs.service import Jobs
from history.logs import configure_logs
from history.media.service import open_objects
from history.media.upkeep import Upkeep
from history.messages.service import Messages
from history.receipts.service import Receipts
from history.retention.model import WAITING_PAIRS
from history.retention.months import Months
from history.retention.reclaim import Reclaim
from history.retention.service import Cleans
from history.runs.service import Runs
from history.sweep.model import SweepReport
from history.sweep.service import Sweep
from worker.jobs import apply, count, files, job_steps, months, settle, sweep

log = structlog.get_logger()

_Job = TypeVar("_Job", bound=Callable[[dict[str, Any]], Awaitable[None]])

JOB_SECONDS = 60
"""A job is cancelled after that long, which costs its open transaction. arq keeps a dead worker's job for as long."""
_AWAY = (RedisError, OSError, TimeoutError)
_AGAIN_AFTER_SECONDS = 1.0
_EVERY_SECOND = set(range(60))
_EVERY_TEN_MINUTES = set(range(0, 60, 10))
_EVERY_FIVE_SECONDS = set(range(0, 60, 5))
_EVERY_TEN_SECONDS = set(range(4, 60, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What jobs call."""

    cleans: Cleans
    receipts: Receipts
    jobs: Jobs
    reclaim: Reclaim
    months: Months
    runs: Runs
    sweep: Sweep
    messages: Messages
    clock: Clock
    upkeep: Upkeep | None = None
    """None: no place for files."""
    running: set[str] = field(default_factory=set)
    """The jobs that do not run twice at once in one process, while they run."""


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Open the database and wire the services; a test hands in its own clock."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database_url))
        await migrate.check(database)
        if clock is None:
            clock = await stack.enter_async_context(database.clock())
        channels = Channels(database)
        apps = Apps(database, clock, master_key=settings.master_key)
        cleans = Cleans(database, channels, clock)
        objects = open_objects(settings)
        yield Services(
            cleans=cleans,
            jobs=Jobs(database, channels, cleans, clock),
            receipts=Receipts(database, apps, channels, cleans, clock),
            reclaim=Reclaim(database, clock),
            months=Months(database, clock),
            runs=Runs(database, apps, clock),
            sweep=Sweep(database),
            messages=Messages(database, channels, clock),
            clock=clock,
            upkeep=None if objects is None else Upkeep(database, clock, objects),
        )


def _alone(job: _Job) -> _Job:
    """A job that comes again while it runs is left out: one process works on it once at a time."""

    @wraps(job)
    async def left_out_while_running(ctx: dict[str, Any]) -> None:
        services: Services = ctx["services"]
        if job.__qualname__ in services.running:
            return
        services.running.add(job.__qualname__)
        try:
            await job(ctx)
        finally:
            services.running.remove(job.__qualname__)

    return cast("_Job", left_out_while_running)


async def apply_cleans(ctx: dict[str, Any]) -> None:
    """Apply what waits in Redis, and look once more before ending: a clean that came meanwhile queued no job."""
    services: Services = ctx["services"]
    redis: Redis = ctx["redis"]
    while True:
        report, strangers = await apply.apply_waiting(redis, services.cleans, now=services.clock.now())
        for pair in report.forged:
            log.warning("A score above every cutoff of its pair was refused.", channel=pair.channel_id)
        if strangers:
            log.warning("Members that are no pairs were taken out of Redis.", count=len(strangers))
        if report.applied:
            log.info("Cleans were applied.", count=report.applied)
        if not await redis.exists(WAITING_PAIRS):
            break


async def apply_forgotten(ctx: dict[str, Any]) -> None:
    """Apply what the journal has and Redis lost."""
    services: Services = ctx["services"]
    if count := await apply.apply_forgotten(services.cleans, services.clock):
        log.info("Cleans that Redis had lost were applied.", count=count)


@_alone
async def settle_cleans(ctx: dict[str, Any]) -> None:
    """Count, then settle what is due."""
    services: Services = ctx["services"]
    # a clean settles when it is counted: what its receipt tells of is still there
    await count.count_applied(services.receipts, services.clock)
    if settled := await settle.settle_due(services.cleans, services.clock):
        log.info("Cleans were settled.", count=settled)


@_alone
async def reclaim_channels(ctx: dict[str, Any]) -> None:
    """Reclaim what is due. Counting and settling go on meanwhile: they may take long."""
    services: Services = ctx["services"]
    reports = await settle.reclaim_due(services.reclaim, services.runs, services.clock)
    if deleted := sum(report.deleted for report in reports):
        log.info(
            "Messages that nobody may still be given were deleted.", count=deleted, channels=len(reports)
        )


@_alone
async def work_on_jobs(ctx: dict[str, Any]) -> None:
    """Steps of cleans of whole users and of recalls by sender."""
    services: Services = ctx["services"]
    steps = await job_steps.work_on_jobs(services.jobs, services.clock)
    if steps:
        await apply.apply_forgotten(services.cleans, services.clock, after=0)
        log.info("Jobs went on.", steps=steps)


async def sweep_side_tables(ctx: dict[str, Any]) -> None:
    """Let rows of side tables go whose period is over."""
    services: Services = ctx["services"]
    reports = await sweep.sweep_all(services.sweep, services.clock)
    totals = {
        name: sum(getattr(report, name) for report in reports) for name in SweepReport.__dataclass_fields__
    }
    if any(totals.values()):
        log.info("Rows of side tables went whose period was over.", **totals)


@_alone
async def delete_files(ctx: dict[str, Any]) -> None:
    """Delete files that nothing needs, and finish what was cut short."""
    services: Services = ctx["services"]
    if services.upkeep is None:
        return
    try:
        deleted = await files.look_at_due(services.upkeep, services.clock)
    except MediaUnavailable:
        log.warning("The store of files does not answer; files are deleted later.")
        return
    if deleted.files:
        log.info("Files that nothing needs were deleted.", count=deleted.files, bytes=deleted.bytes)


async def sweep_files(ctx: dict[str, Any]) -> None:
    """Compare the store of files with the table: what has no row goes, what has no object is told."""
    services: Services = ctx["services"]
    if services.upkeep is None:
        return
    try:
        swept = await files.sweep_shelves(services.upkeep, services.clock)
    except MediaUnavailable:
        log.warning("The store of files does not answer; it is compared later.")
        return
    if swept.strays:
        log.info("Objects without a row were deleted.", count=swept.strays)
    if swept.lost:
        log.warning("Files are lost: their rows have no object.", count=swept.lost)


async def make_months(ctx: dict[str, Any]) -> None:
    """Have the next months' partitions ready."""
    services: Services = ctx["services"]
    await services.messages.make_months(now=services.clock.now())


@_alone
async def drop_months(ctx: dict[str, Any]) -> None:
    """Drop past months of which nothing is needed any more."""
    services: Services = ctx["services"]
    dropped, size = await months.drop_months(services.months, services.runs)
    if dropped:
        log.info("Months of which nothing was needed were dropped.", months=dropped, bytes_left=size)


JOBS = (
    apply_cleans,
    apply_forgotten,
    settle_cleans,
    reclaim_channels,
    work_on_jobs,
    delete_files,
    sweep_side_tables,
    sweep_files,
    make_months,
    drop_months,
)


def build_worker(settings: Settings, services: Services, *, burst: bool = False) -> Worker:
    """An arq worker over these services. Nothing is kept: a kept result would block its job's id."""
    return Worker(
        functions=[func(job, keep_result=0) for job in JOBS],
        # a burst ends when its queue is empty, which crons would never let it be
        cron_jobs=() if burst else _crons(),
        redis_settings=RedisSettings.from_dsn(settings.redis_url),
        ctx={"services": services},
        burst=burst,
        poll_delay=0 if burst else 0.2,
        job_timeout=JOB_SECONDS,
        keep_result=0,
        # a job that was cut short is done again, however often: all of them can be
        max_tries=1_000_000,
        handle_signals=False,
        job_serializer=msgspec.msgpack.encode,
        job_deserializer=msgspec.msgpack.decode,
        log_results=False,
    )


def _crons() -> list[CronJob]:
    """Their ids carry the time: a job that died with its worker does not stand in the way of the next one."""
    return [
        cron(apply_forgotten, second=_EVERY_FIVE_SECONDS, keep_result=0),
        cron(settle_cleans, second=_EVERY_SECOND, keep_result=0),
        cron(reclaim_channels, second=_EVERY_SECOND, keep_result=0),
        cron(work_on_jobs, second=_EVERY_SECOND, keep_result=0),
        cron(delete_files, second=_EVERY_FIVE_SECONDS, keep_result=0),
        cron(sweep_files, minute=_EVERY_TEN_MINUTES, second=45, keep_result=0),
        cron(sweep_side_tables, minute=_EVERY_TEN_MINUTES, second=30, keep_result=0),
        cron(make_months, second=0, run_at_startup=True, keep_result=0),
        cron(drop_months, second=_EVERY_TEN_SECONDS, keep_result=0),
    ]


def run(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT; while Redis is away, wait for it."""
    configure_logs(settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with open_services(settings) as services:
        log.info("The worker is ready.")
        while not stopped.is_set():
            await _work_until(stopped, build_worker(settings, services))


async def _work_until(stopped: asyncio.Event, worker: Worker) -> None:
    """Let one arq worker run until it fails or all is to stop."""
    working = asyncio.create_task(worker.async_run())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        pass
    except _AWAY as exc:
        log.warning("Redis does not answer; the worker tries again in a second.", error=type(exc).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _AGAIN_AFTER_SECONDS)
    with suppress(asyncio.CancelledError, *_AWAY):
        await worker.close()
    # where Redis is away arq stops in the middle of that: its jobs end before others begin, and it leaves no connection
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    pool: ArqRedis | None = worker.pool
    if pool is not None:
        await pool.connection_pool.disconnect()
