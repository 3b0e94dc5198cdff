"""`tidemark import` and `tidemark export` against a running API."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import sorting, transfer
from cli.main import main
from history.errors import DatabaseUnavailable
from history.transfer.imports import Imports
from history.transfer.model import Line, Outcome
from tests.api.client import DAY_MS, Api
from tests.api.test_import import line, packed


def names(folder: Path) -> set[Path]:
    """What is in it."""
    return set(folder.iterdir())


async def run(
    api: Api,
    *words: str,
    given: bytes | None = None,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """The command, told where the API is and whose app it is for."""
    known = {
        "TIDEMARK_URL": str(api.client.make_url("")).rstrip("/"),
        "TIDEMARK_APP_KEY": api.keys.app_key,
        "TIDEMARK_APP_SECRET": api.keys.secret,
    }
    return await asyncio.to_thread(
        CliRunner().invoke, main, words, input=given, env=known | dict(environment or {})
    )


async def test_a_file_in_any_order_is_imported_and_exported_again(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several requests, with what is wrong named by its number in the file."""
    monkeypatch.setattr(transfer, "_MOST_LINES", 30)
    at = api.now_ms - DAY_MS
    lines = [
        line(at + n, content=str(n), clientMessageId=f"{n}", channelId=other)
        for n in reversed(range(50))
        for other in ("bob", "cid")
    ]
    file = tmp_path / "in.ndjson"
    file.write_bytes(packed(*lines[:70], b"", b"not json", line(1_700_000_000), *lines[70:]))
    result = await run(api, "import", str(file))
    assert result.exit_code == 1, result.output
    assert result.stdout == "imported 100, already there 0, refused 2\n"
    assert [said.split(": ")[0] for said in result.stderr.splitlines()] == ["line 72", "line 73"]
    again = await run(api, "import", str(file))
    assert again.stdout == "imported 0, already there 100, refused 2\n"
    out = tmp_path / "out.ndjson"
    assert (await run(api, "export", str(out))).exit_code == 0
    assert names(tmp_path) == {file, out}
    found = [json.loads(text) for text in out.read_bytes().splitlines()]
    for other in ("bob", "cid"):
        assert [one["content"] for one in found if one["channelId"] == other] == [str(n) for n in range(50)]
    other_app = api.of(await api.new_app())
    result = await run(other_app, "import", "-", given=out.read_bytes())
    assert (result.exit_code, result.stdout) == (0, "imported 100, already there 0, refused 0\n")


async def test_an_export_goes_to_stdout_and_may_be_of_one_channel_or_time(api: Api) -> None:
    at = 1_767_225_600_000
    stream = packed(*(line(at + n, content=str(n)) for n in (-1, 0, 1)), line(at, channelId="cid"))
    assert (await run(api, "import", "-", given=stream)).exit_code == 0
    result = await run(api, "export")
    assert len(result.stdout.splitlines()) == 4
    asked = [
        "--channel-type",
        "1",
        "--channel-id",
        "bob",
        "--user",
        "ann",
        "--from",
        "2026-01-01",
        "--to",
        str(at + 1),
    ]
    result = await run(api, "export", *asked)
    assert [json.loads(text)["content"] for text in result.stdout.splitlines()] == ["0"]
    assert result.stderr == "exported 1\n"
    for words in (["--from", "yesterday"], ["--channel-type", "3"]):
        result = await run(api, "export", *words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: ")


async def test_a_file_is_there_whole_or_not_at_all(api: Api, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    out.write_bytes(b"before")
    result = await run(api, "export", str(out), environment={"TIDEMARK_APP_SECRET": "wrong"})
    assert result.exit_code == 1
    assert "Signature" in result.stderr
    assert out.read_bytes() == b"before"
    assert names(tmp_path) == {out}


async def test_what_is_no_regular_file_is_written_into_and_stays_what_it_is(api: Api, tmp_path: Path) -> None:
    assert (await run(api, "import", "-", given=packed(line(api.now_ms - DAY_MS)))).exit_code == 0
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for file in (pipe, link):
        result = await run(api, "export", str(file))
        assert (result.exit_code, result.stderr) == (0, "exported 1\n")
    assert pipe.is_fifo()
    assert link.readlink() == target
    assert os.read(reading, 65_536) == target.read_bytes() != b""
    os.close(reading)
    assert names(tmp_path) == {pipe, link, target}


async def test_a_file_with_a_mark_at_its_beginning_is_sorted_as_any_other(api: Api) -> None:
    at = api.now_ms - DAY_MS
    stream = b"\xef\xbb\xbf" + packed(*(line(at - n * 1_000) for n in range(10)))
    result = await run(api, "import", "-", given=stream)
    assert result.stdout == "imported 10, already there 0, refused 0\n", result.stderr


async def test_very_many_lines_of_one_time_are_imported_request_by_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_MOST_LINES", 1_100)
    at = api.now_ms - DAY_MS
    stream = packed(*(line(at, content=f"{n}") for n in range(2_500)), line(at - 1_000, content="first"))
    result = await run(api, "import", "-", given=stream)
    assert result.stdout == "imported 2501, already there 0, refused 0\n", result.stderr
    found = [json.loads(text) for text in (await run(api, "export")).stdout.splitlines()]
    assert [one["content"] for one in found] == ["first", *(f"{n}" for n in range(2_500))]
    assert {one["sentAt"] - at for one in found} == {-1_000, 0, 1, 2}


async def test_a_time_that_is_none_refuses_its_line_also_where_lines_wait_in_files(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "by_channel", partial(sorting.by_channel, run_bytes=1))
    at = api.now_ms - DAY_MS
    result = await run(api, "import", "-", given=packed(line(at + 1), line(10**30), line(at)))
    assert result.stdout == "imported 2, already there 0, refused 1\n"
    assert result.stderr.startswith("line 2: ")


async def test_an_import_that_stops_says_so_and_goes_on_when_it_is_run_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = api.now_ms - DAY_MS
    stream = packed(*(line(at + n, clientMessageId=f"{n}", content="x" * 1_000) for n in range(12_000)))
    commit, calls = Imports.commit, [0]

    async def failing(self: Imports, app_key: str, lines: Sequence[Line], *, key_kept: int) -> Outcome:
        calls[0] += 1
        if calls[0] == 2:
            raise DatabaseUnavailable("The database does not answer; try again in a few seconds.")
        return await commit(self, app_key, lines, key_kept=key_kept)

    with monkeypatch.context() as patch:
        patch.setattr(Imports, "commit", failing)
        result = await run(api, "import", "-", given=stream)
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
    assert "again" in result.stderr
    stored = (await api.rows("SELECT count(*) AS count FROM messages"))[0]["count"]
    assert 0 < stored < 12_000
    result = await run(api, "import", "-", given=stream)
    assert result.stdout == f"imported {12_000 - stored}, already there {stored}, refused 0\n"


async def test_very_many_refused_lines_do_not_stop_it(api: Api) -> None:
    """The answer is read while the lines are sent: it is far more than what fits into the buffers between."""
    stream = packed(line(1, content="x" * 200)) * 60_000
    result = await run(api, "import", "-", given=stream)
    assert result.stdout == "imported 0, already there 0, refused 60000\n"
    assert len(result.stderr.splitlines()) == 60_000


async def test_what_is_not_known_is_asked_for_in_a_sentence(api: Api, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{api.keys.secret}\n", encoding="utf-8")
    latin = tmp_path / "latin"
    latin.write_bytes(b"s\xe9cret")
    given = {"TIDEMARK_APP_SECRET": ""}
    result = await run(api, "export", "--secret-file", str(secret), environment=given)
    assert result.exit_code == 0, result.stderr
    wrong = {
        "TIDEMARK_APP_SECRET": (["export"], given),
        "demo.json": (["export", "--data", str(tmp_path)], {"TIDEMARK_APP_KEY": ""}),
        "Nothing answers": (["export", "--url", "http://127.0.0.1:1"], {}),
        "no address": (["export", "--url", "here"], {}),
        "99999 is no address": (["export", "--url", "http://127.0.0.1:99999"], {}),
        "a..b is no address": (["export", "--url", "http://a..b"], {}),
        "[ is no address": (["export", "--url", "http://["], {}),
        "not text in utf-8": (["export", "--secret-file", str(latin)], given),
        "no app": (["export", "--app-key", "nope"], {}),
    }
    for words, (command, environment) in wrong.items():
        result = await run(api, *command, environment=environment)
        assert (result.exit_code, type(result.exception)) == (1, SystemExit)
        assert words.lower() in result.stderr.lower(), (words, result.stderr)
    for option in ("--secret", "--app-secret"):
        assert (await run(api, "export", option, "x")).exit_code == 2, "no secret is an argument"
