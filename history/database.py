"""Connections and transactions. Stores speak asyncpg through here; services open transactions and hand them down.

Readers look for pages in the order of an index; a channel that holds most of a table makes Postgres prefer to read and sort
all of it (measured: 735 blocks for a page of 50 of 30,000 messages, 41 by the index). So scans without an order are turned
off for them. Writers lock many rows at once, and an UPDATE locks in plan order: with nested loops over sorted keys two
writers take their locks in the same order, with a hash join they deadlocked (measured: 6 times in 8 s, and 6 times slower).
So writer connections have every other way to join turned off too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar

import asyncpg

from history.clock import Clock, DatabaseClock
from history.errors import ConfigurationError, DatabaseUnavailable, OutcomeUnknown

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record
_T = TypeVar("_T")

READER = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    # a plan for any values from the start. Else Postgres makes one for these values a few times and then compares what it
    # expects of both: a page took 0.5 ms or 1.2, and on young statistics a burst's whole journal was read
    "plan_cache_mode": "force_generic_plan",
}
"""The settings of a reader's session."""
WRITER = (
    READER
    | dict.fromkeys(("enable_hashjoin", "enable_mergejoin"), "off")
    | {
        # a process that is frozen in the middle of a transaction keeps its locks no longer
        "idle_in_transaction_session_timeout": "20000",
    }
)
"""The settings of a writer's session."""
READERS = 8
WRITERS = 6
"""Connections a process at most, of each kind: a group commit needs one, jobs and acknowledgements the others."""
LOCK_TIMEOUT = "10s"
"""A writer waits no longer for a lock: its callers are told to come again, and its batch makes room for the next one."""
_COMMAND_SECONDS = 60.0
"""Of one statement: far more than any of ours needs. A server that hangs without closing its connections is noticed by it,
and asyncpg leaves a connection on which a cancel takes as long again."""
DEADLOCK_TRIES = 5
_LOST = (
    OSError,
    EOFError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # a database that takes no connections for now, or a server that was set up anew
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    # what asyncpg says when the server dies at a bad moment
    asyncpg.InternalClientError,
    TimeoutError,
)
_READ_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_READ_CLOCK_EVERY = 60.0
_ALLOWED = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
)
_ASK_SECONDS = 2.0
_ASK_AGAIN_AFTER = (0.05, 0.2, 0.5, 1.0)
"""Seconds between questions after a lost commit: the server may still be at it, or starting again."""


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except _LOST as exc:
        if isinstance(exc, ValueError):  # asyncpg's word for an argument that does not fit: a fault of ours
            raise
        raise DatabaseUnavailable("The database does not answer; try again in a few seconds.") from exc


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError) as exc:
        raise ConfigurationError(f"PostgreSQL refuses TIDEMARK_DATABASE_URL: {exc}.") from exc


class Database:
    """Two pools on one database: readers, and writers that lock in the order of their keys."""

    def __init__(self, readers: asyncpg.Pool, writers: asyncpg.Pool) -> None:
        self._readers = readers
        self._writers = writers

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for single statements, each its own transaction."""
        with _unavailable():
            async with self._readers.acquire(timeout=10) as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, *, durable: bool = True) -> AsyncIterator[Connection]:
        """One transaction, committed at the end of the block and rolled back by any exception.

        OutcomeUnknown where the connection broke while it was committing. One that is not durable does not wait for the
        disk: a crash of the server may undo it, and then all that was committed after it as well.
        """
        with _unavailable():
            async with self._writers.acquire(timeout=10) as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    if not durable:
                        await connection.execute("SET LOCAL synchronous_commit = off")
                    yield connection
                except BaseException:
                    if not connection.is_closed():
                        await transaction.rollback()
                    raise
                await _commit(transaction)

    async def retrying(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Run a whole transaction again when Postgres chose it as the victim of a deadlock."""
        for left in reversed(range(DEADLOCK_TRIES)):
            try:
                return await work()
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                if not left:
                    raise
        raise AssertionError("unreachable")

    async def committed(self, transaction_id: str) -> bool | None:
        """Whether a transaction was committed; None where the database could not say within two seconds."""
        for pause in (*_ASK_AGAIN_AFTER, None):
            try:
                async with self.reading() as connection:
                    status = await connection.fetchval(
                        "SELECT pg_xact_status($1::text::xid8)", transaction_id, timeout=_ASK_SECONDS
                    )
                if status != "in progress":
                    return bool(status == "committed") if status else None
            except DatabaseUnavailable:
                pass
            if pause is not None:
                await asyncio.sleep(pause)
        return None

    async def ping(self) -> None:
        """DatabaseUnavailable where Postgres does not answer."""
        async with self.reading() as connection:
            await connection.execute("SELECT 1")

    async def latency(self) -> float:
        """How long a trivial read takes, in seconds."""
        async with self.reading() as connection:
            asked_at = time.perf_counter()
            await connection.execute("SELECT 1")
            return time.perf_counter() - asked_at

    async def synchronize(self, clock: Clock) -> None:
        """Give a clock a fresh reading."""
        async with self.reading() as connection:
            asked_at = clock.mark()
            clock.observe(await connection.fetchval(_READ_CLOCK), asked_at)

    @asynccontextmanager
    async def clock(self) -> AsyncIterator[Clock]:
        """This database's time, read again every minute: the monotonic clock stands still while a machine sleeps."""
        clock = DatabaseClock()
        await self.synchronize(clock)
        reading = asyncio.create_task(self._keep(clock))
        try:
            yield clock
        finally:
            reading.cancel()

    async def _keep(self, clock: Clock) -> None:
        while True:
            await asyncio.sleep(_READ_CLOCK_EVERY)
            with suppress(DatabaseUnavailable):
                await self.synchronize(clock)


async def allowed_connections(url: str) -> int:
    """How many connections Postgres has for all that are no superusers; DatabaseUnavailable where it does not answer."""
    with _unavailable(), _refused():
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return int(await connection.fetchval(_ALLOWED))
        finally:
            await connection.close()


async def _commit(transaction: asyncpg.transaction.Transaction) -> None:
    try:
        await transaction.commit()
    except Exception as exc:
        # the server's own no is a no; of anything else nobody knows what became of the commit
        if isinstance(exc, asyncpg.PostgresError) and not isinstance(exc, _LOST):
            raise
        raise OutcomeUnknown("The connection broke during the commit; ask before you send it again.") from exc


async def _leave_as_it_is(_: object) -> None:
    """A connection goes back as it is: an open transaction was rolled back before this is asked."""


@asynccontextmanager
async def open_database(
    url: str, *, readers: int = READERS, writers: int = WRITERS
) -> AsyncIterator[Database]:
    """Open both pools; DatabaseUnavailable where nobody answers, ConfigurationError where we are refused."""
    settings = {"application_name": "tidemark", "timezone": "UTC", "jit": "off"}
    connect = partial(
        asyncpg.create_pool,
        url,
        min_size=1,
        timeout=10,
        command_timeout=_COMMAND_SECONDS,
        # nothing here outlives its transaction: four statements less each time a connection is handed back
        reset=_leave_as_it_is,
    )
    with _unavailable(), _refused():
        read = await connect(max_size=readers, server_settings=settings | READER)
        try:
            write = await connect(
                max_size=writers, server_settings=settings | WRITER | {"lock_timeout": LOCK_TIMEOUT}
            )
        except BaseException:
            read.terminate()
            raise
    try:
        yield Database(read, write)
    finally:
        for pool in (read, write):
            try:
                await asyncio.wait_for(pool.close(), timeout=5)
            except (TimeoutError, *_LOST):
                pool.terminate()


def columns(rows: Iterable[Sequence[Any] | Row], width: int) -> list[list[Any]]:
    """Rows as the arrays that a statement takes apart again by unnest."""
    found = list(rows)
    return [[row[number] for row in found] for number in range(width)]
