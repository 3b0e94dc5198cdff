"""However `up` ends, nothing of it stays; however it was killed, the next one goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import asyncpg
import psutil
import pytest

from tests.system.conftest import Up, processes_of

Start = Callable[..., Up]


def slow(value: str | signal.Signals) -> Any:
    """One more of the same, for `make test-full`."""
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, slow(signal.SIGHUP)])
def test_a_signal_stops_everything(start: Start, number: signal.Signals) -> None:
    up = start()
    up.wait_until_ready()
    assert len(processes_of(up.data)) >= 4
    assert up.stop(number) == 0
    assert up.lines[-1].endswith("nothing is left running")
    assert processes_of(up.data) == []
    assert "database system is shut down" in (up.data / "logs" / "postgres.log").read_text()


def test_a_signal_to_the_whole_group_stops_everything(start: Start) -> None:
    up = start()
    up.wait_until_ready()
    os.killpg(up.process.pid, signal.SIGINT)
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.end() == 0
    assert processes_of(up.data) == []


@pytest.mark.parametrize("line", [slow("data "), "PostgreSQL ", slow("schema ")])
def test_a_signal_in_the_middle_of_the_start_stops_everything(start: Start, line: str) -> None:
    up = start()
    up.wait_for(line)
    assert up.stop(signal.SIGINT) == 0
    assert processes_of(up.data) == []
    again = start()
    again.wait_until_ready()
    assert again.stop() == 0


@pytest.mark.parametrize("line", ["data ", slow("PostgreSQL "), "schema ", slow("app ")])
def test_kill_in_the_middle_of_the_first_start_is_recovered(start: Start, line: str) -> None:
    up = start()
    up.wait_for(line)
    up.process.kill()
    up.end()
    again = start()
    again.wait_until_ready()
    assert again.demo()["appKey"]
    assert again.stop() == 0
    assert processes_of(up.data) == []


async def count_of_apps(up: Up) -> int:
    connection = await asyncpg.connect(up.demo()["databaseUrl"])
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM apps")
        return count
    finally:
        await connection.close()


@pytest.mark.parametrize("all_of_it", [True, False], ids=["everything", "up alone"])
async def test_after_kill_9_the_next_start_goes_on(start: Start, all_of_it: bool) -> None:
    up = start()
    up.wait_until_ready()
    before = up.demo()
    if all_of_it:
        up.kill_everything()
    else:
        up.process.kill()
        up.end()
        assert processes_of(up.data)
    again = start(port=up.port)
    again.wait_until_ready()
    assert again.demo() == before
    assert await count_of_apps(again) == 1
    assert ("An earlier start was cut short" in again.output) is not all_of_it
    assert again.stop() == 0
    assert processes_of(up.data) == []


def test_another_port_is_noted_and_the_keys_stay(start: Start) -> None:
    first = start()
    first.wait_until_ready()
    before = first.demo()
    assert first.stop() == 0
    second = start()
    second.wait_until_ready()
    assert second.demo() == {**before, "baseUrl": f"http://127.0.0.1:{second.port}"}


@pytest.mark.parametrize(("name", "called"), [("postgres", "PostgreSQL"), ("valkey-server", "Valkey")])
def test_a_server_that_dies_ends_everything_and_is_named(start: Start, name: str, called: str) -> None:
    up = start()
    up.wait_until_ready()
    servers = [child for child in psutil.Process(up.process.pid).children() if child.name() == name]
    servers[0].kill()
    assert up.end() == 1
    assert f"Error: {called} was ended by SIGKILL, so all was stopped" in up.output
    assert processes_of(up.data) == []


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_an_api_or_worker_that_dies_is_started_again(start: Start, command: str) -> None:
    up = start()
    up.wait_until_ready()
    edges = [child for child in psutil.Process(up.process.pid).children() if child.cmdline()[-1] == command]
    edges[0].kill()
    up.wait_for("was ended by SIGKILL; it is started again in 1 s.")
    assert up.stop() == 0
    assert processes_of(up.data) == []


async def test_a_database_of_a_newer_schema_is_refused_with_both_numbers(start: Start) -> None:
    up = start()
    up.wait_until_ready()
    connection = await asyncpg.connect(up.demo()["databaseUrl"])
    try:
        await connection.execute("UPDATE schema_version SET version = 99")
    finally:
        await connection.close()
    assert up.stop() == 0
    again = start()
    assert again.end() == 1
    assert "schema version 99" in again.lines[-1]
    assert again.lines[-1].startswith("Error: ")
    assert processes_of(up.data) == []
