"""The API and the worker as children of `up`: their lines shown, a few deaths forgiven."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import cli
from cli import terminal
from cli.errors import Refused
from cli.folder import DataFolder
from cli.processes import Child, Deaths, Program, ending, last_lines

_RESTARTS = 3


class Edge:
    """One of them: started again when it dies, later each time, until it has died too often."""

    def __init__(self, name: str, command: str, folder: DataFolder, environ: Mapping[str, str]) -> None:
        self.name = name
        self._log = folder.log(name)
        self._shown = 0
        self._deaths = Deaths()
        self._program = Program(
            name=f"the {name}",
            argv=[sys.executable, "-m", "cli", command],
            log=self._log,
            folder=Path(cli.__file__).parent.parent,
            mark=folder.mark,
            environ=environ,
        )
        self._child: Child | None = None
        self._again_at: float | None = None

    def start(self) -> None:
        """Starts it, without waiting until it is of use."""
        self._child = Child.start(self._program)
        self._deaths.born()
        self._again_at = None

    def check_alive(self) -> None:
        """During start-up a death is final: it would die again."""
        self.show()
        if self._child and (status := self._child.status) is not None:
            raise self._died(status)

    def tend(self) -> None:
        """Shows new lines; starts it again when it is time; refuses to go on after too many deaths."""
        self.show()
        now = time.monotonic()
        if self._again_at is not None:
            if now >= self._again_at:
                self.start()
        elif self._child and (status := self._child.status) is not None:
            pause = self._deaths.died()
            if self._deaths.count > _RESTARTS:
                raise self._died(status)
            terminal.note(f"The {self.name} {ending(status)}; it is started again in {pause:.0f} s.")
            self._again_at = now + pause

    def show(self) -> None:
        """Writes the lines that were added to its log since the last time."""
        with self._log.open("rb") as log:
            log.seek(self._shown)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._shown += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            terminal.part(self.name, line)

    def stop(self) -> None:
        """Lets it finish what it is doing, and shows its last lines."""
        if self._child:
            self._child.stop()
            self.show()

    def _died(self, status: int) -> Refused:
        return Refused(f"The {self.name} {ending(status)}; its log ends:{last_lines(self._log)}")
