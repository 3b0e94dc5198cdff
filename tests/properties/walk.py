"""Steps told one by one, with a look around after each: what the state machine needs many examples to come by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from tests.properties import media, rules
from tests.properties.clean_steps import Reaches
from tests.properties.days import SECOND, instant
from tests.properties.ground import Ground
from tests.properties.looks import EVERYBODY
from tests.properties.rules import Notice
from tests.properties.state import EVERYONE, Numbers, Place, Request, Scope
from tests.properties.steps import Sending, Steps
from tests.properties.world import GROUPS, USERS, GroupChange

ANN, BOB, CID = USERS
TEAM = GROUPS[0]
PHONE = "phone"


class Walk:
    """Steps with a look around after each."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def group(self, change: GroupChange, *users: str, name: str = TEAM) -> None:
        """Of the group of all these walks, or of another."""
        self.go(lambda: self.steps.group(change, name, list(users)))

    def send(
        self,
        user: str,
        to: str,
        *,
        kept: bool = True,
        echoed: bool = False,
        only: str | None = None,
        key: str | None = None,
        files: tuple[int, ...] = (),
    ) -> None:
        """One message; `files`: which of the last files it refers to."""
        whom = frozenset([only]) if only else None
        sending = Sending(
            (user, to), both=False, echoed=echoed, persisted=kept, to=whom, key=key, files=files
        )
        self.go(lambda: self.steps.send([sending, sending] if key else [sending]))

    def talk(self, name: str = BOB) -> None:
        """Four of ann's that are echoed, each in a second of its own; the first two are received by both."""
        for number in range(4):
            self.wait(SECOND)
            self.send(ANN, name, echoed=True)
            if number == 1:
                self.receive(ANN)
                self.receive(BOB)

    def receive(self, user: str) -> None:
        """The last message, and so everything."""
        self.go(lambda: self.steps.acknowledge(user, PHONE, self.steps.sent[-1:]))

    def receive_all(self) -> None:
        """Everybody has everything that was sent to him, wherever."""
        for place in self.steps.sent:
            for user in self.steps.model.channels[place.channel].conversations:
                self.steps.acknowledge(user, PHONE, [place])

    def recall(self, user: str, number: int = -1, *, admin: bool = False) -> None:
        """One of the messages."""
        self.go(lambda: self.steps.recall(user, self.steps.sent[number], admin=admin))

    def clean(
        self,
        user: str,
        name: str,
        *,
        flag: bool = True,
        media: bool = False,
        undo: int | None = None,
        before: int | None = None,
        everyone: bool = False,
        reaches: Reaches = Reaches.DISK,
    ) -> Request:
        """All that the user has there, or what is before one of the messages; down to the disk unless told otherwise."""
        sent_at = None if before is None else self.steps.sent[before].position // 1000
        whose = EVERYONE if everyone else user
        self.go(
            lambda: self.steps.clean(
                user,
                name,
                whose=whose,
                sent_at=sent_at,
                flag=flag,
                media=media,
                reaches=reaches,
                undo=undo,
            )
        )
        return self.steps.model.journal[-1]

    def cancel(self, request: Request) -> bool:
        """Undo it, or be told that it is too late."""
        self.go(lambda: self.steps.cancel(request, by="ops", reason="not that"))
        return request.state == "cancelled"

    def sync(self, user: str, device: str = PHONE) -> list[Notice]:
        """The device hears of cleans, and comes back with the page's cursor."""
        found = self.steps.page(user, device, limit=100, kept=None, reinstalled=False).cleans
        kept = self.steps.cursors[user, device][-1]
        self.go(lambda: self.steps.page(user, device, limit=100, kept=kept, reinstalled=False))
        return found

    def hide(self, user: str, name: str, *numbers: int) -> None:
        """Some of the messages, by their ids."""
        places = [self.steps.sent[number] for number in numbers]
        self.go(lambda: self.steps.hide((user, name), places))

    def hold(self, what: tuple[str, str] | str | None) -> None:
        """On a channel, a user, or the app."""
        pair, user = (what, None) if isinstance(what, tuple) else (None, what)
        self.go(lambda: self.steps.place_hold(pair, user))

    def release(self) -> None:
        """The first hold there is; then the worker does all it can."""
        self.go(lambda: self.steps.release_hold(0))
        self.drain()

    def policy(self, scope: Scope, days: int | None) -> None:
        """Set or removed."""
        self.go(lambda: self.steps.set_policy(scope, days, confirms=True))

    def settings(self, **changes: bool | int | str) -> None:
        """Of the app."""
        self.go(lambda: self.steps.change(changes))

    def ask(self) -> None:
        """Everybody, which files he may read."""
        self.steps.compare_media(*EVERYBODY)

    def look(self) -> None:
        """At every explanation."""
        for place in self.steps.sent:
            self.steps.compare_explanations(place)

    def wait(self, by: int) -> None:
        """Then the worker does all it can."""
        self.go(lambda: self.steps.go_to(self.steps.model.now + by))
        self.drain()

    def drain(self) -> None:
        """The worker does all it can."""
        self.go(self.steps.drain)

    def open(self, ttl: int | None, *, from_last: bool = True) -> None:
        """The open channel."""
        self.go(lambda: self.steps.make_open(ttl, from_last=from_last))

    def destroy(self) -> None:
        """The open channel."""
        self.go(self.steps.destroy)

    def sweep(self) -> None:
        """Side tables lose what they need no more."""
        self.go(self.steps.sweep)

    def upload(self, user: str | None = None, *, cut: str | None = None) -> UUID:
        """A file, the last one from now on."""
        self.go(lambda: self.steps.upload(user, cut=cut))
        return list(self.steps.model.shelf.names.values())[-1]

    def edit(self, user: str, number: int, *files: int) -> None:
        """One of the messages says these files from now on."""
        self.go(lambda: self.steps.edit(user, self.steps.sent[number], files))

    def remove(self, index: int = 0, *, cut: str | None = None) -> None:
        """One of the last files, by an admin."""
        self.go(lambda: self.steps.remove(index, cut=cut))

    def files(self) -> set[UUID]:
        """Those that are there."""
        return {file.id for file in self.steps.model.shelf.files.values()}

    def keepers(self) -> list[str]:
        """Who keeps files that no message on disk refers to."""
        return sorted(user for who in media.kept(self.steps.model).values() for _, _, user in who)

    def read(self, user: str, name: str) -> list[int]:
        """What the user reads there."""
        return rules.history(self.steps.model, self.steps.world.channel_id(user, name), user)

    def numbers(self) -> list[Numbers]:
        """Of all receipts that are counted, in their order."""
        return [request.numbers for request in self.steps.model.journal if request.counted]

    def there(self, place: Place) -> bool:
        """Whether the message is on disk."""
        return place.position in self.steps.model.channels[place.channel].messages

    def kept(self) -> int:
        """How many messages are there."""
        return sum(len(channel.messages) for channel in self.steps.model.channels.values())

    def go(self, act: Callable[[], object]) -> None:
        """A step, and a look around."""
        act()
        self.steps.compare_all()


def begin_walk(ground: Ground) -> Walk:
    """An app without an undo window; a group of three."""
    steps = Steps(ground, instant(datetime(2026, 10, 20, 12, tzinfo=UTC)))
    steps.change({"undo_seconds": 0})
    walk = Walk(steps)
    walk.group(GroupChange.CREATE, ANN, BOB, CID)
    return walk
