"""Programs that run as children: started in sessions of their own, watched, stopped for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cli.account import Account
from cli.errors import Refused, reason

# Tells whose child a process is, also after `up` itself is gone: its value is the data folder.
MARK = "TIDEMARK_UP_DATA"
TICK = 0.02

Checkpoint = Callable[[], None]
Escalation = Sequence[tuple[signal.Signals, float]]
POLITE: Escalation = ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0))


_FORGIVEN_AFTER = 60.0


class Deaths:
    """How often a child has died of late: a minute of life forgives the earlier times."""

    def __init__(self) -> None:
        self.count = 0
        self._born_at = 0.0

    def born(self) -> None:
        """It was started."""
        self._born_at = time.monotonic()

    def died(self) -> float:
        """How many seconds to wait before it is started again: longer each time."""
        self.count = 1 if time.monotonic() - self._born_at > _FORGIVEN_AFTER else self.count + 1
        return 2.0 ** (self.count - 1)


def no_checkpoint() -> None:
    """For callers that nobody interrupts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to start. `escalation`: the signals that stop it, each with the seconds it is given."""

    name: str
    argv: Sequence[str | Path]
    log: Path | None
    """The file at whose end its output goes; None: where this process's own goes."""
    folder: Path
    mark: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    account: Account | None = None
    escalation: Escalation = POLITE


class Child:
    """A started program. It leads a session and group of its own, so a Ctrl-C in the terminal does not reach it."""

    def __init__(self, program: Program, popen: subprocess.Popen[bytes]) -> None:
        self.program = program
        self.popen = popen

    @classmethod
    def start(cls, program: Program, *, text: str = "", keep: Sequence[int] = ()) -> Self:
        """Starts it; `text` is handed to its standard input, and it has the files of these numbers open, as we do."""
        account = program.account
        try:
            with contextlib.ExitStack() as opened:
                log = opened.enter_context(program.log.open("ab")) if program.log else None
                popen = subprocess.Popen(
                    program.argv,
                    stdin=subprocess.PIPE if text else subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT if log else None,
                    env={**program.environ, MARK: program.mark},
                    cwd=program.folder,
                    pass_fds=keep,
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
        except OSError as error:
            raise Refused(
                f"{program.name} cannot be started ({program.argv[0]}): {reason(error)}."
            ) from error
        if popen.stdin:
            with contextlib.suppress(BrokenPipeError), popen.stdin:
                popen.stdin.write(text.encode())
        return cls(program, popen)

    @property
    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self.popen.poll()

    def finish(self, checkpoint: Checkpoint = no_checkpoint) -> int:
        """Waits for a program that ends by itself, and stops it if the wait is broken off."""
        try:
            while (status := self.status) is None:
                checkpoint()
                time.sleep(TICK)
        except BaseException:
            self.stop()
            raise
        return status

    def stop(self) -> None:
        """Stops it, first as it likes best, at last by force; returns when it is gone."""
        stop_together([self], self.program.escalation)

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, where it still runs; the last resort goes to its whole group."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                if number == signal.SIGKILL:
                    os.killpg(self.popen.pid, number)
                else:
                    self.popen.send_signal(number)


def stop_together(children: Sequence[Child], escalation: Escalation) -> None:
    """Stops several at once: each signal goes to all that are left, and all of them have its seconds."""
    for number, seconds in escalation:
        for child in children:
            child.send(number)
        deadline = time.monotonic() + seconds
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.popen.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.popen.pid, signal.SIGKILL)  # whatever it started and forgot


def ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"


def last_lines(log: Path | None, count: int = 10) -> str:
    """The end of a log, indented, to be put below a sentence."""
    if log is None:
        return ""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        lines = file.read().decode("utf-8", "replace").splitlines()[-count:]
        return "".join(f"\n  {line}" for line in lines)
    return ""
