"""Conversations that a user takes from his list: what brings them back, what devices hear, and who races whom."""

from __future__ import annotations

import asyncio

import pytest

from history.axis import DAY, SECOND
from history.channels.model import ChannelKey
from history.delivery.model import ConversationRef, SyncPage
from history.errors import InvalidInput, NotFound
from history.messages.model import Draft, Flags
from tests.factories import NOON, World, open_world
from tests.storage.test_conversation_lists import chats, page_of, view
from tests.storage.test_races import held, somebody_waits


async def remove(
    world: World, *conversations: ConversationRef, user: str = "bob", tell: bool | None = False
) -> list[bool]:
    return await world.conversations.remove(world.app_key, user, conversations, tell=tell)


async def listed(world: World, user: str = "bob") -> list[str]:
    """The list of both surfaces, which agree."""
    found, _ = await page_of(world, user)
    shown, _ = await world.delivery.conversations(world.app_key, user, cursor=None, most=100)
    assert [one.channel.seen_by(user) for one in shown] == found
    return found


def told(page: SyncPage) -> list[ChannelKey]:
    return [notice.channel for notice in page.removals]


# from the list and back ----------------------------------------------------------------------------------------------


async def test_a_removed_conversation_is_back_with_the_next_message(world: World) -> None:
    """It leaves his list alone; what he may read stays, and so do the other's list and his own other ones."""
    await chats(world, "ann", "cid")
    key = world.channel()
    assert await remove(world, key) == [True]
    assert (await listed(world), await listed(world, "ann")) == (["cid"], ["bob"])
    with pytest.raises(NotFound):
        await view(world, key)
    with pytest.raises(NotFound):
        await world.conversations.update(world.app_key, "bob", key, muted=True)
    assert len(await world.history("bob", "ann")) == 1
    assert len(await world.given("bob")) == 2
    assert await remove(world, key) == [False]
    world.clock.set(NOON + DAY)
    sent = await world.send()
    assert await listed(world) == ["ann", "cid"]
    assert (await view(world, key)).last_active_at == sent
    assert len(await world.history("bob", "ann")) == 2
    await world.execute("DELETE FROM messages")
    assert await listed(world) == ["ann", "cid"]
    assert await remove(world, key) == [True]


async def test_which_of_many_there_were(world: World) -> None:
    """By id or by name, in the order of the asking; unknown, twice, another's, another app's."""
    a, b, c = await chats(world, "a", "b", "c")
    g = await world.make_group("ann")
    await world.send("ann", "cid")
    async with open_world(world.url, clock=world.clock) as other:
        await other.send("a", "bob")
        foreign = other.channel("bob", "a")
        asked: list[ConversationRef] = [
            c,
            world.channel("bob", "a"),
            g,
            world.group("none"),
            a,
            world.channel("ann", "cid"),
            7,
            foreign,
            await other.id_of(foreign),
        ]
        there = await remove(world, *asked)
        assert there == [True, True, False, False, True, False, False, False, False]
        assert await listed(other) == ["a"]
    assert (await listed(world), await listed(world, "cid")) == (["b"], ["ann"])
    assert await remove(world) == []
    assert await remove(world, a, b, c) == [False, True, False]


async def test_what_he_did_with_it_ends_but_muting_stays(world: World) -> None:
    """He meets it as a new one, without being rung up."""
    sent = await world.send(at=NOON)
    key = world.channel()
    await world.conversations.open(world.app_key, "bob", key, read=True)
    await world.conversations.update(
        world.app_key, "bob", key, pinned=True, muted=True, archived_at=NOON, pinned_message=sent
    )
    await remove(world, key)
    await world.send()
    found = await view(world, key)
    assert (found.pinned, found.archived_at, found.pinned_message, found.opened_at) == (
        False,
        None,
        None,
        None,
    )
    assert (found.muted, found.read_position) == (True, sent)


async def test_a_message_for_others_does_not_bring_it_back(world: World) -> None:
    """Neither one that names others, nor a silent one; one that names him does, and so does one of his own."""
    g = await world.make_group("bob", "cid", "dan")
    await world.post(g)
    for user in ("bob", "cid", "dan"):
        await remove(world, g, user=user)
    named = await world.post(g, "ann", to=("cid",))
    assert [await listed(world, user) for user in ("bob", "cid", "dan")] == [[], ["g"], []]
    assert (await view(world, g, "cid")).last_active_at == named
    silent = Draft(channels=(g,), sender="ann", type="t", content="c", flags=Flags.PERSISTED | Flags.SILENT)
    await world.messages.send(silent)
    assert await listed(world) == []
    own = await world.post(g, "dan", to=("cid",))
    assert (await listed(world), await listed(world, "dan")) == ([], ["g"])
    assert (await view(world, g, "dan")).last_active_at == own
    assert await world.value("SELECT some_removed FROM channels")
    await world.post(g)
    assert await listed(world) == ["g"]
    assert not await world.value("SELECT some_removed FROM channels"), "appends need not look any more"


async def test_a_message_brings_back_only_its_own_conversation(world: World) -> None:
    """In a batch over several channels, some of which have nothing removed."""
    await chats(world, "a", "b", "c")
    await remove(world, world.channel("bob", "a"), world.channel("bob", "b"))
    await world.messages.appends.append([world.draft("a", "bob", "cid"), world.draft("c", "bob")])
    assert sorted(await listed(world)) == ["a", "c"]


async def test_who_left_takes_it_from_his_list_and_joining_brings_it_back(world: World) -> None:
    """No message of the group does meanwhile; also after it was dismissed."""
    g, h = await world.make_group("bob"), await world.make_group("bob", id_="h")
    await world.post(g)
    await world.membership.leave(g, ["bob"])
    assert await remove(world, g, tell=True) == [True]
    assert await remove(world, g, tell=True) == [False]
    assert told(await world.sync("bob")) == [g]
    await world.post(g)
    assert await listed(world) == ["h"]
    await world.membership.join(g, ["bob"])
    assert await listed(world) == ["h", "g"] or await listed(world) == ["g", "h"]
    assert told(await world.sync("bob")) == []
    await remove(world, g)
    await world.membership.join(g, ["bob"])
    assert await listed(world) == ["h"], "who is in already stays as he is"
    await world.membership.dismiss(h)
    assert await remove(world, h) == [True]


# empty ones ----------------------------------------------------------------------------------------------------------


async def test_a_conversation_without_a_message_is_on_its_makers_list_alone(world: World) -> None:
    """Until the first message, whoever sends it; the second making answers the first."""
    key = world.channel()
    world.clock.set(NOON)
    made = await world.conversations.create(world.app_key, "ann", key)
    assert (made.created_at, made.last_active_at, made.channel, made.user_id) == (NOON, None, key, "ann")
    world.clock.advance(SECOND)
    assert await world.conversations.create(world.app_key, "ann", key) == made
    assert (await listed(world, "ann"), await listed(world)) == (["bob"], [])
    with pytest.raises(NotFound):
        await view(world, key)
    assert await remove(world, key) == [False]
    sent = await world.send("ann", "bob")
    assert (await listed(world, "ann"), await listed(world)) == (["bob"], ["ann"])
    assert (await view(world, key)).last_active_at == sent
    later = world.channel("cid", "dan")
    await world.conversations.create(world.app_key, "cid", later)
    await world.conversations.create(world.app_key, "dan", later)
    assert (await listed(world, "cid"), await listed(world, "dan")) == (["dan"], ["cid"])
    third = world.channel("eve", "fay")
    await world.conversations.create(world.app_key, "eve", third)
    await world.send("fay", "eve")
    assert (await listed(world, "eve"), await listed(world, "fay")) == (["fay"], ["eve"])


async def test_a_removed_one_is_made_again_empty(world: World) -> None:
    """Its activity begins anew; the other's conversation is as it was."""
    await chats(world, "ann", "cid")
    key = world.channel()
    await page_of(world)
    await remove(world, key, tell=True)
    made = await world.conversations.create(world.app_key, "bob", key)
    assert (made.last_active_at, made.listed_position) == (None, None)
    assert await listed(world) == ["cid", "ann"]
    assert await page_of(world, after=key) == ([], False)
    assert told(await world.sync("bob")) == [], "it is there"
    assert (await view(world, key, "ann")).last_active_at == NOON
    await world.send(at=NOON + DAY)
    assert await listed(world) == ["ann", "cid"]


async def test_who_may_make_which(world: World) -> None:
    """A group that he is in, an account's; not another's, not alone, not an open channel."""
    g = await world.make_group("bob")
    await world.make_open()
    await remove(world, g)
    assert (await world.conversations.create(world.app_key, "bob", g)).channel == g
    news = world.system()
    assert (await world.conversations.create(world.app_key, "bob", news)).channel == news
    assert sorted(await listed(world)) == ["g", "news"]
    for user, key in (
        ("eve", g),
        ("eve", world.channel()),
        ("news", news),
        ("bob", world.open()),
        ("bob", world.group("none")),
    ):
        with pytest.raises(NotFound):
            await world.conversations.create(world.app_key, user, key)
    with pytest.raises(InvalidInput):
        await world.conversations.create(world.app_key, "bob", world.channel("bob", "bob"))
    assert await world.value("SELECT count(*) FROM channels") == 3


# what devices hear ---------------------------------------------------------------------------------------------------


async def test_devices_are_told_until_they_come_back_with_the_cursor(world: World) -> None:
    """Each once, between recalls and messages; not the other user's, and a reinstalled one anew."""
    await world.send()
    key = world.channel()
    await remove(world, key, tell=True)
    page = await world.sync("bob")
    assert (told(page), len(page.messages)) == ([key], 1)
    assert told(await world.sync("bob")) == [key]
    assert told(await world.sync("bob", cursor=page.cursor)) == []
    assert told(await world.sync("bob")) == []
    assert told(await world.sync("bob", "tablet")) == [key]
    assert told(await world.sync("ann")) == []
    assert told(await world.sync("bob", reinstalled=True)) == [key]


async def test_one_that_is_back_is_not_told_and_the_next_removal_is(world: World) -> None:
    """State, not events: a device that slept hears of the last one."""
    key = world.channel()
    await world.send()
    await remove(world, key, tell=True)
    page = await world.sync("bob")
    await world.sync("bob", cursor=page.cursor)
    late = await world.sync("bob", "tablet")
    await world.send()
    assert (told(await world.sync("bob", "tablet")), told(await world.sync("bob"))) == ([], [])
    await remove(world, key, tell=True)
    # the cursor of the first removal says nothing of the second
    assert told(await world.sync("bob", "tablet", cursor=late.cursor)) == [key]
    assert told(await world.sync("bob")) == [key]


async def test_telling_is_asked_for_or_a_setting(world: World) -> None:
    """Off unless switched on; a later call may have the devices told of what is gone already, not the other way round."""
    keys = [world.channel("bob", other) for other in ("a", "b", "c", "d")]
    await chats(world, "a", "b", "c", "d")
    await remove(world, keys[0], tell=None)
    await remove(world, keys[1], tell=False)
    assert told(await world.sync("bob")) == []
    assert await remove(world, keys[1], tell=True) == [False]
    assert told(await world.sync("bob")) == [keys[1]]
    await world.set(sync_conversation_deletion=True)
    await remove(world, keys[2], tell=None)
    await remove(world, keys[3], tell=False)
    assert set(told(await world.sync("bob"))) == {keys[1], keys[2]}
    assert await remove(world, keys[2], tell=False) == [False]
    assert set(told(await world.sync("bob"))) == {keys[1], keys[2]}


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_removals_count_with_cleans_recalls_and_messages(world: World, limit: int) -> None:
    """Page by page everything once, in this order."""
    ids = await chats(world, "a", "b", "c")
    await world.clean("bob", "a")
    await world.recall(world.channel("bob", "b"), await world.send("b", "bob"), "b")
    await remove(world, *ids, tell=True)
    pages = [await world.sync("bob", limit=limit)]
    while pages[-1].has_more:
        pages.append(await world.sync("bob", limit=limit, cursor=pages[-1].cursor))
        assert len(pages) < 20
    kinds = "".join(
        "c" * len(page.cleans) + "r" * len(page.recalls) + "d" * len(page.removals) + "m" * len(page.messages)
        for page in pages
    )
    assert kinds == "crdddmmm"
    for page in pages:
        assert len(page.cleans) + len(page.recalls) + len(page.removals) + len(page.messages) <= limit
    assert sorted(notice.channel_id for page in pages for notice in page.removals) == sorted(ids)


# at once -------------------------------------------------------------------------------------------------------------


async def test_a_message_that_commits_after_the_removal_brings_it_back(world: World) -> None:
    """The append waits for the removal's lock, then looks."""
    await world.send()
    async with held(world) as connection:
        id_ = await world.channel_id()
        await connection.execute("UPDATE channels SET some_removed = true WHERE id = $1", id_)
        await connection.execute(
            "UPDATE conversations SET removed = true, removed_position = $1 WHERE user_id = 'bob'", NOON
        )
        sending = asyncio.create_task(world.send())
        await somebody_waits(world)
        assert not sending.done()
    await sending
    assert await listed(world) == ["ann"]


async def test_a_message_that_commits_before_the_removal_is_removed_with_it(world: World) -> None:
    """The removal waits for the append's lock, and then counts its message as seen."""
    await world.send()
    id_ = await world.channel_id()
    async with held(world) as connection:
        at = NOON + SECOND
        await connection.execute("UPDATE channels SET last_position = $2 WHERE id = $1", id_, at)
        removing = asyncio.create_task(remove(world, id_))
        await somebody_waits(world)
        assert not removing.done()
    assert await removing == [True]
    assert await listed(world) == []
    assert await world.value("SELECT removed_position FROM conversations WHERE removed") == at


async def test_two_removals_at_once_are_one(world: World) -> None:
    """One of them had it there."""
    await world.send()
    key = world.channel()
    async with world.twin() as twin:
        found = await asyncio.gather(
            *(remove(one, key, tell=True) for one in (world, twin) for _ in range(3))
        )
    assert sorted(found) == [[False]] * 5 + [[True]]
    assert await world.value("SELECT removals FROM conversations WHERE user_id = 'bob'") == 1


async def test_removals_and_messages_in_a_crowd_end_as_the_last_word_says(world: World) -> None:
    """No deadlock reaches a caller; whoever removed last without a message after it has it gone."""
    others = [f"u{n}" for n in range(6)]
    await chats(world, *others)
    ids = [await world.channel_id("bob", other) for other in others]
    async with world.twin() as twin:

        async def send(one: World, turn: int) -> None:
            await one.messages.send(one.draft("bob", *(others if turn % 2 else others[::-1])))

        await asyncio.gather(
            *(
                work
                for turn in range(8)
                for work in (
                    send(world, turn),
                    remove(twin, *(ids if turn % 2 else ids[::-1]), tell=True),
                    page_of(twin),
                )
            )
        )
    await world.messages.send(world.draft("bob", *others))
    assert sorted(await listed(world)) == others
    await remove(world, *ids)
    assert await listed(world) == []


async def test_two_make_the_same_conversation_at_once(world: World) -> None:
    """Each has it on his list, as if one had been first."""
    key = world.channel()
    async with world.twin() as twin:
        await asyncio.gather(
            *(
                one.conversations.create(world.app_key, user, key)
                for one, user in ((world, "ann"), (twin, "bob"), (world, "bob"), (twin, "ann"))
            )
        )
    assert (await listed(world, "ann"), await listed(world)) == (["bob"], ["ann"])
