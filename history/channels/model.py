"""What a channel is called, and the id that follows from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from history.errors import NotFound

ID_BITS = 63


class ChannelType(IntEnum):
    """The numbers of the v4 API; schema.sql has the same."""

    DIRECT = 1
    GROUP = 3
    OPEN = 4
    SYSTEM = 6


MADE_BY_CALL = frozenset({ChannelType.GROUP, ChannelType.OPEN})
"""Channels that must be made before anything can be sent there; the others appear with their first message."""


class ChannelKey(NamedTuple):
    """The name of a channel inside its app, the same whoever asks. Make one with `channel_key`.

    A tuple, because every message looks one up several times: its hash is the interpreter's own.
    """

    app_key: str
    type: ChannelType
    key: tuple[str, ...]

    def seen_by(self, user_id: str) -> str:
        """The channelId of the API: in a direct channel the other user, in a system channel the account."""
        if self.type is ChannelType.DIRECT:
            first, second = self.key
            return second if user_id == first else first
        return self.key[0]

    def participants(self) -> tuple[str, ...]:
        """Who takes part from the first message on, without joining."""
        if self.type is ChannelType.DIRECT:
            return self.key
        return self.key[1:] if self.type is ChannelType.SYSTEM else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as its members see it."""

    channel_id: str
    name: str
    owner: str
    created_at: int
    member_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A participant of a group."""

    user_id: str
    joined_at: int
    owner: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A group that a user is in."""

    group: Group
    joined_at: int


def channel_key(app_key: str, type_: ChannelType, *, channel_id: str, user_id: str) -> ChannelKey:
    """The channel that `user_id` calls `channel_id`.

    Direct: the unordered pair, sorted by bytes. System: the ordered pair of account and user. Group, open: the id alone.
    """
    if type_ is ChannelType.DIRECT:
        return ChannelKey(
            app_key, type_, tuple(sorted((user_id, channel_id), key=lambda name: name.encode()))
        )
    if type_ is ChannelType.SYSTEM:
        return ChannelKey(app_key, type_, (channel_id, user_id))
    return ChannelKey(app_key, type_, (channel_id,))


def derived_id(key: ChannelKey, attempt: int) -> int:
    """63 bits of SHA-256 over the length-prefixed parts, so that no two keys spell the same bytes."""
    digest = hashlib.sha256()
    for part in (key.app_key, str(int(key.type)), *key.key, str(attempt)):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return int.from_bytes(digest.digest()[:8], "big") >> (64 - ID_BITS)


def missing(key: ChannelKey) -> NotFound:
    """The error for a channel that must be made by a call and is not there, or has ended."""
    kind = "group" if key.type is ChannelType.GROUP else "open channel"
    return NotFound(f"There is no {kind} {key.key[0]!r}; create it first.")
