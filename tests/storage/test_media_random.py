"""Files under everything that can happen to them, at random: no message without its file, no file without a reason."""

from __future__ import annotations

import random
from contextlib import suppress
from uuid import UUID

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey
from history.cursors import message_id
from history.errors import Conflict, InvalidInput, NotFound
from history.media.model import Media
from history.messages.model import references
from history.retention.model import Accepted
from tests.factories import World
from tests.storage.test_media import says
from tests.storage.test_media_races import Cut, failing, objects_of, rows_of, sweep

USERS = ("ann", "bob", "cid")
STEPS = 120
WEIGHTS = {
    "upload": 2,
    "send": 4,
    "edit": 1,
    "recall": 1,
    "clean": 3,
    "undo": 1,
    "hold": 1,
    "release": 1,
    "wait": 1,
    "die": 1,
    "work": 4,
}


class Storm:
    """What was done, and dice that say what is done next."""

    def __init__(self, world: World, seed: int, keys: list[ChannelKey]) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.keys = keys
        self.files: list[Media] = []
        self.requests: list[Accepted] = []
        self.holds: list[UUID] = []
        self.done: list[str] = []

    async def step(self) -> None:
        """One of the methods below."""
        [name] = self.dice.choices([*WEIGHTS], [*WEIGHTS.values()])
        self.done.append(name)
        await getattr(self, f"_{name}")()

    async def _upload(self) -> None:
        self.files.append(await self.world.upload(self.dice.choice(["ann", None])))

    async def _send(self) -> None:
        if not self.files:
            return
        chosen = self.dice.sample(self.files, min(len(self.files), self.dice.randint(1, 2)))
        key, echo, persist = self.dice.choice(self.keys), self.dice.random() < 0.5, self.dice.random() < 0.9
        # refused where one of them has gone
        with suppress(InvalidInput):
            sent = await self.world.post(key, content=says(*chosen), echo=echo, persist=persist)
            for user in ("bob", "cid"):
                if key == self.world.group() or user in key.key:
                    await self.world.ack_in(key, user, sent)

    async def _some_message(self) -> tuple[ChannelKey, int] | None:
        rows = await self.world.rows(
            "SELECT channel_id, position FROM messages WHERE recall_stamp IS NULL ORDER BY position"
        )
        if not rows:
            return None
        row = self.dice.choice(rows)
        ids = dict(zip(await self.world.channels.locate(self.keys), self.keys, strict=True))
        return ids[row["channel_id"]], row["position"]

    async def _edit(self) -> None:
        found = await self._some_message()
        if found is None:
            return
        content = says(self.dice.choice(self.files)) if self.dice.random() < 0.7 else "nothing"
        id_ = message_id(await self.world.id_of(found[0]), found[1])
        # held, cleaned for all, or its file is gone: refused as a whole
        with suppress(InvalidInput, Conflict, NotFound):
            await self.world.messages.edit(found[0], id_, sender="ann", content=content)

    async def _recall(self) -> None:
        found = await self._some_message()
        if found is not None:
            await self.world.recall(*found)

    async def _clean(self) -> None:
        key, user, media = (
            self.dice.choice(self.keys),
            self.dice.choice([*USERS, ""]),
            self.dice.random() < 0.6,
        )
        undo = self.dice.choice([0, 3_600])
        self.requests.append(await self.world.clean_in(key, user, flag=True, undo=undo, media=media))

    async def _undo(self) -> None:
        if self.requests:
            # its window may be over
            with suppress(Conflict):
                await self.world.cancel(self.requests.pop())

    async def _hold(self) -> None:
        channel = self.dice.choice([*self.keys, None])
        hold = await self.world.policies.place_hold(
            self.world.app_key, channel=channel, user_id=None, reason="x"
        )
        self.holds.append(hold.id)

    async def _release(self) -> None:
        if self.holds:
            await self.world.policies.release_hold(self.world.app_key, self.holds.pop())

    async def _wait(self) -> None:
        self.world.clock.advance(self.dice.choice([SECOND, 3_600 * SECOND, DAY]))

    async def _die(self) -> None:
        cut = f"{self.dice.choice(['before', 'after'])} {self.dice.choice(['write', 'delete'])}"
        broken = failing(self.world, cut)
        broken.files._upkeep = None
        with suppress(Cut):
            await broken.upload()
        with suppress(Cut):
            await broken.upkeep.look(now=self.world.clock.now())

    async def _work(self) -> None:
        await self.world.work()
        await self.check()

    async def check(self) -> None:
        """Every message that refers to a file has it; every reference is of its message; no object is without a row."""
        there, states = await objects_of(self.world), await rows_of(self.world)
        whole = {id_ for id_, state in states.items() if state == "ready"}
        assert whole <= there <= states.keys(), self.done
        said = {
            (row["channel_id"], row["position"], id_)
            for row in await self.world.rows("SELECT channel_id, position, content FROM messages")
            for id_ in references(row["content"])
        }
        assert {id_ for *_, id_ in said} <= whole, self.done
        written = await self.world.rows(
            "SELECT f.channel_id, f.position, f.media_id FROM media_refs f"
            " JOIN messages m ON m.channel_id = f.channel_id AND m.position = f.position"
        )
        assert {tuple(row) for row in written} == said, self.done


@pytest.mark.parametrize("seed", range(4))
async def test_no_message_is_without_its_file_and_no_file_without_a_reason(world: World, seed: int) -> None:
    await world.set(undo_seconds=3_600)
    keys = [world.channel(), world.channel("ann", "cid"), await world.make_group("bob", "cid")]
    storm = Storm(world, seed, keys)
    for _ in range(STEPS):
        await storm.step()
    # everybody gives everything up: nothing may be left of it
    for hold in storm.holds:
        await world.policies.release_hold(world.app_key, hold)
    for key in keys:
        for user in USERS:
            await world.clean_in(key, user, flag=True, undo=0, media=True)
    world.clock.advance(9 * DAY)
    await world.work()
    await sweep(world)
    await storm.check()
    assert await rows_of(world) == {}, storm.done
    assert await objects_of(world) == set()
    assert await world.value("SELECT count(*) FROM media_refs") == 0
