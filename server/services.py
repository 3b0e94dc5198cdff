"""The composition root's product: everything that a request may call, wired once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from history import migrate
from history.apps.service import Apps
from history.channels.membership import Membership
from history.channels.service import Channels
from history.clock import Clock
from history.config import Settings
from history.database import Database, open_database
from history.delivery.conversations import Conversations
from history.delivery.service import Delivery
from history.jobs.service import Jobs
from history.media.service import Files, open_objects
from history.messages.service import Messages
from history.policies.service import Policies
from history.receipts.service import Receipts
from history.retention.service import Cleans
from history.runs.service import Runs
from history.transfer.exports import Exports
from history.transfer.imports import Imports
from server.inflow import telling
from server.limits import Limits
from server.queue import Breaker, Queue, open_redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers call."""

    apps: Apps
    membership: Membership
    messages: Messages
    imports: Imports
    exports: Exports
    delivery: Delivery
    conversations: Conversations
    files: Files
    cleans: Cleans
    receipts: Receipts
    jobs: Jobs
    policies: Policies
    runs: Runs
    queue: Queue
    limits: Limits
    clock: Clock
    database: Database
    redis: Redis


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Open the database and Redis and wire all services; a test hands in its own clock.

    Redis need not be there. The database must, in this code's schema version.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database_url))
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        await migrate.check(database)
        if clock is None:
            clock = await stack.enter_async_context(database.clock())
        apps = Apps(database, clock, master_key=settings.master_key)
        channels = Channels(database)
        breaker = Breaker()
        cleans = Cleans(database, channels, clock)
        messages, runs = Messages(database, channels, clock), Runs(database, apps, clock)
        await stack.enter_async_context(telling(messages, runs))
        yield Services(
            apps=apps,
            membership=Membership(database, channels, clock),
            messages=messages,
            imports=Imports(database, channels, clock, messages.appends),
            exports=Exports(database, channels, clock),
            delivery=Delivery(database, apps, channels, clock),
            conversations=Conversations(database, channels, clock),
            files=Files(database, apps, clock, open_objects(settings)),
            cleans=cleans,
            jobs=Jobs(database, channels, cleans, clock),
            receipts=Receipts(database, apps, channels, cleans, clock),
            policies=Policies(database, clock),
            runs=runs,
            queue=Queue(redis, breaker),
            limits=Limits(redis, breaker),
            clock=clock,
            database=database,
            redis=redis,
        )
