"""All services on one database, and short words for what tests do with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from history.apps.service import Apps
from history.axis import NEVER, SECOND
from history.channels.membership import Membership
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.channels.service import Channels
from history.cursors import message_id, read_message_id
from history.database import Database, open_database
from history.delivery.conversations import Conversations
from history.delivery.model import Reader, SyncPage
from history.delivery.service import Delivery
from history.errors import NotFound
from history.jobs.service import Jobs
from history.media.model import Media
from history.media.service import Files
from history.media.upkeep import Upkeep
from history.messages.model import Draft, Flags, Range
from history.messages.service import Messages
from history.objects import Objects
from history.policies.service import Policies
from history.receipts.model import Numbers, Receipt, Verdict
from history.receipts.service import Receipts, read_request_id
from history.retention.model import EVERYONE, Accepted, ApplyReport, CleanDraft, Pair, cutoff_before
from history.retention.months import Months
from history.retention.reclaim import Reclaim
from history.retention.service import Cleans
from history.runs.service import Runs
from history.sweep.service import Sweep
from tests.clock import FixedClock

NOON = 1_773_144_000 * SECOND
"""2026-03-10, 12:00 UTC."""
MASTER_KEY = b"m" * 32
ALWAYS = Range(first=0, end=(1 << 63) - 1)


def clean_draft(
    key: ChannelKey,
    user: str = EVERYONE,
    *,
    sent_at: int | None = None,
    flag: bool | None = None,
    undo: int | None = None,
    media: bool = False,
) -> CleanDraft:
    """A clean on its way into the journal."""
    return CleanDraft(
        channel=key,
        user_id=user,
        operator=None,
        before=cutoff_before(sent_at),
        delete_compensated=flag,
        undo_seconds=undo,
        delete_media=media,
        reason=None,
        source="test",
    )


def of_numbers(numbers: Numbers | None) -> tuple[int, int, int, int] | None:
    """hidden, keptMissed, keptCompensation, keptHeld."""
    if numbers is None:
        return None
    return numbers.hidden, numbers.kept_missed, numbers.kept_compensation, numbers.kept_held


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The services as a process wires them, one app, and a clock that stands still."""

    url: str
    app_key: str
    clock: FixedClock
    database: Database
    apps: Apps
    channels: Channels
    membership: Membership
    messages: Messages
    delivery: Delivery
    conversations: Conversations
    cleans: Cleans
    receipts: Receipts
    policies: Policies
    jobs: Jobs
    reclaim: Reclaim
    months: Months
    runs: Runs
    sweep: Sweep
    objects: Objects
    files: Files
    upkeep: Upkeep

    def channel(self, user: str = "ann", other: str = "bob") -> ChannelKey:
        """The direct channel of two users."""
        return channel_key(self.app_key, ChannelType.DIRECT, channel_id=other, user_id=user)

    def group(self, id_: str = "g") -> ChannelKey:
        """A group, made or not."""
        return ChannelKey(self.app_key, ChannelType.GROUP, (id_,))

    def open(self, id_: str = "o") -> ChannelKey:
        """An open channel, made or not."""
        return ChannelKey(self.app_key, ChannelType.OPEN, (id_,))

    def system(self, account: str = "news", user: str = "bob") -> ChannelKey:
        """What an account sends a user."""
        return channel_key(self.app_key, ChannelType.SYSTEM, channel_id=account, user_id=user)

    async def make_group(self, *users: str, owner: str = "ann", id_: str = "g") -> ChannelKey:
        """A group of the owner and these users."""
        key = self.group(id_)
        await self.membership.create_group(key, name=id_, owner=owner, users=users)
        return key

    async def make_open(
        self, id_: str = "o", *, ttl: int | None = None, from_last_message: bool = True
    ) -> ChannelKey:
        """An open channel that lives for `ttl` minutes, or until it is destroyed."""
        key = self.open(id_)
        await self.membership.create_open(key, ttl_minutes=ttl, from_last_message=from_last_message)
        return key

    async def id_of(self, key: ChannelKey) -> int:
        """A channel's id; the channel must be there."""
        found = (await self.channels.locate([key]))[0]
        assert found is not None
        return found

    async def channel_id(self, user: str = "ann", other: str = "bob") -> int:
        """The id of a direct channel."""
        return await self.id_of(self.channel(user, other))

    async def send(
        self,
        sender: str = "ann",
        to: str = "bob",
        *,
        content: str = "hello",
        echo: bool = False,
        persist: bool = True,
        at: int | None = None,
    ) -> int:
        """Send one direct message, the clock set to `at` before; its position."""
        key = self.channel(sender, to)
        return await self.post(key, sender, content=content, echo=echo, persist=persist, at=at)

    async def post(
        self,
        key: ChannelKey,
        sender: str = "ann",
        *,
        content: str = "hello",
        echo: bool = False,
        persist: bool = True,
        to: tuple[str, ...] | None = None,
        client_key: str | None = None,
        at: int | None = None,
    ) -> int:
        """Send one message into any channel, the clock set to `at` before; its position."""
        if at is not None:
            self.clock.set(at)
        flags = (Flags.PERSISTED if persist else 0) | (Flags.ECHOED if echo else 0)
        draft = Draft(
            channels=(key,),
            sender=sender,
            type="text",
            content=content,
            flags=flags,
            recipients=to,
            client_key=client_key,
        )
        return read_message_id((await self.messages.send(draft))[0])[1]

    def draft(self, sender: str, *to: str, content: str = "hello", flags: int = Flags.PERSISTED) -> Draft:
        """A message on its way to some users."""
        channels = tuple(self.channel(sender, user) for user in to)
        return Draft(channels=channels, sender=sender, type="text", content=content, flags=flags)

    async def recall(
        self, key: ChannelKey, position: int, sender: str = "ann", *, admin: bool = False
    ) -> None:
        """Take a message back."""
        text = message_id(await self.id_of(key), position)
        await self.messages.recall(key, text, sender=sender, admin=admin)

    async def history(self, user: str, other: str, *, range_: Range = ALWAYS, most: int = 100) -> list[int]:
        """The positions of a history page of a direct channel, newest first."""
        return await self.seen(self.channel(user, other), user, range_=range_, most=most)

    async def seen(self, key: ChannelKey, user: str, *, range_: Range = ALWAYS, most: int = 100) -> list[int]:
        """The positions of a history page of any channel, newest first."""
        page = await self.messages.history(key, user, range_, most=most)
        return [message.position for message in page]

    async def has_nothing(self, key: ChannelKey, user: str) -> bool:
        """The user reads nothing of the channel, and a device that has nothing is given nothing of any."""
        return not await self.seen(key, user) and not await self.given(user, "new")

    def reader(self, user: str, device: str = "phone") -> Reader:
        """A device of a user."""
        return Reader(app_key=self.app_key, user_id=user, device_id=device)

    async def sync(
        self,
        user: str,
        device: str = "phone",
        *,
        limit: int = 100,
        cursor: str | None = None,
        reinstalled: bool = False,
    ) -> SyncPage:
        """One page of a sync."""
        return await self.delivery.sync(
            self.reader(user, device), limit=limit, cursor=cursor, reinstalled=reinstalled
        )

    async def given(self, user: str, device: str = "phone") -> list[tuple[int, str]]:
        """What a first page gives: position and origin of each message."""
        page = await self.sync(user, device)
        return [(delivered.message.position, delivered.origin) for delivered in page.messages]

    async def ack(self, user: str, other: str, position: int, device: str = "phone") -> None:
        """The device has everything of a direct channel up to the position."""
        await self.ack_in(self.channel(user, other), user, position, device)

    async def ack_in(self, key: ChannelKey, user: str, position: int, device: str = "phone") -> None:
        """The device has everything of any channel up to the position."""
        text = message_id(await self.id_of(key), position)
        await self.delivery.acknowledge(self.reader(user, device), [(key, text)])

    async def clean(
        self,
        user: str,
        other: str,
        *,
        sent_at: int | None = None,
        flag: bool | None = None,
        everyone: bool = False,
        undo: int | None = None,
    ) -> Accepted:
        """Accept a clean of one user's history of a direct channel, or of everyone's."""
        who = EVERYONE if everyone else user
        return await self.clean_in(self.channel(user, other), who, sent_at=sent_at, flag=flag, undo=undo)

    async def clean_in(
        self,
        key: ChannelKey,
        user: str = EVERYONE,
        *,
        sent_at: int | None = None,
        flag: bool | None = None,
        undo: int | None = None,
        media: bool = False,
    ) -> Accepted:
        """Accept a clean of one user's history of any channel, or of everyone's."""
        draft = clean_draft(key, user, sent_at=sent_at, flag=flag, undo=undo, media=media)
        accepted = await self.cleans.accept(draft)
        self.catch_up()
        return accepted

    def catch_up(self) -> None:
        """No two cleans are accepted in one microsecond: where several were, as much time has passed."""
        self.clock.set(max(self.clock.now(), self.cleans._last_accepted))

    async def receipt(self, accepted: Accepted) -> Receipt:
        """What a clean did, as far as it is counted."""
        return await self.receipts.get(self.app_key, accepted.request_id)

    async def numbers(self, accepted: Accepted) -> tuple[int, int, int, int] | None:
        """hidden, keptMissed, keptCompensation, keptHeld; None until they are counted."""
        return of_numbers((await self.receipt(accepted)).numbers)

    async def counted(self, *accepted: Accepted) -> list[tuple[int, int, int, int] | None]:
        """Apply all that waits, count it, and tell the numbers of these requests."""
        await self.apply()
        await self.count()
        return [await self.numbers(one) for one in accepted]

    async def count(self) -> None:
        """Count all that was applied."""
        while await self.receipts.count(until=NEVER):
            pass

    async def cancel(
        self, accepted: Accepted, *, by: str | None = "ops", reason: str | None = "sorry"
    ) -> None:
        """Undo a clean."""
        channel_id, id_ = read_request_id(accepted.request_id)
        await self.cleans.cancel(self.app_key, channel_id, id_, by=by, reason=reason)

    async def hide(self, key: ChannelKey, user: str, *positions: int) -> list[bool]:
        """Delete messages by id for one user; which of them there were."""
        id_ = await self.id_of(key)
        return await self.messages.hide(key, user, [message_id(id_, position) for position in positions])

    async def explain(
        self, key: ChannelKey, position: int, user: str, *, device: str | None = None
    ) -> dict[str, Verdict]:
        """What each rule says of a message for a user."""
        text = message_id(await self.id_of(key), position)
        return await self.receipts.explain(key, text, user_id=user, device_id=device)

    async def apply(self, *accepted: Accepted) -> ApplyReport:
        """Apply as the queue would announce it; without arguments, all that the journal has."""
        scores: dict[Pair, int | None] = {one.pair: one.cutoff for one in accepted}
        if not accepted:
            scores = dict.fromkeys(await self.cleans.forgotten(accepted_before=self.clock.now()))
        return await self.cleans.apply(scores, now=self.clock.now())

    async def settle(self, *, now: int | None = None) -> int:
        """Count what was applied, then settle what is due; how many requests settled."""
        await self.count()
        settled = 0
        while count := await self.cleans.settle(now=self.clock.now() if now is None else now):
            settled += count
        return settled

    async def work(self) -> int:
        """Everything that a worker does, to the end; how many messages were deleted."""
        now, deleted = self.clock.now(), 0
        await self.apply()
        await self.settle(now=now)
        while await self.reclaim.mark_moved(now=now):
            pass
        while reports := await self.reclaim.visit_due(now=now):
            deleted += sum(report.deleted for report in reports)
        while (await self.upkeep.look(now=now)).seen:
            pass
        return deleted

    async def upload(
        self, user: str | None = "ann", data: bytes = b"a picture", *, type_: str = "image/png"
    ) -> Media:
        """A file of a user, or of the backend."""

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        app = await self.apps.find(self.app_key)
        return await self.files.upload(app, chunks(), type_=type_, size=None, user=user)

    async def readable(self, media: Media, user: str | None) -> bool:
        """Whether a user, or the backend, may read the file."""
        try:
            await self.files.find(self.app_key, media.public_id, user=user)
        except NotFound:
            return False
        return True

    async def there(self, media: Media) -> bool:
        """Whether the file is there: its row and its object, or neither."""
        row = await self.value("SELECT count(*) FROM media WHERE id = $1", media.id)
        size = await self.objects.size(media.id)
        assert (row == 1) == (size is not None), (row, size)
        return size is not None

    async def stored(self, user: str = "ann", other: str = "bob") -> list[int]:
        """The positions of a direct channel that are physically there."""
        return await self.stored_in(self.channel(user, other))

    async def stored_in(self, key: ChannelKey) -> list[int]:
        """The positions of any channel that are physically there."""
        sql = "SELECT position FROM messages WHERE channel_id = $1 ORDER BY position"
        return [row["position"] for row in await self.rows(sql, await self.id_of(key))]

    async def execute(self, sql: str, *arguments: object) -> None:
        """Change the database itself, behind the services' back."""
        async with self.database.writing() as connection:
            await connection.execute(sql, *arguments)

    async def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Ask the database itself."""
        async with self.database.reading() as connection:
            return list(await connection.fetch(sql, *arguments))

    async def value(self, sql: str, *arguments: object) -> Any:
        """One value from the database itself."""
        async with self.database.reading() as connection:
            return await connection.fetchval(sql, *arguments)

    async def set(self, **changes: object) -> None:
        """Change settings of the app."""
        await self.apps.change(self.app_key, changes)

    @asynccontextmanager
    async def twin(self) -> AsyncIterator[World]:
        """Another process on the same app: connections and memory of its own, the same clock."""
        async with open_twin(self.url, clock=self.clock, objects=self.objects, app_key=self.app_key) as twin:
            yield twin


def _wired(
    url: str, database: Database, clock: FixedClock, objects: Objects, *, app_key: str, batch: int
) -> World:
    apps, channels = Apps(database, clock, master_key=MASTER_KEY), Channels(database)
    cleans = Cleans(database, channels, clock)
    return World(
        url=url,
        app_key=app_key,
        clock=clock,
        database=database,
        apps=apps,
        channels=channels,
        membership=Membership(database, channels, clock),
        messages=Messages(database, channels, clock),
        delivery=Delivery(database, apps, channels, clock),
        conversations=Conversations(database, channels, clock),
        cleans=cleans,
        receipts=Receipts(database, apps, channels, cleans, clock),
        policies=Policies(database, clock),
        jobs=Jobs(database, channels, cleans, clock),
        reclaim=Reclaim(database, clock, batch=batch),
        months=Months(database, clock),
        runs=Runs(database, apps, clock),
        sweep=Sweep(database),
        objects=objects,
        files=Files(database, apps, clock, objects),
        upkeep=Upkeep(database, clock, objects),
    )


@asynccontextmanager
async def open_world(url: str, *, clock: FixedClock | None = None, batch: int = 100) -> AsyncIterator[World]:
    """Everything wired on one database, with an app and the months around the clock."""
    clock = clock or FixedClock(NOON)
    with TemporaryDirectory(prefix="tidemark-media-") as folder:
        objects = Objects(folder, master_key=MASTER_KEY)
        async with _opened(url, clock, objects, batch=batch) as world:
            yield world


@asynccontextmanager
async def open_twin(url: str, *, clock: FixedClock, objects: Objects, app_key: str) -> AsyncIterator[World]:
    """The same on a database and a store of files that another process uses, for one of its apps."""
    async with open_database(url) as database:
        yield _wired(url, database, clock, objects, app_key=app_key, batch=100)


@asynccontextmanager
async def _opened(url: str, clock: FixedClock, objects: Objects, *, batch: int) -> AsyncIterator[World]:
    async with open_database(url) as database:
        world = _wired(url, database, clock, objects, app_key="", batch=batch)
        await world.messages.make_months(now=clock.now())
        yield replace(world, app_key=(await world.apps.create("test")).app_key)
