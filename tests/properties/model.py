"""What Tidemark ought to do, in plain dicts: written from DESIGN.md sections 2, 3 and 5, never from the SQL.

State and the events that change it. The four rules, which only look, are in tests.properties.rules.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.properties.days import DAY, SECOND, first_instant, local_date

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


@dataclass(slots=True)
class Conversation:
    """One user's view of one channel."""

    marks: Marks = field(default_factory=Marks)
    delivered: int = 0
    joined: int = 0
    left: int | None = None


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
    dismissed: bool = False
    created: int = 0
    ttl: int | None = None
    """Of an open channel: how long it lives after its creation, or after its last message."""
    from_last_message: bool = False

    def members(self) -> list[str]:
        """Who takes part: joined, or there from the start, and not left."""
        return [user for user, at in self.conversations.items() if at.left is None]

    def end(self) -> None:
        """As if cleaned by everyone, history and sync, settled; what is missed stays."""
        self.dismissed = True
        self.everyone = Marks(*[self.last + 1] * 4)


@dataclass(slots=True)
class Request:
    """A row of the journal: accepted, then applied, then settled."""

    channel: int
    user: str
    cutoff: int
    flag: bool
    accepted_at: int
    undo_until: int
    state: str = "accepted"


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


class Cursor(NamedTuple):
    """What a page leaves behind: the cleans and recalls it told of, and where the next one goes on."""

    told: tuple[tuple[int, int], ...]
    recalled: tuple[tuple[int, int], ...]
    after: tuple[int, int] | None


class Applied(NamedTuple):
    """What a round of applying reports."""

    requests: int
    forged: frozenset[PairKey]


class Model:
    """One app. Channels go by their ids, whose order is the order of a sync."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.settings = Settings()
        self.channels: dict[int, Channel] = {}
        self.journal: list[Request] = []
        self.devices: dict[tuple[int, str, str], DeviceMark] = {}
        self.keys: dict[tuple[int, str, str], tuple[int, int]] = {}
        """The senders' own ids: the position that each stands for, and when it lapses."""
        self.waiting: dict[bytes, tuple[float, PairKey | None]] = {}
        """What Redis holds: members with their scores, and the pairs that they stand for."""

    # what time and settings come to

    def window_from(self) -> int:
        """Where compensation begins: the first instant of the local day that is N - 1 days before today."""
        days, zone = self.settings.compensation_days, self.settings.compensation_time_zone
        if not self.settings.multi_device_sync or days == 0:
            return ENDLESS
        day = local_date(self.now, zone)
        return first_instant(day.fromordinal(day.toordinal() - (days - 1)), zone)

    def missed_from(self) -> int:
        """What is older has expired."""
        return self.now - self.settings.missed_days * DAY

    def live(self, channel: int, user: str, *, flagged: bool = False) -> int:
        """The highest cutoff of requests not yet applied; with `flagged`, of those that carry the flag."""
        return max(
            (
                request.cutoff
                for request in self.journal
                if (request.channel, request.user) == (channel, user) and request.state == "accepted"
                if request.flag or not flagged
            ),
            default=0,
        )

    # what people do

    def ended(self, channel: Channel) -> bool:
        """Dismissed, destroyed, or an open channel whose time is over: by the clock, whoever noticed."""
        end = self.end_of(channel)
        return channel.dismissed or (end is not None and self.now >= end)

    def end_of(self, channel: Channel) -> int | None:
        """When an open channel ends by itself."""
        begins = max(channel.created, channel.last) if channel.from_last_message else channel.created
        return None if channel.ttl is None else begins + channel.ttl

    def known(self, channel_id: int, sender: str, key: str | None) -> int | None:
        """The position of the message that this key of the sender stands for already."""
        position, lapses = self.keys.get((channel_id, sender, key or ""), (0, 0))
        return position if key and lapses > self.now else None

    def send(self, channel_id: int, message: Sent, *, key: str | None) -> int:
        """Append to a channel; the position. A key that is known brings nothing."""
        channel = self.channels[channel_id]
        if (position := self.known(channel_id, message.sender, key)) is not None:
            return position
        channel.last = max(channel.last + 1, self.now)
        channel.messages[channel.last] = replace(message, position=channel.last)
        if key:
            self.keys[channel_id, message.sender, key] = (channel.last, self.now + DAY)
        return channel.last

    def recall(self, channel_id: int, position: int, sender: str, *, admin: bool) -> bool:
        """Take a message back; False where the caller may not. What is gone or was recalled is success."""
        channel = self.channels[channel_id]
        message = channel.messages.get(position)
        if message is None or message.recalled:
            return True
        if message.sender == sender or admin:
            channel.messages[position] = replace(message, recalled=True, content="")
            channel.recalls.append(Recalled(position, message.sender, message.to))
            return True
        return False

    def join(self, channel_id: int, users: Collection[str]) -> None:
        """From the next position on; who is in stays as he is, who was in starts anew."""
        channel = self.channels[channel_id]
        for user in set(users) - set(channel.members()):
            conversation = channel.conversations.setdefault(user, Conversation())
            conversation.joined, conversation.left = channel.last + 1, None

    def leave(self, channel_id: int, users: Collection[str]) -> None:
        """What comes from now on is not for them, nor is anything read any more."""
        channel = self.channels[channel_id]
        for user in set(users) & set(channel.members()):
            channel.conversations[user].left = channel.last + 1

    def make_open(
        self, channel_id: int, key: tuple[str, ...], *, ttl_minutes: int | None, from_last: bool
    ) -> None:
        """An open channel appears, or one that has ended begins anew; one that lives stays as it is."""
        there = channel_id in self.channels
        channel = self.channels.setdefault(channel_id, Channel(key, type=OPEN))
        if there and self.ended(channel):
            channel.end()
        if not there or channel.dismissed:
            channel.dismissed = False
            channel.created = self.now
            channel.ttl = ttl_minutes * MINUTE if ttl_minutes is not None else None
            channel.from_last_message = from_last

    def accept(self, pair: PairKey, *, sent_at: int | None, flag: bool | None) -> Request:
        """A clean enters the journal; its cutoff and its flag never change."""
        channel = self.channels.get(pair.channel)
        wanted = ENDLESS if sent_at is None else sent_at * 1000
        request = Request(
            channel=pair.channel,
            user=pair.user,
            cutoff=min(wanted, (channel.last if channel else 0) + 1),
            flag=self.settings.delete_compensated_on_clean if flag is None else flag,
            accepted_at=self.now,
            undo_until=self.now + self.settings.undo_seconds * SECOND,
        )
        self.journal.append(request)
        return request

    def announce(self, member: bytes, request: Request) -> None:
        """Redis hears of the pair; a score only rises."""
        score, _ = self.waiting.get(member, (0.0, None))
        self.waiting[member] = (max(score, float(request.cutoff)), PairKey(request.channel, request.user))

    def acknowledge(self, channel_id: int, user: str, device: str, position: int) -> None:
        """The device, and so the user, has everything up to the position."""
        conversation = self.channels[channel_id].conversations[user]
        conversation.delivered = max(conversation.delivered, position)
        mark = self._device(channel_id, user, device)
        mark.position = max(mark.position, position)

    def told(self, user: str, device: str, cursor: Cursor) -> None:
        """The device came back with a page's cursor, so it has received that page's cleans and recalls."""
        for channel_id, cutoff in cursor.told:
            self._device(channel_id, user, device).told = cutoff
        for channel_id, stamp in cursor.recalled:
            mark = self._device(channel_id, user, device)
            mark.told_recall = max(mark.told_recall, stamp)

    def reinstall(self, user: str, device: str) -> None:
        """The device has nothing and knows nothing."""
        for channel_id in self.channels:
            self.devices.pop((channel_id, user, device), None)

    # what the worker does

    def apply_waiting(self, most: int) -> tuple[Applied, list[bytes]]:
        """Take the pairs with the lowest scores out of Redis; what was done, and the members that are nobody's."""
        taken = sorted(self.waiting, key=lambda member: (self.waiting[member][0], member))[:most]
        found = [self.waiting.pop(member) for member in taken]
        pairs = [(pair, score) for score, pair in found if pair is not None and score.is_integer()]
        # no clean has a fraction of a microsecond for a cutoff, nor an infinite one
        strangers = [
            member
            for member, (score, pair) in zip(taken, found, strict=True)
            if pair is None or not score.is_integer()
        ]
        forged = frozenset(pair for pair, score in pairs if score > self._highest(pair))
        return Applied(sum(self._apply(pair) for pair, _ in pairs), forged), strangers

    def apply_forgotten(self) -> int:
        """Apply pairs with a request that has waited too long, everything of theirs at once."""
        pairs = {
            PairKey(request.channel, request.user)
            for request in self.journal
            if request.state == "accepted" and request.accepted_at <= self.now - FORGOTTEN_AFTER
        }
        return sum(self._apply(pair) for pair in pairs)

    def settle(self) -> int:
        """Requests that are applied and past their undo window count for the floor; how many."""
        count = 0
        for request in self.journal:
            # what was asked for before is applied before: receipts tell what was there
            waits = any(
                other.channel == request.channel
                and other.state == "accepted"
                and other.accepted_at < request.accepted_at
                for other in self.journal
            )
            if request.state == "applied" and request.undo_until <= self.now and not waits:
                request.state = "settled"
                count += 1
                if marks := self._marks(request):
                    marks.settled_history = max(marks.settled_history, request.cutoff)
                    marks.settled_sync = max(marks.settled_sync, request.cutoff if request.flag else 0)
        return count

    def reclaim(self, channel_id: int, floor: int) -> int:
        """Grant up to the floor and delete; how many messages went."""
        channel = self.channels[channel_id]
        if self.ended(channel) and not channel.dismissed:
            channel.end()
        channel.reclaimed_to = max(channel.reclaimed_to, floor)
        gone = [position for position in channel.messages if position < channel.reclaimed_to]
        for position in gone:
            del channel.messages[position]
        return len(gone)

    def _apply(self, pair: PairKey) -> int:
        count = 0
        for request in self.journal:
            if (request.channel, request.user) == pair and request.state == "accepted":
                request.state = "applied"
                count += 1
                if marks := self._marks(request):
                    marks.history = max(marks.history, request.cutoff)
                    marks.sync = max(marks.sync, request.cutoff if request.flag else 0)
        return count

    def _highest(self, pair: PairKey) -> int:
        return max((r.cutoff for r in self.journal if (r.channel, r.user) == pair), default=-1)

    def _marks(self, request: Request) -> Marks | None:
        # no clean makes a channel or a participant
        channel = self.channels.get(request.channel)
        if channel is None:
            return None
        if request.user == EVERYONE:
            return channel.everyone
        conversation = channel.conversations.get(request.user)
        return conversation.marks if conversation else None

    def _device(self, channel_id: int, user: str, device: str) -> DeviceMark:
        return self.devices.setdefault((channel_id, user, device), DeviceMark())
