"""What people do, in both worlds, and all other steps."""

from __future__ import annotations

from collections.abc import Coroutine
from itertools import chain
from typing import Any, NamedTuple

from history.channels.model import MADE_BY_CALL, ChannelKey, ChannelType, derived_id
from history.cursors import read_message_id
from tests.properties import rules
from tests.properties.admin_steps import AdminSteps
from tests.properties.clean_steps import CleanSteps, Reaches
from tests.properties.days import DAY
from tests.properties.ground import Ground
from tests.properties.media_steps import MediaSteps
from tests.properties.state import EVERYONE, GROUP, Channel, Conversation, Cursor, Place, Sent
from tests.properties.world import (
    GROUPS,
    HALL,
    NEWS,
    USERS,
    GroupChange,
    given,
    notices,
    recalls,
)


class Sending(NamedTuple):
    """A request to send: where the second of the pair names a user or an account, a group or an open channel."""

    pair: tuple[str, str]
    both: bool
    """To both of the other users, to both groups, from the account to all users."""
    echoed: bool
    persisted: bool
    to: frozenset[str] | None = None
    """A targeted message of one group: whoever these are, members or not."""
    key: str | None = None
    """The sender's own id of it."""
    files: tuple[int, ...] = ()
    """Which of the last files it refers to."""


LONGEST_PERIOD = 9 * DAY
"""Longer than anything is missed, compensated or unused, and than any undo window here."""
Kept = tuple[str, Cursor]
"""A cursor as the service packed it, and what it stands for."""


class Steps(CleanSteps, AdminSteps, MediaSteps):
    """One app in both worlds. Each method does the same to either and compares what they answer."""

    def __init__(self, ground: Ground, now: int) -> None:
        super().__init__(ground, now)
        self.cursors: dict[tuple[str, str], list[Kept]] = {}

    def send(self, sends: list[Sending]) -> None:
        """All of them at once, so that they travel in one commit, if none is to be refused or waits for its files first."""
        works: list[Coroutine[Any, Any, list[str]]] = []
        expected: list[list[tuple[int, int]]] = []
        for number, sending in enumerate(sends):
            content = f"{len(self.sent)}.{number}" + self.says(sending.files)
            spots, message = self._drafted(sending, content)
            keys = [self.world.key(*spot) for spot in spots]
            works.append(self.world.send(keys, message, sending.key))
            expected.append(self._sent(keys, message, sending.key))
        in_order = all(expected) and not any(sending.files and not sending.key for sending in sends)
        answers = self.world.together(*works) if in_order else [self.world.run(work) for work in works]
        assert [[read_message_id(id_) for id_ in ids] for ids in answers] == expected
        for place, id_ in zip(chain(*expected), chain(*answers), strict=True):
            if Place(*place, id_) not in self.sent:
                self.sent.append(Place(*place, id_))

    def _drafted(self, sending: Sending, content: str) -> tuple[list[tuple[str, str]], Sent]:
        (user, other), both = sending.pair, sending.both
        spots = [(user, other)]
        if both and other in USERS:
            spots = [(user, name) for name in USERS if name != user]
        elif both and other in GROUPS:
            spots = [(user, name) for name in GROUPS]
        elif both and other == NEWS:
            spots = [(name, other) for name in USERS]
        message = Sent(
            position=0,
            sender=other if other == NEWS else user,
            content=content,
            persisted=sending.persisted,
            echoed=sending.echoed and other != NEWS,
            to=sending.to if other in GROUPS and not both else None,
        )
        return spots, message

    def _sent(self, keys: list[ChannelKey], message: Sent, client_key: str | None) -> list[tuple[int, int]]:
        # where the model puts it; nowhere if it is refused
        model, ids = self.model, [derived_id(key, 0) for key in keys]
        for id_, key in zip(ids, keys, strict=True):
            channel = model.channels.get(id_)
            new = model.known(id_, message.sender, client_key) is None
            if key.type in MADE_BY_CALL and (channel is None or (new and model.ended(channel))):
                return []
            if new and not all(map(model.shelf.ready, model.shelf.said(message.content))):
                return []
        places = []
        for id_, key in zip(ids, keys, strict=True):
            users = key.key if key.type is ChannelType.DIRECT else key.key[1:]  # an account takes no part
            if id_ not in model.channels:
                model.channels[id_] = Channel(
                    key.key, {user: Conversation() for user in users}, type=int(key.type)
                )
            before = model.channels[id_].last
            at = model.send(id_, message, key=client_key)
            places.append((id_, at))
            if at > before and not rules.waits_for_others(model, id_, at):
                self.late[id_, at] = model.now + DAY
        return places

    def recall(self, user: str, place: Place, *, admin: bool) -> None:
        """By its sender, an admin, or somebody who may not."""
        recalling = self.world.recall(self.key_of(place.channel), place.id, user, admin=admin)
        done = self.world.run(recalling)
        assert done == self.model.recall(place.channel, place.position, user, admin=admin)

    def group(self, change: GroupChange, name: str, users: list[str]) -> None:
        """Create a group, join, leave or dismiss it, or be refused."""
        channel_id = self.world.channel_id(users[0], name)
        channel = self.model.channels.get(channel_id)
        done = self.world.run(self.world.group(change, name, users))
        if change is GroupChange.CREATE:
            assert done == (channel is None)
            if done:
                members = {user: Conversation() for user in users}
                self.model.channels[channel_id] = Channel((name,), members, type=GROUP)
            return
        assert done == (channel is not None and not channel.dismissed)
        if channel is None or not done:
            return
        if change is GroupChange.JOIN:
            self.model.join(channel_id, users)
        elif change is GroupChange.LEAVE:
            self.model.leave(channel_id, users)
        else:
            channel.end()

    def make_open(self, ttl_minutes: int | None, *, from_last: bool) -> None:
        """The open channel appears, begins anew, or is as it was."""
        self.world.run(self.world.make_open(ttl_minutes, from_last_message=from_last))
        channel_id = self.world.channel_id(USERS[0], HALL)
        self.model.make_open(channel_id, (HALL,), ttl_minutes=ttl_minutes, from_last=from_last)

    def destroy(self) -> None:
        """The open channel ends, if there is one."""
        self.world.run(self.world.destroy())
        if channel := self.model.channels.get(self.world.channel_id(USERS[0], HALL)):
            channel.end()

    def give_everything_up(self) -> None:
        """No hold, and everybody's clean of every channel, with its files: when all periods are over nothing is left."""
        while self.model.holds:
            self.release_hold(0)
        for channel_id in list(self.model.channels):
            user, name = next((user, name) for (user, id_), name in self.name.items() if id_ == channel_id)
            self.clean(
                user, name, whose=EVERYONE, sent_at=None, flag=True, media=True, reaches=Reaches.JOURNAL
            )
        self.go_to(self.model.now + LONGEST_PERIOD)
        self.drain()
        self.compare_all()
        assert not any(channel.messages for channel in self.model.channels.values())
        assert not self.model.shelf.files
        assert not self.model.shelf.references

    def page(self, user: str, device: str, *, limit: int, kept: Kept | None, reinstalled: bool) -> rules.Page:
        """One page of a sync; the device keeps its cursor, and goes on from it or does not."""
        self.known.add((user, device))
        text, cursor = kept or (None, None)
        page = self.world.run(
            self.world.sync(user, device, limit=limit, cursor=text, reinstalled=reinstalled)
        )
        if cursor:
            self.model.told(user, device, cursor)
        elif reinstalled:
            self.model.reinstall(user, device)
        expected = rules.page(self.model, user, device, limit=limit, cursor=cursor)
        assert notices(page) == expected.cleans
        assert recalls(page) == expected.recalls
        assert given(page) == expected.messages
        assert page.has_more == expected.more
        keys = {(at.channel_id, at.channel) for at in page.cleans}
        keys |= {(at.channel_id, at.channel) for at in page.recalls}
        keys |= {(at.message.channel_id, at.channel) for at in page.messages}
        for channel_id, key in keys:
            channel = self.model.channels[channel_id]
            assert (key.type, key.key) == (channel.type, channel.key)
        self.cursors.setdefault((user, device), []).append((page.cursor, expected.cursor))
        return expected

    def acknowledge(self, user: str, device: str, places: list[Place]) -> None:
        """A device has received everything up to these messages; of channels of his alone, or all is refused."""
        his = all(user in self.model.channels[place.channel].conversations for place in places)
        delivered = [(self.name[user, place.channel], place.id) for place in places]
        assert self.world.run(self.world.acknowledge(user, device, delivered)) == his
        if his:
            self.known.add((user, device))
            for channel_id, position, _ in places:
                self.model.acknowledge(channel_id, user, device, position)
