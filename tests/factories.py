"""All services on one database, and short words for what tests do with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from history.apps.service import Apps
from history.axis import SECOND
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.channels.service import Channels
from history.cursors import message_id, read_message_id
from history.database import Database, open_database
from history.delivery.model import Reader, SyncPage
from history.delivery.service import Delivery
from history.messages.model import Draft, Flags, Range
from history.messages.service import Messages
from history.retention.model import EVERYONE, Accepted, ApplyReport, CleanDraft, Pair, cutoff_before
from history.retention.reclaim import Reclaim
from history.retention.service import Cleans
from tests.clock import FixedClock

NOON = 1_773_144_000 * SECOND
"""2026-03-10, 12:00 UTC."""
MASTER_KEY = b"m" * 32
ALWAYS = Range(first=0, end=(1 << 63) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The services as a process wires them, one app, and a clock that stands still."""

    url: str
    app_key: str
    clock: FixedClock
    database: Database
    apps: Apps
    channels: Channels
    messages: Messages
    delivery: Delivery
    cleans: Cleans
    reclaim: Reclaim

    def channel(self, user: str = "ann", other: str = "bob") -> ChannelKey:
        """The direct channel of two users."""
        return channel_key(self.app_key, ChannelType.DIRECT, channel_id=other, user_id=user)

    async def channel_id(self, user: str = "ann", other: str = "bob") -> int:
        """Its id; the channel must be there."""
        found = (await self.channels.locate([self.channel(user, other)]))[0]
        assert found is not None
        return found

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
        """Send one message, the clock set to `at` before; its position."""
        if at is not None:
            self.clock.set(at)
        flags = (Flags.PERSISTED if persist else Flags(0)) | (Flags.ECHOED if echo else Flags(0))
        return read_message_id(
            (await self.messages.send(self.draft(sender, to, content=content, flags=flags)))[0]
        )[1]

    def draft(self, sender: str, *to: str, content: str = "hello", flags: Flags = Flags.PERSISTED) -> Draft:
        """A message on its way to some users."""
        channels = tuple(self.channel(sender, user) for user in to)
        return Draft(channels=channels, sender=sender, type="text", content=content, flags=flags)

    async def history(self, user: str, other: str, *, range_: Range = ALWAYS, most: int = 100) -> list[int]:
        """The positions of a history page, newest first."""
        page = await self.messages.history(self.channel(user, other), user, range_, most=most)
        return [message.position for message in page]

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
        """The device has everything up to the position."""
        text = message_id(await self.channel_id(user, other), position)
        await self.delivery.acknowledge(self.reader(user, device), [(self.channel(user, other), text)])

    async def clean(
        self,
        user: str,
        other: str,
        *,
        sent_at: int | None = None,
        flag: bool | None = None,
        everyone: bool = False,
    ) -> Accepted:
        """Accept a clean of one user's history, or of everyone's."""
        return await self.cleans.accept(
            CleanDraft(
                channel=self.channel(user, other),
                user_id=EVERYONE if everyone else user,
                operator=None,
                before=cutoff_before(sent_at),
                delete_compensated=flag,
                reason=None,
                source="test",
            )
        )

    async def apply(self, *accepted: Accepted) -> ApplyReport:
        """Apply as the queue would announce it; without arguments, all that the journal has."""
        scores: dict[Pair, int | None] = {one.pair: one.cutoff for one in accepted}
        if not accepted:
            scores = dict.fromkeys(await self.cleans.forgotten(accepted_before=self.clock.now()))
        return await self.cleans.apply(scores, now=self.clock.now())

    async def work(self) -> int:
        """Everything that a worker does, to the end; how many messages were deleted."""
        now, deleted = self.clock.now(), 0
        await self.apply()
        while await self.cleans.settle(now=now):
            pass
        while await self.reclaim.mark_moved(now=now):
            pass
        while reports := await self.reclaim.visit_due(now=now):
            deleted += sum(report.deleted for report in reports)
        return deleted

    async def stored(self, user: str = "ann", other: str = "bob") -> list[int]:
        """The positions that are physically there."""
        sql = "SELECT position FROM messages WHERE channel_id = $1 ORDER BY position"
        return [row["position"] for row in await self.rows(sql, await self.channel_id(user, other))]

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
async def open_world(url: str, *, clock: FixedClock | None = None, batch: int = 100) -> AsyncIterator[World]:
    """Everything wired on one database, with an app and the months around the clock."""
    clock = clock or FixedClock(NOON)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        apps, channels = Apps(database, clock, master_key=MASTER_KEY), Channels(database)
        messages = Messages(database, channels, clock)
        await messages.make_months(now=clock.now())
        yield World(
            url=url,
            app_key=(await apps.create("test")).app_key,
            clock=clock,
            database=database,
            apps=apps,
            channels=channels,
            messages=messages,
            delivery=Delivery(database, apps, channels, clock),
            cleans=Cleans(database, channels, clock),
            reclaim=Reclaim(database, clock, batch=batch),
        )
