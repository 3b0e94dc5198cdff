"""Ids and cursors: their own text and no other."""

from __future__ import annotations

import base64
import zlib
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history import cursors
from history.axis import NEVER
from history.cursors import NotOurs
from history.delivery.model import SyncCursor

POSITIONS = st.integers(0, NEVER)
CURSORS = st.builds(
    SyncCursor,
    reader=st.text(max_size=16),
    told=st.lists(st.tuples(POSITIONS, POSITIONS), max_size=20),
    recalled=st.lists(st.tuples(POSITIONS, POSITIONS), max_size=20),
    after=st.none() | st.tuples(POSITIONS, POSITIONS),
    removed=st.lists(st.tuples(POSITIONS, POSITIONS), max_size=20),
)


@given(POSITIONS, POSITIONS)
def test_a_message_id_reads_back(channel_id: int, position: int) -> None:
    """And is safe in a URL."""
    text = cursors.message_id(channel_id, position)
    assert cursors.read_message_id(text) == (channel_id, position)
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.binary(min_size=16, max_size=16))
def test_a_media_id_reads_back_and_is_no_other_id(unique: bytes) -> None:
    """Ids of jobs have the same form: the version tells them apart."""
    text = cursors.media_id(unique)
    assert cursors.read_media_id(text) == unique
    for read in (cursors.read_job_id, cursors.read_request_id, cursors.read_message_id):
        with pytest.raises(NotOurs):
            read(text)
    with pytest.raises(NotOurs):
        cursors.read_media_id(cursors.job_id(unique))


@given(CURSORS)
def test_a_cursor_reads_back(cursor: SyncCursor) -> None:
    """With everything in it."""
    assert cursors.unpack(cursors.pack(cursor), SyncCursor) == cursor


@given(POSITIONS, POSITIONS, st.text(max_size=30))
def test_any_other_text_is_not_a_message_id(channel_id: int, position: int, text: str) -> None:
    """Whatever it is: one id has one spelling."""
    with suppress(NotOurs):
        assert cursors.message_id(*cursors.read_message_id(text)) == text
    ours = cursors.message_id(channel_id, position)
    for other in (ours[:-1], ours + "A", ours + "=", " " + ours, ours + "\n", ours.swapcase() + "A"):
        with pytest.raises(NotOurs):
            cursors.read_message_id(other)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
def test_any_other_text_is_not_a_cursor(text: str) -> None:
    """Only NotOurs, never another error."""
    with pytest.raises(NotOurs):
        cursors.unpack(text, SyncCursor)


@given(CURSORS, st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_cursor_is_refused(cursor: SyncCursor, at: int, byte: int) -> None:
    """Its checksum sees one changed byte."""
    packed = bytearray(cursors._bytes(cursors.pack(cursor)))
    at %= len(packed)
    if packed[at] == byte:
        byte = (byte + 1) % 256
    packed[at] = byte
    with suppress(NotOurs):
        assert cursors.unpack(cursors._text(bytes(packed)), SyncCursor) == cursor


def test_ids_of_another_kind_or_version_are_refused() -> None:
    """A request's id names no message, nor does a number above the axis."""
    with pytest.raises(NotOurs):
        cursors.read_message_id(cursors.request_id(7, b"x" * 16))
    with pytest.raises(NotOurs):
        cursors.read_message_id(cursors._text(cursors._MESSAGE.pack(2, 7, 7)))
    for pair in ((NEVER + 1, 7), (7, NEVER + 1)):
        with pytest.raises(NotOurs):
            cursors.read_message_id(cursors._text(cursors._MESSAGE.pack(1, *pair)))


def test_unused_bits_are_not_ignored() -> None:
    """Two texts that decode to the same bytes are not both ours."""
    text = cursors.message_id(7, 7)
    assert len(text) % 4 == 3
    twin = text[:-1] + chr(ord(text[-1]) + 1)
    assert base64.urlsafe_b64decode(twin + "=") == base64.urlsafe_b64decode(text + "=")
    with pytest.raises(NotOurs):
        cursors.read_message_id(twin)


def test_a_cursor_of_another_type_is_refused() -> None:
    """It unpacks, but not into what was asked for."""
    others: list[object] = [{}, [], 5, ["reader"], ["reader", [[1]], [], None], ["reader", [], [[1]], None]]
    for value in others:
        with pytest.raises(NotOurs):
            cursors.unpack(cursors.pack(value), SyncCursor)


def test_what_unpacks_to_too_much_is_refused() -> None:
    """A few hundred bytes that would be a hundred megabytes; the limit itself; more behind the end."""
    bomb = zlib.compress(bytes(100_000_000), 9)
    with pytest.raises(NotOurs):
        cursors.unpack(cursors._text(bomb), SyncCursor)
    for size, fits in ((cursors.MOST_CURSOR_BYTES - 10, True), (cursors.MOST_CURSOR_BYTES, False)):
        text = cursors._text(zlib.compress(msgspec.msgpack.encode("x" * size)))
        if fits:
            assert cursors.unpack(text, str) == "x" * size
        else:
            with pytest.raises(NotOurs):
                cursors.unpack(text, str)
    with pytest.raises(NotOurs):
        cursors.unpack(cursors._text(zlib.compress(msgspec.msgpack.encode(5)) + b"more"), int)


@pytest.mark.parametrize(
    "made",
    [
        SyncCursor(reader="r", told=[(NEVER + 1, 1)], recalled=[], after=None),
        SyncCursor(reader="r", told=[(1, NEVER + 1)], recalled=[], after=None),
        SyncCursor(reader="r", told=[], recalled=[(NEVER + 1, 1)], after=None),
        SyncCursor(reader="r", told=[], recalled=[(1, -1)], after=None),
        SyncCursor(reader="r", told=[], recalled=[], after=(NEVER + 1, 1)),
        SyncCursor(reader="r", told=[], recalled=[], after=(1, -1)),
    ],
)
def test_numbers_outside_the_axis_are_refused(made: SyncCursor) -> None:
    """Cursors are not signed: what a stranger makes up must be refused before Postgres has to."""
    with pytest.raises(NotOurs):
        cursors.unpack(cursors.pack(made), SyncCursor)
