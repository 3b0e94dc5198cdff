"""One app in both worlds, and what is compared after each step: readers, the disk, the marks, the receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product, zip_longest
from uuid import UUID

from history.channels.model import ChannelKey, ChannelType
from history.receipts.model import Filter, Receipt
from history.retention.model import public_request_id
from tests.clock import FixedClock
from tests.properties import media, receipts, rules
from tests.properties.ground import Ground
from tests.properties.model import Model
from tests.properties.state import EVERYONE, OPEN, Numbers, PairKey, Place, Request, Sent
from tests.properties.world import (
    GROUPS,
    HALL,
    NEWS,
    STRANGER,
    USERS,
    World,
    given,
    notices,
    recalls,
)

NAMES = (*USERS, *GROUPS, HALL, NEWS)
"""What a user may call a channel by."""
EVERYBODY = (*USERS, STRANGER, None)
"""Who is asked for files; None: the backend."""
_MOST_ASKED = 6
"""Files, the newest, of which everybody is asked whether he may read them."""


class Looks:
    """What both worlds hold. Methods of subclasses do the same to either and compare what they answer."""

    def __init__(self, ground: Ground, now: int) -> None:
        self.world = World(ground, FixedClock(now))
        self.model = Model(now)
        self.sent: list[Place] = []
        self.known: set[tuple[str, str]] = set()
        """The devices that were ever seen."""
        self.late: dict[tuple[int, int], int] = {}
        """Until when what nobody but its sender needed may stay on disk."""
        self.could_read: dict[str | None, set[UUID]] = {}
        """The files that they could read when they were asked last."""
        self.name = {
            (user, self.world.channel_id(user, name)): name
            for user, name in product(USERS, NAMES)
            if user != name
        }

    def go_to(self, now: int) -> None:
        """Let time pass; it never goes back."""
        self.model.now = max(self.model.now, now)
        self.world.clock.set(self.model.now)

    def key_of(self, channel_id: int) -> ChannelKey:
        """A channel that is there."""
        channel = self.model.channels[channel_id]
        return ChannelKey(self.world.app_key, ChannelType(channel.type), channel.key)

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
        return [(one, self.name[one, channel_id]) for one in channel.conversations] if channel else [pair]

    def file_names(self, files: Sequence[int]) -> list[str]:
        """The last files but so many, whether they are still there or not; none where there was none."""
        names = list(self.model.shelf.names)
        return [names[-1 - index % len(names)] for index in files] if names else []

    def says(self, files: Sequence[int]) -> str:
        """How a message refers to them."""
        return "".join(f" media:[{name}]" for name in self.file_names(files))

    def compare_all(self) -> None:
        """Everything there is to compare; who may read which file of those for whom that changed."""
        self.compare_readers()
        self.compare_disk()
        self.compare_marks()
        self.compare_receipts()
        self.compare_media(*(user for user in EVERYBODY if self._may_read(user) != self.could_read.get(user)))

    def compare_readers(self) -> None:
        """Every user's history, and what a sync would give to each device that was ever seen and to a new one."""
        asked = [spot for spot in self.name if spot[1] in self.model.channels]
        readers = sorted(self.known | {(user, rules.NEW_DEVICE) for user in (*USERS, NEWS)})
        work = [self.world.history(user, self.name[user, id_]) for user, id_ in asked]
        # an account takes no part in what it sends
        work += [self.world.read_by_account(user) for user, id_ in asked if self.name[user, id_] == NEWS]
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
        """Cutoffs of one kind merge by max, in whatever order they were applied and settled, or undone."""
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

    def compare_receipts(self) -> None:
        """Every number of every receipt, the newest first."""
        found = self.world.run(self.world.all_receipts())
        expected = sorted(self.model.journal, key=lambda request: request.accepted_at, reverse=True)
        assert [receipt.id for receipt in found] == [request.id for request in expected]
        for receipt, request in zip(found, expected, strict=True):
            self._compare_receipt(receipt, request)

    def compare_media(self, *readers: str | None) -> None:
        """Every file's row and object, what refers to it and who keeps it, and who of these may read which."""
        shelf = self.model.shelf
        if not shelf.names:
            return
        expected = {at.id: (at.state, at.size, at.look_at) for at in shelf.files.values()}
        assert self.world.run(self.world.media.rows()) == expected
        stored = {at.id.hex: at.stored for at in shelf.files.values() if at.stored is not None}
        assert self.world.media.stored() == stored, "what lies in the store"
        found = self.world.run(self.world.media.references())
        assert found == {spot: (one.gone, one.keeper) for spot, one in shelf.references.items()}
        lacking = media.needed(self.model) - {id_ for id_ in shelf.files if shelf.ready(id_)}
        assert not lacking, "a file is gone that a message needs"
        if any(one.gone for one in shelf.references.values()):
            assert self.world.run(self.world.media.kept(self.world.app_key)) == media.kept(self.model)
        for user in readers:
            self._compare_files_of(user)

    def _compare_files_of(self, user: str | None) -> None:
        may = self.could_read[user] = self._may_read(user)
        names = list(self.model.shelf.names)[-_MOST_ASKED:]
        asking = (self.world.media.may_read(self.world.app_key, name, user) for name in names)
        answers = dict(zip(names, self.world.together(*asking), strict=True))
        assert answers == {name: self.model.shelf.names[name] in may for name in names}, user

    def _may_read(self, user: str | None) -> set[UUID]:
        shelf = self.model.shelf
        # the backend reads all
        return {*filter(shelf.ready, shelf.files)} if user is None else media.readable(self.model, user)

    def compare_receipt(self, request: Request) -> None:
        """One of them, asked for by its id."""
        id_ = public_request_id(request.channel, request.id)
        self._compare_receipt(self.world.run(self.world.receipts.get(self.world.app_key, id_)), request)

    def compare_lists(self, state: str | None, user: str | None, pair: tuple[str, str] | None) -> None:
        """A list of receipts holds what it is asked for."""
        wanted = Filter(app_key=self.world.app_key, state=state, user_id=user)
        key = self.world.key(*pair) if pair else None
        found, _ = self.world.run(
            self.world.receipts.list(wanted, key, cursor=None, most=len(self.model.journal) + 1)
        )
        channel_id = self.world.channel_id(*pair) if pair else None
        assert {receipt.id for receipt in found} == {
            request.id
            for request in self.model.journal
            if state in (None, receipts.state(self.model, request)) and user in (None, request.user)
            if channel_id in (None, request.channel)
        }

    def compare_explanations(self, place: Place) -> None:
        """Of one message, for everybody, on a device that has nothing and on those that were seen."""
        readers = sorted(self.known | {(user, rules.NEW_DEVICE) for user in (*USERS, NEWS)})
        key = self.key_of(place.channel)
        explained = self.world.together(
            *(
                self.world.receipts.explain(key, place.id, user_id=user, device_id=device)
                for user, device in readers
            )
        )
        held = self.model.held(self.model.channels[place.channel])
        for (user, device), verdicts in zip(readers, explained, strict=True):
            expected = receipts.explanation(self.model, place.channel, place.position, user, device)
            assert {name: verdict.outcome for name, verdict in verdicts.items()} == expected, (user, device)
            disk = verdicts["disk"]
            assert (disk.rule == "hold") == (disk.outcome == receipts.KEPT and held)

    def _compare_receipt(self, receipt: Receipt, request: Request) -> None:
        found = (receipt.channel_id, receipt.user_id, receipt.cutoff)
        assert found == (request.channel, request.user, request.cutoff)
        assert receipt.state == receipts.state(self.model, request)
        instants = (receipt.accepted_at, receipt.applied_at, receipt.settled_at, receipt.undo_until)
        assert instants == (request.accepted_at, request.applied_at, request.settled_at, request.undo_until)
        assert receipt.delete_compensated == request.flag
        assert receipt.delete_compensated_from == request.flag_from
        assert receipt.delete_media == request.media
        cancelled = (receipt.cancelled_at, receipt.cancelled_by, receipt.cancel_reason)
        assert cancelled == (request.cancelled or (None, None, None))
        if request.state == "cancelled" and not request.counted:
            return  # nobody waits for its numbers
        numbers = receipt.numbers
        assert (numbers is not None) == request.counted
        if numbers is not None:
            counted = Numbers(
                numbers.hidden, numbers.kept_missed, numbers.kept_compensation, numbers.kept_held
            )
            assert counted == request.numbers
        assert receipt.reclaimed_messages == receipts.reclaimed(self.model, request)
        files = (request.files, request.size) if request.counted else (None, None)
        assert (receipt.reclaimed_files, receipt.reclaimed_bytes) == files
