"""`tidemark serve --processes 2`: one port, two processes, a parent that watches them; nothing stays behind."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.api.backend import Backend
from tests.system.conftest import ROOT, START_SECONDS, Up, free_port, processes_of

READY, BACK = "The API is ready.", "The API process is back."
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
Serve = Callable[..., "Serving"]


class Serving:
    """One `tidemark serve`, its log, and its processes as the machine knows them."""

    def __init__(self, environ: dict[str, str], log: Path, *options: str) -> None:
        self.port = free_port()
        self._log = log
        self._environ = {**os.environ, **environ}
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "serve", "--port", str(self.port), *options],
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.seen: set[psutil.Process] = set()
        self._connections: list[HTTPConnection] = []

    @property
    def log(self) -> str:
        """All that was written so far."""
        return self._log.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until the log has the text so often."""
        deadline = time.monotonic() + START_SECONDS
        while self.log.count(text) < times:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def members(self) -> list[psutil.Process]:
        """The processes below the parent."""
        members = psutil.Process(self.process.pid).children()
        self.seen |= set(members)
        return members

    def connect(self) -> HTTPConnection:
        """A connection that was answered once and is kept."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=15)
        self._connections.append(connection)
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b'{"status":"ok","missing":[]}')
        return connection

    def holders(self, connections: list[HTTPConnection]) -> set[int]:
        """Which processes hold these connections."""
        ports = {connection.sock.getsockname()[1] for connection in connections}
        return {
            member.pid
            for member in self.members()
            for one in member.net_connections()
            if one.status == psutil.CONN_ESTABLISHED and one.raddr.port in ports
        }

    def gone(self) -> None:
        """Until none of those that were ever seen is left, and the port is free again."""
        _, alive = psutil.wait_procs(list(self.seen), timeout=START_SECONDS)
        assert alive == []
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", self.port))

    def is_refusing(self) -> bool:
        """Whether nobody listens on the port any more."""
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return True
        return False

    def command(self, *words: str) -> str:
        """What another command says, in the same environment."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=ROOT,
            env=self._environ,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def end(self) -> int:
        """The parent's exit status."""
        status = self.process.wait(START_SECONDS)
        for connection in self._connections:
            connection.close()
        return status


@pytest.fixture
def serve(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Serve]:
    """Starts one on a database of its own, and kills what is left of it."""
    environ = {
        "TIDEMARK_DATABASE_URL": database_url,
        "TIDEMARK_REDIS_URL": redis_url,
        "TIDEMARK_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
        "TIDEMARK_LOG_FORMAT": "text",
    }
    started: list[Serving] = []

    def begin(*options: str, **changes: str) -> Serving:
        log = tmp_path / f"serve{len(started)}.log"
        started.append(Serving(environ | changes, log, *(options or ("--processes", "2"))))
        return started[-1]

    yield begin
    for one in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.members()
        one.process.kill()
        for process in one.seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        one.end()


def test_both_answer_and_one_that_is_killed_comes_back(serve: Serve) -> None:
    """Its connections break, the others' do not, and new ones are taken meanwhile."""
    serving = serve()
    serving.wait_for(READY)
    before = {member.pid for member in serving.members()}
    assert len(before) == 2
    connections: list[HTTPConnection] = []
    while len(serving.holders(connections)) < 2:
        assert len(connections) < 500, "one process takes all connections"
        connections.append(serving.connect())
    victim = serving.members()[0]
    kept = [one for one in connections if victim.pid not in serving.holders([one])]
    victim.send_signal(signal.SIGKILL)
    serving.wait_for("An API process died; it is started again.")
    assert "was ended by SIGKILL" in serving.log
    for connection in kept:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status":"ok"}'
    connections += [serving.connect() for _ in range(5)]
    serving.wait_for(BACK)
    after = {member.pid for member in serving.members()}
    assert len(after) == 2
    assert len(after & before) == 1
    more: list[HTTPConnection] = []
    while serving.holders(more) != after:
        assert len(more) < 500, "the one that came back takes no connections"
        more.append(serving.connect())
    assert serving.process.poll() is None
    serving.process.send_signal(signal.SIGTERM)
    assert serving.end() == 0, serving.log
    serving.gone()


async def test_requests_under_way_are_finished_and_then_all_end(serve: Serve, database_url: str) -> None:
    """They wait for a lock when SIGTERM comes, in both processes; the port is closed to others by then."""
    serving = serve()
    serving.wait_for(READY)
    serving.members()
    made = serving.command("apps", "create", "test")
    app = dict(line.split() for line in made.splitlines()[:2])
    users = [f"user{number}" for number in range(20)]
    backends = {user: Backend({**app, "baseUrl": f"http://127.0.0.1:{serving.port}"}) for user in users}
    for user in users:
        backends[user].send("ann", user)
    # what waits is seen anew in each transaction only
    connection, other = [await asyncpg.connect(database_url) for _ in range(2)]
    executor = ThreadPoolExecutor(len(users))
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM channels FOR UPDATE")
            sending = [executor.submit(backends[user].send, "ann", user) for user in users]
            while await other.fetchval(WAITING) < 2:
                pass
            serving.process.send_signal(signal.SIGTERM)
            while not serving.is_refusing():
                pass
        assert len({one.result() for one in sending}) == len(users)
        assert await connection.fetchval("SELECT count(*) FROM messages") == 2 * len(users)
    finally:
        await connection.close()
        await other.close()
        executor.shutdown()
    assert serving.end() == 0, serving.log
    serving.gone()


def test_no_process_outlives_a_parent_that_is_killed(serve: Serve) -> None:
    serving = serve()
    serving.wait_for(READY)
    assert len(serving.members()) == 2
    serving.process.kill()
    serving.end()
    serving.gone()


def test_what_cannot_start_ends_all_with_its_sentence(serve: Serve) -> None:
    """A database of another schema, a port that is taken."""
    serving = serve(TIDEMARK_DATABASE_URL="postgresql://tidemark@127.0.0.1:1/none")
    assert serving.end() == 1
    assert "The database does not answer" in serving.log
    assert "An API process ended with status 1 while it started, so all were stopped." in serving.log
    serving.gone()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = serve("--processes", "2", "--port", str(taken.getsockname()[1]))
        assert refused.end() == 1
        assert "is taken" in refused.log


def test_a_signal_while_they_start_ends_all(serve: Serve) -> None:
    serving = serve("--processes", "3")
    deadline = time.monotonic() + START_SECONDS
    while not serving.members():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    serving.process.send_signal(signal.SIGINT)
    assert serving.end() == 0, serving.log
    serving.gone()


@pytest.mark.slow
def test_up_runs_as_many_and_stops_them(start: Callable[..., Up]) -> None:
    """Also where `up` itself is killed, and the next one goes on."""
    up = start(None, "--processes", "2")
    up.wait_until_ready()
    children = [one for one in processes_of(up.data) if "cli.child" in one.cmdline()]
    assert len(children) == 2
    assert up.stop() == 0, up.output
    assert processes_of(up.data) == []
    again = start(None, "--processes", "2")
    again.wait_until_ready()
    again.process.kill()
    again.end()
    third = start()
    third.wait_until_ready()
    assert not [one for one in processes_of(up.data) if "cli.child" in one.cmdline()]
    assert third.stop() == 0
    assert processes_of(up.data) == []
