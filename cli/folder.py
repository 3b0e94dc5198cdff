"""The data folder of `up`: its paths, its lock, and the small files in it."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cli.errors import Refused, reason

# A socket's path has room for 103 bytes on macOS (107 on Linux): one limit for all, so that a folder can move.
SOCKET_BYTES = 103
_LONGEST_SOCKET = "/run/.s.PGSQL.5432"


class DataFolder:
    """One folder, used by one `up` at a time."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 (symlinks stay: the addresses name what was asked for)
        self.created = False
        self._lock: IO[str] | None = None
        self.cluster = self.path / "postgres"
        self.run = self.path / "run"
        self.logs = self.path / "logs"
        self.demo = self.path / "demo.json"
        self.master_key = self.path / "master.key"
        self.media = self.path / "media"

    @property
    def mark(self) -> str:
        """What the processes of this folder are known by."""
        return str(self.path.resolve())

    def open(self) -> None:
        """Makes it (0700) if it is not there, and takes its lock; refuses what cannot work, each with a sentence."""
        self._check_path()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.path.mkdir(mode=0o700)
                self.created = True
            except FileExistsError:
                if not self.path.is_dir():
                    raise
            self._take_lock()
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
            why = f"{error.filename} is not a folder" if in_the_way else reason(error)
            raise Refused(
                f"The data folder {self.path} cannot be written ({why}): "
                "choose another one with --data, or make it writable for this user."
            ) from error

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def log(self, name: str) -> Path:
        """A fresh log; the one of the run before is kept beside it."""
        path = self.logs / f"{name}.log"
        if path.exists():
            path.rename(path.with_suffix(".log.1"))
        path.touch(mode=0o600)
        return path

    def read_or_make_master_key(self) -> None:
        """The key under which app secrets are encrypted is made once and never again."""
        if self.master_key.exists():
            return
        if self.demo.exists():
            raise Refused(
                f"{self.master_key} is gone, and the app secrets cannot be read without it: "
                "bring it back, or use another data folder."
            )
        write_private(self.master_key, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")

    def _check_path(self) -> None:
        longest = len(os.fsencode(f"{self.path}{_LONGEST_SOCKET}"))
        if longest > SOCKET_BYTES:
            limit = SOCKET_BYTES - len(_LONGEST_SOCKET)
            raise Refused(
                f"The data folder's path is too long for a socket: {len(os.fsencode(self.path))} bytes where {limit} "
                f"are possible ({self.path}); choose a shorter one with --data."
            )
        if odd := sorted(set(str(self.path)) & set(",\"'\\%?#\n")):
            raise Refused(
                f"The data folder's path contains {' '.join(odd)!r}, which a socket address cannot carry."
            )

    def _take_lock(self) -> None:
        lock = (self.path / "up.lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            other = lock.read().strip()
            lock.close()
            raise Refused(
                f"Another `tidemark up` (process {other or 'unknown'}) is running on {self.path}: "
                "stop it first, or choose another folder with --data."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock


def write_private(path: Path, text: str) -> None:
    """Writes a file of mode 0600 whole or not at all, also when the machine stops half-way."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes a rename in this folder last."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
