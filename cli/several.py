"""Several processes of the API on one port, with a parent that answers nothing itself and watches them.

The parent binds the port and listens; the processes are started afresh with those sockets open and take connections from
one queue. So no connection belongs to a process that has died, a port that is taken is refused once, before anything is
started, and it is the same on Linux and macOS, where SO_REUSEPORT does not spread connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

import cli
from cli.address import listen
from cli.errors import Refused
from cli.processes import MARK, TICK, Child, Deaths, Escalation, Program, ending, stop_together
from cli.signals import Stopped, StopSignal
from history.config import Settings
from history.database import READERS, WRITERS, allowed_connections
from history.errors import TidemarkError
from history.logs import configure_logs

log = structlog.get_logger()

_LONGEST_PAUSE = 30.0
# Within what a supervisor gives the parent: 10 s for requests under way, then the pools close.
_STOPPING: Escalation = ((signal.SIGTERM, 17.0), (signal.SIGKILL, 2.0))


class Member:
    """One of the processes: started again whenever it dies, later each time."""

    def __init__(self, number: int, sockets: Sequence[socket.socket], environ: Mapping[str, str]) -> None:
        self.number = number
        self.ready = False
        self.child: Child | None = None
        self._sockets = sockets
        self._environ = environ
        self._control: socket.socket | None = None
        self._deaths = Deaths()
        self._again_at = 0.0

    def start(self) -> None:
        """Starts it; `tend` tells when it is ready."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        self.ready, self._control = False, ours
        self._deaths.born()
        numbers = [theirs.fileno(), *(one.fileno() for one in self._sockets)]
        program = Program(
            name="an API process",
            argv=[sys.executable, "-m", "cli.child", *map(str, numbers)],
            log=None,
            folder=Path(cli.__file__).parent.parent,
            mark=self._environ.get(MARK, ""),
            environ=self._environ,
        )
        with theirs:
            self.child = Child.start(program, keep=numbers)

    def tend(self) -> None:
        """Notices that it is ready; starts it again when it has died and it is time."""
        if self.child is None:
            if time.monotonic() >= self._again_at:
                try:
                    self.start()
                except (Refused, OSError) as error:
                    # a machine without memory or numbers for files: the others go on
                    self._bury(f"cannot be started ({error})")
            return
        self._hear()
        if (status := self.child.status) is not None:
            self._bury(ending(status))

    def _hear(self) -> None:
        if self._control is not None and not self.ready:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self.ready = bool(self._control.recv(1))
                if self.ready and self._deaths.count:
                    log.info("The API process is back.", process=self.number)

    def _bury(self, how: str) -> None:
        pause = min(_LONGEST_PAUSE, self._deaths.died())
        log.warning(
            "An API process died; it is started again.",
            process=self.number,
            ended=how,
            in_seconds=pause,
        )
        self.close()
        self.child, self.ready, self._again_at = None, False, time.monotonic() + pause

    def close(self) -> None:
        """Lets go of what the parent has of it."""
        if self._control is not None:
            self._control.close()
            self._control = None


def serve_together(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the API in several processes until SIGTERM, SIGINT or SIGHUP; requests that are under way are finished.

    One that dies while they start ends all of them: it would die again. Later each is started again on its own.
    """
    configure_logs(settings.log_format)
    with StopSignal() as signals, ExitStack() as opened, contextlib.suppress(Stopped):
        sockets = listen(settings.host, settings.port)
        members = [Member(number, sockets, environ) for number in range(1, settings.processes + 1)]
        opened.callback(_stop, members)
        for one in sockets:
            # before the processes stop: nobody is left to take what would still come
            opened.callback(one.close)
        _check_connections(settings)
        for member in members:
            member.start()
        while not all(member.ready for member in members):
            signals.checkpoint()
            for member in members:
                if member.child is not None and (status := member.child.status) is not None:
                    raise Refused(f"An API process {ending(status)} while it started, so all were stopped.")
                member.tend()
            time.sleep(TICK)
        log.info("The API is ready.", processes=len(members), parent=os.getpid())
        while True:
            signals.checkpoint()
            for member in members:
                member.tend()
            time.sleep(5 * TICK)


def _stop(members: Sequence[Member]) -> None:
    stop_together([member.child for member in members if member.child is not None], _STOPPING)
    for member in members:
        member.close()


def _check_connections(settings: Settings) -> None:
    """Warn where all pools together, a worker's with them, may want more connections than Postgres has."""
    wanted = (settings.processes + 1) * (READERS + WRITERS)
    # where nobody answers the processes say so themselves
    with contextlib.suppress(TidemarkError):
        allowed = asyncio.run(allowed_connections(settings.database_url))
        if wanted > allowed:
            log.warning(
                "PostgreSQL has fewer connections than the API and a worker may open under load; raise max_connections.",
                wanted=wanted,
                allowed=allowed,
            )
