"""Ids and cursors as the outside sees them: opaque, versioned, safe in a URL.

An id carries its channel, so that no look-up has to ask every shard. It grants nothing: what it names is always read
together with the app and the user of the caller.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")
_MESSAGE = struct.Struct(">BQQ")
_REQUEST = struct.Struct(">BQ16s")
_UNIQUE = struct.Struct(">B16s")
_MESSAGE_VERSION = 1
_REQUEST_VERSION = 2
_JOB_VERSION = 3
_MEDIA_VERSION = 5
MOST_ID_CHARACTERS = 64
"""Of the ids that are the app's own (users, devices, groups, open channels); each has at least one."""
MOST_CURSOR_BYTES = 65_536
"""A cursor unpacks to less than this, whatever it was packed from."""


class NotOurs(ValueError):
    """The text is not an id or a cursor that this code made."""


def message_id(channel_id: int, position: int) -> str:
    """The public id of a message."""
    return _text(_MESSAGE.pack(_MESSAGE_VERSION, channel_id, position))


def read_message_id(text: str) -> tuple[int, int]:
    """(channel id, position); NotOurs for anything else."""
    channel_id, position = _unpacked(_MESSAGE, _MESSAGE_VERSION, text)
    if max(channel_id, position) >= 1 << 63:
        raise NotOurs(text)
    return channel_id, position


def request_id(channel_id: int, unique: bytes) -> str:
    """The public id of a clean request."""
    return _text(_REQUEST.pack(_REQUEST_VERSION, channel_id, unique))


def read_request_id(text: str) -> tuple[int, bytes]:
    """(channel id, unique part); NotOurs for anything else."""
    channel_id, unique = _unpacked(_REQUEST, _REQUEST_VERSION, text)
    if channel_id >= 1 << 63:
        raise NotOurs(text)
    return channel_id, unique


def job_id(unique: bytes) -> str:
    """The public id of a job: it stands where a clean request's would."""
    return _text(_UNIQUE.pack(_JOB_VERSION, unique))


def read_job_id(text: str) -> bytes:
    """The unique part; NotOurs for anything else."""
    [unique] = _unpacked(_UNIQUE, _JOB_VERSION, text)
    return bytes(unique)


def media_id(unique: bytes) -> str:
    """The public id of a file."""
    return _text(_UNIQUE.pack(_MEDIA_VERSION, unique))


def read_media_id(text: str) -> bytes:
    """The unique part; NotOurs for anything else."""
    [unique] = _unpacked(_UNIQUE, _MEDIA_VERSION, text)
    return bytes(unique)


def pack(value: object) -> str:
    """A cursor that holds a value that msgspec can write."""
    return _text(zlib.compress(msgspec.msgpack.encode(value), 6))


def unpack(text: str, as_type: type[_T]) -> _T:
    """The value of a cursor; NotOurs where it is not one of this type."""
    try:
        reader = zlib.decompressobj()
        packed = reader.decompress(_bytes(text), MOST_CURSOR_BYTES)
        if not reader.eof or reader.unused_data:
            raise NotOurs(text)
        return msgspec.msgpack.decode(packed, type=as_type)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise NotOurs(text) from exc


def _unpacked(form: struct.Struct, version: int, text: str) -> tuple[Any, ...]:
    """What stands in an id of this form behind its version; NotOurs for anything else."""
    try:
        found, *parts = form.unpack(_bytes(text))
    except struct.error as exc:
        raise NotOurs(text) from exc
    if found != version:
        raise NotOurs(text)
    return tuple(parts)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        value = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise NotOurs(text) from exc
    # one id, one spelling: unused bits at the end are not ignored
    if _text(value) != text:
        raise NotOurs(text)
    return value
