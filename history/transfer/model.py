"""Lines on their way in, and where they come to stand; messages on their way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from history.axis import MILLISECOND, NEVER
from history.channels.model import MADE_BY_CALL, ChannelKey, missing
from history.errors import InvalidInput, Overloaded
from history.messages.model import ClientKey, Flags, Message, MessageRow, Sender

MOST_LINES = 10_000
MOST_BYTES = 4 * 1024 * 1024
"""Of one batch: what a commit holds the locks of its channels for."""
FILE = "media:["
"""How content refers to a file begins; what lacks it need not be searched."""
EARLIEST = 100_000_000_000
"""3 March 1973, 09:46:40 UTC, in milliseconds; what lies below was meant as seconds, and would make partitions of 1970."""


class Room:
    """How many streams of a kind a process takes at once; each holds memory for as long as it lasts."""

    def __init__(self, most: int, *, kind: str) -> None:
        """`kind`: what they are called in the plural."""
        self._most = most
        self._kind = kind
        self.streams = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A stream is under way for as long as the block lasts; Overloaded where too many are."""
        if self.streams >= self._most:
            raise Overloaded(f"Too many {self._kind} are under way; try again when one has ended.")
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1


class Place:
    """A channel, as the lines of a stream name it. Two of the same key are the same channel."""

    __slots__ = ("key",)

    def __init__(self, key: ChannelKey) -> None:
        self.key = key


Line: TypeAlias = tuple[int, Place, int, int, str, str, str, tuple[str, ...] | None, str | None, str | None]
"""(number in its stream, place, sent at in ms, flags, sender, type, content, recipients, metadata as JSON, client key).

A tuple, because a million of them are made and read: an object of named fields takes as long as all else that happens to it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where a channel stands before a batch."""

    last_position: int
    common_position: int | None
    silent_to: int
    some_removed: bool


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a batch: each of its lines is one of these."""

    imported: int = 0
    there: int = 0
    refused: list[tuple[int, Exception]] = field(default_factory=list)
    """(number, why); what is no error of ours is a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A message on its way out."""

    message: Message
    channel: ChannelKey
    recipients: tuple[str, ...] | None


def check_time(sent_at: int, *, now: int) -> None:
    """InvalidInput where an own time cannot be one; both in milliseconds."""
    if sent_at < EARLIEST:
        raise InvalidInput(
            "sentAt",
            f"sentAt {sent_at} is before 3 March 1973 ({EARLIEST}); send milliseconds since 1970, not seconds.",
        )
    if sent_at > now:
        raise InvalidInput("sentAt", f"sentAt {sent_at} is after now ({now}); only what is past is imported.")


class Spot:
    """One channel while the lines of a batch are placed in it."""

    __slots__ = (
        "common",
        "fleeting",
        "id",
        "key",
        "last",
        "loud",
        "low",
        "now",
        "run",
        "stand",
        "start",
        "tail",
        "writers",
    )

    def __init__(
        self, key: ChannelKey, id_: int, stand: Stand | None, *, run: int | None = None, now: int
    ) -> None:
        """Without a stand the channel takes no messages. `run` is where its last run begins, as far as that is known."""
        self.key, self.id, self.stand, self.now = key, id_, stand, now
        self.start = NEVER if stand is None else stand.last_position
        self.last = self.start
        self.run = self.start if run is None else run
        """From here to the last position none is free."""
        self.low: int | None = None
        """The lowest time that was refused, perhaps because nobody has looked where the run begins that was there before."""
        self.common: int | None = None
        self.tail: list[tuple[int, str, tuple[str, ...]]] = []
        """(position, sender, recipients) of the targeted messages that no message for everybody follows."""
        self.loud: int | None = None
        """The first message that is not silent."""
        self.fleeting = False
        """Whether time alone may let go of one of the messages, or perhaps nobody is there for it."""
        self.writers: dict[str, int] | None = {} if key.type in MADE_BY_CALL else None
        """Who wrote, and where he did last; None where the key says who writes."""

    def refusal(self, position: int) -> Exception | None:
        """Why no message of this time may stand after the last one, if that is so."""
        if self.stand is None:
            return missing(self.key)
        if position >= self.last - MILLISECOND:
            return None
        sent_at = position // MILLISECOND
        if position < self.run:
            if self.run <= self.start:
                self.low = position if self.low is None else min(self.low, position)
            return InvalidInput(
                "sentAt",
                f"sentAt {sent_at} is below the channel's last position {self.last} "
                f"(of {self.last // MILLISECOND}); import a channel in the order of its times.",
            )
        if self.last >= self.now:
            return InvalidInput(
                "sentAt",
                f"sentAt {sent_at} has no free position up to now: the channel's last one is {self.last}; "
                "send the line again.",
            )
        return None

    def note(self, position: int, flags: int, sender: str, recipients: tuple[str, ...] | None) -> None:
        """What else there is to know of the message that comes next, before it is the last."""
        if not flags & Flags.SILENT and self.loud is None:
            self.loud = position
        if not flags & Flags.PERSISTED or recipients is not None:
            self.fleeting = True
        if self.writers is not None:
            self.writers[sender] = position
        if recipients is None:
            self.tail.clear()
        else:
            if not self.tail:
                self.common = self._common_before()
            self.tail.append((position, sender, recipients))

    def _common_before(self) -> int | None:
        if self.last != self.start or self.stand is None:
            return self.last
        return self.start if self.stand.common_position is None else self.stand.common_position

    @property
    def common_position(self) -> int | None:
        """Where the last message for everybody stands now; None: it is the last."""
        return self.common if self.tail else None

    @property
    def silent_to(self) -> int:
        """Up to where everything is silent now."""
        before = 0 if self.stand is None else self.stand.silent_to
        if self.start > before:
            return before
        return self.last if self.loud is None else self.loud - 1


@dataclass(slots=True)
class Arranged:
    """The lines of a batch, each in its place."""

    spots: Mapping[Place, Spot]
    bad: Mapping[int, Exception]
    """Lines that must be refused unless they are there already, by their numbers."""
    keys: dict[ClientKey, int]
    """Where the messages of these keys stand: those of before, and those of this batch."""
    rows: list[MessageRow] = field(default_factory=list)
    firsts: dict[int, int] = field(default_factory=dict)
    """The first new position of each channel."""
    there: int = 0
    refused: list[tuple[int, Exception]] = field(default_factory=list)
    doubtful: bool = False
    """A line with a key is not after what its channel had before: perhaps it is that."""

    def place(self, lines: Sequence[Line]) -> None:
        """Find a position for each line: its own time, or the next free one where nothing comes after that."""
        rows, keys, spots, bad, first = self.rows, self.keys, self.spots, self.bad, self.firsts.setdefault
        silent = Flags.SILENT
        for number, place, sent_at, flags, sender, type_, content, recipients, metadata, client_key in lines:
            spot = spots[place]
            key = None
            if client_key is not None:
                key = (spot.id, sender, client_key)
                if key in keys:
                    self.there += 1
                    continue
            position = sent_at * MILLISECOND
            if position <= spot.last or number in bad:
                position = self._late(spot, number, position, keyed=key is not None)
                if position < 0:
                    continue
            if key is not None:
                keys[key] = position
            if not flags & silent or spot.writers is not None:
                spot.note(position, flags, sender, recipients)
            if position != spot.last + 1:
                spot.run = position
            spot.last = position
            first(spot.id, position)
            rows.append((spot.id, position, flags, sender, type_, content, recipients, metadata))

    def _late(self, spot: Spot, number: int, position: int, *, keyed: bool) -> int:
        """Its position where it may stand after the last one; -1 where it is refused."""
        if keyed and spot.last == spot.start:
            self.doubtful = True
        error = self.bad.get(number) or spot.refusal(position)
        if error is not None:
            self.refused.append((number, error))
            return -1
        return max(spot.last + 1, position)

    def new_keys(self, known: Mapping[ClientKey, int]) -> Mapping[ClientKey, int]:
        """Where the messages stand that are new and have a key; `known` are the keys of the others."""
        return {key: at for key, at in self.keys.items() if key not in known} if known else self.keys

    @property
    def low(self) -> list[tuple[int, int, int]]:
        """(channel id, lowest time that was refused, last position before): where to look for the run."""
        if not self.refused:
            return []
        return sorted(
            {(spot.id, spot.low, spot.start) for spot in self.spots.values() if spot.low is not None}
        )

    @property
    def moved(self) -> list[Spot]:
        """The channels that got something, in the order of their ids."""
        found = {spot.id: spot for spot in self.spots.values()}
        return [found[id_] for id_ in sorted(self.firsts)]

    @property
    def writers(self) -> dict[Sender, int]:
        """Who wrote in a group or an open channel, and where he wrote last."""
        return {
            (spot.id, sender): position
            for spot in self.moved
            for sender, position in (spot.writers or {}).items()
        }

    @property
    def targeted(self) -> dict[tuple[int, str], int]:
        """The last targeted message of those whom it names, and of its sender."""
        return {
            (spot.id, user): position
            for spot in self.moved
            for position, sender, recipients in spot.tail
            for user in (sender, *recipients)
        }
