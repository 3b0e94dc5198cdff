"""What `up` cannot do it says in one sentence, with a status that is not 0, and without a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import binaries
from cli.errors import Refused
from cli.folder import SOCKET_BYTES, DataFolder
from tests.system.conftest import Up, processes_of

Start = Callable[..., Up]


def refusal(up: Up) -> str:
    """The sentence of an `up` that refused, after it is certain that it left nothing running."""
    assert up.end() == 1
    assert "Traceback" not in up.output
    assert processes_of(up.data) == []
    said = [line for line in up.lines if line.startswith("Error: ")]
    assert len(said) == 1
    return said[0]


def test_a_path_too_long_for_a_socket(start: Start, short_folder: Path) -> None:
    sentence = refusal(start(short_folder / ("x" * 100)))
    assert "too long for a socket" in sentence
    assert f"{SOCKET_BYTES - len('/run/.s.PGSQL.5432')} are possible" in sentence
    assert list(short_folder.iterdir()) == []


def test_a_folder_below_a_file(start: Start, short_folder: Path) -> None:
    (short_folder / "file").write_text("")
    assert f"cannot be written ({short_folder}/file is not a folder)" in refusal(
        start(short_folder / "file" / "data")
    )


def test_a_file_instead_of_a_folder(start: Start, short_folder: Path) -> None:
    (short_folder / "data").write_text("")
    assert f"cannot be written ({short_folder}/data is not a folder)" in refusal(start())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(start: Start, short_folder: Path) -> None:
    (short_folder / "data").mkdir(mode=0o500)
    assert "cannot be written (permission denied)" in refusal(start())


def test_a_cluster_of_another_version(start: Start, short_folder: Path) -> None:
    cluster = short_folder / "data" / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("16\n")
    sentence = refusal(start())
    assert "made by PostgreSQL 16" in sentence
    assert "this is PostgreSQL 18" in sentence


def test_something_else_instead_of_a_cluster(start: Start, short_folder: Path) -> None:
    (short_folder / "data" / "postgres").mkdir(parents=True)
    assert "is not a data folder of PostgreSQL" in refusal(start())


def test_a_lost_master_key(start: Start, short_folder: Path) -> None:
    (short_folder / "data").mkdir()
    (short_folder / "data" / "demo.json").write_text("{}")
    assert "master.key is gone" in refusal(start())


def test_a_host_that_is_not_of_this_machine(start: Start) -> None:
    assert "cannot listen on 192.0.2.1" in refusal(start(None, "--host", "192.0.2.1"))


def test_a_platform_without_embedded_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(Refused, match=r"no embedded PostgreSQL and Valkey for this platform \(\w+ riscv64\)"):
        binaries.valkey_server()


def test_a_path_that_an_address_cannot_carry(short_folder: Path) -> None:
    with pytest.raises(Refused, match="which a socket address cannot carry"):
        DataFolder(short_folder / "a,b").open()
