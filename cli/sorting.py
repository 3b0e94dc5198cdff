"""The lines of a file by channel, then time, in bounded memory: sorted runs in temporary files, then merged."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec
from msgspec import Struct

from history.channels.model import ChannelType
from server.wire.common import Milliseconds

RUN_BYTES = 64 * 1024 * 1024
MOST_LINE_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_LENGTH = struct.Struct(">I")

Numbered: TypeAlias = tuple[int, bytes]
"""(number in its file, line); an empty line was too long."""
_Entry: TypeAlias = tuple[str, int, int, bytes]
"""(channel, sent at, number, line): they sort as they are."""


class _Named(Struct):
    """As much of a line as says where it belongs."""

    channelType: int  # noqa: N815 # as the line spells it
    channelId: str  # noqa: N815
    fromUserId: str  # noqa: N815
    sentAt: Milliseconds  # noqa: N815 # what is none is refused by the server, and would not fit into a run


_decoder = msgspec.json.Decoder(_Named)
_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder(_Entry)


def numbered(file: BinaryIO) -> Iterator[Numbered]:
    """The lines of a file with their numbers, without blank ones and without a byte order mark."""
    number = 0
    while line := file.readline(MOST_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > MOST_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(MOST_LINE_BYTES)
            yield number, b""
        elif line.strip():
            yield number, line if line.endswith(b"\n") else line + b"\n"


def by_channel(lines: Iterable[Numbered], folder: Path, *, run_bytes: int = RUN_BYTES) -> Iterator[Numbered]:
    """All of them, by channel, time and number. What does not fit into memory waits in the folder."""
    runs: list[Path] = []
    run: list[_Entry] = []
    size = 0
    for number, line in lines:
        run.append((*_place(line), number, line))
        size += len(line)
        if size >= run_bytes:
            runs.append(_written(sorted(run), folder / f"{len(runs)}.run"))
            run, size = [], 0
    run.sort()
    for entry in heapq.merge(run, *(_read(path) for path in runs)):
        yield entry[2], entry[3]


def _place(line: bytes) -> tuple[str, int]:
    """What it is sorted by. What cannot be read comes first, for the server to say why not."""
    try:
        named = _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return "", 0
    names = [named.channelId]
    if named.channelType == ChannelType.DIRECT:
        names = sorted([named.channelId, named.fromUserId])
    elif named.channelType == ChannelType.SYSTEM:
        names = [named.fromUserId, named.channelId]
    return "\0".join([str(named.channelType), *names]), named.sentAt


def _written(run: list[_Entry], path: Path) -> Path:
    with path.open("wb") as file:
        for entry in run:
            packed = _packer.encode(entry)
            file.write(_LENGTH.pack(len(packed)) + packed)
    return path


def _read(path: Path) -> Iterator[_Entry]:
    with path.open("rb") as file:
        while length := file.read(_LENGTH.size):
            yield _unpacker.decode(file.read(_LENGTH.unpack(length)[0]))
