"""Steps that are done to the services and to the model, and what is compared after them."""

from __future__ import annotations

from enum import IntEnum
from itertools import product
from typing import NamedTuple

from history.channels.model import ChannelType
from history.cursors import read_message_id
from tests.clock import FixedClock
from tests.properties import rules
from tests.properties.model import ELSEWHERE, Cursor, Model, PairKey
from tests.properties.world import Ground, World, given, notices
from worker.jobs.apply import apply_forgotten, apply_waiting

USERS = ("ann", "b:ob", "ćile")
MOST_ROUNDS = 30
"""A loop that goes on for longer has no end: there are never so many pages or channels."""


class Reaches(IntEnum):
    """How far a clean has come when its step ends."""

    JOURNAL = 0
    REDIS = 1
    MARKS = 2
    FLOOR = 3


class Sending(NamedTuple):
    """A request to send: to one of the other users, or to both."""

    pair: tuple[str, str]
    both: bool
    echoed: bool
    persisted: bool


class Place(NamedTuple):
    """Where a message was put, and the id that its sender was given."""

    channel: int
    position: int
    id: str


Kept = tuple[str, Cursor]
"""A cursor as the service packed it, and what it stands for."""


class Steps:
    """One app in both worlds. Each method does the same to either and compares what they answer."""

    def __init__(self, ground: Ground, now: int) -> None:
        self.world = World(ground, FixedClock(now))
        self.model = Model(now)
        self.sent: list[Place] = []
        self.cursors: dict[tuple[str, str], list[Kept]] = {}
        self._known: set[tuple[str, str]] = set()
        self._users_of = {self.world.channel_id(a, b): (a, b) for a, b in product(USERS, USERS) if a < b}

    def send(self, sends: list[Sending]) -> None:
        """All of them at once, so that they travel in one commit."""
        works, expected = [], []
        for number, ((sender, other), both, echoed, persisted) in enumerate(sends):
            content = f"{len(self.sent)}.{number}"
            to = [user for user in USERS if user != sender] if both else [other]
            works.append(self.world.send(sender, to, content, persisted=persisted, echoed=echoed))
            for recipient in to:
                channel_id = self.world.channel_id(sender, recipient)
                key = self.world.key(sender, recipient).key
                at = self.model.send(
                    channel_id,
                    (key[0], key[1]),
                    sender=sender,
                    content=content,
                    persisted=persisted,
                    echoed=echoed,
                )
                expected.append((channel_id, at))
        ids = [id_ for answer in self.world.together(*works) for id_ in answer]
        assert [read_message_id(id_) for id_ in ids] == expected
        self.sent += [Place(*place, id_) for place, id_ in zip(expected, ids, strict=True)]

    def change(self, changes: dict[str, bool | int | str]) -> None:
        """An admin changes settings."""
        after = self.world.run(self.world.apps.change(self.world.app_key, changes))
        for name, value in changes.items():
            setattr(self.model.settings, name, value)
            assert getattr(after, name) == value

    def go_to(self, now: int) -> None:
        """Let time pass; it never goes back."""
        self.model.now = max(self.model.now, now)
        self.world.clock.set(self.model.now)

    def sent_in(self, pair: tuple[str, str]) -> list[Place]:
        """What was sent in their channel, whether it is still there or not."""
        channel_id = self.world.channel_id(*pair)
        return [place for place in self.sent if place.channel == channel_id]

    def clean(
        self, user: str, other: str, *, whose: str, sent_at: int | None, flag: bool | None, reaches: Reaches
    ) -> None:
        """A clean, and how far it comes at once; with it goes what else waits."""
        pair = PairKey(self.world.channel_id(user, other), whose)
        accepted = self.world.run(self.world.clean(user, other, whose=whose, sent_at=sent_at, flag=flag))
        request = self.model.accept(pair, sent_at=sent_at, flag=flag)
        assert (accepted.pair.channel_id, accepted.pair.user_id, accepted.cutoff) == (*pair, request.cutoff)
        if reaches >= Reaches.REDIS:
            self.world.run(self.world.queue.announce(accepted))
            self.model.announce(self.world.member(pair), request)
        if reaches >= Reaches.MARKS:
            self.apply_waiting(500)
        if reaches >= Reaches.FLOOR:
            self.settle()

    def page(self, user: str, device: str, *, limit: int, kept: Kept | None, reinstalled: bool) -> rules.Page:
        """One page of a sync; the device keeps its cursor, and goes on from it or does not."""
        self._known.add((user, device))
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
        assert given(page) == expected.messages
        assert page.has_more == expected.more
        keys = {(at.channel_id, at.channel) for at in page.cleans}
        keys |= {(at.message.channel_id, at.channel) for at in page.messages}
        for channel_id, key in keys:
            assert (key.type, key.key) == (ChannelType.DIRECT, self.model.channels[channel_id].key)
        self.cursors.setdefault((user, device), []).append((page.cursor, expected.cursor))
        return expected

    def acknowledge(self, user: str, device: str, places: list[Place]) -> None:
        """A device has received everything up to these messages."""
        self._known.add((user, device))
        delivered = []
        for channel_id, position, id_ in places:
            first, second = self._users_of[channel_id]
            delivered.append((second if user == first else first, id_))
            self.model.acknowledge(channel_id, user, device, position)
        self.world.run(self.world.acknowledge(user, device, delivered))

    def flush_redis(self) -> None:
        """Redis forgets everything."""
        self.world.run(self.world.forget())
        self.model.waiting.clear()

    def forge(self, member: bytes, score: float, pair: PairKey | None) -> None:
        """Somebody else writes a member into Redis; `pair` is what it stands for, if anything."""
        self.world.run(self.world.forge(member, score))
        self.model.waiting[member] = (score, pair)

    def apply_waiting(self, most: int) -> None:
        """The worker applies some of what Redis says."""
        report, strangers = self.world.run(
            apply_waiting(self.world.redis, self.world.cleans, now=self.model.now, most=most)
        )
        expected, unknown = self.model.apply_waiting(most)
        assert report.applied == expected.requests
        forged = {
            PairKey(pair.channel_id if pair.app_key == self.world.app_key else ELSEWHERE, pair.user_id)
            for pair in report.forged
        }
        assert forged == expected.forged
        assert strangers == [member.decode("utf-8", "replace") for member in unknown]

    def apply_forgotten(self) -> None:
        """The worker applies what Redis lost."""
        applied = self.world.run(apply_forgotten(self.world.cleans, self.world.clock))
        assert applied == self.model.apply_forgotten()

    def settle(self) -> None:
        """The worker settles what is past its undo window."""
        assert self.world.run(self.world.cleans.settle(now=self.model.now)) == self.model.settle()

    def mark_moved(self) -> None:
        """The worker marks what a setting moved."""
        self.world.run(self.world.reclaim.mark_moved(now=self.model.now))

    def visit_due(self) -> int:
        """The worker reclaims in channels that are due; in how many. Each is reclaimed to the model's floor."""
        reports = self.world.run(self.world.reclaim.visit_due(now=self.model.now))
        for report in reports:
            floor = rules.floor(self.model, report.channel_id)
            gone = self.model.reclaim(report.channel_id, floor)
            assert (report.deleted, report.finished) == (gone, True)
        return len(reports)

    def drain(self) -> None:
        """The worker does all there is to do: then exactly what somebody may still be given is on disk."""
        while self.model.waiting:
            self.apply_waiting(500)
        self.apply_forgotten()
        self.settle()
        for _ in range(MOST_ROUNDS):
            self.mark_moved()
            if not self.visit_due():
                break
        else:
            raise AssertionError("reclaim does not come to rest")
        for channel_id, (reclaimed_to, there) in self.world.run(self.world.disk()).items():
            channel = self.model.channels[channel_id]
            floor = max(rules.floor(self.model, channel_id), channel.reclaimed_to)
            assert reclaimed_to <= floor
            assert there == [at for at in channel.messages if at >= floor], "what nobody needs was left"

    def compare_readers(self) -> None:
        """Every user's history, and what a sync would give to each device that was ever seen and to a new one."""
        asked = [(user, other) for user, other in product(USERS, USERS) if user != other]
        readers = sorted(self._known | {(user, rules.NEW_DEVICE) for user in USERS})
        histories = self.world.together(*(self.world.history(*pair) for pair in asked))
        pages = self.world.together(*(self.world.sync(*reader) for reader in readers))
        for (user, other), found in zip(asked, histories, strict=True):
            channel_id = self.world.channel_id(user, other)
            there = rules.history(self.model, channel_id, user)
            channel = self.model.channels.get(channel_id)
            expected = [channel.messages[at] for at in there] if channel else []
            assert [(at.position, at.sender, at.content) for at in found] == [
                (at.position, at.sender, at.content) for at in expected
            ], f"history of {user} with {other}"
        for (user, device), page in zip(readers, pages, strict=True):
            assert notices(page) == rules.notices(self.model, user, device), f"cleans for {user} on {device}"
            assert given(page) == rules.sync(self.model, user, device), f"messages for {user} on {device}"

    def compare_disk(self) -> None:
        """What is still needed is there, and so is all else that no visit took."""
        disk = self.world.run(self.world.disk())
        assert disk.keys() == self.model.channels.keys()
        for channel_id, (reclaimed_to, there) in disk.items():
            channel = self.model.channels[channel_id]
            assert not set(rules.needed(self.model, channel_id)) - set(there), "what is still needed is gone"
            assert (reclaimed_to, there) == (channel.reclaimed_to, list(channel.messages))
