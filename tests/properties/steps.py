"""Steps that are done to the services and to the model, and what is compared after them."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from enum import IntEnum
from itertools import chain, product, zip_longest
from typing import Any, NamedTuple

from history.axis import NEVER
from history.channels.model import MADE_BY_CALL, ChannelKey, ChannelType, derived_id
from history.cursors import read_message_id
from tests.clock import FixedClock
from tests.properties import rules
from tests.properties.days import DAY
from tests.properties.model import (
    ELSEWHERE,
    EVERYONE,
    GROUP,
    OPEN,
    Channel,
    Conversation,
    Cursor,
    Model,
    PairKey,
    Sent,
)
from tests.properties.world import (
    GROUPS,
    HALL,
    NEWS,
    USERS,
    Ground,
    GroupChange,
    World,
    given,
    notices,
    recalls,
)
from worker.jobs.apply import apply_forgotten, apply_waiting

NAMES = (*USERS, *GROUPS, HALL, NEWS)
"""What a user may call a channel by."""
MOST_ROUNDS = 30
"""A loop that goes on for longer has no end: there are never so many pages or channels."""


class Reaches(IntEnum):
    """How far a clean has come when its step ends."""

    JOURNAL = 0
    REDIS = 1
    MARKS = 2
    FLOOR = 3
    DISK = 4


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
        self._name = {
            (user, self.world.channel_id(user, name)): name
            for user, name in product(USERS, NAMES)
            if user != name
        }
        self._late: dict[tuple[int, int], int] = {}

    def send(self, sends: list[Sending]) -> None:
        """All of them at once, so that they travel in one commit, if none is to be refused."""
        works: list[Coroutine[Any, Any, list[str]]] = []
        expected: list[list[tuple[int, int]]] = []
        for number, sending in enumerate(sends):
            spots, message = self._drafted(sending, f"{len(self.sent)}.{number}")
            keys = [self.world.key(*spot) for spot in spots]
            works.append(self.world.send(keys, message, sending.key))
            expected.append(self._sent(keys, message, sending.key))
        answers = self.world.together(*works) if all(expected) else [self.world.run(work) for work in works]
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
                self._late[id_, at] = model.now + DAY
        return places

    def recall(self, user: str, place: Place, *, admin: bool) -> None:
        """By its sender, an admin, or somebody who may not."""
        channel = self.model.channels[place.channel]
        key = ChannelKey(self.world.app_key, ChannelType(channel.type), channel.key)
        done = self.world.run(self.world.recall(key, place.id, user, admin=admin))
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

    def sides(self, pair: tuple[str, str]) -> list[tuple[str, str]]:
        """Who has or had a part in that channel, and the name it has for each."""
        user, other = pair
        if other == HALL:
            return [pair]
        channel_id = self.world.channel_id(user, other)
        channel = self.model.channels.get(channel_id)
        return [(one, self._name[one, channel_id]) for one in channel.conversations] if channel else [pair]

    def clean(
        self, user: str, other: str, *, whose: str, sent_at: int | None, flag: bool | None, reaches: Reaches
    ) -> None:
        """A clean, and how far it comes at once; with it goes what else waits."""
        whose = EVERYONE if other == HALL else whose  # a clean of an open channel takes everyone's history
        # no two cleans of a process are accepted at the same instant
        self.go_to(self.model.now + 1)
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
        if reaches >= Reaches.DISK:
            self.drain()

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
        delivered = [(self._name[user, place.channel], place.id) for place in places]
        assert self.world.run(self.world.acknowledge(user, device, delivered)) == his
        if his:
            self._known.add((user, device))
            for channel_id, position, _ in places:
                self.model.acknowledge(channel_id, user, device, position)

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
        """The worker counts what was applied, and settles what is past its undo window."""
        self.count()
        assert self.world.run(self.world.cleans.settle(now=self.model.now)) == self.model.settle()

    def count(self) -> None:
        """The worker counts what applied cleans did, for their receipts."""
        while self.world.run(self.world.receipts.count(until=NEVER)):
            pass

    def mark_moved(self) -> None:
        """The worker marks what a setting moved."""
        self.world.run(self.world.reclaim.mark_moved(now=self.model.now))

    def visit_due(self) -> int:
        """The worker reclaims in channels that are due; in how many. Each is reclaimed to the model's floor."""
        # nothing goes that a receipt still has to count
        self.count()
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
            # DESIGN allows nothing below the floor; the code, for a day, what others than its sender never needed
            late = [at for at in channel.messages if self._late.get((channel_id, at), 0) > self.model.now]
            most = [at for at in channel.messages if at >= min([*late, floor])]
            least = [at for at in channel.messages if at >= floor]
            assert set(least) <= set(there) <= set(most), "what nobody needs was left"

    def compare_readers(self) -> None:
        """Every user's history, and what a sync would give to each device that was ever seen and to a new one."""
        asked = [spot for spot in self._name if spot[1] in self.model.channels]
        readers = sorted(self._known | {(user, rules.NEW_DEVICE) for user in (*USERS, NEWS)})
        work = [self.world.history(user, self._name[user, id_]) for user, id_ in asked]
        # an account takes no part in what it sends
        work += [self.world.read_by_account(user) for user, id_ in asked if self._name[user, id_] == NEWS]
        histories = self.world.together(*work)
        pages = self.world.together(*(self.world.sync(*reader) for reader in readers))
        for found, spot in zip_longest(histories, asked):
            expected: list[Sent] = []
            if spot:
                there = self.model.channels[spot[1]].messages
                expected = [there[at] for at in rules.history(self.model, spot[1], spot[0])]
            assert [(at.position, at.sender, at.content) for at in found] == [
                (at.position, at.sender, at.content) for at in expected
            ], f"history of {spot or NEWS}"
        for (user, device), page in zip(readers, pages, strict=True):
            assert notices(page) == rules.notices(self.model, user, device), f"cleans for {user} on {device}"
            assert recalls(page) == rules.taken_back(self.model, user, device), (
                f"recalls for {user} on {device}"
            )
            assert given(page) == rules.sync(self.model, user, device), f"messages for {user} on {device}"

    def compare_disk(self) -> None:
        """What is still needed is there, and so is all else that no visit took."""
        disk = self.world.run(self.world.disk())
        assert disk.keys() == self.model.channels.keys()
        for channel_id, (reclaimed_to, there) in disk.items():
            channel = self.model.channels[channel_id]
            assert not set(rules.needed(self.model, channel_id)) - set(there), "what is still needed is gone"
            contents = {at: message.content for at, message in channel.messages.items()}
            assert (reclaimed_to, there) == (channel.reclaimed_to, contents)

    def compare_marks(self) -> None:
        """Cutoffs of one kind merge by max, in whatever order they were applied and settled."""
        expected = {}
        for channel_id, channel in self.model.channels.items():
            everyone = channel.everyone
            if channel.type == OPEN:  # nothing is compensated there
                everyone = replace(everyone, sync=0, settled_sync=0)
            expected[PairKey(channel_id, EVERYONE)] = everyone
            for user, conversation in channel.conversations.items():
                expected[PairKey(channel_id, user)] = conversation.marks
        found = self.world.run(self.world.marks())
        for pair, marks in found.items():
            if self.model.channels[pair.channel].type == OPEN:
                marks.sync = marks.settled_sync = 0
        assert found == expected
