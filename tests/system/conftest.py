"""Starts `tidemark up` as a user does, as a process of its own, and looks at it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.processes import MARK

ROOT = Path(__file__).parents[2]
READY = "tidemark is ready on "
START_SECONDS = 50.0


class Up:
    """One `tidemark up`: its lines, its processes, its end."""

    def __init__(self, data: Path, port: int, *options: str) -> None:
        self.data = data
        self.port = port
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--port", str(port), "--data", str(data), *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All that it has written so far."""
        return "\n".join(self.lines)

    def demo(self) -> dict[str, Any]:
        """The content of demo.json."""
        content: dict[str, Any] = json.loads((self.data / "demo.json").read_text())
        return content

    def wait_for(self, text: str) -> str:
        """The first line with this text; fails with the output if the process ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if text in line:
                    return line
            if self.process.poll() is not None:
                self._reader.join(5)
                if text not in self.output:
                    break
            time.sleep(0.02)
        raise AssertionError(f"no {text!r} in the output:\n{self.output}")

    def wait_until_ready(self) -> None:
        """Returns when it says so."""
        self.wait_for(READY)

    def end(self) -> int:
        """Waits for the end and returns the exit status."""
        status = self.process.wait(START_SECONDS)
        self._reader.join(5)
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal to `up` alone and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.end()

    def kill_everything(self) -> None:
        """kill -9 of `up` and of all that it started, at once."""
        everything = [self.process.pid, *(process.pid for process in processes_of(self.data))]
        for pid in everything:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.end()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.lines.extend(line.rstrip("\n") for line in lines)


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process that an `up` on this folder started, found otherwise than the product finds them: what has the
    folder's mark, or a file, working directory or argument below the folder, and all children of such.
    """
    homes = {
        str(data),
        str(data.resolve()),
        str((data / "postgres").resolve()),
        str((data / "run").resolve()),
    }
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            words = " ".join([process.cwd(), *process.cmdline()[:12]])
            mark = process.environ().get(MARK)
            if "up" not in process.cmdline() and (mark in homes or any(home in words for home in homes)):
                found[process.pid] = process
                found.update((child.pid, child) for child in process.children(recursive=True))
    return [process for process in found.values() if process.is_running()]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_short_folder() -> Path:
    """A folder with a short path that any user may pass through; pytest's own are too long and closed."""
    path = Path(tempfile.mkdtemp(prefix="tdm-", dir="/tmp"))
    path.chmod(0o711)
    return path


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """See make_short_folder."""
    path = make_short_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(short_folder: Path) -> Iterator[Callable[..., Up]]:
    """Starts `up`s, on short_folder/data unless told otherwise, and ends what is left of them after the test."""
    started: list[Up] = []

    def begin(data: Path | None = None, *options: str, port: int | None = None) -> Up:
        started.append(Up(data or short_folder / "data", port or free_port(), *options))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None or processes_of(one.data):
            one.kill_everything()


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """One `up` for all tests of a module that only look at it."""
    folder = make_short_folder()
    one = Up(folder / "data", free_port())
    try:
        one.wait_until_ready()
        yield one
        assert one.stop() == 0, one.output
    finally:
        one.kill_everything()
        shutil.rmtree(folder, ignore_errors=True)
