"""The embedded Valkey: in memory only, reachable through a socket only (the journal is in PostgreSQL)."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

from cli.errors import Refused
from cli.processes import TICK, Checkpoint, Child, Program, ending, last_lines, no_checkpoint

START_SECONDS = 30.0


class Valkey:
    """Starts and stops the server."""

    def __init__(
        self, *, program: Path, sockets: Path, address: Path, log: Path, mark: str, databases: int
    ) -> None:
        self._socket = sockets / "valkey.sock"
        self._log = log
        self._program = Program(
            name="Valkey",
            argv=[
                program,
                *("--port", "0", "--unixsocket", self._socket, "--unixsocketperm", "700"),
                *("--save", "", "--appendonly", "no", "--databases", str(databases), "--daemonize", "no"),
            ],
            log=log,
            folder=sockets,
            mark=mark,
        )
        self.url = f"unix://{address / 'valkey.sock'}"
        self.child: Child | None = None

    def start(self, checkpoint: Checkpoint = no_checkpoint) -> None:
        """Returns when it answers."""
        self._socket.unlink(missing_ok=True)
        self.child = Child.start(self._program)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if (status := self.child.status) is not None or time.monotonic() > deadline:
                what = "did not become ready" if status is None else ending(status)
                raise Refused(f"Valkey {what} while starting; its log ends:{last_lines(self._log)}")
            checkpoint()
            time.sleep(TICK)

    def stop(self) -> None:
        """Stops the server."""
        if self.child:
            self.child.stop()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(self._socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        return False
