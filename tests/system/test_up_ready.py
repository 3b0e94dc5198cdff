"""What a person sees who starts `up` for the first time, and what lies in the folder then."""

from __future__ import annotations

import base64
import json
import shlex
import stat
import subprocess
from pathlib import Path

import asyncpg
from redis import Redis

from cli.address import is_ready
from tests.system.conftest import ROOT, Up, free_port


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def printed_commands(running: Up) -> list[str]:
    running.wait_for("demo history")
    return [line.strip() for line in running.lines if line.startswith("  ") and " demo " in line]


def test_each_step_has_a_line_and_the_last_is_ready(running: Up) -> None:
    starts = [
        line.split()[0] for line in running.lines if line and not line.startswith((" ", "api", "worker"))
    ]
    assert starts[:6] == ["data", "PostgreSQL", "Valkey", "schema", "app", "tidemark"]
    assert "\x1b" not in running.output
    assert is_ready(f"http://127.0.0.1:{running.port}")


def test_demo_json_holds_exactly_what_a_client_needs(running: Up) -> None:
    demo = running.demo()
    assert set(demo) == {"baseUrl", "appKey", "appSecret", "apiKey", "adminKey", "databaseUrl", "redisUrl"}
    assert demo["baseUrl"] == f"http://127.0.0.1:{running.port}"
    assert demo["databaseUrl"] == f"postgresql://tidemark@/tidemark?host={running.data}/run"
    assert demo["redisUrl"] == f"unix://{running.data}/run/valkey.sock"


def test_secrets_are_for_the_owner_alone(running: Up) -> None:
    assert mode(running.data / "demo.json") == 0o600
    assert mode(running.data / "master.key") == 0o600
    assert mode(running.data) & 0o067 == 0
    assert mode(running.data / "run") & 0o077 == 0
    assert len(base64.b64decode((running.data / "master.key").read_text())) == 32


async def test_postgres_is_durable_and_reached_by_its_socket_only(running: Up) -> None:
    connection = await asyncpg.connect(running.demo()["databaseUrl"])
    try:
        for name, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
        }.items():
            assert await connection.fetchval("SELECT current_setting($1)", name) == value, name
        assert (await connection.fetchval("SELECT version()")).startswith("PostgreSQL 18.")
    finally:
        await connection.close()


def test_valkey_is_reached_by_its_socket_only(running: Up) -> None:
    with Redis.from_url(running.demo()["redisUrl"]) as client:
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("save") == {"save": ""}


def test_the_printed_commands_work_as_they_are(running: Up) -> None:
    send, clean, history = printed_commands(running)
    calls = ((send, "/message/send"), (history, "/list"), (clean, "/history/clean"), (history, "/list"))
    read = []
    for command, path in calls:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        asked, _body, answer = done.stdout.strip().splitlines()
        assert asked.endswith(path)
        assert answer.startswith("200 ")
        said = json.loads(answer.removeprefix("200 "))
        assert said["code"] == 0
        if path == "/list":
            read.append([message["content"] for message in said["result"]["messages"]])
    assert read == [['{"content": "Hello"}'], []]


def test_the_demo_says_so_when_nothing_answers(running: Up, short_folder: Path) -> None:
    demo = {**running.demo(), "baseUrl": f"http://127.0.0.1:{free_port()}"}
    (short_folder / "demo.json").write_text(json.dumps(demo))
    command = [*shlex.split(printed_commands(running)[0])[:-1], str(short_folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is `tidemark up` running?" in done.stderr


def test_a_second_up_on_the_same_folder_is_refused_and_harms_nothing(running: Up) -> None:
    second = Up(running.data, free_port())
    assert second.end() == 1
    assert len(second.lines) == 1
    assert f"(process {running.process.pid}) is running on {running.data}" in second.output
    assert is_ready(f"http://127.0.0.1:{running.port}")


def test_a_taken_port_is_refused_before_anything_is_started(running: Up, short_folder: Path) -> None:
    second = Up(short_folder / "data", running.port)
    assert second.end() == 1
    assert f"Port {running.port} on 127.0.0.1 is taken" in second.lines[-1]
    assert not (short_folder / "data" / "postgres").exists()
