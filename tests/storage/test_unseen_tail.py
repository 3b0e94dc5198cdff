"""What a user wrote last for everybody but himself is passed over in his reads, and nothing else is."""

from __future__ import annotations

import asyncio
import random

from history.channels.model import ChannelKey
from history.messages.model import Draft, Flags
from tests.factories import NOON, World
from tests.storage.test_races import append, held

TAIL = "SELECT unseen_by, unseen_from, unseen_to FROM channels"


async def _tail(world: World) -> tuple[str | None, int | None, int | None]:
    [row] = await world.rows(TAIL)
    return tuple(row)


async def test_it_grows_with_one_sender_and_ends_with_what_is_for_him(world: World) -> None:
    """Another's message, his own with an echo; the next one begins anew."""
    first = [await world.send("ann", "bob") for _ in range(3)]
    assert await _tail(world) == ("ann", first[0], first[-1])
    other = await world.send("bob", "ann")
    assert await _tail(world) == ("bob", other, other)
    assert await world.history("ann", "bob") == [other]
    assert await world.history("bob", "ann") == first[::-1]
    own = await world.send("ann", "bob", echo=True)
    assert await _tail(world) == (None, None, None)
    last = await world.send("ann", "bob")
    assert await _tail(world) == ("ann", last, last)
    assert await world.history("ann", "bob") == [own, other]
    assert [at for at, _ in await world.given("ann")] == [other, own]
    assert [at for at, _ in await world.given("bob")] == [*first, own, last]


async def test_one_commit_has_one_tail(world: World) -> None:
    """Of several that travel together the last ones in a row count; those before only where all are of one kind."""
    group = await world.make_group("bob")
    sends = [("ann", False), ("ann", True), ("bob", False), ("ann", False), ("ann", False)]
    positions = await asyncio.gather(*(world.post(group, sender, echo=echo) for sender, echo in sends))
    assert await _tail(world) == ("ann", positions[3], positions[4])
    more = await asyncio.gather(*(world.post(group, "ann") for _ in range(3)))
    assert await _tail(world) == ("ann", positions[3], more[-1])
    for_bob = await world.post(group, "ann", to=("bob",))
    assert await _tail(world) == (None, None, None)
    assert for_bob in await world.seen(group, "bob")


async def test_who_writes_without_saying_so_hides_nothing(world: World) -> None:
    """The tail counts while it ends at the last position."""
    sent = await world.send("bob", "ann")
    async with held(world) as connection:
        late = await append(connection, world)
        await connection.execute(
            "UPDATE channels SET unseen_by = 'bob', unseen_from = $1, unseen_to = $1", sent
        )
    assert await world.history("bob", "ann") == [late]
    assert await world.given("bob") == [(late, "missed")]


async def test_everybody_reads_what_is_for_him_whatever_is_sent_how(world: World) -> None:
    """Three hundred messages, one by one and together: by anybody, with an echo or without, for all or for some."""
    chance, users = random.Random(5), ["ann", "bob", "cid"]
    group = await world.make_group("bob", "cid")
    expected: dict[str, list[int]] = {user: [] for user in users}
    for turn in range(60):
        drafts = [_draft(group, chance, users) for _ in range(chance.choice([1, 1, 2, 12]))]
        world.clock.set(NOON + turn * 1_000)
        before = len(await world.stored_in(group))
        await asyncio.gather(*(world.messages.send(draft) for draft in drafts))
        # in the order of submission, whatever travelled together
        for draft, position in zip(drafts, (await world.stored_in(group))[before:], strict=True):
            for user in users:
                if user == draft.sender:
                    shown = bool(draft.flags & Flags.ECHOED)
                else:
                    shown = draft.recipients is None or user in draft.recipients
                if shown:
                    expected[user].append(position)
        for user in users:
            page, _ = await world.messages.page(group, user, most=10)
            assert [m.position for m in page] == expected[user][:-11:-1], (turn, user)
            page, _ = await world.messages.page(group, user, above=NOON, most=5)
            assert [m.position for m in page[::-1]] == [at for at in expected[user] if at > NOON][:5]
            views, _ = await world.conversations.list(
                world.app_key, user, limit=5, last_message=True, unread=True
            )
            last = views[0].last_message
            assert (last.position if last else None) == (expected[user][-1] if expected[user] else None)
            given = [at for at, _ in await world.given(user, "new")]
            assert given == expected[user][:100], (turn, user)


def _draft(group: ChannelKey, chance: random.Random, users: list[str]) -> Draft:
    named = tuple(chance.sample(users, chance.choice([1, 2]))) if chance.random() < 0.3 else None
    return Draft(
        channels=(group,),
        sender=chance.choice(users),
        type="t",
        content="c",
        flags=Flags.PERSISTED | chance.choice([Flags.ECHOED, 0, 0]),
        recipients=named,
    )
