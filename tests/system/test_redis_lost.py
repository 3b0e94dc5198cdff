"""Redis is a helper: flushed, hung, killed and back empty, it costs time and never a message or a clean."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from redis import Redis

from cli.binaries import valkey_server
from cli.valkey import Valkey
from history.apps.service import open_apps
from history.config import Settings
from tests.api.backend import Backend, until
from tests.system.conftest import ROOT, Up, free_port, make_short_folder

MASTER_KEY = b"k" * 32


def ask(url: str, sql: str, *arguments: object) -> Any:
    """One value from the database."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()

    return asyncio.run(run())


def stored(app: Backend) -> int:
    """How many messages of the app are physically there."""
    sql = "SELECT count(*) FROM messages m JOIN channels c ON c.id = m.channel_id WHERE c.app_key = $1"
    return int(ask(app.demo["databaseUrl"], sql, app.demo["appKey"]))


def states(app: Backend) -> set[str]:
    """The states of the app's cleans."""
    sql = "SELECT array_agg(DISTINCT state) FROM clean_requests WHERE app_key = $1"
    return set(ask(app.demo["databaseUrl"], sql, app.demo["appKey"]) or ())


@pytest.fixture
def app(running: Up) -> Backend:
    """An app of the test's own that keeps no more than it must."""
    return Backend(running.demo()).new_app(undoSeconds=0, multiDeviceSync=False, cleanRateLimit=0)


def child(up: Up, name: str) -> psutil.Process:
    """A process that `up` has started: a server by its name, a part by its command."""
    for process in psutil.Process(up.process.pid).children():
        if name in (process.name(), process.cmdline()[-1]):
            return process
    raise LookupError(name)


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP for a while."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_a_channel_that_everybody_cleaned_and_received_is_physically_empty(app: Backend) -> None:
    ids = [app.send(echo=True) for _ in range(3)]
    app.ack(ids[-1])
    survivor = app.send("ann", "cid")
    app.clean("bob", "ann")
    until(lambda: states(app) == {"settled"}, what="settling")
    assert stored(app) == 4  # ann still has hers
    assert len(app.history("ann", "bob")) == 3
    app.clean("ann", "bob")
    until(lambda: stored(app) == 1, seconds=10, what="reclaiming")
    assert [message["messageId"] for message in app.history("cid", "ann")] == [survivor]


def test_what_is_missed_stays_is_delivered_and_goes_after_its_ack(app: Backend) -> None:
    id_ = app.send(content="unread")
    app.clean("bob", "ann")
    app.clean("ann", "bob")
    until(lambda: states(app) == {"settled"}, what="settling")
    assert stored(app) == 1
    assert app.given() == [("unread", "missed")]
    app.ack(id_)
    until(lambda: stored(app) == 0, seconds=10, what="reclaiming")


def test_redis_flushed_between_accept_and_apply(running: Up, app: Backend) -> None:
    app.ack(app.send())
    with stopped(child(running, "worker")):
        app.clean("bob", "ann")
        with Redis.from_url(app.demo["redisUrl"]) as redis:
            assert redis.zcard("tidemark:cleans") == 1
            redis.flushall()
        assert states(app) == {"accepted"}
        assert app.contents() == []
    until(lambda: stored(app) == 0, what="the clean that Redis forgot")
    assert states(app) == {"settled"}


def test_while_redis_hangs_everything_works_and_the_cleans_are_applied_later(
    running: Up, app: Backend
) -> None:
    app.send(content="before")
    with stopped(child(running, "valkey-server")):
        until(lambda: app.ready() == {"status": "degraded", "missing": ["redis"]}, what="degraded")
        id_ = app.send(content="meanwhile")
        assert app.contents() == ["before", "meanwhile"]
        assert len(app.given()) == 2
        app.ack(id_)
        app.clean("bob", "ann")
        assert app.contents() == []
    until(lambda: app.ready()["status"] == "ok", what="ready again")
    until(lambda: stored(app) == 0, what="the clean of the time without Redis")


class Parts:
    """`tidemark serve` and `tidemark worker` as an operator runs them, on a Redis that the test may kill."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.valkey = Valkey(
            program=valkey_server(), sockets=folder, address=folder, log=folder / "log", mark="", databases=16
        )
        self.port = free_port()
        self.environ = {
            **os.environ,
            "TIDEMARK_DATABASE_URL": database_url,
            "TIDEMARK_REDIS_URL": self.valkey.url,
            "TIDEMARK_MASTER_KEY": base64.b64encode(MASTER_KEY).decode(),
            "TIDEMARK_PORT": str(self.port),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, command: str) -> None:
        """Start one of them."""
        self.processes[command] = subprocess.Popen(
            [sys.executable, "-m", "cli", command],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def kill(self, command: str) -> None:
        """kill -9 of one of them."""
        self.processes[command].kill()
        self.processes[command].wait()


@pytest.fixture
def parts(database_url: str) -> Iterator[Parts]:
    folder = make_short_folder()
    parts = Parts(folder, database_url)
    parts.valkey.start()
    try:
        for command in ("serve", "worker"):
            parts.start(command)
        yield parts
    finally:
        for command in parts.processes:
            parts.kill(command)
        parts.valkey.stop()
        shutil.rmtree(folder)


@pytest.fixture
def alone(parts: Parts) -> Backend:
    """An app on them that keeps no more than it must."""
    app = Backend(asyncio.run(demo_of(parts.environ, parts.port)))
    until(lambda: is_ready(app), what="ready")
    app.set(undoSeconds=0, multiDeviceSync=False, cleanRateLimit=0)
    return app


async def demo_of(environ: dict[str, str], port: int) -> dict[str, Any]:
    """An app with keys, in the form of demo.json."""
    async with open_apps(Settings.from_environ(environ)) as apps:
        new, admin_key = (
            await apps.create("test"),
            (await apps.create_key("test", kind="admin", app_key=None))[0],
        )
    return {
        "baseUrl": f"http://127.0.0.1:{port}",
        "appKey": new.app_key,
        "appSecret": new.app_secret,
        "adminKey": admin_key,
        "databaseUrl": environ["TIDEMARK_DATABASE_URL"],
    }


def is_ready(app: Backend) -> bool:
    try:
        return bool(app.ready()["status"] == "ok")
    except OSError:
        return False


def test_redis_killed_and_back_empty(parts: Parts, alone: Backend) -> None:
    alone.send(content="before")
    assert parts.valkey.child is not None
    os.kill(parts.valkey.child.popen.pid, signal.SIGKILL)
    parts.valkey.child.popen.wait()
    until(lambda: bool(alone.ready()["status"] == "degraded"), what="degraded")
    id_ = alone.send(content="meanwhile")
    assert alone.given() == [("before", "missed"), ("meanwhile", "missed")]
    alone.ack(id_)
    alone.clean("bob", "ann")
    assert alone.contents() == []
    assert states(alone) == {"accepted"}
    parts.valkey.start()
    until(lambda: bool(alone.ready()["status"] == "ok"), what="ready again")
    until(lambda: stored(alone) == 0, what="the clean of the time without Redis")
    assert [process.poll() for process in parts.processes.values()] == [None, None]


def test_a_worker_killed_in_the_middle_of_its_work_costs_seconds(parts: Parts, alone: Backend) -> None:
    for number in range(30):
        alone.ack(alone.send(f"sender{number}"), other=f"sender{number}")
        alone.clean("bob", f"sender{number}")
    parts.kill("worker")
    alone.ack(alone.send())
    alone.clean("bob", "ann")
    parts.start("worker")
    until(lambda: stored(alone) == 0, what="the work of the dead worker")
    assert states(alone) == {"settled"}
