"""The account that PostgreSQL runs as when `up` was started by root (PostgreSQL refuses to be root)."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.errors import Refused

NAME = "tidemark"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Whether it may go into the folder, asked of the system itself by going there as that user."""
        return self._succeeds("/bin/sh", "-c", 'cd -- "$0"', folder)

    def can_run(self, program: Path) -> bool:
        """Whether it may execute the program."""
        return self._succeeds(program, "--version")

    def _succeeds(self, *argv: str | Path) -> bool:
        try:
            done = subprocess.run(
                argv,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                check=False,
            )
        except OSError:
            return False
        return done.returncode == 0


def postgres_account(cluster: Path) -> Account | None:
    """Who runs PostgreSQL: None means whoever we are. A cluster that is there already keeps its owner."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        try:
            return _known(pwd.getpwuid(owner))
        except KeyError:
            raise Refused(
                f"{cluster} belongs to the user number {owner}, which this machine does not know: "
                "give it to a user that exists (chown -R)."
            ) from None
    return system_account()


def system_account() -> Account:
    """The system user `tidemark`, made on first need: no home, no shell, no password."""
    try:
        return _known(pwd.getpwnam(NAME))
    except KeyError:
        pass
    if useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run(
            [useradd, *options, "--shell", "/usr/sbin/nologin", NAME], check=False, capture_output=True
        )
    try:
        return _known(pwd.getpwnam(NAME))
    except KeyError:
        raise Refused(
            f"PostgreSQL refuses to run as root, and the system user `{NAME}` could not be made: "
            "make it, or run `tidemark up` as an ordinary user."
        ) from None


def _known(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
