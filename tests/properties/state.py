"""What the model of Tidemark is made of: apps, channels, messages, marks and requests as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tests.properties.days import SECOND

EVERYONE = ""
DIRECT, GROUP, OPEN, SYSTEM = 1, 3, 4, 6
ENDLESS = 1 << 62
"""Above every position and every instant."""
FORGOTTEN_AFTER = 5 * SECOND
MINUTE = 60 * SECOND


@dataclass(slots=True)
class Settings:
    """What the rules read of an app; the defaults are issue 2's."""

    multi_device_sync: bool = True
    compensation_days: int = 1
    compensation_time_zone: str = "UTC"
    delete_compensated_on_clean: bool = False
    missed_days: int = 7
    undo_seconds: int = 86_400
    retention_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message. `to` None: everybody who takes part in the channel."""

    position: int
    sender: str
    content: str
    persisted: bool
    echoed: bool
    to: frozenset[str] | None = None
    recalled: bool = False
    silent: bool = False


@dataclass(slots=True)
class Marks:
    """Cutoffs of one user in one channel, or of everyone there; each kind merges by max."""

    history: int = 0
    sync: int = 0
    settled_history: int = 0
    settled_sync: int = 0
    media: int = 0
    settled_media: int = 0


@dataclass(slots=True)
class Conversation:
    """One user's view of one channel."""

    marks: Marks = field(default_factory=Marks)
    delivered: int = 0
    joined: int = 0
    left: int | None = None
    hidden: set[int] = field(default_factory=set)
    """What the user deleted by its id."""


class Recalled(NamedTuple):
    """What devices are to learn of a message that was taken back; its number in the channel is its stamp."""

    position: int
    sender: str
    to: frozenset[str] | None


@dataclass(slots=True)
class Channel:
    """A channel, and what of it is physically there: messages by position, ascending."""

    key: tuple[str, ...]
    conversations: dict[str, Conversation] = field(default_factory=dict)
    type: int = DIRECT
    everyone: Marks = field(default_factory=Marks)
    last: int = 0
    reclaimed_to: int = 0
    messages: dict[int, Sent] = field(default_factory=dict)
    recalls: list[Recalled] = field(default_factory=list)
    senders: dict[str, int] = field(default_factory=dict)
    """Who sent to a group or an open channel, as it was noted: once a day."""
    dismissed: bool = False
    created: int = 0
    ttl: int | None = None
    """Of an open channel: how long it lives after its creation, or after its last message."""
    from_last_message: bool = False
    emptied_to: int = 0
    """Where it ended, or began anew: nobody reads anything below."""

    def members(self) -> list[str]:
        """Who takes part: joined, or there from the start, and not left."""
        return [user for user, at in self.conversations.items() if at.left is None]

    def end(self) -> None:
        """As if cleaned by everyone, history, sync and files, settled; what is missed stays."""
        self.dismissed = True
        self.emptied_to = self.last + 1
        self.everyone = Marks(*[self.last + 1] * 6)


class Numbers(NamedTuple):
    """What a clean hides, and what of it is kept for other reasons."""

    hidden: int = 0
    missed: int = 0
    compensated: int = 0
    held: int = 0


@dataclass(slots=True, kw_only=True)
class Request:
    """A row of the journal: accepted, then applied, then settled; or cancelled."""

    id: UUID
    channel: int
    user: str
    cutoff: int
    flag: bool
    flag_from: str
    media: bool
    accepted_at: int
    undo_until: int
    state: str = "accepted"
    applied_at: int | None = None
    settled_at: int | None = None
    cancelled: tuple[int, str | None, str | None] | None = None
    """When, by whom and why."""
    numbers: Numbers = field(default_factory=Numbers)
    """As of its being applied."""
    hid: frozenset[int] = frozenset()
    counted: bool = False
    files: int = 0
    size: int = 0
    """The files that went because of it, and their bytes."""

    @property
    def live(self) -> bool:
        """Whether a cancel could still bring something back."""
        return self.state in ("accepted", "applied")


@dataclass(slots=True, kw_only=True)
class Job:
    """A clean of all channels of a user, or a recall of what one sender wrote in a channel."""

    id: UUID
    user: str
    before: int
    total: int | None
    befores: dict[int, int] = field(default_factory=dict)
    """Of a clean: its channels, each with the end of what it takes there."""
    channel: int | None = None
    flag: bool | None = None
    media: bool = False
    undo: int | None = None
    state: str = "running"
    finished: bool = False
    done: int = 0
    requests: list[Request] = field(default_factory=list)


class Hold(NamedTuple):
    """Nothing that it covers is deleted or emptied: a channel, a user's channels, or the app where both are None."""

    channel: tuple[int, tuple[str, ...]] | None
    user: str | None


class Scope(NamedTuple):
    """What a policy is about: the app, a channel type, or one channel."""

    type: int | None = None
    channel: str = ""


@dataclass(slots=True)
class DeviceMark:
    """What one device has of one channel, and which cutoff it has been told."""

    position: int = 0
    told: int = 0
    told_recall: int = 0


ELSEWHERE = -1
"""Stands for a channel's id under another app's key: nothing is ever found there."""


class PairKey(NamedTuple):
    """Whose marks a clean raises."""

    channel: int
    user: str


class Place(NamedTuple):
    """Where a message was put, and the id that its sender was given."""

    channel: int
    position: int
    id: str


class Cursor(NamedTuple):
    """What a page leaves behind: the cleans and recalls it told of, and where the next one goes on."""

    told: tuple[tuple[int, int], ...]
    recalled: tuple[tuple[int, int], ...]
    after: tuple[int, int] | None


class Applied(NamedTuple):
    """What a round of applying reports."""

    requests: int
    forged: frozenset[PairKey]
