"""What an `up` that was killed left running is found and stopped by the next one on the same folder.

The caller holds the folder's lock, so nothing found here can belong to an `up` that is alive. A process is ours if
its environment carries the folder's mark (the API, the worker, initdb), or if it is a server by name and works in a
folder of ours: PostgreSQL and Valkey overwrite their environment with their title.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil

from cli.errors import Refused
from cli.placement import Placement
from cli.processes import MARK, TICK

_SERVERS = ("postgres", "initdb", "valkey-server")
# Seconds: a clean end, then PostgreSQL's immediate shutdown, then force.
_PATIENCE = ((signal.SIGTERM, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


def stop(mark: str, placement: Placement) -> int:
    """Stops what is left, the API and the worker before the servers; returns how many processes there were."""
    homes = {str(placement.cluster), f"{placement.cluster}.new", str(placement.sockets)}
    left = [process for process in psutil.process_iter() if _is_ours(process, mark, homes)]
    servers = [process for process in left if _is_server(process)]
    _end([process for process in left if process not in servers])
    _end(servers)
    return len(left)


def is_alive(pid: int) -> bool:
    """Whether the process still runs; one that is dead and waits for its parent to notice does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_postgres(pid: int) -> bool:
    """Whether the process is a PostgreSQL that runs."""
    with contextlib.suppress(psutil.Error):
        return is_alive(pid) and bool(psutil.Process(pid).name() == "postgres")
    return False


def _end(processes: list[psutil.Process]) -> None:
    for number, seconds in _PATIENCE:
        for process in processes:
            # PostgreSQL ends its own children; SIGINT is its fast shutdown, SIGTERM waits for every session.
            fast = number == signal.SIGTERM and _is_server(process)
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGINT if fast else number)
        deadline = time.monotonic() + seconds
        while processes and time.monotonic() < deadline:
            processes = [process for process in processes if process.is_running() and is_alive(process.pid)]
            time.sleep(TICK)
    if processes:
        numbers = ", ".join(str(process.pid) for process in processes)
        raise Refused(
            f"An earlier start left processes that cannot be ended ({numbers}): end them, then try again."
        )


def _is_ours(process: psutil.Process, mark: str, homes: set[str]) -> bool:
    if process.pid == os.getpid():
        return False
    with contextlib.suppress(psutil.Error, OSError):
        if _is_server(process) and process.cwd() in homes:
            return True
    with contextlib.suppress(psutil.Error, OSError):
        return bool(process.environ().get(MARK) == mark)
    return False


def _is_server(process: psutil.Process) -> bool:
    try:
        return process.name().startswith(_SERVERS)
    except psutil.Error:
        return False
