"""What a channel is called, and the id that follows from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

MOST_ID_CHARACTERS = 64
"""Ids are the app's own: 1 to 64 characters."""
ID_BITS = 63


class ChannelType(IntEnum):
    """The numbers of the v4 API; schema.sql has the same."""

    DIRECT = 1
    GROUP = 3
    OPEN = 4
    SYSTEM = 6


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """The name of a channel inside its app, the same whoever asks. Make one with `channel_key`."""

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
