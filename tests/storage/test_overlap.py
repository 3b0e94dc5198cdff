"""Several processes on one database, whose batches overlap in other orders: nobody deadlocks, and everything is there once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from history.channels.model import ChannelKey
from history.cursors import message_id, read_message_id
from history.database import Database
from history.errors import Conflict
from history.messages.model import Draft, Flags
from history.retention.model import EVERYONE, Accepted
from tests.factories import World, open_world

PROCESSES, ROUNDS, TURNS = 3, 2, 14
USERS = [f"user{number}" for number in range(5)]
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class Process:
    """One process: services and connections of its own, and what it was answered."""

    def __init__(self, world: World, number: int, groups: list[ChannelKey]) -> None:
        self.world, self.number, self.groups = world, number, groups
        self.random = random.Random(number)
        self.turn = 0
        self.sent: dict[str, list[str]] = {}
        self.acknowledged: Counter[tuple[int, str]] = Counter()
        self.cleaned: list[Accepted] = []

    def channels(self, user: str, most: int) -> list[ChannelKey]:
        """Some channels of a user, in any order."""
        direct = [self.world.channel(user, other) for other in USERS if other != user]
        return self.random.sample([*direct, *self.groups], most)

    async def send(self) -> None:
        """Into several channels at once, all or none; into a group also for some."""
        self.turn += 1
        sender, content = self.random.choice(USERS), f"{self.number}.{self.turn}"
        if self.random.random() < 0.3:
            channels, named = [self.random.choice(self.groups)], tuple(self.random.sample(USERS, 3))
        else:
            channels, named = self.channels(sender, 4), None
        draft = Draft(
            channels=tuple(channels),
            sender=sender,
            type="text",
            content=content,
            flags=Flags.PERSISTED | self.random.choice([Flags.ECHOED, 0]),
            recipients=named,
            client_key=content,
        )
        self.sent[content] = await self.world.messages.send(draft)

    async def acknowledge(self) -> None:
        """What was last stored, in several channels at once."""
        user, device = self.random.choice(USERS), "phone"
        ids = {key: await self.world.id_of(key) for key in self.channels(user, 5)}
        rows = await self.world.rows(
            "SELECT id, last_position FROM channels WHERE id = ANY ($1::bigint[])", list(ids.values())
        )
        last = {row["id"]: row["last_position"] for row in rows}
        receipts = [(key, message_id(id_, last[id_])) for key, id_ in ids.items()]
        await self.world.delivery.acknowledge(self.world.reader(user, device), receipts)
        for id_ in ids.values():
            self.acknowledged[id_, user] = max(self.acknowledged[id_, user], last[id_])

    async def synchronize(self) -> None:
        """A device comes, and comes back with its cursor."""
        user, device = self.random.choice(USERS), "phone"
        page = await self.world.sync(user, device, limit=20)
        await self.world.sync(user, device, limit=20, cursor=page.cursor)

    async def clean(self) -> None:
        """One user's or everyone's."""
        user = self.random.choice(USERS)
        for key in self.channels(user, 3):
            who = self.random.choice([user, EVERYONE])
            flag, undo = self.random.choice([True, None]), self.random.choice([0, 60])
            self.cleaned.append(await self.world.clean_in(key, who, flag=flag, undo=undo))

    async def cancel(self) -> None:
        """One of those that were accepted, while it can be undone."""
        if self.cleaned:
            try:
                await self.world.cancel(self.random.choice(self.cleaned))
            except Conflict:
                return

    async def remove(self) -> None:
        """Conversations from a list; the next message brings them back."""
        user = self.random.choice(USERS)
        await self.world.conversations.remove(self.world.app_key, user, self.channels(user, 5), tell=True)

    async def move(self) -> None:
        """Out of a group and in again."""
        group, users = self.random.choice(self.groups), self.random.sample(USERS, 4)
        await self.world.membership.leave(group, users)
        await self.world.membership.join(group, users)

    async def recall(self) -> None:
        """One of those that were sent."""
        if self.sent:
            id_, position = read_message_id(self.random.choice(self.random.choice(list(self.sent.values()))))
            [row] = await self.world.rows("SELECT type, key FROM channels WHERE id = $1", id_)
            key = ChannelKey(self.world.app_key, row["type"], tuple(row["key"]))
            await self.world.recall(key, position, admin=True)

    async def change(self) -> None:
        """Settings that move floors."""
        await self.world.set(missed_days=self.random.randint(1, 7), undo_seconds=self.random.randint(0, 1))

    async def work(self) -> None:
        """What a worker does."""
        await self.world.apply()
        await self.world.settle()
        await self.world.reclaim.mark_moved(now=self.world.clock.now())
        await self.world.reclaim.visit_due(now=self.world.clock.now())
        await self.world.sweep.run(now=self.world.clock.now())

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """The same again and again, next to all the others."""
        for _ in range(TURNS):
            await work()


@asynccontextmanager
async def _processes(url: str) -> AsyncIterator[list[Process]]:
    async with open_world(url) as first, AsyncExitStack() as twins:
        groups = [await first.make_group(*USERS, owner="owner", id_=f"g{number}") for number in range(2)]
        worlds = [
            first,
            *[await twins.enter_async_context(first.twin()) for _ in range(PROCESSES - 1)],
        ]
        for user in USERS:
            await first.messages.send(first.draft(user, *(other for other in USERS if other != user)))
        yield [Process(world, number, groups) for number, world in enumerate(worlds)]


async def _round(processes: list[Process]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for one in processes:
            for work in (
                *[one.send] * 4,
                *[one.acknowledge] * 4,
                *[one.synchronize] * 4,
                *[one.clean] * 2,
                one.cancel,
                one.remove,
                one.move,
                one.recall,
                one.change,
                *[one.work] * 2,
            ):
                tasks.create_task(one.run(work))


async def test_overlapping_batches_of_several_processes_never_deadlock(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even once: a deadlock that is tried again has cost a second."""
    again: list[str] = []
    retrying = Database.retrying

    async def watched(self: Database, work: Callable[[], Awaitable[object]]) -> object:
        async def noted() -> object:
            try:
                return await work()
            except asyncpg.DeadlockDetectedError as exc:
                again.append(f"{getattr(work, '__qualname__', work)}: {exc.detail}")
                raise

        return await retrying(self, noted)

    monkeypatch.setattr(Database, "retrying", watched)
    async with _processes(database_url) as processes:
        for _ in range(ROUNDS):
            await _round(processes)
        await _everything_is_there_once(processes)
    assert again == []
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval(DEADLOCKS) == 0
    finally:
        await connection.close()


async def _everything_is_there_once(processes: list[Process]) -> None:
    world = processes[0].world
    sent = {content: ids for one in processes for content, ids in one.sent.items()}
    assert len(sent) == PROCESSES * ROUNDS * TURNS * 4
    ids = [id_ for given in sent.values() for id_ in given]
    assert len(set(ids)) == len(ids)
    # what reclaim took is below the grant; of the rest each is there, and no other
    stored = Counter(
        message_id(row["channel_id"], row["position"])
        for row in await world.rows("SELECT channel_id, position FROM messages WHERE sender <> ''")
    )
    grants = {
        row["id"]: row["reclaimed_to"] for row in await world.rows("SELECT id, reclaimed_to FROM channels")
    }
    kept = {id_ for id_ in ids if read_message_id(id_)[1] >= grants[read_message_id(id_)[0]]}
    assert kept <= stored.keys()
    known = await world.rows("SELECT channel_id, sender, key, position FROM message_keys")
    assert {message_id(row["channel_id"], row["position"]) for row in known} == set(ids)
    cleaned = [one.request_id for process in processes for one in process.cleaned]
    assert len(set(cleaned)) == len(cleaned) == await world.value("SELECT count(*) FROM clean_requests")
    while (await world.apply()).applied:
        pass
    assert await world.value("SELECT count(*) FROM clean_requests WHERE state = 'accepted'") == 0
    delivered = {
        (row["channel_id"], row["user_id"]): row["delivered_position"]
        for row in await world.rows("SELECT channel_id, user_id, delivered_position FROM conversations")
    }
    wanted: Counter[tuple[int, str]] = Counter()
    for one in processes:
        for pair, position in one.acknowledged.items():
            wanted[pair] = max(wanted[pair], position)
    assert {pair: delivered[pair] for pair in wanted} == dict(wanted)
