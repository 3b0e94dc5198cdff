"""What Tidemark ought to do, in plain dicts: written from DESIGN.md sections 2, 3 and 5, never from the SQL.

State and what people, devices and admins do to it. What the worker does to it is in tests.properties.journal; the four rules,
which only look, are in tests.properties.rules, and the numbers of receipts in tests.properties.receipts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tests.properties.days import DAY, first_instant, local_date
from tests.properties.files import Shelf
from tests.properties.state import (
    DIRECT,
    ENDLESS,
    GROUP,
    MINUTE,
    OPEN,
    SYSTEM,
    Channel,
    Conversation,
    Cursor,
    DeviceMark,
    Hold,
    Job,
    PairKey,
    Recalled,
    Request,
    Scope,
    Sent,
    Settings,
)


class Model:
    """One app. Channels go by their ids, whose order is the order of a sync."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.settings = Settings()
        self.channels: dict[int, Channel] = {}
        self.journal: list[Request] = []
        self.accepted_at = 0
        self.jobs: list[Job] = []
        self.holds: list[Hold] = []
        self.policies: dict[Scope, int] = {}
        """Of channel types and of single channels; the app's is a setting."""
        self.devices: dict[tuple[int, str, str], DeviceMark] = {}
        self.keys: dict[tuple[int, str, str], tuple[int, int]] = {}
        """The senders' own ids: the position that each stands for, and when it lapses."""
        self.waiting: dict[bytes, tuple[float, PairKey | None]] = {}
        """What Redis holds: members with their scores, and the pairs that they stand for."""
        self.shelf = Shelf()

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

    def max_age(self, scope: Scope) -> int | None:
        """How old a message may be, in days: the most specific policy wins; None where there is none."""
        for level in (scope, Scope(scope.type)):
            if level in self.policies:
                return self.policies[level]
        return self.settings.retention_days or None

    def scope_of(self, channel: Channel) -> Scope:
        """The narrowest scope that a policy for the channel may have."""
        return Scope(channel.type, channel.key[0] if channel.type in (GROUP, OPEN) else "")

    def policy_from(self, channel: Channel) -> int:
        """What is older is too old by policy."""
        days = self.max_age(self.scope_of(channel))
        return 0 if days is None else self.now - days * DAY

    def held(self, channel: Channel) -> bool:
        """Whether a hold covers the channel: of a user, one where he is, was, or sent."""
        there = {*channel.conversations, *channel.senders}
        if channel.type in (DIRECT, SYSTEM):
            there |= {*channel.key}
        return any(
            hold == Hold(None, None)
            or hold.channel == (channel.type, channel.key)
            or (hold.user is not None and hold.user in there)
            for hold in self.holds
        )

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
        self.shelf.refer(channel_id, channel.messages[channel.last])
        if channel.type in (GROUP, OPEN) and channel.last - channel.senders.get(message.sender, -DAY) >= DAY:
            channel.senders[message.sender] = channel.last
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
            channel.messages[position] = replace(message, recalled=True)
            if not self.held(channel):  # else the content stays on disk
                self.empty(channel_id, position)
            channel.recalls.append(Recalled(position, message.sender, message.to))
            return True
        return False

    def empty(self, channel_id: int, position: int) -> None:
        """What a message said is said no more."""
        messages = self.channels[channel_id].messages
        messages[position] = replace(messages[position], content="")
        self.shelf.unsay(channel_id, position, self.now)

    def edit(self, channel_id: int, position: int, content: str) -> None:
        """It says something else, in its place."""
        messages = self.channels[channel_id].messages
        messages[position] = replace(messages[position], content=content)
        self.shelf.unsay(channel_id, position, self.now, but=self.shelf.said(content))
        self.shelf.refer(channel_id, messages[position])

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

    def hide(self, channel_id: int, user: str, positions: Collection[int]) -> list[bool]:
        """Delete messages by id for one participant; which of them there were."""
        channel = self.channels.get(channel_id)
        if channel is None or user not in channel.members():
            return [False] * len(positions)
        found = [at in channel.messages for at in positions]
        channel.conversations[user].hidden.update(at for at in positions if at in channel.messages)
        return found

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

    def _device(self, channel_id: int, user: str, device: str) -> DeviceMark:
        return self.devices.setdefault((channel_id, user, device), DeviceMark())
