"""What a preview says of files is what the receipt says in the end."""

from __future__ import annotations

import random
from typing import Any

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey
from history.errors import PlanChanged
from history.media.model import Media
from history.receipts import service
from history.receipts.model import Plan
from history.retention.model import EVERYONE, Accepted
from tests.factories import NOON, World, clean_draft
from tests.storage.test_media import clean, says, send

HOUR = 3_600


async def plan_of(
    world: World, user: str = "bob", key: ChannelKey | None = None, *, media: bool = True, **more: Any
) -> Plan:
    """A preview in the direct channel of ann and bob, or in another one."""
    return await world.receipts.preview(clean_draft(key or world.channel(), user, media=media, **more))


async def files(
    world: World, user: str = "bob", key: ChannelKey | None = None, **more: Any
) -> tuple[int, int]:
    """Files and bytes of a preview."""
    plan = await plan_of(world, user, key, **more)
    assert plan.complete
    return plan.reclaimed_files, plan.reclaimed_bytes


async def went(world: World, accepted: Accepted) -> tuple[int | None, int | None]:
    """Files and bytes of a receipt, when all has gone that goes."""
    world.clock.advance(9 * DAY)
    await world.work()
    receipt = await world.receipt(accepted)
    assert receipt.settled_at is not None
    return receipt.reclaimed_files, receipt.reclaimed_bytes


async def told(world: World, user: str = "bob", key: ChannelKey | None = None, **more: Any) -> Any:
    """Files and bytes as a preview says, and as the receipt of that very clean says in the end."""
    said = await files(world, user, key, **more)
    accepted = await world.clean_in(key or world.channel(), user, media=True, **more)
    assert await went(world, accepted) == said
    return said


@pytest.mark.parametrize("user", ["bob", EVERYONE])
@pytest.mark.parametrize("state", ["missed", "received"])
async def test_a_plan_counts_what_the_receipt_counts_in_the_end(world: World, user: str, state: str) -> None:
    """Also what is still to reach somebody: it goes when it has; and the row of a file that is not there yet does not count."""
    one, two = await world.upload(data=b"12345"), await world.upload(data=b"123")
    await world.upload(data=b"nothing refers to it")
    for file in (one, two):
        position = await world.send(content=says(file))
        if state == "received":
            await world.ack("bob", "ann", position)
    assert await files(world, user, media=False) == (0, 0)
    assert await told(world, user) == (2, 8)
    assert (await world.there(one), await world.there(two)) == (False, False)


async def test_without_delete_media_nothing_is_counted_and_nothing_goes(world: World) -> None:
    file = await world.upload()
    await world.send(content=says(file))
    assert await files(world, media=False) == (0, 0)
    assert await went(world, await world.clean_in(world.channel(), "bob")) == (0, 0)
    assert await world.there(file)


async def test_a_file_that_another_participant_keeps_is_not_counted(world: World) -> None:
    """He has it in his history, or cleaned without deleteMedia; it counts once he has given it up, settled or not."""
    await send(world, await world.upload(data=b"12345"))
    assert await files(world) == (0, 0)
    await clean(world, "ann", media=False)
    await world.work()
    assert await files(world) == (0, 0)
    waiting = await world.clean_in(world.channel(), "ann", undo=HOUR, media=True)
    assert await files(world) == (1, 5), "accepted"
    await world.apply()
    assert await files(world) == (1, 5), "applied"
    await world.cancel(waiting)
    assert await files(world) == (0, 0)
    await clean(world, "ann", media=True)
    assert await told(world) == (1, 5)


async def test_one_of_a_group_keeps_a_file_for_all(world: World) -> None:
    """Neither its sender nor named in it; his message is gone from his history, or from disk."""
    key = await world.make_group("bob", "cid", "dan")
    await world.post(key, content=says(await world.upload(data=b"12345")))
    for user, media in (("dan", True), ("cid", False)):
        await world.clean_in(key, user, undo=0, media=media)
    for wait in (0, 9 * DAY):
        world.clock.advance(wait)
        await world.work()
        assert await files(world, "bob", key) == (0, 0)
        assert await files(world, EVERYONE, key) == (1, 5)
    assert (await plan_of(world, "bob", key)).numbers.hidden == 1
    await world.clean_in(key, "bob", flag=True, undo=0)
    await world.work()
    assert await world.stored_in(key) == []
    assert await files(world, "bob", key) == (0, 0)
    await world.clean_in(key, "cid", undo=HOUR, media=True)
    assert await told(world, "bob", key) == (1, 5)


async def test_who_kept_a_file_lets_it_go_without_hiding_a_message(world: World) -> None:
    await send(world, await world.upload(data=b"12345"))
    await clean(world, "ann", media=True)
    await clean(world, "bob", media=False)
    world.clock.advance(9 * DAY)
    await world.work()
    assert await world.stored() == []
    assert (await plan_of(world)).numbers.hidden == 0
    assert await files(world, "ann") == (0, 0), "she has given it up already"
    assert await told(world) == (1, 5)


async def test_a_file_of_two_messages_counts_once_and_where_both_go(world: World) -> None:
    file = await world.upload(data=b"12345")
    first = await world.send(content=says(file), at=NOON)
    await world.send(content=says(file), at=NOON + SECOND)
    assert await files(world, sent_at=first // 1000 + 1) == (0, 0)
    accepted = await world.clean_in(world.channel(), "bob", sent_at=first // 1000 + 1, media=True)
    assert await told(world) == (1, 5)
    assert await went(world, accepted) == (1, 5), "its message was this one's too"


async def test_a_file_above_a_message_that_somebody_reads_is_not_counted(world: World) -> None:
    """What is deleted from a channel is everything below a point: her message keeps his on disk, and its file."""
    await world.send(echo=True)
    await send(world, await world.upload(data=b"12345"), echo=False)
    assert await files(world) == (0, 0)
    await world.clean("ann", "bob")
    assert await told(world) == (1, 5)


async def test_nor_one_above_a_message_that_anybody_of_a_group_reads(world: World) -> None:
    """Neither its sender nor named in it."""
    key = await world.make_group("bob", "cid")
    await world.post(key)
    await world.post(key, content=says(await world.upload(data=b"12345")), to=("bob",))
    assert await files(world, "bob", key) == (0, 0)
    await world.clean_in(key, "cid")
    assert await told(world, "bob", key) == (1, 5)


async def test_a_file_that_another_channel_needs_is_not_counted(world: World) -> None:
    """While its message there is on disk, and while somebody there keeps it."""
    file = await world.upload(data=b"12345")
    await send(world, file, echo=False)
    elsewhere = await world.send("ann", "cid", content=says(file), at=NOON + SECOND)
    await world.ack("cid", "ann", elsewhere)
    assert await files(world) == (0, 0)
    await world.clean_in(world.channel("ann", "cid"), "cid", flag=True, undo=0)
    await world.work()
    assert await world.stored("ann", "cid") == []
    assert await files(world) == (0, 0)
    await world.clean_in(world.channel("ann", "cid"), "cid", flag=True, undo=0, media=True)
    await world.work()
    assert await world.there(file)
    assert await told(world) == (1, 5)


async def test_only_those_whom_the_message_was_for_give_its_file_up(world: World) -> None:
    """Not who joined later, was not addressed, hid it by its id, or has left; and none of them keeps it."""
    key = await world.make_group("bob", "cid", "dan", "eve")
    sent = await world.post(key, content=says(await world.upload(data=b"12345")), to=("bob", "dan", "eve"))
    await world.post(key, content=says(await world.upload(data=b"1")), echo=True)
    await world.membership.join(key, ["zoe"])
    await world.hide(key, "eve", sent)
    await world.membership.leave(key, ["dan"])
    late = await world.post(key, "bob")
    for user in ("ann", "bob", "cid", "eve", "zoe"):
        assert await files(world, user, key) == ((1, 5) if user == "bob" else (0, 0)), user
    waiting = await world.clean_in(key, "bob", media=True)
    for user in ("ann", "cid", "dan", "eve", "zoe"):
        assert await files(world, user, key) == (0, 0), user
    await world.cancel(waiting)
    others = [await world.clean_in(key, user, undo=0, media=True) for user in ("cid", "dan", "eve", "zoe")]
    assert await told(world, "bob", key) == (1, 5)
    assert [await went(world, one) for one in others] == [(0, 0)] * 4
    assert await world.seen(key, "ann") == [late, sent + 1]
    # the other one is hers alone now
    assert await told(world, "ann", key) == (1, 1)


async def test_what_one_gave_up_before_is_none_of_a_later_clean(world: World) -> None:
    """Where the earlier one settles first; with a shorter undo window the later one is what lets the file go."""
    await world.set(multi_device_sync=False)
    await send(world, await world.upload(data=b"12345"), echo=False)
    first = await world.clean_in(world.channel(), "bob", undo=HOUR, media=True)
    for _ in range(2):
        assert await files(world, undo=HOUR) == (0, 0)
        assert await files(world, undo=0) == (1, 5)
        await world.apply()
    second = await world.clean_in(world.channel(), "bob", undo=0, media=True)
    await world.work()
    receipts = [await world.receipt(one) for one in (first, second)]
    assert [one.reclaimed_files for one in receipts] == [0, 1]


async def test_everyones_clean_counts_what_all_of_them_have(world: World) -> None:
    key = await world.make_group("bob")
    await world.post(key, content=says(await world.upload(data=b"12345")), echo=True)
    assert await files(world, "bob", key) == (0, 0)
    assert await told(world, EVERYONE, key) == (1, 5)
    assert await files(world, EVERYONE, key) == (0, 0)


async def test_an_open_channels_files_go_with_everyones_clean(world: World) -> None:
    """What the channel's end takes is none of the clean's."""
    key, ending = await world.make_open(), await world.make_open("e", ttl=60)
    first = await world.post(key, content=says(await world.upload(data=b"12345")))
    await world.post(key, content=says(await world.upload(data=b"1")), at=NOON + SECOND)
    last = await world.post(ending, content=says(await world.upload(data=b"12")))
    assert await files(world, EVERYONE, ending) == (1, 2)
    world.clock.set(last + HOUR * SECOND)
    assert await files(world, EVERYONE, ending) == (0, 0)
    assert await files(world, EVERYONE, key) == (2, 6)
    assert await told(world, EVERYONE, key, sent_at=first // 1000 + 1, undo=0) == (1, 5)
    assert await told(world, EVERYONE, key) == (1, 1)


@pytest.mark.parametrize("hold", ["app", "channel", "uploader", "other channel"])
async def test_what_a_hold_covers_is_not_counted(world: World, hold: str) -> None:
    file, other = await world.upload(data=b"12345"), world.channel("eve", "cid")
    await send(world, file, echo=False)
    if hold == "uploader":
        await world.execute("UPDATE media SET uploader = 'zoe'")
    if hold == "other channel":
        sent = await world.send("eve", "cid", content=says(file))
        await world.ack("cid", "eve", sent)
        await world.clean_in(other, "cid", flag=True, undo=0, media=True)
        await world.work()
    assert await files(world) == (1, 5)
    if hold == "other channel":
        # what let go of it is forgotten with the next look; until then the hold is asked for
        await world.execute(
            "INSERT INTO media_refs SELECT $2, 1, media_id, app_key, 1, 'eve', NULL, 1, '{}', NULL"
            " FROM media_refs WHERE channel_id = $1",
            await world.channel_id(),
            await world.id_of(other),
        )
        assert await files(world) == (1, 5)
    placed = await world.policies.place_hold(
        world.app_key,
        channel={"channel": world.channel(), "other channel": other}.get(hold),
        user_id="zoe" if hold == "uploader" else None,
        reason="case",
    )
    assert await files(world) == (0, 0)
    await world.policies.release_hold(world.app_key, placed.id)
    assert await told(world) == (1, 5)


async def test_a_policy_lets_files_go_by_itself(world: World) -> None:
    await world.execute("UPDATE apps SET retention_days = 2")
    for at in (NOON - 3 * DAY, NOON):
        world.clock.set(at)
        await send(world, await world.upload(data=b"12345"), at=at, echo=False)
    assert await files(world) == (1, 5)


async def test_a_plan_stands_for_its_files(world: World) -> None:
    """A clean with its hash does it; one that would let go of other files is refused, and one that would of none too."""
    file = await world.upload(data=b"12345")
    await send(world, file, echo=False)
    draft, plan = clean_draft(world.channel(), "bob", media=True), await plan_of(world)
    others = [clean_draft(world.channel(), "bob"), draft]
    elsewhere = await world.send("ann", "cid", content=says(file))
    for other in others:
        with pytest.raises(PlanChanged):
            await world.receipts.accept(other, plan_hash=plan.hash)
    await world.recall(world.channel("ann", "cid"), elsewhere)
    accepted = await world.receipts.accept(draft, plan_hash=plan.hash)
    world.catch_up()
    assert await went(world, accepted) == (1, 5)


async def test_references_are_counted_up_to_an_end_as_messages_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = [await world.upload(data=b"1" * size) for size in (1, 2, 3)]
    await world.send(content=says(one, two, three))
    monkeypatch.setattr(service, "MOST_PREVIEWED", 4)
    assert await files(world) == (3, 6)
    monkeypatch.setattr(service, "MOST_PREVIEWED", 3)
    plan = await plan_of(world)
    assert (plan.complete, plan.reclaimed_files, plan.numbers.hidden) == (False, 3, 1)
    monkeypatch.setattr(service, "MOST_PREVIEWED", 2)
    plan = await plan_of(world)
    assert (plan.complete, plan.reclaimed_files) == (False, 2)


# at random


class Draw:
    """Everything that may happen to a group and a direct channel before a clean; each has files of its own."""

    def __init__(self, world: World, dice: random.Random, files: dict[ChannelKey, list[Media]]) -> None:
        self.world = world
        self.dice = dice
        self.files = files

    async def step(self) -> None:
        """One of them."""
        names = ["send"] * 6 + ["clean"] * 4 + ["hide", "recall", "work", "move", "wait"]
        await getattr(self, f"_{self.dice.choice(names)}")(self.dice.choice([*self.files]))

    def _user(self, key: ChannelKey) -> str:
        return self.dice.choice(["ann", "bob", *(["cid", "dan"] if key == self.world.group() else [])])

    async def _send(self, key: ChannelKey) -> None:
        to = None
        if key == self.world.group() and self.dice.random() < 0.3:
            to = tuple(self.dice.sample(["bob", "cid", "dan"], 2))
        there = [one for one in self.files[key] if await self.world.there(one)]
        chosen = self.dice.sample(there, min(len(there), self.dice.randint(0, 2)))
        sent = await self.world.post(key, content=says(*chosen), echo=self.dice.random() < 0.4, to=to)
        if self.dice.random() < 0.7:
            await self.world.ack_in(key, "bob", sent)

    async def _clean(self, key: ChannelKey, *, media: bool | None = None, undo: int | None = None) -> Any:
        wish: dict[str, Any] = {
            "user": self.dice.choice([self._user(key), self._user(key), EVERYONE]),
            "sent_at": self.dice.choice([None, self.world.clock.now() // 1000 - self.dice.randint(0, 20)]),
            "flag": self.dice.choice([None, True]),
            "undo": self.dice.choice([0, HOUR]) if undo is None else undo,
            "media": self.dice.random() < 0.6 if media is None else media,
        }
        plan = await self.world.receipts.preview(clean_draft(key, **wish))
        return plan, await self.world.clean_in(key, **wish), wish

    async def _message(self, key: ChannelKey) -> int | None:
        there = await self.world.stored_in(key)
        return self.dice.choice(there) if there else None

    async def _hide(self, key: ChannelKey) -> None:
        if (at := await self._message(key)) is not None:
            await self.world.hide(key, self._user(key), at)

    async def _recall(self, key: ChannelKey) -> None:
        if (at := await self._message(key)) is not None:
            await self.world.recall(key, at)

    async def _work(self, _: ChannelKey) -> None:
        await self.world.work()

    async def _move(self, _: ChannelKey) -> None:
        g, user = self.world.group(), self.dice.choice(["cid", "dan"])
        await self.dice.choice([self.world.membership.join, self.world.membership.leave])(g, [user])
        # so that what he cleans now reaches further than where he came or went
        await self.world.post(g)

    async def _wait(self, _: ChannelKey) -> None:
        self.world.clock.advance(self.dice.choice([SECOND // 100, SECOND, DAY]))

    async def last(self) -> tuple[Plan, Accepted, Any]:
        """A clean that gives files up, no sooner than those before it."""
        found: tuple[Plan, Accepted, Any] = await self._clean(
            self.dice.choice([*self.files]), media=True, undo=HOUR
        )
        return found


@pytest.mark.parametrize("seed", range(24))
async def test_after_whatever_happened_a_plan_says_what_the_receipt_says(world: World, seed: int) -> None:
    keys = [world.channel(), await world.make_group("bob", "cid", "dan")]
    for key in keys:
        await world.post(key)
    dice = random.Random(seed)
    sizes = iter(range(1, 100))
    draw = Draw(
        world, dice, {key: [await world.upload(data=b"x" * next(sizes)) for _ in range(4)] for key in keys}
    )
    for _ in range(40):
        await draw.step()
    plan, accepted, wish = await draw.last()
    assert await went(world, accepted) == (plan.reclaimed_files, plan.reclaimed_bytes), wish
