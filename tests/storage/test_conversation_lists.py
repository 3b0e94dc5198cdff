"""The list of conversations that goes on from one of them: its order, its cursors while it moves, its filters, and changes."""

from __future__ import annotations

import pytest

from history.axis import SECOND
from history.channels.model import ChannelKey, ChannelType
from history.delivery import conversations as module
from history.delivery.model import ConversationFilter, ConversationRef, ConversationView
from history.errors import InvalidInput, NotFound
from history.messages.model import Copy, Draft, Flags, targeted_tail
from tests.factories import NOON, World, open_world


async def page_of(
    world: World,
    user: str = "bob",
    *,
    limit: int = 100,
    after: ConversationRef | None = None,
    before: ConversationRef | None = None,
    filters: ConversationFilter | None = None,
) -> tuple[list[str], bool]:
    """How the user names the channels of a page, and whether there are more."""
    found, more = await world.conversations.list(
        world.app_key,
        user,
        filters=filters or ConversationFilter(),
        limit=limit,
        after=after,
        before=before,
    )
    return [one.channel.seen_by(user) for one in found], more


async def view(world: World, key: ChannelKey, user: str = "bob") -> ConversationView:
    return await world.conversations.get(world.app_key, user, key)


async def chats(world: World, *others: str) -> list[int]:
    """A message for bob from each of these, a second apart; the channels' ids."""
    for step, other in enumerate(others):
        await world.send(other, "bob", at=NOON + step * SECOND)
    return [await world.channel_id("bob", other) for other in others]


# order and cursors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_meet_forward_and_backward(world: World, limit: int) -> None:
    """Each conversation once, newest first on every page, in either direction."""
    names = [f"u{n}" for n in range(5)]
    await chats(world, *names)
    forward: list[str] = []
    after: int | None = None
    more = True
    while more:
        found, more = await page_of(world, limit=limit, after=after)
        assert 1 <= len(found) <= limit
        forward += found
        after = await world.channel_id("bob", found[-1])
    assert forward == names[::-1]
    backward: list[str] = ["u0"]
    more = True
    while more:
        before = await world.channel_id("bob", backward[0])
        found, more = await page_of(world, limit=limit, before=before)
        backward = found + backward
    assert backward == forward


async def test_conversations_of_one_instant_are_told_apart_by_their_channels(world: World) -> None:
    """The highest id first, in the order of the public ids as well."""
    for n in range(4):
        await world.send(f"u{n}", "bob", at=NOON)
    found: list[ConversationView] = []
    more = True
    while more:
        after = found[-1].channel_id if found else None
        page, more = await world.conversations.list(world.app_key, "bob", limit=1, after=after)
        found += page
    ids = [one.channel_id for one in found]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 4


async def test_a_list_goes_on_where_its_page_ended_though_that_one_moved(world: World) -> None:
    """What did not move is neither repeated nor skipped, though the cursor and others jumped to the front meanwhile."""
    await chats(world, "a", "b", "c", "d", "e", "f")
    assert await page_of(world, limit=2) == (["f", "e"], True)
    await world.send("e", "bob", at=NOON + 60 * SECOND)
    await world.send("a", "bob", at=NOON + 61 * SECOND)
    assert await page_of(world, limit=2, after=world.channel("bob", "e")) == (["d", "c"], True)
    await world.send("c", "bob", at=NOON + 62 * SECOND)
    assert await page_of(world, limit=2, after=world.channel("bob", "c")) == (["b"], False)
    # listed anew it stands where it is now
    assert await page_of(world, limit=2) == (["c", "a"], True)
    assert await page_of(world, limit=9, after=world.channel("bob", "a")) == (["e", "f", "d", "b"], False)


async def test_a_page_before_one_that_moved_ends_where_it_was_listed(world: World) -> None:
    """Those that came to the front are found, and so is what moved."""
    await chats(world, "a", "b", "c", "d")
    assert await page_of(world, limit=2) == (["d", "c"], True)
    await world.send("c", "bob", at=NOON + 60 * SECOND)
    assert await page_of(world, before=world.channel("bob", "c")) == (["c", "d"], False)


async def test_a_list_goes_on_from_one_that_is_not_on_it_any_more(world: World) -> None:
    """Removed between two pages, or not what the filter asks for."""
    await chats(world, "a", "b", "c", "d")
    (one, two) = (world.channel("bob", "c"), world.channel("bob", "b"))
    assert await page_of(world, limit=2) == (["d", "c"], True)
    await world.conversations.remove(world.app_key, "bob", [one])
    assert await page_of(world, limit=1, after=one) == (["b"], True)
    await world.conversations.update(world.app_key, "bob", two, muted=True)
    assert await page_of(world, after=two, filters=ConversationFilter(muted=False)) == (["a"], False)


async def test_a_page_writes_only_what_moved(world: World) -> None:
    """The second look at an unchanged list writes nothing."""
    await chats(world, "a", "b", "c")
    sql = "SELECT xmin::text || ctid::text AS at FROM conversations WHERE user_id = 'bob' ORDER BY channel_id"
    await page_of(world)
    before = await world.rows(sql)
    await page_of(world)
    assert await world.rows(sql) == before
    await world.send("b", "bob")
    await page_of(world)
    assert len(set(before) ^ set(await world.rows(sql))) == 2


async def test_a_cursor_is_a_conversation_of_the_same_user(world: World) -> None:
    """Of nobody else's, of no other app, and one at a time."""
    await chats(world, "a")
    await world.send("ann", "cid")
    async with open_world(world.url, clock=world.clock) as stranger:
        await stranger.send("a", "bob")
        foreign = stranger.channel("bob", "a")
        for cursor in (foreign, await stranger.id_of(foreign), world.channel("ann", "cid"), world.group(), 7):
            with pytest.raises(InvalidInput):
                await page_of(world, after=cursor)
            with pytest.raises(InvalidInput):
                await page_of(world, before=cursor)
            with pytest.raises(NotFound):
                await world.conversations.get(world.app_key, "bob", cursor)
    mine = world.channel("bob", "a")
    with pytest.raises(InvalidInput):
        await page_of(world, after=mine, before=mine)


async def test_activity_is_of_messages_that_concern_the_user(world: World) -> None:
    """A message to some members moves it for them and its sender; what was before he joined does not; reclaim leaves it."""
    g = await world.make_group("bob", "cid", "dan")
    assert (await view(world, g)).last_active_at is None
    common = await world.post(g, at=NOON + SECOND)
    await world.send("eve", "bob", at=NOON + 2 * SECOND)
    named = await world.post(g, "dan", to=("cid", "nobody"), at=NOON + 3 * SECOND)
    activity = {user: (await view(world, g, user)).last_active_at for user in ("ann", "bob", "cid", "dan")}
    assert activity == {"ann": common, "bob": common, "cid": named, "dan": named}
    assert (await page_of(world))[0] == ["eve", "g"]
    await world.membership.join(g, ["fay"])
    assert (await view(world, g, "fay")).last_active_at is None
    last = await world.post(g, at=NOON + 4 * SECOND)
    late = await world.post(g, to=("fay",), at=NOON + 5 * SECOND)
    activity = {user: (await view(world, g, user)).last_active_at for user in ("bob", "cid", "fay")}
    assert activity == {"bob": last, "cid": last, "fay": late}
    assert (await page_of(world))[0] == ["g", "eve"]
    await world.execute("DELETE FROM messages")
    assert (await view(world, g, "cid")).last_active_at == last


async def test_a_batch_of_common_and_targeted_messages_counts_for_each(world: World) -> None:
    """Whatever their order in one commit."""
    g = await world.make_group("bob", "cid")

    def draft(to: tuple[str, ...] | None) -> Draft:
        return Draft(channels=(g,), sender="ann", type="t", content="c", flags=Flags.PERSISTED, recipients=to)

    drafts = [draft(None), draft(("bob",)), draft(None), draft(("cid",)), draft(("bob", "cid"))]
    await world.messages.appends.append(drafts)
    positions = await world.stored_in(g)
    for user, expected in (("ann", 4), ("bob", 4), ("cid", 4)):
        assert (await view(world, g, user)).last_active_at == positions[expected]
    assert await world.value("SELECT common_position FROM channels") == positions[2]
    await world.messages.appends.append([draft(("cid",)), draft(None), draft(("cid",))])
    positions = await world.stored_in(g)
    assert (await view(world, g)).last_active_at == positions[6]
    assert (await view(world, g, "cid")).last_active_at == positions[7]
    await world.messages.appends.append([draft(("cid",)), draft(None)])
    assert await world.value("SELECT common_position FROM channels") is None
    copies = [Copy(one, 1) for one in drafts]
    assert targeted_tail(copies) == {1: copies[3:]}


# filters and what a view shows ---------------------------------------------------------------------------------------


async def test_filters_hold_together_and_default_lists_have_the_archived(world: World) -> None:
    """None asks for nothing; True and False ask for one side each."""
    await chats(world, "a", "b", "c")
    g = await world.make_group("bob")
    a, b = world.channel("bob", "a"), world.channel("bob", "b")
    await world.conversations.update(world.app_key, "bob", a, muted=True, archived_at=NOON)
    await world.conversations.update(world.app_key, "bob", b, muted=True, pinned=True)
    cases = [
        (ConversationFilter(), ["c", "b", "a", "g"]),
        (ConversationFilter(muted=True), ["b", "a"]),
        (ConversationFilter(muted=False), ["c", "g"]),
        (ConversationFilter(archived=True), ["a"]),
        (ConversationFilter(archived=False, muted=True), ["b"]),
        (ConversationFilter(pinned=True), ["b"]),
        (ConversationFilter(pinned=False), ["c", "a", "g"]),
        (ConversationFilter(type=ChannelType.GROUP), ["g"]),
        (ConversationFilter(type=ChannelType.SYSTEM), []),
        (ConversationFilter(channel=g), ["g"]),
        (ConversationFilter(channel=g, muted=True), []),
        (ConversationFilter(channel=world.group("none")), []),
    ]
    for filters, expected in cases:
        assert await page_of(world, filters=filters) == (expected, False), filters
    # another's flags are his own
    assert (await page_of(world, "a", filters=ConversationFilter(muted=True)))[0] == []
    assert await page_of(world, filters=ConversationFilter(muted=True), limit=1) == (["b"], True)


async def test_a_view_has_what_was_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unread and the last message on request; a page with last messages is cut by their bytes."""
    world.clock.set(NOON)
    first = await world.send(echo=True)
    sent = await world.send(echo=True, at=NOON + SECOND)
    (plain,), _ = await world.conversations.list(world.app_key, "bob", limit=9)
    assert (plain.unread, plain.last_message, plain.created_at) == (0, None, NOON)
    (full,), _ = await world.conversations.list(world.app_key, "bob", limit=9, unread=True, last_message=True)
    assert full.last_message is not None
    assert (full.unread, full.last_message.position, full.last_active_at) == (2, sent, sent)
    one = await world.conversations.get(world.app_key, "bob", world.channel(), unread=True, last_message=True)
    assert one == full
    await world.clean("bob", "ann", sent_at=(NOON + SECOND) // 1000)
    one = await world.conversations.get(world.app_key, "bob", world.channel(), unread=True, last_message=True)
    assert (one.unread, one.history_from > first) == (1, True)
    for n in range(3):
        await world.send(f"u{n}", "bob", content="\x01" * 300, at=NOON + n * SECOND)
    monkeypatch.setattr(module, "MOST_PAGE_BYTES", 3_000)
    seen: list[int] = []
    more = True
    while more:
        after = seen[-1] if seen else None
        page, more = await world.conversations.list(
            world.app_key, "bob", limit=9, after=after, last_message=True
        )
        seen += [one.channel_id for one in page]
    assert len(seen) == len(set(seen)) == 4


async def test_left_and_dismissed_are_not_listed_and_not_found(world: World) -> None:
    """And nobody has another's."""
    g, h = await world.make_group("bob"), await world.make_group("bob", id_="h")
    await world.membership.leave(g, ["bob"])
    await world.membership.dismiss(h)
    assert await page_of(world) == ([], False)
    assert await page_of(world, "ann") == (["g"], False)
    for key, user in ((g, "bob"), (h, "bob"), (h, "ann"), (g, "eve"), (world.group("none"), "ann")):
        with pytest.raises(NotFound):
            await view(world, key, user)
        with pytest.raises(NotFound):
            await world.conversations.update(world.app_key, user, key, muted=True)
        with pytest.raises(NotFound):
            await world.conversations.open(world.app_key, user, key, read=True)
        with pytest.raises(NotFound):
            await world.conversations.create(world.app_key, user, key)
    assert await world.value("SELECT count(*) FROM conversations WHERE muted OR opened_at > 0") == 0


# changes -------------------------------------------------------------------------------------------------------------


async def test_changes_touch_what_they_name_alone(world: World) -> None:
    """One field after the other, and back."""
    sent = await world.send(at=NOON)
    key = world.channel()

    async def change(**fields: object) -> tuple[bool, bool, int | None, int | None]:
        found = await world.conversations.update(world.app_key, "bob", key, **fields)  # type: ignore[arg-type]
        assert found == await view(world, key)
        return found.pinned, found.muted, found.archived_at, found.pinned_message

    assert await change(pinned=True) == (True, False, None, None)
    assert await change(muted=True) == (True, True, None, None)
    assert await change(archived_at=NOON + 5) == (True, True, NOON + 5, None)
    assert await change(pinned_message=sent) == (True, True, NOON + 5, sent)
    assert await change() == (True, True, NOON + 5, sent)
    assert await change(pinned=False, archived_at=None) == (False, True, None, sent)
    assert await change(pinned_message=None, muted=False) == (False, False, None, None)
    other = await view(world, key, "ann")
    assert (other.pinned, other.muted, other.archived_at, other.pinned_message) == (False, False, None, None)


async def test_only_a_message_of_his_history_is_pinned_and_only_while_it_is(world: World) -> None:
    """Not another member's, not one that is not there; a clean or a recall takes it from view."""
    g = await world.make_group("bob", "cid")
    first, named = await world.post(g), await world.post(g, to=("cid",))
    last = await world.post(g)
    for position in (named, last + 1, 0):
        with pytest.raises(InvalidInput):
            await world.conversations.update(world.app_key, "bob", g, pinned_message=position, muted=True)
    assert not (await view(world, g)).muted
    with pytest.raises(NotFound):
        await world.conversations.update(world.app_key, "eve", g, pinned_message=first)
    for key, position in (("bob", first), ("cid", named)):
        found = await world.conversations.update(world.app_key, key, g, pinned_message=position)
        assert found.pinned_message == position
    await world.recall(g, named)
    assert (await view(world, g, "cid")).pinned_message is None
    await world.clean_in(g, "bob", undo=100)
    assert (await view(world, g)).pinned_message is None


async def test_opening_remembers_when_and_reads_where_asked(world: World) -> None:
    """Reading by v4 opens too; neither falls back."""
    sent = await world.send(at=NOON)
    key = world.channel()
    assert (await view(world, key)).opened_at is None
    found = await world.conversations.open(world.app_key, "bob", key)
    assert (found.opened_at, found.read_position) == (NOON, 0)
    world.clock.set(NOON + 5)
    found = await world.conversations.open(world.app_key, "bob", key, read=True)
    assert (found.opened_at, found.read_position) == (NOON + 5, sent)
    world.clock.set(NOON + 9)
    await world.delivery.read("bob", key, None)
    assert (await view(world, key)).opened_at == NOON + 9
    world.clock.set(NOON)
    assert (await world.conversations.open(world.app_key, "bob", key)).opened_at == NOON + 9
    assert (await view(world, key, "ann")).opened_at is None
