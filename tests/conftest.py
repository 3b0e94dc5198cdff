"""Servers, databases and times for all tests.

TIDEMARK_TEST_DATABASE_URL and TIDEMARK_TEST_REDIS_URL name servers to test on (a role that may create databases; a
Redis whose databases may be flushed). Without them each pytest process starts the embedded ones. A test that asks for
`database_url` gets a database of its own, cloned from a template that was migrated once.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from redis import Redis

from cli.embedded import Embedded
from cli.folder import DataFolder
from cli.postgres import FORGETFUL
from history.migrate import migrate

_KEPT = ("TIDEMARK_TEST_DATABASE_URL", "TIDEMARK_TEST_REDIS_URL")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers of this session are; the database named in the address is only connected to, never changed."""

    database_url: str
    redis_url: str


def pytest_configure() -> None:
    """No test may depend on what the shell happens to set."""
    for name in [name for name in os.environ if name.startswith("TIDEMARK_") and name not in _KEPT]:
        del os.environ[name]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and Redis: the given ones, else the embedded ones for as long as the session lasts."""
    database, redis = (os.environ.get(name) for name in _KEPT)
    if database and redis:
        yield Servers(database, redis)
        return
    # Short, because a socket's path has little room; passable, because a root run starts PostgreSQL as another user.
    path = Path(tempfile.mkdtemp(prefix="tidemark-test-", dir="/tmp"))
    path.chmod(0o711)
    try:
        with DataFolder(path) as folder, Embedded(folder, settings=FORGETFUL, databases=64) as embedded:
            yield Servers(database or embedded.database_url, redis or embedded.redis_url)
    finally:
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def template_database(servers: Servers) -> Iterator[str]:
    """The name of a migrated, empty database that tests are cloned from."""
    name = f"tidemark_template_{uuid4().hex[:12]}"
    asyncio.run(_run(servers.database_url, f"CREATE DATABASE {name}"))
    asyncio.run(migrate(_named(servers.database_url, name)))
    yield name
    asyncio.run(_run(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def database_url(servers: Servers, template_database: str) -> AsyncIterator[str]:
    """A database of the test's own, with the schema of today."""
    name = f"tidemark_test_{uuid4().hex[:12]}"
    await _run(servers.database_url, f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield _named(servers.database_url, name)
    await _run(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def shared_database_url(servers: Servers, template_database: str) -> Iterator[str]:
    """A database for tests of one module that empty it themselves."""
    name = f"tidemark_test_{uuid4().hex[:12]}"
    asyncio.run(_run(servers.database_url, f"CREATE DATABASE {name} TEMPLATE {template_database}"))
    yield _named(servers.database_url, name)
    asyncio.run(_run(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def empty_database_url(servers: Servers) -> AsyncIterator[str]:
    """A database of the test's own with nothing in it, for tests of migrations."""
    name = f"tidemark_test_{uuid4().hex[:12]}"
    await _run(servers.database_url, f"CREATE DATABASE {name}")
    yield _named(servers.database_url, name)
    await _run(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_redis_url(servers: Servers) -> str:
    """A Redis database that no other process of this run uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    number = 1 + int(worker.removeprefix("gw"))
    base = urlsplit(servers.redis_url)
    if base.scheme == "unix":
        return f"{servers.redis_url}?db={number}"
    return base._replace(path=f"/{number}").geturl()


@pytest.fixture
def redis_url(shared_redis_url: str) -> Iterator[str]:
    """That Redis database, empty at the start and at the end."""
    with Redis.from_url(shared_redis_url) as client:
        client.flushdb()
        yield shared_redis_url
        client.flushdb()


def _named(url: str, database: str) -> str:
    parts = urlsplit(url)
    # "//" must stay where the host is in the query and the authority may be empty
    return f"{parts.scheme}://{parts.netloc}/{database}{'?' + parts.query if parts.query else ''}"


async def _run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long each folder took, so that one that grows is seen."""
    seconds: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = str(Path(report.nodeid.split("::")[0]).parent)
                seconds[folder] += report.duration
                counts[folder] += report.when == "call"
    if seconds:
        terminalreporter.section("time per folder")
    for folder in sorted(seconds, key=lambda name: -seconds[name]):
        terminalreporter.write_line(f"{seconds[folder]:8.1f} s  {counts[folder]:5d} tests  {folder}")
