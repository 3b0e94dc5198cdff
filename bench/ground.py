"""What is measured on: the embedded servers as `tidemark up` starts them, durable, in a folder that is thrown away."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
import psutil
from rich.console import Console

from cli.embedded import Embedded
from cli.folder import DataFolder
from history.config import Settings
from history.migrate import migrate
from server.services import Services
from server.services import open_services as open_api
from worker.settings import Services as Jobs
from worker.settings import open_services as open_worker

_READY_SECONDS = 30.0
HOUSE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """An API process of its own."""

    port: int
    pid: int

    def resident(self) -> float:
        """MiB of memory that it holds."""
        return psutil.Process(self.pid).memory_info().rss / 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The servers, the services of an API and of a worker in this process, one app, and a raw connection."""

    settings: Settings
    environ: dict[str, str]
    raw: asyncpg.Connection
    api: Services
    worker: Jobs
    app_key: str
    keys: dict[str, str]
    console: Console
    full: bool
    figures: dict[str, Any] = field(default_factory=dict)
    """What the pictures show, by picture."""

    def step(self, text: str) -> None:
        """Say what is being done to whoever waits."""
        self.console.print(f"  {text}", style="dim", highlight=False)

    def whole_environ(self) -> dict[str, str]:
        """The environment of a process of Tidemark's on these servers."""
        return {**os.environ, **self.environ}

    @asynccontextmanager
    async def process(self, *words: str) -> AsyncIterator[Api]:
        """An API process that is ready; `words`: see bench.api."""
        port = free_port()
        with subprocess.Popen(  # noqa: ASYNC220 # it only starts
            [sys.executable, "-m", "bench.api", str(port), *words],
            cwd=HOUSE,
            env=self.whole_environ(),
        ) as child:
            try:
                await wait_until_ready(port, child)
                yield Api(port=port, pid=child.pid)
            finally:
                child.terminate()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def wait_until_ready(port: int, child: subprocess.Popen[bytes]) -> None:
    """Until its /readyz says yes."""
    deadline = time.monotonic() + _READY_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        try:
            await asyncio.to_thread(lambda: urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close())
        except OSError:
            await asyncio.sleep(0.02)
        else:
            return
    raise RuntimeError("The API process did not become ready; its log is above.")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a cluster: short, because a socket's path has little room; passable for the account of PostgreSQL."""
    path = Path(tempfile.mkdtemp(prefix="tidemark-bench-", dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@asynccontextmanager
async def open_ground(*, full: bool, console: Console) -> AsyncIterator[Ground]:
    """Start everything; stop it, and throw the folder away, at the end."""
    with scratch() as path, DataFolder(path) as folder, Embedded(folder) as embedded:
        environ = {
            "TIDEMARK_DATABASE_URL": embedded.database_url,
            "TIDEMARK_REDIS_URL": embedded.redis_url,
            "TIDEMARK_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "TIDEMARK_MEDIA_DIR": str(path / "media"),
        }
        settings = Settings.from_environ(environ)
        await migrate(settings.database_url)
        raw = await asyncpg.connect(settings.database_url)
        async with open_api(settings) as api, open_worker(settings) as worker:
            new = await api.apps.create("bench")
            await api.apps.change(new.app_key, {"clean_rate_limit": 0, "undo_seconds": 0})
            yield Ground(
                settings=settings,
                environ=environ,
                raw=raw,
                api=api,
                worker=worker,
                app_key=new.app_key,
                keys={"app_key": new.app_key, "secret": new.app_secret},
                console=console,
                full=full,
            )
        await raw.close()
