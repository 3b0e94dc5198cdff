"""A message, and how a history page is cut."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from history.axis import DAY, MILLISECOND, SECOND
from history.channels.model import ChannelKey
from history.cursors import NotOurs, message_id, read_media_id
from history.errors import InvalidInput, TooLong

MOST_PAGE_BYTES = 4 * 1024 * 1024
"""A page's JSON is cut here, whatever its count: 500 messages of 128 KB would be 64 MB."""
_MESSAGE_BYTES = 512
"""What a message is in JSON besides its content and metadata, amply."""
_ENTRY_BYTES = 48
"""What each entry of its metadata is besides its key and value."""
LONGEST_RANGE_MS = 14 * 86_400 * 1000
"""A history page looks at 14 days at most."""
_REFERENCE = re.compile(r"media:\[([A-Za-z0-9_-]{1,64})\]")
_MONTH = re.compile(r"messages_(\d{4})_(\d{2})")
MOST_REFERENCES = 100
"""Files that one message may refer to."""
MessageRow = tuple[int, int, int, str, str, str, tuple[str, ...] | None, str | None]
"""(channel id, position, flags, sender, type, content, recipients, metadata)"""
ReferenceRow = tuple[int, int, UUID, str, int, str, tuple[str, ...] | None]
"""(channel id, position, file, app, flags, sender, recipients)"""
Sender = tuple[int, str]
"""(channel id, user)"""
ClientKey = tuple[int, str, str]
"""(channel id, sender, key)"""


class Flags:
    """The bits of messages.flags; schema.sql has the same. Plain integers: an enum's operators cost a send 4% of its time."""

    PERSISTED: Final = 1
    ECHOED: Final = 2
    SILENT: Final = 8
    METADATA: Final = 16


class Draft(Struct, frozen=True, kw_only=True):
    """A message on its way in: one for each channel, all of them in one commit."""

    channels: tuple[ChannelKey, ...]
    sender: str
    type: str
    content: str
    flags: int
    recipients: tuple[str, ...] | None = None
    """Who it is for; None: every participant."""
    metadata: str | None = None
    """JSON, kept as it is."""
    client_key: str | None = None
    """The sender's own id of it: the same again is the same message."""
    key_kept: int = DAY
    """For how many microseconds that holds."""

    def weight(self) -> int:
        """Bytes that its rows bring, roughly."""
        return len(self.channels) * (len(self.content) + len(self.metadata or "") + 200)


class Message(Struct, frozen=True, kw_only=True):
    """A message as it is stored."""

    channel_id: int
    position: int
    sender: str
    type: str
    content: str
    flags: int
    metadata: str | None
    edited_at: int | None = None
    """When its sender last changed it; None: never, or where nobody asks for it, as in a sync."""
    recalled: bool = False
    """Only who asks for it is given what was recalled."""

    @property
    def id(self) -> str:
        """The public id."""
        return message_id(self.channel_id, self.position)

    @property
    def sent_at(self) -> int:
        """Milliseconds since the epoch."""
        return self.position // MILLISECOND

    @property
    def entries(self) -> dict[str, str]:
        """Its metadata by key."""
        return {} if self.metadata is None else msgspec.json.decode(self.metadata, type=dict[str, str])


class Found(Message, frozen=True, kw_only=True):
    """A message that was asked for by its id, and where it is."""

    channel: ChannelKey


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

    @classmethod
    def named(cls, table: str) -> Month | None:
        """The month of a partition; None where the name is none of ours."""
        found = _MONTH.fullmatch(table)
        return cls(int(found[1]), int(found[2])) if found else None

    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def first(self) -> int:
        """The first position in it."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp()) * SECOND

    @property
    def number(self) -> int:
        """Its place among all months: never 0."""
        return self.year * 12 + self.month

    @property
    def table(self) -> str:
        """The name of its partition."""
        return f"messages_{self.year:04}_{self.month:02}"


class Copy(Struct, frozen=True, eq=False):
    """One row to be: a draft in one of its channels. Two that say the same are two messages."""

    draft: Draft
    channel_id: int

    @property
    def client_key(self) -> tuple[int, str, str] | None:
        """(channel id, sender, key) where the sender gave one."""
        key = self.draft.client_key
        return (self.channel_id, self.draft.sender, key) if key is not None else None


def references(content: str) -> tuple[UUID, ...]:
    """The files that content refers to, each once, in the order of their ids. What is no id of ours is text."""
    if "media:[" not in content:
        return ()
    found = set()
    for text in _REFERENCE.findall(content):
        try:
            found.add(UUID(bytes=read_media_id(text)))
        except NotOurs:
            continue
    if len(found) > MOST_REFERENCES:
        raise InvalidInput("content", f"content refers to more than {MOST_REFERENCES} files.")
    return tuple(sorted(found))


def unknown_media() -> InvalidInput:
    """The error for content that refers to a file that is not there, whoever's it would be."""
    return InvalidInput(
        "content",
        "content refers to a file that is not there; upload it first, and send the id of the answer.",
    )


def targeted_tail(copies: Sequence[Copy]) -> dict[int, list[Copy]]:
    """By channel: the targeted messages that no message for everybody follows."""
    tail: dict[int, list[Copy]] = {}
    for copy in copies:
        if copy.draft.recipients is None:
            tail.pop(copy.channel_id, None)
        else:
            tail.setdefault(copy.channel_id, []).append(copy)
    return tail


def unseen_tail(copies: Sequence[Copy]) -> dict[int, tuple[str, int]]:
    """By channel: who wrote its last messages for everybody but himself, and how many of them in a row."""
    tail: dict[int, tuple[str, int]] = {}
    for copy in copies:
        draft = copy.draft
        if draft.recipients is not None or draft.flags & Flags.ECHOED:
            tail.pop(copy.channel_id, None)
        else:
            sender, count = tail.get(copy.channel_id, (draft.sender, 0))
            tail[copy.channel_id] = draft.sender, count + 1 if sender == draft.sender else 1
    return tail


def positions(copies: Sequence[Copy], ends: Mapping[int, int]) -> list[int]:
    """A position for each copy, in their order.

    `ends` has the last position that was reserved in each channel: as many end there as the channel gets messages.
    """
    counts = Counter(copy.channel_id for copy in copies)
    following = {channel_id: ends[channel_id] - count + 1 for channel_id, count in counts.items()}
    given = []
    for copy in copies:
        given.append(following[copy.channel_id])
        following[copy.channel_id] += 1
    return given


def check_size(content: str, most: int) -> None:
    """TooLong where the content is over `most` bytes of UTF-8, the app's setting."""
    # a character is at most 4 bytes: most content needs no encoding to be seen as small
    if len(content) * 4 > most and len(content.encode()) > most:
        raise TooLong(
            "content", f"content is too long: at most {most} bytes of UTF-8 (the app's maxContentBytes)."
        )


def fill(messages: Sequence[Message], *, most_bytes: int, whole_milliseconds: bool = False) -> list[Message]:
    """As many of these as fit a page of that many bytes of JSON, and at least one.

    With `whole_milliseconds` those after the last one that were sent in its millisecond come along.
    """
    count = fitting(messages, most_bytes=most_bytes)
    while (
        whole_milliseconds
        and 0 < count < len(messages)
        and messages[count].sent_at == messages[count - 1].sent_at
    ):
        count += 1
    return list(messages[:count])


def fitting(messages: Iterable[Message | None], *, most_bytes: int) -> int:
    """How many of these fit a page of that many bytes of JSON, at least one; None where a row has no message."""
    total, count = 0, 0
    for message in messages:
        total += _MESSAGE_BYTES if message is None else _json_bytes(message)
        if total > most_bytes and count:
            break
        count += 1
    return count


def _json_bytes(message: Message) -> int:
    total = _MESSAGE_BYTES + len(msgspec.json.encode(message.content))
    if message.metadata is not None:
        total += len(message.metadata.encode()) + _ENTRY_BYTES * message.metadata.count('":"')
    return total
