"""`tidemark up`: everything in one terminal, nothing left behind.

The order of starting is lock, orphans, port, PostgreSQL, Valkey, schema, demo app, API, worker; stopping goes
backwards. Whatever happens on the way, what was started is stopped.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click

from cli import demo_file, terminal
from cli.address import base_url, check_free, is_ready
from cli.backend import DEFAULT_DATA
from cli.demo import commands
from cli.edges import Edge
from cli.embedded import Embedded
from cli.errors import Refused
from cli.folder import DataFolder
from cli.processes import TICK, Checkpoint, ending, last_lines
from cli.signals import Stopped, StopSignal
from history.config import MOST_PROCESSES, Settings, processes_from
from history.database import READERS, WRITERS
from history.migrate import migrate

T = TypeVar("T")
_READY_SECONDS = 60.0


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the API listens on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port of the API."
)
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    help="Processes of the API [default: TIDEMARK_PROCESSES, else 1].",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=DEFAULT_DATA,
    show_default=True,
    help="Folder of all data.",
)
def up(host: str, port: int, processes: int | None, data: Path) -> None:
    """Run everything here: PostgreSQL, Valkey, the API and the worker. Ctrl-C stops it."""
    with StopSignal() as signals, ExitStack() as started:
        try:
            _run(host, port, processes, data, signals.checkpoint, started)
        except Stopped as stopped:
            terminal.step("stopping", f"on {stopped}")
            started.close()
            terminal.step("stopped", "nothing is left running")


def _run(
    host: str,
    port: int,
    processes: int | None,
    data: Path,
    checkpoint: Checkpoint,
    started: ExitStack,
) -> None:
    several = processes_from(os.environ if processes is None else {"TIDEMARK_PROCESSES": str(processes)})
    folder = started.enter_context(DataFolder(data))
    folder.read_or_make_master_key()
    terminal.step("data", str(folder.path))
    embedded = Embedded(folder, settings={"max_connections": str(_connections(several))})
    if embedded.stopped_orphans:
        terminal.note(
            f"An earlier start was cut short: {embedded.stopped_orphans} processes of it were stopped."
        )
    if embedded.placement.note:
        terminal.note(f"Note: {embedded.placement.note}.")
    check_free(host, port)
    checkpoint()
    started.callback(embedded.stop)
    embedded.start(checkpoint)
    terminal.step("PostgreSQL", f"18, in {embedded.placement.cluster}")
    terminal.step("Valkey", "9, in memory")
    environ = {**_environ(folder, embedded, host, port), "TIDEMARK_PROCESSES": str(several)}
    settings = Settings.from_environ(environ)
    version = _interruptible(migrate(settings.database_url), checkpoint)
    terminal.step("schema", f"version {version}")
    demo = _interruptible(demo_file.keep(folder, settings, base_url(host, port)), checkpoint)
    terminal.step("app", f"demo ({demo.app_key}), keys in {folder.demo}")
    edges = [Edge("api", "serve", folder, environ), Edge("worker", "worker", folder, environ)]
    for edge in reversed(edges):
        started.callback(edge.stop)
    for edge in edges:
        edge.start()
    _wait_until_ready(demo.base_url, edges, checkpoint)
    _say_ready(demo.base_url, data)
    _watch(embedded, edges, checkpoint)


def _connections(processes: int) -> int:
    """What all pools may open, the worker's with them, and some for people; PostgreSQL's own default at least."""
    return max(100, (processes + 1) * (READERS + WRITERS) + 16)


def _environ(folder: DataFolder, embedded: Embedded, host: str, port: int) -> dict[str, str]:
    ours = {
        "TIDEMARK_DATABASE_URL": embedded.database_url,
        "TIDEMARK_REDIS_URL": embedded.redis_url,
        "TIDEMARK_MASTER_KEY_FILE": str(folder.master_key),
        "TIDEMARK_HOST": host,
        "TIDEMARK_PORT": str(port),
        "TIDEMARK_LOG_FORMAT": "text",
        "PYTHONUNBUFFERED": "1",
    }
    if not os.environ.get("TIDEMARK_MEDIA_URL"):
        ours["TIDEMARK_MEDIA_DIR"] = os.environ.get("TIDEMARK_MEDIA_DIR") or str(folder.media)
    # A key in the environment is meant for another database than this folder's.
    return {**{name: value for name, value in os.environ.items() if name != "TIDEMARK_MASTER_KEY"}, **ours}


def _wait_until_ready(url: str, edges: list[Edge], checkpoint: Checkpoint) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready(url):
        checkpoint()
        for edge in edges:
            edge.check_alive()
        if time.monotonic() > deadline:
            raise Refused(f"The API did not become ready at {url} within {_READY_SECONDS:.0f} seconds.")
        time.sleep(TICK)


def _say_ready(url: str, data: Path) -> None:
    first, clean, history = commands(data)
    terminal.ready(f"tidemark is ready on {url} (Ctrl-C stops it)")
    terminal.plain()
    terminal.plain("Send a first message, then clean it, from another terminal in this folder:")
    terminal.plain(f"  {first}")
    terminal.plain(f"  {clean}")
    terminal.plain("Before and after, see what he may read:")
    terminal.plain(f"  {history}")
    terminal.plain()


def _watch(embedded: Embedded, edges: list[Edge], checkpoint: Checkpoint) -> None:
    """Stays here until somebody asks to stop, or something cannot go on."""
    while True:
        checkpoint()
        for server in (embedded.postgres, embedded.valkey):
            child = server.child
            if child and (status := child.status) is not None:
                log = child.program.log
                raise Refused(
                    f"{child.program.name} {ending(status)}, so all was stopped; its log ends:{last_lines(log)}"
                )
        for edge in edges:
            edge.tend()
        time.sleep(5 * TICK)


def _interruptible(work: Coroutine[Any, Any, T], checkpoint: Checkpoint) -> T:
    """Runs asynchronous work to its end, or cancels it when somebody asks to stop."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=TICK)
                checkpoint()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return task.result()

    return asyncio.run(watched())
