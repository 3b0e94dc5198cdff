"""The embedded PostgreSQL 18: a cluster in a folder, reachable through a socket only."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from cli.binaries import POSTGRES_MAJOR
from cli.errors import Refused
from cli.folder import sync_folder
from cli.orphans import is_postgres
from cli.placement import Placement
from cli.processes import TICK, Checkpoint, Child, Escalation, Program, ending, last_lines, no_checkpoint

USER = DATABASE = "tidemark"
# Recovery after a crash reads at most max_wal_size; ten minutes are plenty even on a slow disk.
START_SECONDS = 600.0
# Fast shutdown; immediate where a session does not let go; force.
ESCALATION: Escalation = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "logging_collector": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For tests only: a cluster that is thrown away need not survive a power cut.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


class Postgres:
    """Makes the cluster on first use, starts and stops the server."""

    def __init__(
        self,
        *,
        installation: Path,
        placement: Placement,
        address: Path,
        log: Path,
        mark: str,
        settings: Mapping[str, str],
    ) -> None:
        self._bin = installation / "bin"
        self._place = placement
        self._log = log
        self._mark = mark
        self._settings = {**SETTINGS, "unix_socket_directories": _quoted(placement.sockets), **settings}
        self.url = f"postgresql://{USER}@/{DATABASE}?host={quote(str(address))}"
        self.child: Child | None = None

    def check_version(self) -> None:
        """Refuses a folder that another PostgreSQL made."""
        cluster = self._place.cluster
        if not cluster.exists():
            return
        try:
            found = (cluster / "PG_VERSION").read_text().strip()
        except OSError:
            raise Refused(
                f"{cluster} is not a data folder of PostgreSQL: move it away, or use another one."
            ) from None
        if found != POSTGRES_MAJOR:
            raise Refused(
                f"{cluster} was made by PostgreSQL {found}, and this is PostgreSQL {POSTGRES_MAJOR}: use the tidemark "
                "that made it, or dump and restore (pg_dump) into a fresh data folder."
            )

    def start(self, checkpoint: Checkpoint = no_checkpoint) -> None:
        """Returns when connections are accepted; recovery after a crash has then been done."""
        if not self._place.cluster.exists():
            self._create(checkpoint)
        self._forget_stale_locks()
        self.child = Child.start(self._program(["-D", self._place.cluster, *self._options()]))
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts(self.child.popen.pid):
            if (status := self.child.status) is not None or time.monotonic() > deadline:
                what = "did not become ready" if status is None else ending(status)
                raise Refused(f"PostgreSQL {what} while starting; its log ends:{last_lines(self._log)}")
            checkpoint()
            time.sleep(TICK)

    def stop(self) -> None:
        """Stops the server, losing nothing."""
        if self.child:
            self.child.stop()

    def _create(self, checkpoint: Checkpoint) -> None:
        """The cluster gets its name when it is whole, so one that was cut short is simply made again."""
        fresh = self._place.cluster.with_name(f"{self._place.cluster.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account := self._place.account:
            os.chown(fresh, account.uid, account.gid)
        initdb: list[str | Path] = [
            "-D",
            fresh,
            "-U",
            USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
        ]
        if self._settings.get("fsync") == "off":
            initdb.append("--no-sync")
        self._finish(self._program(initdb, "initdb"), "", checkpoint)
        single: list[str | Path] = ["--single", "-D", fresh, *self._options(), "postgres"]
        self._finish(self._program(single), f"CREATE DATABASE {DATABASE};\n", checkpoint)
        fresh.rename(self._place.cluster)
        sync_folder(self._place.cluster.parent)

    def _finish(self, program: Program, text: str, checkpoint: Checkpoint) -> None:
        if Child.start(program, text=text).finish(checkpoint) != 0:
            raise Refused(f"PostgreSQL could not make its data folder; its log ends:{last_lines(self._log)}")

    def _options(self) -> list[str]:
        return [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]

    def _program(self, arguments: list[str | Path], program: str = "postgres") -> Program:
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))
        }
        return Program(
            name="PostgreSQL",
            argv=[self._bin / program, *arguments],
            log=self._log,
            folder=self._place.sockets,
            mark=self._mark,
            environ=environ,
            account=self._place.account,
            escalation=ESCALATION,
        )

    def _accepts(self, pid: int) -> bool:
        """The postmaster itself says so, in the last line of its pid file (pg_ctl waits for the same)."""
        with contextlib.suppress(OSError):
            lines = (self._place.cluster / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
        return False

    def _forget_stale_locks(self) -> None:
        """After a crash the numbers in the lock files may have gone to other programs; PostgreSQL would give up.

        The caller holds the folder's lock and has stopped what was left over, so no postmaster of ours runs.
        """
        for path in (self._place.cluster / "postmaster.pid", self._place.sockets / ".s.PGSQL.5432.lock"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                pid = int(path.read_text().splitlines()[0])
                if not is_postgres(pid):
                    path.unlink()


def _quoted(path: Path) -> str:
    """A list of folders is what the setting holds; quotes keep a path with spaces in one piece."""
    return f'"{path}"'
