"""A message, and how a history page is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntFlag

from history.axis import MILLISECOND, SECOND
from history.channels.model import ChannelKey
from history.cursors import message_id

MOST_PAGE_BYTES = 4 * 1024 * 1024
"""A page is cut here, whatever its count: 500 messages of 128 KB would be 64 MB."""
LONGEST_RANGE_MS = 14 * 86_400 * 1000
"""A history page looks at 14 days at most."""


class Flags(IntFlag):
    """The bits of messages.flags; schema.sql has the same."""

    PERSISTED = 1
    ECHOED = 2
    RECALLED = 4
    SILENT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message on its way in: one for each channel, all of them in one commit."""

    channels: tuple[ChannelKey, ...]
    sender: str
    type: str
    content: str
    flags: Flags

    def weight(self) -> int:
        """Bytes that its rows bring, roughly."""
        return len(self.channels) * (len(self.content) + 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it is stored."""

    channel_id: int
    position: int
    sender: str
    type: str
    content: str

    @property
    def id(self) -> str:
        """The public id."""
        return message_id(self.channel_id, self.position)

    @property
    def sent_at(self) -> int:
        """Milliseconds since the epoch."""
        return self.position // MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A stretch of the axis: from `first` up to, not including, `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Month:
    """One partition of messages: a calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, position: int) -> Month:
        """The month that a position falls in."""
        at = datetime.fromtimestamp(position // SECOND, UTC)
        return cls(at.year, at.month)

    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def first(self) -> int:
        """The first position in it."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp()) * SECOND

    @property
    def table(self) -> str:
        """The name of its partition."""
        return f"messages_{self.year:04}_{self.month:02}"


def positions(drafts: Sequence[Draft], ends: dict[ChannelKey, int]) -> list[list[int]]:
    """A position for each channel of each draft, in the order of the drafts.

    `ends` has the last position that was reserved in each channel: as many end there as the channel gets messages.
    """
    counts: dict[ChannelKey, int] = {}
    for draft in drafts:
        for key in draft.channels:
            counts[key] = counts.get(key, 0) + 1
    following = {key: ends[key] - count + 1 for key, count in counts.items()}
    given: list[list[int]] = []
    for draft in drafts:
        row = []
        for key in draft.channels:
            row.append(following[key])
            following[key] += 1
        given.append(row)
    return given
