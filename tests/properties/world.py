"""The real thing under the state machine: services on a real PostgreSQL and a real Redis, and a look at the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct

from history.apps.service import Apps
from history.channels.membership import Membership
from history.channels.model import ChannelKey, ChannelType, channel_key, derived_id
from history.channels.service import Channels
from history.cursors import read_message_id
from history.delivery.conversations import Conversations
from history.delivery.model import Reader, SyncPage
from history.delivery.service import Delivery
from history.errors import Conflict, InvalidInput, NotFound
from history.jobs.service import Jobs
from history.messages.model import Draft, Flags, Message, Range
from history.messages.service import Messages
from history.policies.service import Policies
from history.receipts.model import Filter, Receipt
from history.receipts.service import Receipts
from history.retention.model import WAITING_PAIRS, CleanDraft, Pair, cutoff_before, queue_member
from history.retention.reclaim import Reclaim
from history.retention.service import Cleans
from history.runs.service import Runs
from history.sweep.service import Sweep
from history.transfer.exports import Exports
from history.transfer.imports import Imports
from server.calls import Call, Handler, Who
from server.limits import Limits
from server.queue import Breaker, Queue
from server.services import Services
from tests.clock import FixedClock
from tests.properties.ground import Ground
from tests.properties.media_world import MediaWorld
from tests.properties.rules import Given, Notice, TakenBack
from tests.properties.state import EVERYONE, Marks, PairKey, Sent

T = TypeVar("T")
BATCH = 2
"""Rows that reclaim takes at once: small, so that a visit has several grants."""
COUNTED = 5
"""Rows that a step of counting judges."""
USERS = ("ann", "b:ob", "ćile")
GROUPS = ("team", "b:and")
HALL, NEWS = "hall", "news"
"""The open channel, and the account of the system channels."""
STRANGER = "nobody"
_MOST_RECEIPTS = 10_000
_WHOLE_AXIS = Range(first=0, end=1 << 62)


class GroupChange(Enum):
    """What may happen to a group."""

    CREATE = "create"
    JOIN = "join"
    LEAVE = "leave"
    DISMISS = "dismiss"


class World:
    """One app on that ground, as the edges drive it."""

    def __init__(self, ground: Ground, clock: FixedClock) -> None:
        self.clock = clock
        self.redis = ground.redis
        self._ground = ground
        database = ground.database
        channels = Channels(database)
        self.apps = Apps(database, clock, master_key=bytes(32))
        self.cleans = Cleans(database, channels, clock)
        self.receipts = Receipts(database, self.apps, channels, self.cleans, clock, most_rows=COUNTED)
        self.policies = Policies(database, clock)
        self.jobs = Jobs(database, channels, self.cleans, clock)
        self.reclaim = Reclaim(database, clock, batch=BATCH)
        self.sweep = Sweep(database)
        self.media = MediaWorld(ground, self.apps, clock)
        breaker = Breaker()
        self.queue = Queue(ground.redis, breaker)
        self._membership = Membership(database, channels, clock)
        self._messages = Messages(database, channels, clock)
        self._delivery = Delivery(database, self.apps, channels, clock)
        self._services = Services(
            apps=self.apps,
            membership=self._membership,
            messages=self._messages,
            imports=Imports(database, channels, clock, self._messages.appends),
            exports=Exports(database, channels, clock),
            delivery=self._delivery,
            files=self.media.files,
            conversations=Conversations(database, channels, clock),
            runs=Runs(database, self.apps, clock),
            cleans=self.cleans,
            receipts=self.receipts,
            jobs=self.jobs,
            policies=self.policies,
            queue=self.queue,
            limits=Limits(ground.redis, breaker),
            clock=clock,
            database=database,
            redis=ground.redis,
        )
        self.app_key = self.run(self._begin())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it to its end on the ground's loop."""
        result: T = self._ground.run(work)
        return result

    def together(self, *works: Awaitable[T]) -> list[T]:
        """Run all of them at once; batches are made of this."""

        async def gather() -> list[T]:
            return list(await asyncio.gather(*works))

        return self.run(gather())

    def key(self, user: str, other: str) -> ChannelKey:
        """What the user calls by this name: a group, the open channel, an account's, or his with another user."""
        return channel_key(self.app_key, type_of(other), channel_id=other, user_id=user)

    def channel_id(self, user: str, other: str) -> int:
        """Its id, whether it exists or not."""
        return derived_id(self.key(user, other), 0)

    def member(self, pair: PairKey) -> bytes:
        """How Redis spells a pair."""
        return queue_member(Pair(self.app_key, pair.channel, pair.user)).encode()

    async def send(self, channels: Sequence[ChannelKey], message: Sent, client_key: str | None) -> list[str]:
        """One message into each of them, in one commit; nothing where a group, an open channel or a file is not there."""
        flags = Flags.PERSISTED if message.persisted else 0
        flags |= Flags.ECHOED if message.echoed else 0
        draft = Draft(
            channels=tuple(channels),
            sender=message.sender,
            type="text",
            content=message.content,
            flags=flags,
            recipients=tuple(sorted(message.to)) if message.to is not None else None,
            client_key=client_key,
        )
        try:
            return await self._messages.send(draft)
        except (NotFound, InvalidInput):
            return []

    async def recall(self, channel: ChannelKey, id_: str, sender: str, *, admin: bool) -> bool:
        """Take a message back; False where that is refused."""
        try:
            await self._messages.recall(channel, id_, sender=sender, admin=admin)
        except InvalidInput:
            return False
        return True

    async def edit(self, channel: ChannelKey, id_: str, sender: str, content: str) -> bool:
        """Say something else instead; False where that is refused."""
        try:
            await self._messages.edit(channel, id_, sender=sender, content=content)
        except (NotFound, InvalidInput, Conflict):
            return False
        return True

    async def group(self, change: GroupChange, name: str, users: Sequence[str]) -> bool:
        """Create a group (the first user owns it), join, leave or dismiss it; False where that is refused."""
        key = self.key(users[0], name)
        try:
            if change is GroupChange.CREATE:
                await self._membership.create_group(key, name=name, owner=users[0], users=users[1:])
            elif change is GroupChange.JOIN:
                await self._membership.join(key, users)
            elif change is GroupChange.LEAVE:
                await self._membership.leave(key, users)
            else:
                await self._membership.dismiss(key)
        except (NotFound, Conflict):
            return False
        return True

    async def make_open(self, ttl_minutes: int | None, *, from_last_message: bool) -> None:
        """The open channel appears, or begins anew."""
        key = self.key(USERS[0], HALL)
        await self._membership.create_open(key, ttl_minutes=ttl_minutes, from_last_message=from_last_message)

    async def destroy(self) -> None:
        """The open channel ends."""
        await self._membership.destroy_open([self.key(USERS[0], HALL)])

    async def call(self, handler: Handler, body: Struct) -> Any:
        """Let a handler of the API answer the app."""
        app = await self.apps.find(self.app_key)
        call = Call(services=self._services, who=Who(app=app), body=body, path={}, query={})
        return (await handler(call)).result

    def draft(
        self,
        user: str,
        other: str,
        *,
        whose: str,
        sent_at: int | None,
        flag: bool | None,
        media: bool = False,
        undo: int | None = None,
    ) -> CleanDraft:
        """A clean of the channel of user and other, on its way."""
        return CleanDraft(
            channel=self.key(user, other),
            user_id=whose,
            operator=None if whose != EVERYONE else user,
            before=cutoff_before(sent_at),
            delete_compensated=flag,
            delete_media=media,
            undo_seconds=undo,
            reason=None,
            source="test",
        )

    async def history(
        self, user: str, other: str, *, below: int = _WHOLE_AXIS.end, most: int = 10_000
    ) -> list[Message]:
        """A page of what the user reads there."""
        range_ = Range(first=_WHOLE_AXIS.first, end=below)
        return await self._messages.history(self.key(user, other), user, range_, most=most)

    async def sync(
        self,
        user: str,
        device: str,
        *,
        limit: int = 1_000,
        cursor: str | None = None,
        reinstalled: bool = False,
    ) -> SyncPage:
        """One page; without a cursor and not reinstalled it writes nothing."""
        reader = Reader(app_key=self.app_key, user_id=user, device_id=device)
        return await self._delivery.sync(reader, limit=limit, cursor=cursor, reinstalled=reinstalled)

    async def all_receipts(self) -> list[Receipt]:
        """Of the app, the newest first."""
        wanted = Filter(app_key=self.app_key)
        found, cursor = await self.receipts.list(wanted, None, cursor=None, most=_MOST_RECEIPTS)
        assert cursor is None
        return found

    async def read_by_account(self, user: str) -> list[Message]:
        """What the account reads of what it sent a user."""
        return await self._messages.history(self.key(user, NEWS), NEWS, _WHOLE_AXIS, most=10_000)

    async def acknowledge(self, user: str, device: str, delivered: list[tuple[str, str]]) -> bool:
        """`delivered`: (the name the user has for the channel, message id); False where that is refused."""
        reader = Reader(app_key=self.app_key, user_id=user, device_id=device)
        try:
            await self._delivery.acknowledge(
                reader, [(self.key(user, other), id_) for other, id_ in delivered]
            )
        except InvalidInput:
            return False
        return True

    async def forge(self, member: bytes, score: float) -> None:
        """Somebody else writes into the set of waiting pairs."""
        await self.redis.zadd(WAITING_PAIRS, {member: score})

    async def forget(self) -> None:
        """Redis is flushed."""
        await self.redis.flushdb()

    async def disk(self) -> dict[int, tuple[int, dict[int, str]]]:
        """(reclaimed_to, contents of the messages that are there by position) of each channel of the app."""
        rows = await self._ground.connection.fetch(
            "SELECT id, reclaimed_to, ARRAY(SELECT position FROM messages WHERE channel_id = id ORDER BY position) AS there,"
            " ARRAY(SELECT content FROM messages WHERE channel_id = id ORDER BY position) AS contents"
            " FROM channels WHERE app_key = $1",
            self.app_key,
        )
        return {
            row["id"]: (row["reclaimed_to"], dict(zip(row["there"], row["contents"], strict=True)))
            for row in rows
        }

    async def marks(self) -> dict[PairKey, Marks]:
        """The cutoffs that cleans have raised so far, of each user in each channel and of everyone there."""
        rows = await self._ground.connection.fetch(
            "SELECT id AS channel_id, '' AS user_id, history_cutoff, sync_cutoff, settled_history_cutoff,"
            " settled_sync_cutoff, media_cutoff, settled_media_cutoff FROM channels WHERE app_key = $1 UNION ALL"
            " SELECT channel_id, user_id, history_cutoff, sync_cutoff, settled_history_cutoff,"
            " settled_sync_cutoff, media_cutoff, settled_media_cutoff FROM conversations WHERE app_key = $1",
            self.app_key,
        )
        return {PairKey(channel_id, user): Marks(*cutoffs) for channel_id, user, *cutoffs in rows}

    async def _begin(self) -> str:
        # an app of the example's own
        await self._ground.empty()
        app_key = (await self.apps.create("example")).app_key
        await self.apps.change(app_key, {"clean_rate_limit": 0})
        return app_key


def type_of(name: str) -> ChannelType:
    """What kind of channel is called by this name."""
    kinds = {HALL: ChannelType.OPEN, NEWS: ChannelType.SYSTEM}
    return kinds.get(name, ChannelType.GROUP if name in GROUPS else ChannelType.DIRECT)


def given(page: SyncPage) -> list[Given]:
    """The messages of a page in the model's words."""
    return [
        Given(at.message.channel_id, at.message.position, at.message.sender, at.message.content, at.origin)
        for at in page.messages
    ]


def notices(page: SyncPage) -> list[Notice]:
    """The cleans of a page in the model's words."""
    return [
        Notice(at.channel_id, at.cutoff, everyone=at.everyone, restored=at.restored) for at in page.cleans
    ]


def recalls(page: SyncPage) -> list[TakenBack]:
    """The recalls of a page in the model's words."""
    return [TakenBack(at.channel_id, at.stamp, read_message_id(at.message_id)[1]) for at in page.recalls]
