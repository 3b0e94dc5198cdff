"""The compensation window, and the pages of a sync."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, UnsetType

from history.apps.model import AppSettings
from history.axis import DAY, NEVER, SECOND
from history.channels.model import ChannelKey, ChannelType
from history.messages.model import Message, fitting

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start_of_day(day: date, zone: ZoneInfo) -> int:
    """The earliest instant of a local date, in microseconds, where midnight is missing or doubled as well.

    Postgres picks the second of two midnights, so no local day is ever computed in SQL.
    """
    midnight = datetime.combine(day, time.min)
    instants = [_micros(midnight.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
    before, after = min(instants), max(instants)
    if _local(before, zone) >= day:
        return before
    # midnight is missing: the day begins somewhere between, where the clocks jump (at a whole second)
    while after - before > SECOND:
        middle = before + (after - before) // (2 * SECOND) * SECOND
        if _local(middle, zone) >= day:
            after = middle
        else:
            before = middle
    return after


def _micros(at: datetime) -> int:
    return (at.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _local(instant: int, zone: ZoneInfo) -> date:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far back delivery looks at one instant: the same for every user of an app."""

    missed_from: int
    """Missed messages at or after it have not expired."""
    window_from: int
    """Compensation begins here; NEVER where there is none."""
    window_moves_at: int
    """The next instant at which `window_from` rises; NEVER where it does not."""


def reach(settings: AppSettings, *, now: int) -> Reach:
    """The one place where the window is computed: N calendar days, today included, in the app's time zone."""
    missed_from = now - settings.missed_days * DAY
    if not settings.multi_device_sync or settings.compensation_days == 0:
        return Reach(missed_from=missed_from, window_from=NEVER, window_moves_at=NEVER)
    zone = ZoneInfo(settings.compensation_time_zone)
    today = _local(now, zone)
    start = start_of_day(today - timedelta(days=settings.compensation_days - 1), zone)
    return Reach(
        missed_from=missed_from,
        window_from=start,
        window_moves_at=start_of_day(today + timedelta(days=1), zone),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who asks: one device of one user."""

    app_key: str
    user_id: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanNotice:
    """A channel whose effective history cutoff differs from what the device was told."""

    channel_id: int
    channel: ChannelKey
    cutoff: int
    everyone: bool
    restored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallNotice:
    """A message that was taken back from everyone."""

    channel_id: int
    channel: ChannelKey
    stamp: int
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalNotice:
    """A conversation that the user took from his list, on this device or another one."""

    channel_id: int
    channel: ChannelKey
    removals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A message that the device is to be given, and by which rule."""

    message: Message
    channel: ChannelKey
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPage:
    """One page: first the cleans, then the recalls, then the removals, then the messages."""

    cleans: list[CleanNotice]
    recalls: list[RecallNotice]
    removals: list[RemovalNotice]
    messages: list[Delivered]
    cursor: str
    has_more: bool


OnAxis = Annotated[int, msgspec.Meta(ge=0, le=NEVER)]
"""A number in a cursor: nothing that Postgres would have to refuse."""


class SyncCursor(msgspec.Struct, array_like=True, frozen=True):
    """What a page held, handed back by the device that received it."""

    reader: str
    """Whose page it was: the cursor of another device tells nothing about this one."""
    told: list[tuple[OnAxis, OnAxis]]
    """(channel id, cutoff) of the cleans of that page."""
    recalled: list[tuple[OnAxis, OnAxis]]
    """(channel id, stamp) of the last recall of that page in each channel."""
    after: tuple[OnAxis, OnAxis] | None
    """(channel id, position) of its last message; None where it was the last page, so that the next begins at the marks."""
    removed: list[tuple[OnAxis, OnAxis]] = []
    """(channel id, removals) of the removals of that page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An installation that has synced."""

    device_id: str
    created_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationView:
    """One user's view of one channel, as his list of conversations shows it. Instants are microseconds."""

    channel_id: int
    channel: ChannelKey
    user_id: str
    created_at: int
    """When he joined the group, or when the channel was made."""
    last_active_at: int | None
    """When the last message that concerns him was sent: for everybody, for him, or his own. None where there is none."""
    listed_position: int | None
    """Where it stood when a list last showed it."""
    opened_at: int | None
    pinned: bool
    muted: bool
    archived_at: int | None
    pinned_message: int | None
    """The position of the message that he pinned, while he may read it."""
    read_position: int
    delivered_position: int
    history_from: int
    """He reads from here on: the highest of his cutoffs, the channel's and his joining."""
    unread: int = 0
    """What others sent above the read mark, up to one more than MOST_UNREAD; 0 where it was not asked for."""
    last_message: Message | None = None
    """The newest that he may read; None where there is none or it was not asked for."""

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the list: by activity, then by channel."""
        return self.last_active_at or 0, self.channel_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    """Which conversations to list; None: all of them, archived ones as well."""

    muted: bool | None = None
    archived: bool | None = None
    pinned: bool | None = None
    type: ChannelType | None = None
    channel: ChannelKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which stretch of a user's list to read, and how much of each conversation."""

    place: tuple[int, int] = (NEVER, NEVER)
    """Activity and channel to go on from."""
    backward: bool = False
    """Towards the newest, the nearest first."""
    most: int
    now: int
    filters: ConversationFilter = ConversationFilter()
    channel_id: int | None = None
    """The channel of `filters`, or the only one that is wanted."""
    most_unread: int = 0
    last_message: bool = False
    most_bytes: int = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationChange:
    """What a user does with a conversation on his list; None or UNSET leaves a thing as it is."""

    pinned: bool | None = None
    muted: bool | None = None
    archived_at: int | UnsetType | None = UNSET
    """None restores it."""
    pinned_message: int | UnsetType | None = UNSET
    """A position; None: no message is pinned any more."""
    opened_at: int | None = None
    read_all: bool = False


ConversationRef: TypeAlias = int | ChannelKey
"""How a caller names a conversation of a user: by its channel's id, or by its channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a device says it has: everything in the channel up to and including the position."""

    reader: Reader
    channel_id: int
    position: int


MOST_UNREAD = 1_000
"""Unread messages are counted up to here."""


def fill(messages: list[Delivered], *, most_bytes: int) -> list[Delivered]:
    """As many of these as fit a page of that many bytes of JSON, and at least one."""
    return messages[: fitting((delivered.message for delivered in messages), most_bytes=most_bytes)]


def fill_conversations(conversations: list[ConversationView], *, most_bytes: int) -> list[ConversationView]:
    """The same for conversations with their last messages."""
    last = (conversation.last_message for conversation in conversations)
    return conversations[: fitting(last, most_bytes=most_bytes)]
