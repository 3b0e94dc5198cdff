"""Lines of a file by channel and time, in bounded memory."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from cli import sorting
from cli.sorting import by_channel, numbered


def line(channel: str, at: int, **more: Any) -> bytes:
    """A line of ann in a group."""
    whole = {"channelType": 3, "channelId": channel, "fromUserId": "ann", "sentAt": at, **more}
    return json.dumps(whole).encode() + b"\n"


@pytest.mark.parametrize("run_bytes", [1, 500, 10**6])
def test_lines_come_by_channel_then_time_then_number(tmp_path: Path, run_bytes: int) -> None:
    """Also where most of them wait in files."""
    dice = random.Random(4)
    lines = [line(dice.choice("abc"), dice.randrange(5), n=n) for n in range(200)]
    found = list(by_channel(enumerate(lines, start=1), tmp_path, run_bytes=run_bytes))
    assert (len(list(tmp_path.iterdir())) > 1) is (run_bytes < 10**6)
    assert sorted(found) == list(enumerate(lines, start=1))
    places = [
        (whole["channelId"], whole["sentAt"], number)
        for number, text in found
        for whole in [json.loads(text)]
    ]
    assert places == sorted(places)


def test_both_names_of_a_direct_channel_are_one_channel_and_those_of_others_are_not(tmp_path: Path) -> None:
    def named(type_: int, sender: str, channel_id: str, at: int) -> bytes:
        return line(channel_id, at, channelType=type_, fromUserId=sender)

    direct = [named(1, "ann", "bob", 2), named(1, "bob", "ann", 1), named(1, "ann", "bob", 0)]
    system = [named(6, "x", "bob", 2), named(6, "bob", "x", 1)]
    found = list(by_channel(enumerate([*direct, *system]), tmp_path))
    assert [number for number, _ in found] == [2, 1, 0, 4, 3]


def test_what_cannot_be_read_comes_first_for_the_server_to_refuse(tmp_path: Path) -> None:
    lines = [line("a", 1), b"not json\n", b"[" * 100_000 + b"\n", line("a", 0), b'{"channelType":3}\n']
    found = [number for number, _ in by_channel(enumerate(lines), tmp_path)]
    assert found == [1, 2, 4, 3, 0]


def test_lines_are_numbered_as_they_stand_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank ones are passed over, the last one needs no end, and one that is too long is empty."""
    monkeypatch.setattr(sorting, "MOST_LINE_BYTES", 10)
    file = io.BytesIO(b"one\n\n  \nfour\n" + b"x" * 35 + b"\n" + b"x" * 9 + b"\nseven")
    assert list(numbered(file)) == [
        (1, b"one\n"),
        (4, b"four\n"),
        (5, b""),
        (6, b"x" * 9 + b"\n"),
        (7, b"seven\n"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    """Else it could not be read, would come first, and all before it would be out of order."""
    file = io.BytesIO(b"\xef\xbb\xbf" + b"".join(line("a", at) for at in (3, 2, 1)))
    found = list(by_channel(numbered(file), tmp_path))
    assert found == [(3, line("a", 1)), (2, line("a", 2)), (1, line("a", 3))]
    assert list(numbered(io.BytesIO(b"\xef\xbb\xbf\none"))) == [(2, b"one\n")]


@pytest.mark.parametrize("sent_at", [-1, 10**14, 10**30])
@pytest.mark.parametrize("run_bytes", [1, 10**6])
def test_a_time_that_is_none_is_for_the_server_to_refuse(
    tmp_path: Path, sent_at: int, run_bytes: int
) -> None:
    lines = [line("a", 10**14 - 1), line("a", sent_at), line("a", 0)]
    found = [number for number, _ in by_channel(enumerate(lines), tmp_path, run_bytes=run_bytes)]
    assert found == [1, 2, 0]
